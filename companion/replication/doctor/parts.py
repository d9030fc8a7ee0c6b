"""Which tables and figures of a study can be computed with what is there, and what is missing for the others."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from chexreason.cohorts import COHORTS
from chexreason.config import Profile
from chexreason.data import SOURCES
from companion.replication.doctor import DIFFERS, MISSING, READY, Row

#: Stage, or test set of the last one -> what is computed from it; a data set of one's own has a table by its name.
SHOWN = {
    "prompting": "Table 1", "sft": "Tables 2-3, Fig. 1", "grpo": "Table 4, Figs. 2-3", "chexpert": "Table 5",
    "nih": "Table 6",
}  # fmt: skip
#: Stage -> the cohorts that it looks at; the last one looks at its test sets.
LOOKS_AT: Mapping[str, tuple[str, ...]] = {
    "prompting": ("validation",), "sft": ("sft", "validation"), "grpo": ("rl", "validation"),
}  # fmt: skip
#: Without these nothing is computed.
MACHINE = ("cache folder", "disk", "GPU", "bf16", "libraries")


def check(profile: Profile, missing: Collection[str]) -> Iterator[Row]:
    """A row a table, by the titles of the doctor's rows that are `missing`."""
    study, lacks = profile.study, dict[str, list[str]]()

    def lacking(source: str, bases: Sequence[str], cohorts: Sequence[str], run: str | None = None) -> list[str]:
        titles = [SOURCES[source].title, *cohorts, *(f"weights: {base}" for base in bases), *MACHINE]
        found = [title for title in titles if title in missing]
        if run and not (profile.cache / "checkpoints" / run / "best").is_dir():
            found += lacks.get("sft" if run.startswith("02-") else "grpo", [run])
        return list(dict.fromkeys(found))

    base, sft, grpo = study["prompting"]["model"], study["sft"], study["grpo"]
    asked = {
        "prompting": ([base], None, f"{len(study['prompting']['prompts'])} prompts"),
        "sft": (sft["models"], None, f"{' and '.join(sft['models'])} in {len(sft['prompts'])} formats"),
        "grpo": ([grpo["model"]], grpo["start"], f"the rewards {' and '.join(grpo['rewards'])}"),
    }
    for stage, (bases, start, of) in asked.items():
        if stage in profile.stages:
            needs = [*(f"cohort {name}" for name in LOOKS_AT[stage]), *["teacher's traces"] * (stage == "sft")]
            lacks[stage] = lacking("mimic", bases, needs, start)
            yield _row(SHOWN[stage], {of: lacks[stage]})
    for name in study["generalization"]["test_sets"] if "generalization" in profile.stages else ():
        cohorts = [f"cohort {one}" for one, (source, _) in COHORTS.items() if source == name]
        models = study["generalization"]["models"].items()
        parts = {model: lacking(name, [one["base"]], cohorts, one.get("adapter")) for model, one in models}
        yield _row(SHOWN.get(name, SOURCES[name].title), parts)


def scoring(profile: Profile, missing: Collection[str]) -> Row:
    """Of which data sets predictions can be scored, which needs neither weights nor a GPU."""
    can = [name for name in profile.used if SOURCES[name].title not in missing]
    get = "needs the label files of a data set, or a .yml file that describes your own"
    return Row("your predictions", READY if can else MISSING, f"of {', '.join(can)}: chexreason score" if can else get)


def _row(what: str, parts: Mapping[str, Sequence[str]]) -> Row:
    """What can be computed of a table; a part lacks what is listed for it."""
    can = [name for name, lacks in parts.items() if not lacks]
    all_lack = [title for title in next(iter(parts.values())) if all(title in lacks for lacks in parts.values())]
    said = [", ".join(can), f"missing: {', '.join(all_lack)}" if all_lack else ""]
    for name, lacks in parts.items():
        if more := ", ".join(title for title in lacks if title not in all_lack):
            said.append(f"for {name} {'also ' if all_lack else 'missing: '}{more}")
    state = READY if len(can) == len(parts) else DIFFERS if can else MISSING
    return Row(what, state, "; ".join(filter(None, said)))
