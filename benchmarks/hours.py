"""From seconds a step to the hours of the whole study: what `gpu_proof.py` prints at its end.

Upper bounds: every answer has the longest length, every training runs all its epochs, and a study of the
validation share costs as much as one that trains. Loading of weights, the teacher and the book are not counted.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from chexreason.config import Profile
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from chexreason.recipe import STUDY
from companion.replication.doctor.datasets import official

#: What the study may take, and on which memory (issue of the project; the paper's card has 80 GB).
HOURS, MEMORY_GB = 24.0, 80.0
#: Sizes of the official test sets, for profiles that take all of them.
WHOLE = {"chexpert": "test studies", "nih": "test images"}


def counts(profile: Profile) -> dict[tuple[str, str, str], float]:
    """(stage, family, part) -> how many studies pass through: trained on, rolled out, or answered."""
    sizes, tested = profile.sizes, profile.sizes.validation or 0
    test = sum(getattr(sizes, name) or official(name)[what][0] for name, what in WHOLE.items())
    found: dict[tuple[str, str, str], float] = {("prompting", "medgemma", "decode"): len(TABLE1_PROMPTS) * tested}
    for base in STUDY["sft"]["models"]:
        found["sft", base, "sft"] = len(SFT_FORMATS) * profile.sft.num_train_epochs * sizes.sft
        found["sft", base, "decode"] = len(SFT_FORMATS) * tested
    found["grpo", "medgemma", "grpo"] = 2 * profile.grpo.num_train_epochs * sizes.rl
    found["grpo", "medgemma", "decode"] = 2 * profile.grpo.checkpoints * tested
    for base in [about["base"] for about in STUDY["generalization"]["models"].values()]:
        family = "qwen" if base == "nv_reason" else base  # NV-Reason-CXR-3B has the architecture of Qwen2.5-VL-3B
        found["generalization", family, "decode"] = found.get(("generalization", family, "decode"), 0) + test
    return found


def of_part(row: Mapping[str, Any], profile: Profile) -> float:
    """The study's hours in one measured part of one family, all stages together."""
    n = sum(
        count for (_, family, part), count in counts(profile).items() if (family, part) == (row["family"], row["part"])
    )
    return n * row["seconds"] / row["units"] / 3600 if row["seconds"] == row["seconds"] else math.nan


def projected(measured: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Hours a stage, family and part; nan where a part was not measured or did not fit."""
    each: Mapping[tuple[str, str], float] = {
        (row["family"], row["part"]): row["seconds"] / row["units"] for _, row in measured.iterrows()
    }
    return pd.DataFrame(
        [
            {"stage": stage, "family": family, "part": part, "studies": int(n),
             "hours": n * each.get((family, part), math.nan) / 3600}
            for (stage, family, part), n in counts(profile).items()
        ]
    )  # fmt: skip


def told(measured: pd.DataFrame, profile: Profile, options: str, tiny: bool) -> str:
    """The projection as text, with the verdict on time and memory."""
    table = projected(measured, profile)
    lines = [f"\nProjected with the options {options}:", table.round(2).to_string(index=False)]
    if tiny:
        return "\n".join([*lines, "These are the miniatures: no number here says anything of the study."])
    missing = table[table["hours"].isna()]
    if len(missing):
        lines.append(
            f"Not measured, or out of memory: {', '.join(sorted(set(missing['family'] + ' ' + missing['part'])))}"
        )
    total, peak = table["hours"].sum(skipna=True), measured["reserved_gb"].max()
    lines.append(f"{total:.1f} hours at most ({HOURS:.0f} wanted), {peak:.1f} GB at most ({MEMORY_GB:.0f} wanted)")
    within = not len(missing) and total <= HOURS and peak <= MEMORY_GB
    return "\n".join([*lines, "Within both." if within else "NOT within both."])
