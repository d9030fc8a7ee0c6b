"""Smoothing for the figures and intervals for the tables (Figures 2 and 3; the paper's tables have none).

Studies of one patient are not independent, so the bootstrap draws patients. Counts add up over patients; a resample is
therefore a vector of how often each was drawn, and all resamples of all models together are one matrix product, of
whole numbers no larger than the test set, which 32-bit floats hold exactly.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason.metrics import Bools

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

#: Draws times patients held in memory at once.
_CHUNK = 20_000


def confusion(true_BF: Bools, pred_BF: Bools) -> Counts:
    """True positives, false positives and false negatives per finding (3, F): what a bootstrap adds up."""
    cells = (true_BF & pred_BF, ~true_BF & pred_BF, true_BF & ~pred_BF)
    return np.stack([cell.sum(axis=0) for cell in cells]).astype(np.int64)


def f1(counts: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) from counts (3, ...); 0 where nothing is present or predicted."""
    hits, extra, missed = counts
    below = 2 * hits + extra + missed
    return np.divide(2 * hits, below, out=np.zeros(np.shape(below)), where=np.asarray(below) > 0)


def ema(values: Sequence[float] | Floats, smoothing: float = 0.95) -> Floats:
    """Exponential moving average, as in Figures 2 and 3: y_t = s y_(t-1) + (1 - s) x_t.

    It starts at 0 and is divided by 1 - s^t, as TensorBoard does; the paper does not say how its curves start.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"expected a smoothing of at least 0 and below 1, got {smoothing}")
    return pd.Series(values, dtype=float).ewm(alpha=1 - smoothing, adjust=True).mean().to_numpy()


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def _patient_counts(
    true_BF: Bools, pred_BF: Bools, mask_BF: Bools | None, codes_B: npt.NDArray[np.intp], patients: int
) -> Floats:
    """True positives, false positives, false negatives of each patient and finding (P, 3 F)."""
    kept_BF = np.ones_like(true_BF) if mask_BF is None else mask_BF
    cells = (true_BF & pred_BF & kept_BF, ~true_BF & pred_BF & kept_BF, true_BF & ~pred_BF & kept_BF)
    counts = np.zeros((patients, 3 * true_BF.shape[1]))
    np.add.at(counts, codes_B, np.concatenate(cells, axis=1).astype(float))
    return counts


def _draws(rng: np.random.Generator, patients: int, resamples: int, kind: type) -> Iterator[npt.NDArray[np.floating]]:
    """How often each patient is drawn, in chunks of resamples (r, P)."""
    step = max(1, _CHUNK // patients)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(patients, size=(size, patients), dtype=np.int32) + patients * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * patients).reshape(size, patients).astype(kind)


def _resampled(
    true_BF: Bools, preds: Sequence[Bools], patients_B: Sequence[str], rng: np.random.Generator, mask: Bools | None,
    resamples: int,
) -> Iterator[Floats]:  # fmt: skip
    """Counts of M models (3, r, M, F) in chunks of resamples; the first is the studies as they are (r = 1)."""
    if any(pred.shape != true_BF.shape for pred in preds) or len(patients_B) != len(true_BF) or not len(true_BF):
        raise ValueError(
            f"expected predictions of shape {true_BF.shape} and a patient a study, "
            f"got {[pred.shape for pred in preds]} and {len(patients_B)} patients"
        )
    codes_B, names = pd.factorize(np.asarray(patients_B, dtype=object))
    # No sum exceeds the studies drawn if each draw is of the patient with most; below 2^24 float32 is exact.
    kind = np.float32 if len(names) * np.bincount(codes_B).max() < 2**24 else np.float64
    counts = np.concatenate(
        [_patient_counts(true_BF, pred, mask, codes_B, len(names)) for pred in preds], axis=1
    ).astype(kind)  # (P, M 3 F)
    for draws in itertools.chain([np.ones((1, len(names)), kind)], _draws(rng, len(names), resamples, kind)):
        summed = (draws @ counts).astype(np.float64).reshape(len(draws), len(preds), 3, -1)
        yield np.moveaxis(summed, 2, 0)


def resampled_counts(
    true_BF: Bools, preds: Sequence[Bools], patients_B: Sequence[str], rng: np.random.Generator, *,
    mask: Bools | None = None, resamples: int = 10_000,
) -> Floats:  # fmt: skip
    """True positives, false positives, false negatives of M models on the same resamples (3, 1 + R, M, F); the first is
    the studies as they are."""
    return np.concatenate(list(_resampled(true_BF, preds, patients_B, rng, mask, resamples)), axis=1)


def resampled_f1(
    true_BF: Bools, preds: Sequence[Bools], patients_B: Sequence[str], rng: np.random.Generator, *,
    mask: Bools | None = None, resamples: int = 10_000,
) -> dict[str, Floats]:  # fmt: skip
    """F1 of M models on the same resamples: `findings` (1 + R, M, F), `micro` and `macro` (1 + R, M); the first is the
    score on the studies as they are."""
    findings = np.empty((1 + resamples, len(preds), true_BF.shape[-1]))
    micro, done = np.empty(findings.shape[:2]), 0
    for by_kind in _resampled(true_BF, preds, patients_B, rng, mask, resamples):
        rows = slice(done, done := done + by_kind.shape[1])
        findings[rows], micro[rows] = f1(by_kind), f1(by_kind.sum(axis=-1))
    return {"findings": findings, "micro": micro, "macro": findings.mean(axis=-1)}


@dataclass(frozen=True)
class Differences:
    """K differences with intervals (all arrays (K,)): each by itself, and all K together."""

    estimate: Floats
    low: Floats
    high: Floats
    low_all: Floats
    high_all: Floats


def differences(values_RK: Floats, level: float = 0.95) -> Differences:
    """Intervals of K statistics from their replicates (1 + R, K); row 0 holds the estimates.

    Alone, each has the percentile interval. Together, each is its estimate plus and minus c standard errors of the
    replicates, c being the quantile of the largest studentised deviation (the maximum-t method, Westfall and Young
    1993), so that all K hold at once with probability `level`.
    """
    estimate, drawn_RK = values_RK[0], values_RK[1:]
    low, high = np.quantile(drawn_RK, [(1 - level) / 2, (1 + level) / 2], axis=0)
    spread = drawn_RK.std(axis=0, ddof=1)
    deviations = np.abs(drawn_RK - drawn_RK.mean(axis=0)) / np.where(spread > 0, spread, 1)
    reach = float(np.quantile(deviations.max(axis=1), level)) * spread
    return Differences(estimate, low, high, estimate - reach, estimate + reach)


def over_seeds(per_seed: Sequence[Floats], rng: np.random.Generator | None = None) -> Floats:
    """The mean over S trainings of values (1 + R,): as they are, then replicates that vary trainings, too.

    A replicate weighs the trainings by 1 / S plus a draw of a spherical t with S - 1 degrees of freedom, orthogonal to
    the mean; over replicates the mean then spreads like Student's t around itself, which resampling few trainings does
    not (percentiles of 3 resampled trainings cover 74 % where 95 are asked for; `tests/test_stats.py` simulates both).
    Without `rng` the weights are the same for every quantity with as many trainings, so that differences stay paired.
    """
    all_RS = np.stack(per_seed, axis=1)
    replicates, trainings = len(all_RS) - 1, len(per_seed)
    weights_RS = training_weights(trainings, replicates, rng or np.random.default_rng(0))
    return np.concatenate([[all_RS[0].mean()], (all_RS[1:] * weights_RS).sum(axis=1)])


def training_weights(trainings: int, replicates: int, rng: np.random.Generator) -> Floats:
    """Weights of S trainings in each replicate (R, S), each row adding up to 1 (`over_seeds`)."""
    if trainings == 1:
        return np.ones((replicates, 1))
    away_RS = rng.standard_normal((replicates, trainings))
    away_RS -= away_RS.mean(axis=1, keepdims=True)
    scale_R = np.sqrt(rng.chisquare(trainings - 1, replicates) / (trainings - 1))
    weights: Floats = 1 / trainings + away_RS / (scale_R[:, None] * math.sqrt(trainings * (trainings - 1)))
    return weights


def percentiles(values: Floats, level: float = 0.95) -> Interval:
    """The first value with the percentile interval of the rest, widened to hold the value itself."""
    low, high = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), min(float(low), float(values[0])), max(float(high), float(values[0])))
