"""Every hyper-parameter once, each with its source, and the profiles that set them (paper, section 3).

The defaults are the paper's. What the paper does not state is declared with `assumed(...)` and a
reason. A *profile* (a YAML file in `chexreason/profiles/`) holds what differs from machine to
machine: where the data lie, which checkpoints stand for which model, how many studies, and, each
with its reason, the few settings that another size of model needs. Code reads the profile; it
never asks which tier it runs in.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pandas as pd
import yaml

from chexreason.errors import UserError, unknown
from chexreason.files import digest_of
from chexreason.phantom.writers import generator_digest
from chexreason.rewards import HardSettings, NuancedSettings
from chexreason.settings import assumed, origins, paper
from chexreason.teacher.settings import Teacher

ROOT = Path(__file__).resolve().parents[1]
#: The profiles of the package, or a folder of one's own.
PROFILES = Path(os.environ.get("CHEXREASON_PROFILES") or Path(__file__).resolve().parent / "profiles")
RESULTS = ROOT / "results"
TIERS = ("published", "miniature", "replication")


@dataclass(frozen=True)
class Sizes:
    """How many studies each stage sees; None means all there are."""

    sft: int = paper(2000, "3.1", "studies with teacher traces for SFT, 10 % of them for validation")
    rl: int = paper(1000, "3.1", "studies for GRPO, of other patients than the SFT ones")
    validation: int | None = assumed(
        500, "not stated; Table 1's failure rates are multiples of 1/500", "studies that score Tables 1 to 4"
    )
    chexpert: int | None = assumed(None, "not stated: the whole official test set", "test studies of Table 5")
    nih: int | None = assumed(None, "not stated: the whole official test list", "test studies of Table 6")
    stratified: bool = assumed(
        False, "not stated", "draw by the rarest finding of a study, so that each keeps its share; else at random"
    )
    film_pixels: int | None = assumed(
        None, "not stated; changes no more than a second resampling would", "films are shrunk to this once; none: as is"
    )
    worlds: int = assumed(300, "not in the paper: our own experiment", "patients of each population in the test worlds")


@dataclass(frozen=True)
class SFT:
    """Supervised fine-tuning (section 3.2.1)."""

    lora_rank: int = paper(16, "3.2.1", "rank of the LoRA update")
    lora_alpha: int = paper(32, "3.2.1", "LoRA scaling factor")
    lora_dropout: float = paper(0.1, "3.2.1", "dropout on the LoRA input")
    epochs: int = paper(6, "3.2.1", "epochs at most")
    patience: int = paper(2, "3.2.1", "epochs without a better validation loss before stopping")
    learning_rate: float = paper(5e-5, "3.2.1", "peak learning rate of AdamW")
    schedule: str = paper("cosine", "3.2.1", "learning-rate schedule")
    warmup: float = paper(0.05, "3.2.1", "share of the steps with rising learning rate")
    weight_decay: float = paper(0.01, "3.2.1", "AdamW weight decay")
    clip_norm: float = paper(5.0, "3.2.1", "gradient clipping norm")
    effective_batch: int = paper(8, "3.2.1", "studies per optimizer step")
    device_batch: int = paper(1, "3.2.1", "studies per forward pass; the rest is accumulated")
    validation_share: float = paper(0.1, "3.2.1", "share of the SFT studies held out for early stopping")
    precision: str = paper("bf16", "3.2.1", "bfloat16 where the device has it, else float32")
    checkpointing: bool = paper(True, "3.2.1", "recompute activations in the backward pass")


@dataclass(frozen=True)
class GRPO:
    """Group relative policy optimization (section 3.2.2, equation 2)."""

    generations: int = paper(4, "3.2.2", "completions per study (the group)")
    temperature: float = paper(0.8, "3.2.2", "sampling temperature")
    top_p: float = paper(0.95, "3.2.2", "nucleus sampling")
    beta: float = paper(0.15, "3.2.2", "weight of the KL divergence from the SFT checkpoint")
    loss: str = paper("dr_grpo", "3.2.2", "loss normalisation by a constant length (Dr. GRPO)")
    clip_low: float = paper(0.15, "3.2.2", "lower clip bound: ratio above 1 - 0.15")
    clip_high: float = paper(0.22, "3.2.2", "upper clip bound: ratio below 1 + 0.22")
    scale_rewards: str = assumed(
        "none", "Dr. GRPO also drops the division by the group's standard deviation", "advantage scaling"
    )
    passes: int = assumed(
        2, "with one pass the importance ratio is always 1 and the clip bounds never act", "updates per rollout batch"
    )
    learning_rate: float = assumed(1e-5, "not stated; usual for GRPO with LoRA", "peak learning rate of AdamW")
    schedule: str = assumed("constant_with_warmup", "not stated", "learning-rate schedule")
    warmup: float = assumed(0.05, "not stated; as in SFT", "share of the steps with rising learning rate")
    answer_weight: float = assumed(1.0, "equation 2 weighs all tokens alike", "weight of the answer's tokens")
    shuffle: bool = assumed(True, "not stated; usual", "studies in random order")
    weight_decay: float = assumed(0.01, "not stated; as in SFT", "AdamW weight decay")
    clip_norm: float = assumed(5.0, "not stated; as in SFT", "gradient clipping norm")
    studies_per_step: int = assumed(8, "not stated; as SFT's effective batch", "studies per rollout batch")
    device_batch: int = assumed(4, "one group per forward pass fits 80 GB", "completions per forward pass")
    epochs: int = assumed(1, "not stated", "passes over the RL studies")
    max_tokens: int = assumed(512, "not stated; also the constant of the Dr. GRPO loss", "completion length at most")
    vllm: bool = assumed(False, "not stated; rounds differently", "vLLM samples the completions, not transformers")
    checkpoints: int = assumed(4, "not stated; Table 4's 'best' has to be chosen among some", "checkpoints scored")
    precision: str = assumed("bf16", "as in SFT", "bfloat16 where the device has it, else float32")
    checkpointing: bool = assumed(True, "as in SFT", "recompute activations in the backward pass")


@dataclass(frozen=True)
class Decoding:
    """How completions are decoded for scoring."""

    max_tokens: int = assumed(512, "not stated", "completion length at most; a longer one is cut and fails")
    batch: int = assumed(16, "does not change the result", "studies decoded together")
    greedy: bool = assumed(True, "not stated; repeatable", "take the most likely token")
    vllm: bool = assumed(False, "not stated; rounds differently", "vLLM decodes, not transformers")
    uncertain: str = assumed("zeros", "not stated", "how an uncertain label counts: zeros, ones or ignore")


@dataclass(frozen=True)
class Speed:
    """What is computed once and not again (`chexreason.fast`); none of it changes what is computed."""

    shared_prompt: bool = assumed(True, "exact", "GRPO: one copy of film and prompt for the completions of a study")
    first_pass_is_old: bool = assumed(True, "exact", "GRPO: the first pass over a rollout batch is the old policy's")
    one_prefill: bool = assumed(True, "exact", "GRPO: a study's prompt is run once for all its completions")
    merged_sampling: bool = assumed(True, "exact to rounding; in float32 only", "GRPO: sample from merged weights")
    answers_only: bool = assumed(True, "exact", "SFT: the vocabulary is scored at the answers' tokens only")
    film_tokens: bool = assumed(True, "exact", "SFT: the frozen tower sees each film once, not once an epoch")
    fused_adapters: bool = assumed(True, "exact to rounding; in float32 only", "SFT, GRPO: LoRA adds in one product")
    batch_masks: bool = assumed(True, "exact", "SFT: attention masks from three tensors, not pair by pair")
    last_layer: bool = assumed(True, "exact", "SFT, GRPO: the last feed-forward block runs at the scored tokens only")
    rows_leave: bool = assumed(True, "exact", "scoring: an answer that has ended leaves the batch")


#: The settings classes by the name that a profile uses for them.
SETTINGS: dict[str, type] = {
    "sizes": Sizes,
    "sft": SFT,
    "grpo": GRPO,
    "decoding": Decoding,
    "hard": HardSettings,
    "nuanced": NuancedSettings,
}
#: The same with the switches of `Speed`, which a profile may turn too, but which are no settings of the study.
GROUPS: dict[str, type] = {**SETTINGS, "speed": Speed}
#: The same with the teacher's, which a profile may set too, but which no run is digested by: its traces are.
ALL: dict[str, type] = {**GROUPS, "teacher": Teacher}


def plain(settings: Any) -> dict[str, Any]:
    """A settings object as plain data, for a run's digest.

    `vllm` is named only where it is on: a run of before there was that choice is the same run.
    """
    return {k: v for k, v in dataclasses.asdict(settings).items() if (k, v) != ("vllm", False)}


@dataclass(frozen=True)
class Override:
    """A setting that a profile changes, and why."""

    group: str
    name: str
    value: Any
    why: str


@dataclass(frozen=True)
class DataPlace:
    """Where a data set lies; `draw` is the request for a phantom tree, None for real data."""

    root: Path
    draw: Mapping[str, Any] | None = None

    @property
    def unset(self) -> str:
        """The variable that should name the folder, if it is not set; else nothing."""
        named = re.match(r"\$\{?(\w+)", str(self.root))
        return named[1] if named else ""


@dataclass(frozen=True)
class Profile:
    """One way to run the study: places, checkpoints, sizes and settings.

    `data` is keyed by data set (mimic, chexpert, nih), `models` by base model (medgemma, qwen,
    nv_reason). `cache` holds checkpoints, films and everything that must not be published; `rows`
    is where per-study predictions go: among the results, or in the cache for credentialed data.
    """

    name: str
    tier: str
    what: str
    seed: int
    data: Mapping[str, DataPlace]
    models: Mapping[str, str]
    cache: Path
    results: Path
    rows: str
    sizes: Sizes
    sft: SFT
    grpo: GRPO
    decoding: Decoding
    hard: HardSettings
    nuanced: NuancedSettings
    speed: Speed
    teacher: Teacher
    overrides: tuple[Override, ...]

    def resolved(self) -> dict[str, Any]:
        """All settings as plain data, for run.json; paths of this machine are left out."""
        plain = {group: dataclasses.asdict(getattr(self, group)) for group in GROUPS}
        draws = {name: dict(place.draw) if place.draw else None for name, place in self.data.items()}
        return {"profile": self.name, "tier": self.tier, "seed": self.seed, "phantoms": draws, **plain}


def profile_names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yml"))


def load_profile(
    name: str, *, seed: int | None = None, results: str | Path | None = None, cache: str | Path | None = None,
    unset: bool = False,
) -> Profile:  # fmt: skip
    """Read a profile; `seed`, `results` and `cache` replace what it says; an empty one replaces nothing.

    Raises UserError for an unknown profile, setting or key, a value of another type, and a data folder
    whose variable is not set; with `unset` the folder is then the variable's name, as `DataPlace.unset` tells.
    """
    if name not in profile_names():
        raise unknown("profile", name, profile_names(), "chexreason/profiles/")
    text = yaml.safe_load((PROFILES / f"{name}.yml").read_text(encoding="utf-8"))
    keys = {"tier", "what", "seed", "data", "models", "rows", "overrides"}
    if set(text) != keys:
        raise UserError(f"the keys {sorted(keys)} in profile {name}", str(sorted(text)), f"mend {name}.yml")
    if text["tier"] not in TIERS:
        raise unknown("tier", text["tier"], TIERS, "chexreason/config.py")
    overrides = tuple(_override(name, entry) for entry in text["overrides"])
    groups = {group: cls(**{o.name: o.value for o in overrides if o.group == group}) for group, cls in ALL.items()}
    cache = Path(cache or Path(os.environ.get("CHEXREASON_CACHE", ROOT / ".cache")) / name)
    return Profile(
        name=name,
        tier=text["tier"],
        what=text["what"],
        seed=_seed(text["seed"] if seed is None else seed),
        data={source: _place(name, source, entry, cache, unset) for source, entry in text["data"].items()},
        models={base: _checkpoint(source) for base, source in text["models"].items()},
        cache=cache,
        results=Path(results or RESULTS) / name,
        rows=text["rows"],
        overrides=overrides,
        **groups,
    )


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError("a seed that is a whole number from 0 upwards", repr(value), "give one, seed=0 say")
    return value


def _checkpoint(source: str) -> str:
    """A folder of the repository as a full path; a hub id or another path as it is."""
    return str(ROOT / source) if source.startswith("chexreason/") else source


def _place(profile: str, source: str, entry: Mapping[str, Any], cache: Path, unset: bool) -> DataPlace:
    if "draw" in entry:
        # The name changes with the request and with the code that draws, so an older tree is never taken for it.
        name = f"{source}-{digest_of([entry['draw'], generator_digest()])[:8]}"
        return DataPlace(cache / "films" / name, entry["draw"])
    root = os.path.expandvars(entry["root"])
    if "$" in root:
        if unset:
            return DataPlace(Path(entry["root"]))
        raise UserError(
            f"a folder for {source} in profile {profile}", f"{entry['root']}, which is not set",
            f"export {entry['root'].strip('${}')}=/where/it/lies",
        )  # fmt: skip
    return DataPlace(Path(root).expanduser().resolve())


def _override(profile: str, entry: Mapping[str, Any]) -> Override:
    if set(entry) != {"setting", "value", "why"}:
        raise UserError("setting, value and why for an override", str(sorted(entry)), f"mend {profile}.yml")
    group, _, name = str(entry["setting"]).partition(".")
    known = {f"{g}.{n}": (cls, n) for g, cls in ALL.items() for n, _, _ in origins(cls)}
    if f"{group}.{name}" not in known:
        raise unknown("setting", entry["setting"], known, "chexreason/config.py")
    cls, field = known[f"{group}.{name}"]
    return Override(
        group, name, _typed(entry["setting"], entry["value"], get_type_hints(cls)[field], profile), entry["why"]
    )


def _typed(setting: str, value: Any, hint: Any, profile: str) -> Any:
    """The value as its setting's type; YAML reads 1e-3 as text and 1 as int, and a float takes both."""
    kinds = set(get_args(hint) or (hint,))
    if type(value) in kinds:
        return value
    if float in kinds and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            raise UserError(f"a number for {setting}", repr(value), f"mend {profile}.yml") from None
    names = " or ".join(sorted("null" if kind is type(None) else kind.__name__ for kind in kinds))
    raise UserError(f"a value of type {names} for {setting}", repr(value), f"mend {profile}.yml")


@functools.cache
def _all_overrides() -> dict[tuple[str, str], list[str]]:
    """(group, name) -> "profile: value (why)" over all profiles, read without resolving paths."""
    found: dict[tuple[str, str], list[str]] = {}
    for profile in profile_names():
        text = yaml.safe_load((PROFILES / f"{profile}.yml").read_text(encoding="utf-8"))
        for entry in text["overrides"]:
            override = _override(profile, entry)
            line = f"{profile}: {override.value} ({override.why})"
            found.setdefault((override.group, override.name), []).append(line)
    return found


def settings_table(groups: Mapping[str, type] = SETTINGS) -> pd.DataFrame:
    """All settings of `groups` with columns group, setting, value, source, section, why, what, overrides.

    `source` is "stated" or "assumed"; `overrides` lists the profiles that set another value.
    """
    rows = [
        {
            "group": group,
            "setting": name,
            "value": default,
            "source": "stated" if origin.stated else "assumed",
            "section": origin.section,
            "why": origin.why,
            "what": origin.what,
            "overrides": "; ".join(_all_overrides().get((group, name), [])),
        }
        for group, cls in groups.items()
        for name, default, origin in origins(cls)
    ]
    return pd.DataFrame(rows)


def label_set_of(dataset: str) -> str:
    """The name of the label set that a test set is scored on: 14 findings, or nine for NIH."""
    return {"mimic": "chexpert14", "chexpert": "chexpert14", "nih": "nih9"}[dataset]
