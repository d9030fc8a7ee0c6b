"""The same findings on both sides: cross-data-set statements redone, and averages taken apart (section 4.4).

Table 5 averages fourteen findings, Table 6 nine of them. A difference of the two mixes another hospital
with another set of findings. Here every such statement is made again on the nine, and every change of an
average is taken apart into its findings: a change of k points in one of F findings moves the average by
k / F, so the parts add up exactly. `likeness` asks how alike two models score finding by finding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import pearsonr

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import facts
from companion.evidence.audit.uncertainty import LEVEL
from companion.evidence.tables import MODELS


class Crossing(NamedTuple):
    """One model from CheXpert to NIH: as the paper has it, and on the nine findings that both have."""

    near_all: float  # CheXpert, fourteen findings
    near: float  # CheXpert, the nine
    far: float  # NIH, the nine
    stated: float  # relative change as the paper computes it: nine against fourteen findings
    matched: float  # relative change on the nine


def crossings() -> dict[str, Crossing]:
    """Each of the five models from CheXpert to NIH."""
    found = {}
    for model in MODELS:
        sides = ((5, FINDINGS), (5, NIH_SHARED), (6, NIH_SHARED))
        near_all, near, far = (float(np.mean([facts.value(t, name, model) for name in names])) for t, names in sides)
        found[model] = Crossing(near_all, near, far, far / near_all - 1, far / near - 1)
    return found


class Part(NamedTuple):
    """What one finding adds to the change of an average."""

    finding: str
    before: float
    after: float
    share: float  # of the average's change: (after - before) / number of findings


@dataclass(frozen=True)
class Waterfall:
    """A change of a macro average, the findings that make it, largest first, and how many of them gain and lose."""

    title: str
    parts: tuple[Part, ...]
    change: float
    largest: Part  # the finding that moves the average most
    rises: int
    falls: int

    def without_largest(self) -> float:
        """The change of the average over the other findings."""
        return self.over([part.finding for part in self.parts if part is not self.largest])

    def over(self, findings: Sequence[str]) -> float:
        """The change of the average over some of the findings."""
        return float(np.mean([part.after - part.before for part in self.parts if part.finding in findings]))


def waterfall(table: int, first: str, second: str) -> Waterfall:
    """The change from one model to another in Table 5 or 6."""
    title = f"{_short(first)} to {_short(second)} on {'CheXpert' if table == 5 else 'NIH'}"
    return _waterfall(title, facts.column(table, first), facts.column(table, second))


def crossing_waterfall(model: str) -> Waterfall:
    """The change of one model from CheXpert to NIH over the nine findings that both have."""
    near = facts.column(5, model)
    return _waterfall(f"{_short(model)}, CheXpert to NIH", {n: near[n] for n in NIH_SHARED}, facts.column(6, model))


def _short(model: str) -> str:
    return "SFT" if model == "medgemma_sft" else MODELS[model]


def _waterfall(title: str, before: Mapping[str, float], after: Mapping[str, float]) -> Waterfall:
    found = [Part(name, before[name], after[name], (after[name] - before[name]) / len(before)) for name in before]
    parts = tuple(sorted(found, key=lambda part: -part.share))
    shares = [part.share for part in parts]
    largest = max(parts, key=lambda part: abs(part.share))
    rises, falls = (sum(sign * share > 0 for share in shares) for sign in (1, -1))
    return Waterfall(title, parts, float(sum(shares)), largest, rises, falls)


#: The changes that the paper's argument leans on: (table, from, to).
LEANS_ON = tuple(
    (table, first, second)
    for first, second in (("medgemma_sft", "chexreason"), ("medgemma", "medgemma_sft"), ("medgemma", "chexreason"))
    for table in (5, 6)
)
#: The models whose way from CheXpert to NIH is the paper's argument.
CROSSING = ("medgemma_sft", "chexreason")


class Likeness(NamedTuple):
    """How alike two models score the findings of Table 5 or 6."""

    points: tuple[tuple[str, float, float], ...]  # finding, F1 of the other, F1 of the model
    apart: float  # mean |difference| of F1
    r: float  # correlation over the findings
    low: float  # its interval after Fisher, as if the findings were a sample
    high: float


def likeness(table: int, other: str, model: str = "chexreason") -> Likeness:
    """A model's profile over the findings beside another's."""
    theirs, own = facts.column(table, other), facts.column(table, model)
    points = tuple((name, theirs[name], own[name]) for name in own)
    x, y = np.array([[a, b] for _, a, b in points]).T
    alike = pearsonr(x, y)
    low, high = alike.confidence_interval(LEVEL)
    return Likeness(points, float(np.abs(x - y).mean()), float(alike.statistic), float(low), float(high))
