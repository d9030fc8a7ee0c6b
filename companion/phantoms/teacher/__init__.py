"""The scripted teacher: reasoning traces for phantoms (it stands in for Gemini 2.5, section 3.2.1).

The paper's teacher saw the image and was given the ground-truth labels, and was told to write as if
it reasoned on its own. This one is given the same two things: what was drawn (finding, severity,
side) and the recorded labels. It speaks of what is there, argues towards the labels, and always
ends with exactly those labels. Where the two disagree it does what such a teacher does: a label
without anything drawn gets a brief reason, and something drawn without a label is called slight or
passed over. Each prompt has its own style in `styles`; wording varies with the generator.

Lengths matter for the miniature: Free Reasoning lies on both sides of the 250 characters of
equation 3, which counts characters here (an assumption; see `rewards`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chexreason.errors import unknown
from chexreason.labels import FINDINGS
from chexreason.prompts import Prompt
from companion.phantoms.teacher.completion import write_completion
from companion.phantoms.teacher.facts import gather
from companion.phantoms.teacher.styles import STYLES

__all__ = ["STYLES", "trace"]


def trace(
    lesions: Sequence[Mapping[str, Any]], labels: frozenset[str], prompt: Prompt, rng: np.random.Generator
) -> str:
    """A completion in the style of `prompt` that ends with exactly `labels`.

    `lesions` says what was drawn: mappings with `finding`, `severity` in (0, 1] and, where known,
    `side` (left, right, both or empty), `zone` and `kind`. Every trace parses as valid.

    Raises ValueError for empty or unknown labels (a study without a label is left out before it
    comes here) and for a lesion that is no finding; UserError for a prompt without a style.
    """
    if not labels:
        raise ValueError("expected at least one recorded label, got none; leave the study out")
    strays = sorted((labels | {lesion["finding"] for lesion in lesions}) - frozenset(FINDINGS))
    if strays:
        raise ValueError(f"expected labels and lesions among the 14 findings, got {strays}")
    if not prompt.answer.think:
        return write_completion("", labels, prompt.answer)
    if prompt.name not in STYLES:
        raise unknown("teacher style", prompt.name, STYLES, "companion/phantoms/teacher/styles.py")
    thought = STYLES[prompt.name](gather(lesions, labels, rng), rng)
    return write_completion(thought, labels, prompt.answer)
