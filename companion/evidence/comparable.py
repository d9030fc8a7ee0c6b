"""What may be compared: the rules that every table, order, difference and verdict of ours keeps.

*Constant*: a run that gives one answer to `MOSTLY` of the images or more does not look at them, and neither does
one that scores below naming every label. Such a run is marked wherever it is shown, and takes part in no order,
difference or "best". *Enough*: a macro average that carries a conclusion holds only findings with `ENOUGH` positives
in that test set; with fewer, a single patient moves the average. *Like with like*: both sides of a comparison have
the same findings, studies, split and seeds. The rules speak of arrays and names, so that runs of the tables, arms of
the experiment and claims share them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chexreason.errors import UserError

Floats = npt.NDArray[np.float64]

#: Share of the images with the same answer from which a run counts as constant.
MOSTLY = 0.90
#: Why one training concludes nothing about training.
ONE_TRAINING = "one training: another may come out otherwise"
#: Positives from which a finding may stand in an average that carries a conclusion.
ENOUGH = 20


def commonest_share(answers: Sequence[str]) -> float:
    """The share of the images that are given the commonest answer, 0 to 1; raises ValueError without answers.

    >>> commonest_share(["Edema", "Edema", "", "Edema"])
    0.75
    """
    if not len(answers):
        raise ValueError("expected at least one answer, got none")
    _, counts = np.unique(np.asarray(answers, dtype=str), return_counts=True)
    return float(counts.max() / len(answers))


def every_label(positives_F: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """F1 of each finding for a reader who names every label for every study: 2 S / (S + n); 0 without studies.

    >>> every_label([50, 0], 100).round(3).tolist()
    [0.667, 0.0]
    """
    support, size = np.asarray(positives_F, dtype=float), np.asarray(n, dtype=float)
    below = support + size
    return np.divide(2 * support, below, out=np.zeros(np.broadcast(support, size).shape), where=below > 0)


def unfit(commonest: float | None, macro_f1: float, floor: float) -> str:
    """Why a run takes part in no order or difference, as the end of a sentence; empty if it does.

    `commonest` is `commonest_share` of its answers, None where they are not kept; `floor` the macro-F1 of naming every
    label on the same studies and findings.

    >>> unfit(0.98, 0.3, 0.2)
    'gives one answer to 98% of the images'
    >>> unfit(0.4, 0.1, 0.2)
    'scores 0.100, below naming every label (0.200)'
    """
    if commonest is not None and commonest >= MOSTLY:
        return f"gives one answer to {commonest:.0%} of the images"
    if macro_f1 < floor:
        return f"scores {macro_f1:.3f}, below naming every label ({floor:.3f})"
    return ""


def unfit_over(commonest: Sequence[float | None], macro_f1: Sequence[float], floors: Sequence[float]) -> str:
    """The same of a model that was trained several times: one training that takes part in nothing is enough.

    The others alone would be a choice by the score.

    >>> unfit_over([0.2, 0.95], [0.4, 0.5], [0.3, 0.3])
    'gives one answer to 95% of the images in one of 2 trainings'
    >>> unfit_over([0.2, 0.3], [0.1, 0.6], [0.3, 0.3])
    'scores 0.100, below naming every label (0.300) in one of 2 trainings'
    """
    reasons = [unfit(*one) for one in zip(commonest, macro_f1, floors, strict=True)]
    found = [reason for reason in reasons if reason]
    if not found or len(reasons) == 1:
        return "".join(found)
    return f"{found[0]} in {'one' if len(found) == 1 else len(found)} of {len(reasons)} trainings"


def frequent(positives: Mapping[str, float]) -> tuple[str, ...]:
    """The findings with enough positives to carry a conclusion, in the order given."""
    return tuple(name for name, count in positives.items() if count >= ENOUGH)


@dataclass(frozen=True)
class Basis:
    """What a score rests on; two scores may be set against each other only if theirs are equal."""

    findings: tuple[str, ...]
    studies: str  # a digest, or a name that stands for the same studies
    split: str
    seeds: tuple[int, ...]


def require_same(*sides: Basis) -> Basis:
    """The common basis of a comparison's sides. Raises UserError that names what differs."""
    first, *others = sides
    for other in others:
        for part in ("findings", "studies", "split", "seeds"):
            one, two = getattr(first, part), getattr(other, part)
            if one != two:
                raise UserError(f"the same {part} on both sides of a comparison", f"{_told(one)} and {_told(two)}",
                                f"score both sides on the same {part}")  # fmt: skip
    return first


def _told(part: object) -> str:
    if isinstance(part, tuple):
        return f"{len(part)} ({', '.join(map(str, part))})"
    return repr(part)
