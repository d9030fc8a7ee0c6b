"""What an arm's answers are scored by: each outcome is a function of sums over patients, so that draws are cheap.

The plan's outcome is the macro-F1 of the answers. The others were chosen after the first runs had been seen, and every
page that shows them says *post hoc*: they part how many labels are named from which ones are right. An outcome that is
a score has a floor, what naming every label would get; a share has none. An abnormal patient is one for whom the
yardstick does not record No Finding. Suffixes: `_N` patients, `_F` findings, `_R` draws, `_K` sums.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    value: Callable[[Floats, int, Bools], Floats]  # sums (R, K), patients, findings that count (F,) -> value (R,)
    is_score: bool = True  # whether naming every label is a floor
    by_finding: bool = False  # whether it is an average over findings


def _counts(true_NF: Bools, pred_NF: Bools) -> Floats:
    """True positives, false positives, false negatives of each patient (N, 3 F)."""
    return np.concatenate([true_NF & pred_NF, ~true_NF & pred_NF, true_NF & ~pred_NF], axis=1).astype(float)


def _by_kind(sums_RK: Floats) -> Floats:
    return sums_RK.reshape(len(sums_RK), 3, -1).transpose(1, 0, 2)


def _macro(sums_RK: Floats, n: int, keep_F: Bools) -> Floats:
    return stats.f1(_by_kind(sums_RK)[:, :, keep_F]).mean(axis=1)


def _micro(sums_RK: Floats, n: int, keep_F: Bools) -> Floats:
    return stats.f1(_by_kind(sums_RK).sum(axis=2))


def _named(sums_RK: Floats, n: int, keep_F: Bools) -> Floats:
    hits, extra, missed = _by_kind(sums_RK).sum(axis=2)
    return _ratio(hits + extra, hits + missed)


def _jaccard(true_NF: Bools, pred_NF: Bools) -> Floats:
    """The similarity of each patient (N, 1); 1 where nothing is recorded and nothing named."""
    both, either = (true_NF & pred_NF).sum(axis=1), (true_NF | pred_NF).sum(axis=1)
    return np.divide(both, either, out=np.ones(len(both)), where=either > 0)[:, None]


def _mean(sums_RK: Floats, n: int, keep_F: Bools) -> Floats:
    return sums_RK[:, 0] / n


def _called_normal(true_NF: Bools, pred_NF: Bools) -> Floats:
    abnormal = ~true_NF[:, NORMAL]
    return np.stack([abnormal & pred_NF[:, NORMAL], abnormal], axis=1).astype(float)


def _share(sums_RK: Floats, n: int, keep_F: Bools) -> Floats:
    return _ratio(sums_RK[:, 0], sums_RK[:, 1])


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros(below.shape), where=below > 0)


MACRO = Outcome("macro", "macro-F1", _counts, _macro, by_finding=True)
MICRO = Outcome("micro", "micro-F1", _counts, _micro)
JACCARD = Outcome("jaccard", "mean Jaccard", _jaccard, _mean)
NAMED = Outcome("named", "labels named per recorded", _counts, _named, is_score=False)
CALLED_NORMAL = Outcome("called-normal", "abnormal called normal", _called_normal, _share, is_score=False)
#: Of the patients for whom the yardstick records No Finding, those answered so: tells a moved cut from worse reading.
NORMAL_CALLED = Outcome("normal-called", "normal called normal", lambda t, p: np.stack(
    [t[:, NORMAL] & p[:, NORMAL], t[:, NORMAL]], axis=1).astype(float), _share, is_score=False)  # fmt: skip
OUTCOMES = {one.name: one for one in (NAMED, CALLED_NORMAL, JACCARD, MICRO, MACRO)}


def votes(true_NF: Bools, named_SNF: Bools) -> Floats:
    """How many patients with and without each finding were named by 0, 1, ... S trainings (N, 2 (S + 1) F)."""
    levels_NFL = named_SNF.sum(axis=0)[:, :, None] == np.arange(len(named_SNF) + 1)
    sides = [levels_NFL & side[:, :, None] for side in (true_NF, ~true_NF)]
    return np.stack(sides, axis=1).reshape(len(true_NF), -1).astype(float)


def vote_auroc(sums_RK: Floats, trainings: int, keep_F: Bools) -> Floats:
    """Area under the ROC curve of the share of trainings that name a finding, mean over findings (R,)."""
    with_RFL, without_RFL = np.moveaxis(sums_RK.reshape(len(sums_RK), 2, len(keep_F), trainings + 1), 1, 0)
    with_RFL, without_RFL = with_RFL[:, keep_F], without_RFL[:, keep_F]
    below_RFL = np.cumsum(without_RFL, axis=2) - without_RFL
    won = (with_RFL * (below_RFL + without_RFL / 2)).sum(axis=2)
    pairs = with_RFL.sum(axis=2) * without_RFL.sum(axis=2)
    return np.divide(won, pairs, out=np.full(pairs.shape, 0.5), where=pairs > 0).mean(axis=1)
