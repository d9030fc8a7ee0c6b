"""What fits on which card, and the smallest change of a profile that makes the rest fit (section 3.2.1).

All of it is computed by `memory`, none of it measured. A change is a line or two of a profile's `overrides`; changes
that leave the results as they are but for rounding (rows of a pass, recomputed activations) are tried before 8-bit and
4-bit loading, which make another model.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from chexreason import slips
from chexreason.config import Profile, load_profile
from chexreason.recipe import SFT
from companion.replication.memory import GB, STAGES, VLLM_SHARE, encoder, kv_cache, need, prefill, weights
from companion.replication.published import FILES
from companion.replication.shapes import shape

#: Memory that cards are sold with, in GB.
CARDS = (80, 48, 24, 16)
#: stage -> its name in a sentence, the group of its settings, and the setting for the rows of a pass.
ABOUT = {
    "evaluate": ("evaluation", "decoding", "batch_size"),
    "sft": ("SFT", "sft", "per_device_train_batch_size"),
    "grpo": ("GRPO", "grpo", "per_device_train_batch_size"),
}
#: The setting that says in how many bits weights are loaded.
BITS = "load_in_bits"
#: Tokens that vLLM needs room for at least: the context that `vllm_engine` asks for, and the pass that it measures
#: when it starts (`max_num_batched_tokens`, 8,192 by default on most cards).
VLLM_CONTEXT, VLLM_PASS = 4096, 8192

Change = Mapping[str, Any]


def loads_in_bits() -> bool:
    """Whether this version can load weights in 8 or 4 bits."""
    return BITS in {entry.name for entry in dataclasses.fields(SFT)}


def bases(profile: Profile, stage: str) -> list[str]:
    """The base models that a stage of the profile loads and whose shape is published."""
    asked = profile.stages if stage == "evaluate" else [stage]  # what is trained is scored, too
    return sorted(FILES.keys() & set(slips.bases(profile, *asked)))


def changed(profile: Profile, change: Change) -> tuple[Profile, int]:
    """The profile with some settings changed, and the bits that weights are loaded in."""
    bits = 16
    for setting, value in change.items():
        group, _, name = setting.partition(".")
        if name == BITS:
            bits = value
        else:
            now = getattr(profile, group)
            made: Any = {**now, name: value} if group == "engines" else dataclasses.replace(now, **{name: value})
            parts: dict[str, Any] = {group: made}
            profile = dataclasses.replace(profile, **parts)
    return profile, bits


def most(profile: Profile, stage: str, change: Change, card: float = 80 * GB) -> float:
    """Bytes of a stage with a change, for the base model that needs most; infinite where vLLM's share is too small."""
    made, bits = changed(profile, change)
    bits = bits if bits < 16 else getattr(getattr(profile, ABOUT[stage][1]), BITS, 16)
    sizes = [0.0]
    for base in bases(profile, stage):
        parts, s = need(made, base, stage, bits=bits, card=card), shape(base)
        alone = weights(s) + kv_cache(s, VLLM_CONTEXT) + max(encoder(s, 1), prefill(s, VLLM_PASS, 1))
        sizes.append(float("inf") if parts.get("vLLM") and alone > VLLM_SHARE * card else sum(parts.values()))
    return max(sizes)


def changes(profile: Profile, stage: str) -> Iterator[Change]:
    """Changes that need less and less memory: none, recomputed activations, no vLLM, fewer rows a pass, fewer bits."""
    _, group, rows = ABOUT[stage]
    settings = getattr(profile, group)
    now = getattr(settings, rows)
    fewer = [now // 2**k for k in range(now.bit_length()) if now % 2**k == 0]
    bits = [one for one in (16, 8, 4) if one <= getattr(settings, BITS, 16)] if loads_in_bits() else [16]
    choices: dict[str, list[Any]] = {BITS: bits, rows: fewer}
    for name, less in (("gradient_checkpointing", True), ("use_vllm", False)):
        if hasattr(settings, name):
            choices[name] = list(dict.fromkeys([getattr(settings, name), less]))
    usual = {name: values[0] for name, values in choices.items()}
    for values in itertools.product(*choices.values()):
        made = dict(zip(choices, values, strict=True))
        yield {f"{group}.{name}": value for name, value in made.items() if value != usual[name]}


def smallest(profile: Profile, stage: str, card: float) -> Change | None:
    """The first of `changes` that fits into so many bytes; None if none does."""
    return next((one for one in changes(profile, stage) if most(profile, stage, one, card) <= card), None)


def lines(change: Change, why: str) -> str:
    """A change as a profile has it: lines of its `overrides`, or its `engines`."""
    written = []
    for setting, value in change.items():
        group, _, name = setting.partition(".")
        said = str(value).lower() if isinstance(value, bool) else value
        line = f"- {{setting: {setting}, value: {said}, why: {why}}}"
        written.append(f"engines: {{{name}: {value}}}" if group == "engines" else line)
    return " ".join(written)


def advice(profile: Profile, card: float) -> tuple[str, str]:
    """What fits on a card of so many bytes as the profile stands, and which lines would make the rest fit."""
    fits, rest = [], []
    for stage in (one for one in STAGES if bases(profile, one)):
        size, change = most(profile, stage, {}, card), smallest(profile, stage, card)
        title = f"{ABOUT[stage][0]} ({size / GB:.0f} GB)"
        if size <= card:
            fits.append(title)
        else:
            do = "no setting makes it fit" if change is None else lines(change, f"a card of {card / GB:.0f} GB")
            rest.append(f"{title}: {do}")
    verb = "fits" if len(fits) == 1 else "fit"
    said = f"computed, not measured: {', '.join(fits)} {verb}" if fits else "computed, not measured: no stage fits"
    return said, "; ".join(rest)


def table(profile: str = "paper") -> pd.DataFrame:
    """A row a card, a column a stage: what the stage takes with the smallest change that fits, or "not"."""
    made, rows = load_profile(profile, unset=True), []
    for card in CARDS:
        row = {"card": f"{card} GB"}
        for stage in STAGES:
            change = smallest(made, stage, card * GB)
            if change is None:
                row[ABOUT[stage][0]] = "not"
                continue
            size, does = most(made, stage, change, card * GB) / GB, lines(change, f"a card of {card} GB")
            row[ABOUT[stage][0]] = f"{size:.1f} GB with {does}" if does else f"{size:.1f} GB as it is"
        rows.append(row)
    return pd.DataFrame(rows)


#: What a line of a profile can change: title -> stage -> the change.
OPTIONS: Mapping[str, Mapping[str, Change]] = {
    "the profile as it is": {stage: {} for stage in STAGES},
    "one row a pass": {stage: {f"{group}.{rows}": 1} for stage, (_, group, rows) in ABOUT.items()},
    "activations kept": {stage: {f"{stage}.gradient_checkpointing": False} for stage in ("sft", "grpo")},
    "vLLM": {"evaluate": {"engines.decode": "companion.replication.vllm_engine.answers"},
             "grpo": {"grpo.use_vllm": True}},
    "weights in 8 bits": {stage: {f"{group}.{BITS}": 8} for stage, (_, group, _) in ABOUT.items()},
    "weights in 4 bits": {stage: {f"{group}.{BITS}": 4} for stage, (_, group, _) in ABOUT.items()},
}  # fmt: skip


def options(profile: str = "paper") -> pd.DataFrame:
    """A row an option and stage: GB with it alone on a card of 80 GB, the smallest card it fits, and the line."""
    made, rows = load_profile(profile, unset=True), []
    for title, by_stage in OPTIONS.items():
        for stage, change in by_stage.items():
            line = lines(change, title)
            if line and changed(made, change) == (made, 16):  # the profile says so already
                continue
            known = loads_in_bits() or not title.endswith("bits")
            fits = [f"{card} GB" for card in CARDS if most(made, stage, change, card * GB) <= card * GB]
            rows.append({
                "option": title, "stage": ABOUT[stage][0], "GB": f"{most(made, stage, change) / GB:.1f}",
                "smallest card": fits[-1] if fits else "none",
                "line": line if known else "not a setting of this version",
            })  # fmt: skip
    return pd.DataFrame(rows)


def parts(base: str = "medgemma", profile: str = "paper") -> pd.DataFrame:
    """A row a part, a column a stage: GB at its largest point, for one base model."""
    made = load_profile(profile, unset=True)
    sizes = {ABOUT[stage][0]: need(made, base, stage) for stage in STAGES}
    table = pd.DataFrame(sizes).fillna(0.0) / GB
    table.loc["together"] = table.sum()
    order = [name for name in table.index if name not in ("overhead", "together")]
    table = table.loc[[*order, "overhead", "together"]]
    return table.map(lambda size: f"{size:.2f}" if size else "–").rename_axis("part, in GB").reset_index()
