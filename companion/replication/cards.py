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

from chexreason.config import Profile, load_profile
from chexreason.recipe import SFT
from companion.replication.memory import GB, STAGES, VLLM_SHARE, WEIGHT_BYTES, encoder, kv_cache, need, weights
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
#: The longest context that `vllm_engine` asks vLLM for.
VLLM_CONTEXT = 4096

Change = Mapping[str, Any]


def loads_in_bits() -> bool:
    """Whether this version can load weights in 8 or 4 bits."""
    return BITS in {entry.name for entry in dataclasses.fields(SFT)}


def bases(profile: Profile, stage: str) -> list[str]:
    """The base models that a stage of the profile loads and whose shape is published."""
    study = profile.study
    names = {
        "evaluate": [study["prompting"]["model"], *(one["base"] for one in study["generalization"]["models"].values())],
        "sft": study["sft"]["models"],
        "grpo": [study["grpo"]["model"]],
    }[stage]
    return sorted(FILES.keys() & names)


def changed(profile: Profile, change: Change) -> tuple[Profile, int]:
    """The profile with some settings changed, and the bits that weights are loaded in."""
    bits = 16
    for setting, value in change.items():
        group, _, name = setting.partition(".")
        if name == BITS:
            bits = value
        else:
            made = dataclasses.replace(getattr(profile, group), **{name: value}) if name else value
            profile = dataclasses.replace(profile, **{group: made})
    return profile, bits


def most(profile: Profile, stage: str, change: Change, card: float = 80 * GB) -> float:
    """Bytes of a stage with a change, for the base model that needs most; infinite where vLLM's share is too small."""
    made, bits = changed(profile, change)
    bits = bits if bits < 16 else getattr(getattr(profile, ABOUT[stage][1]), BITS, 16)
    sizes = [0.0]
    for base in bases(profile, stage):
        parts, s = need(made, base, stage, bits=bits, card=card), shape(base)
        alone = weights(s) + kv_cache(s, VLLM_CONTEXT) + encoder(s, 1)
        sizes.append(float("inf") if parts.get("vLLM") and alone > VLLM_SHARE * card else sum(parts.values()))
    return max(sizes)


def changes(profile: Profile, stage: str) -> Iterator[Change]:
    """Changes that need less and less memory: none, recomputed activations, no vLLM, fewer rows a pass, fewer bits."""
    _, group, rows = ABOUT[stage]
    settings = getattr(profile, group)
    now = getattr(settings, rows)
    fewer = [now // 2**k for k in range(now.bit_length()) if now % 2**k == 0]
    lower = {"gradient_checkpointing": [True], "use_vllm": [False]}
    choices: dict[str, list[Any]] = {BITS: sorted(WEIGHT_BYTES, reverse=True) if loads_in_bits() else [16], rows: fewer}
    choices |= {name: [getattr(settings, name), *than] for name, than in lower.items() if hasattr(settings, name)}
    usual = {name: values[0] for name, values in choices.items()}
    for values in itertools.product(*choices.values()):
        made = dict(zip(choices, values, strict=True))
        yield {f"{group}.{name}": value for name, value in made.items() if value != usual[name]}


def smallest(profile: Profile, stage: str, card: float) -> Change | None:
    """The first of `changes` that fits into so many bytes; None if none does."""
    return next((one for one in changes(profile, stage) if most(profile, stage, one, card) <= card), None)


def lines(change: Change, card: float) -> list[str]:
    """A change as a profile has it, a line of `overrides` each."""
    shown = {True: "true", False: "false"}
    why = f"a card of {card / GB:.0f} GB"
    return [
        f"- {{setting: {name}, value: {shown[value] if isinstance(value, bool) else value}, why: {why}}}"
        for name, value in change.items()
    ]


def advice(profile: Profile, card: float) -> tuple[str, str]:
    """What fits on a card of so many bytes as the profile stands, and which lines would make the rest fit."""
    fits, rest = [], []
    for stage in (one for one in STAGES if bases(profile, one)):
        size, change = most(profile, stage, {}, card), smallest(profile, stage, card)
        title = f"{ABOUT[stage][0]} ({size / GB:.0f} GB)"
        if size <= card:
            fits.append(title)
        else:
            do = "no setting makes it fit" if change is None else " ".join(lines(change, card))
            rest.append(f"{title}: {do}")
    said = f"computed, not measured: {', '.join(fits) or 'no stage'} {'fit' if len(fits) != 1 else 'fits'}"
    return said, "; ".join(rest)


def table(profile: str = "paper") -> pd.DataFrame:
    """A row a card, a column a stage: the smallest change that fits, with the GB that it then takes, or "not"."""
    made, rows = load_profile(profile, unset=True), []
    for card in CARDS:
        row = {"card": f"{card} GB"}
        for stage in STAGES:
            change = smallest(made, stage, card * GB)
            size = "" if change is None else f"{most(made, stage, change, card * GB) / GB:.1f} GB"
            does = "not" if change is None else "\n".join(lines(change, card * GB)) or "as it is"
            row[ABOUT[stage][0]] = f"{does}: {size}" if size else does
        rows.append(row)
    return pd.DataFrame(rows)


#: What a line of a profile can change: title -> group.name for each stage -> value. `{}` is the profile as it is.
OPTIONS: Mapping[str, Mapping[str, Change]] = {
    "the profile as it is": {stage: {} for stage in STAGES},
    "weights in 8 bits": {stage: {f"{about[1]}.{BITS}": 8} for stage, about in ABOUT.items()},
    "weights in 4 bits": {stage: {f"{about[1]}.{BITS}": 4} for stage, about in ABOUT.items()},
    "one row a pass": {stage: {f"{about[1]}.{about[2]}": 1} for stage, about in ABOUT.items()},
    "activations are kept": {stage: {f"{stage}.gradient_checkpointing": False} for stage in ("sft", "grpo")},
    "vLLM writes the answers": {
        "evaluate": {"engines": {"decode": "companion.replication.vllm_engine.answers"}},
        "grpo": {"grpo.use_vllm": True},
    },
}
