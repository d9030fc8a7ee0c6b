"""What the arms and their checkpoints are called, in files and in sentences."""

import re

from companion.evidence.sections import EXPERIMENT
from companion.experiment import arms

PROFILE = EXPERIMENT
HARD, NUANCED, SFT = "grpo-hard", "grpo-nuanced", arms.SFT
#: What the arms are called in sentences and figures.
NAMES = {"base": "untouched", SFT: "SFT", HARD: "GRPO, hard", NUANCED: "GRPO, nuanced"}
#: Mark of a score below naming every label.
BELOW = "▽"
NOT_RUN = "not run yet"


def model(arm: str, checkpoint: str = "best") -> str:
    """The name of a checkpoint among the answers."""
    return f"{arm}-{checkpoint}"


def named(text: str) -> str:
    """A sentence in which checkpoints go by their names: "SFT" for "sft-medgemma-free_reasoning-best".

    >>> named("sft-medgemma-free_reasoning-best scores 0.184, hard-no-kl-last scores 0.2")
    'SFT scores 0.184, hard-no-kl (last checkpoint) scores 0.2'
    """

    def name(found: re.Match[str]) -> str:
        arm, checkpoint = found.groups()
        return NAMES.get(arm, arm) + (" (last checkpoint)" if checkpoint == "last" else "")

    return re.sub(r"\b([a-z][a-z_-]*)-(best|last)\b", name, text)
