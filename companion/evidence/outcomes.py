"""What an arm's answers are scored by: each outcome is a function of sums over patients, so that draws are cheap.

The plan's outcome is the macro-F1 of the answers. The others were chosen after the first runs had been seen, and every
page that shows them says *post hoc*: they part how many labels are named from which ones are right. An outcome that is
a score has a floor, what naming every label would get; a share has none. An abnormal patient is one for whom the
reference does not record No Finding. Suffixes: `_N` patients, `_F` findings, `_R` draws, `_K` sums.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chexreason.labels import LABEL_SETS, NO_FINDING
from chexreason.metrics import Bools
from companion.evidence import stats
from companion.experiment.scores import LABEL_SET

Floats = npt.NDArray[np.float64]
NORMAL = LABEL_SETS[LABEL_SET].index(NO_FINDING)


@dataclass(frozen=True)
class Outcome:
    """One score or share of a model's answers in a cell."""

    name: str
    title: str
    each: Callable[[Bools, Bools], Floats]  # truth and answers (N, F) -> what is summed over patients (N, K)
    value: Callable[[Floats, Bools], Floats]  # sums (R, K), findings that count (F,) -> value (R,)
    is_score: bool = True  # whether naming every label is a floor
    by_finding: bool = False  # whether it is an average over findings


def _counts(true_NF: Bools, pred_NF: Bools) -> Floats:
    """True positives, false positives, false negatives of each patient (N, 3 F)."""
    return np.concatenate([true_NF & pred_NF, ~true_NF & pred_NF, true_NF & ~pred_NF], axis=1).astype(float)


def _by_kind(sums_RK: Floats) -> Floats:
    return sums_RK.reshape(len(sums_RK), 3, -1).transpose(1, 0, 2)


def _jaccard(true_NF: Bools, pred_NF: Bools) -> tuple[Floats, Floats]:
    """The similarity of each patient (N,), 1 where nothing is recorded and nothing named; and a count of patients."""
    both, either = (true_NF & pred_NF).sum(axis=1), (true_NF | pred_NF).sum(axis=1)
    return np.divide(both, either, out=np.ones(len(both)), where=either > 0), np.ones(len(both))


def _ratio(name: str, title: str, of: Callable[[Bools, Bools], tuple[Any, Any]], is_score: bool = False) -> Outcome:
    """The sum of one number of each patient (N,) over that of another; 0 where there is none."""

    def value(sums_RK: Floats, _: Bools) -> Floats:
        above, below = sums_RK.T
        return np.divide(above, below, out=np.zeros(len(below)), where=below > 0)

    return Outcome(name, title, lambda t, p: np.stack(of(t, p), axis=1).astype(float), value, is_score)


MACRO = Outcome("macro", "macro-F1", _counts, lambda sums_RK, keep_F: stats.f1(
    _by_kind(sums_RK)[:, :, keep_F]).mean(axis=1), by_finding=True)  # fmt: skip
MICRO = Outcome("micro", "micro-F1", _counts, lambda sums_RK, _: stats.f1(_by_kind(sums_RK).sum(axis=2)))
JACCARD = _ratio("jaccard", "mean Jaccard", _jaccard, is_score=True)
NAMED = _ratio("named", "labels named per recorded", lambda t, p: (p.sum(axis=1), t.sum(axis=1)))
CALLED_NORMAL = _ratio("called-normal", "abnormal called normal",
                       lambda t, p: (p[:, NORMAL] & ~t[:, NORMAL], ~t[:, NORMAL]))  # fmt: skip
#: Of the patients for whom the reference records No Finding, those answered so: tells a moved cut from worse reading.
NORMAL_CALLED = _ratio("normal-called", "normal called normal",
                       lambda t, p: (p[:, NORMAL] & t[:, NORMAL], t[:, NORMAL]))  # fmt: skip
OUTCOMES = {one.name: one for one in (NAMED, CALLED_NORMAL, JACCARD, MICRO, MACRO)}
