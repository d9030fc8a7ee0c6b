"""Four formats, two base models: does the order of the formats turn round, as Tables 2 and 3 say?"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from chexreason import prompts
from chexreason.labels import LABEL_SETS
from chexreason.metrics import label_cells
from chexreason.runs import Run
from companion.evidence import analysis, comparable, stats
from companion.evidence import tables as evidence
from companion.evidence.analysis import Contrast
from companion.report.experiments.answers import about, missing, shown, trained
from companion.report.experiments.names import NOT_RUN
from companion.report.theme import Html, spoken

LABELS = "chexpert14"
BASES = {"medgemma": "Medical base", "qwen": "General base"}
PROTOCOL, ALONE = "reasoning_a", "only_label"


def runs_of(base: str) -> Mapping[str, Mapping[int, Run]]:
    """Format -> seed -> its run; over the seeds that all four formats have, so that all are compared alike."""
    found = {name: {seed: run for (arm, seed), run in trained().items() if arm == f"sft-{base}-{name}"}
             for name in prompts.SFT_FORMATS}  # fmt: skip
    common = sorted(set.intersection(*map(set, found.values())))
    return {name: {seed: runs[seed] for seed in common} for name, runs in found.items()} if common else {}


def findings() -> tuple[str, ...]:
    """The findings with enough positives among the validation studies of every seed."""
    runs = [evidence.scores(run) for run in runs_of("medgemma")[ALONE].values()]
    enough = [comparable.frequent({name: float(run[name, "support"]) for name in LABEL_SETS[LABELS]}) for run in runs]
    return tuple(name for name in LABEL_SETS[LABELS] if all(name in one for one in enough))


@cache
def drawn(base: str, name: str, seed: int) -> np.ndarray:
    """Macro-F1 of one format at a seed over `findings`: as it is, then for each draw of patients (1 + R,).

    The formats of a seed are asked about the same studies and share the draws.
    """
    rows = runs_of(base)[name][seed].predictions()
    true_BF, said_BF = (label_cells(rows[column], LABELS) for column in ("truth", "predicted"))
    patients, names = [str(key) for key in rows["patient_key"]], findings()
    mask = evidence.counted(rows, LABELS)
    found = stats.resampled_f1(true_BF, [said_BF], patients, np.random.default_rng(seed), mask=mask)["findings"][:, 0]
    return np.asarray(found[:, [one in names for one in LABEL_SETS[LABELS]]].mean(axis=1))


def unfit(base: str, name: str) -> int:
    """How many runs of a format take part in no comparison, by the findings that count here."""
    return sum(bool(evidence.unfit(run, None, findings())) for run in runs_of(base)[name].values())


def whole() -> bool:
    """Whether all four formats are run on both bases."""
    return all(runs_of(base) for base in BASES)


def figure() -> Html:
    """A panel a base model: each seed's macro-F1 as a point, the mean with its interval, formats side by side."""
    if not whole():
        return missing("all four formats on both base models")
    panels: dict[str, dict[str, dict[str, Contrast]]] = {title: {"": {}} for title in BASES.values()}
    for base, title in BASES.items():
        for name, runs in runs_of(base).items():
            off = unfit(base, name)
            row = prompts.get(name).title + (f"\n{off} of {len(runs)} constant or below" if off else "")
            panels[title][""][row] = analysis.over(list(runs), [drawn(base, name, seed) for seed in runs], findings())
    of = [run for base in BASES for runs in runs_of(base).values() for run in runs.values()]
    seeds = sorted({int(run.info["seed"]) for run in of})
    floors = [evidence.levels(evidence.scores(run), findings())[1] for run in runs_of("medgemma")[ALONE].values()]
    return shown(
        "On the general base formats cannot be compared" if isinstance(difference("qwen"), str) else
        "Four formats, two base models",
        about(f"{of[0].info['n']} validation studies", f"seeds {', '.join(map(str, seeds))}",
              f"macro-F1 over {len(findings())} findings"),
        panels, "macro-F1",
        "Means with 95 % intervals over trainings (t) and patients. The line: naming every label for every study. A "
        "format of which one run gives one answer to nearly all images, or lies below the line, is in no comparison; "
        "how many runs do stands under its name.",
        runs=of, xlim=(0, 0.8), line=float(np.mean(floors)),
    )  # fmt: skip


def constants(base: str = "qwen") -> int:
    """How many of a base's runs take part in no comparison."""
    return sum(unfit(base, name) for name in runs_of(base))


def difference(base: str) -> Contrast | str:
    """Protocol minus labels alone over trainings and patients; a text if one of the two takes part in none."""
    if not (runs := runs_of(base)):
        return NOT_RUN
    if len(seeds := runs[ALONE]) < 2:
        return comparable.ONE_TRAINING
    if many := unfit(base, PROTOCOL) + unfit(base, ALONE):
        return f"{many} of {2 * len(seeds)} runs are constant or below naming every label"
    each = [drawn(base, PROTOCOL, seed) - drawn(base, ALONE, seed) for seed in seeds]
    return analysis.over(list(seeds), each, findings())


def verdict() -> str:
    """What can be said of each base model, in a line; `NOT_RUN` without the runs."""
    if not whole():
        return NOT_RUN
    medical, general = difference("medgemma"), difference("qwen")
    lead = "cannot answer: " if isinstance(medical, str) or isinstance(general, str) else ""
    said = f"{spoken(medical)} on the medical base, {spoken(general)} on the general one"
    return f"{lead}protocol minus labels alone: {said}"
