"""What may be compared: the rules that every table, order, difference and verdict of ours keeps.

*Constant*: a run that gives one answer to `MOSTLY` of the images or more does not look at them, and neither does
one that scores below naming every label. Such a run is marked wherever it is shown, and takes part in no order,
difference or "best". *Enough*: a macro average that carries a conclusion holds only findings with `ENOUGH` positives
in that test set; with fewer, a single patient moves the average. *Like with like*: both sides of a comparison have
the same findings, studies, split and seeds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from chexreason.errors import UserError, unknown
from chexreason.labels import FINDINGS, LABEL_SETS, NIH_SHARED

Floats = npt.NDArray[np.float64]

#: Share of the images with the same answer from which a run counts as constant.
MOSTLY = 0.90
#: Why one training concludes nothing about training.
ONE_TRAINING = "one training: another may come out otherwise"
#: Positives from which a finding may stand in an average that carries a conclusion.
ENOUGH = 20


def commonest_share(answers: Sequence[str]) -> float:
    """The share of the images that are given the commonest answer, 0 to 1."""
    _, counts = np.unique(np.asarray(answers, dtype=str), return_counts=True)
    return float(counts.max() / len(answers))


def every_label(positives_F: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """F1 of each finding for a reader who names every label for every study: 2 S / (S + n); 0 without studies."""
    support, size = np.asarray(positives_F, dtype=float), np.asarray(n, dtype=float)
    below = support + size
    return np.divide(2 * support, below, out=np.zeros(np.broadcast(support, size).shape), where=below > 0)


def unfit(commonest: float | None, macro_f1: float, floor: float) -> str:
    """Why a run takes part in no order or difference, as the end of a sentence; empty if it does.

    `commonest` is `commonest_share` of its answers, None where they are not kept; `floor` the macro-F1 of naming every
    label on the same studies and findings.
    """
    if commonest is not None and commonest >= MOSTLY:
        return f"gives one answer to {commonest:.0%} of the images"
    if macro_f1 < floor:
        return f"scores {macro_f1:.3f}, below naming every label ({floor:.3f})"
    return ""


def unfit_over(trainings: Iterable[tuple[float | None, float, float]]) -> str:
    """The same of a model that was trained several times: one training that takes part in nothing is enough.

    The others alone would be a choice by the score.
    """
    reasons = [unfit(*one) for one in trainings]
    found = [reason for reason in reasons if reason]
    if not found or len(reasons) == 1:
        return "".join(found)
    return f"{found[0]} in {'one' if len(found) == 1 else len(found)} of {len(reasons)} trainings"


def frequent(positives: Mapping[str, float]) -> tuple[str, ...]:
    """The findings with enough positives to carry a conclusion, in the order given."""
    return tuple(name for name, count in positives.items() if count >= ENOUGH)


def averages(positives: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Name of each macro average over some findings -> those that it holds; one that would repeat another is left out.

    They are all findings, those of NIH's nine, which another hospital's average can be held against, and the frequent
    ones, which carry a conclusion.
    """
    nine = tuple(name for name in positives if name in NIH_SHARED)
    found = {"macro": tuple(positives), "macro of NIH's nine": nine * (len(nine) == len(NIH_SHARED)),
             "macro of frequent": frequent(positives)}  # fmt: skip
    return {name: held for name, held in found.items() if held and (name == "macro" or held != tuple(positives))}


def label_set(findings: Iterable[str]) -> str:
    """The label set of some findings by name; one of one's own is named by them, with commas, and known from then on.

    Raises UserError for a name that is none of the 14 findings.

    >>> label_set(NIH_SHARED), label_set(["Fracture", "Edema"])
    ('nih9', 'Edema,Fracture')
    """
    asked = set(findings)
    for name in asked - set(FINDINGS):
        raise unknown("finding", name, FINDINGS, "chexreason/labels.py")
    names = tuple(name for name in FINDINGS if name in asked)
    known = next((known for known, held in LABEL_SETS.items() if held == names), ",".join(names))
    cast(dict[str, tuple[str, ...]], LABEL_SETS)[known] = names
    return known


class Basis(NamedTuple):
    """What a score rests on; two scores may be set against each other only if theirs are equal."""

    findings: tuple[str, ...]
    studies: str  # a digest of which they are
    split: str
    seeds: tuple[int, ...]


def require_same(*sides: Basis) -> Basis:
    """The common basis of a comparison's sides. Raises UserError that names what differs."""
    for other in sides[1:]:
        for part, one, two in zip(Basis._fields, sides[0], other, strict=True):
            if one != two:
                raise UserError(f"the same {part} on both sides of a comparison", f"{one} and {two}",
                                f"score both sides on the same {part}")  # fmt: skip
    return sides[0]
