"""Smoothing for the figures and intervals for the tables (Figures 2 and 3; the paper's tables have none).

Studies of one patient are not independent, so the bootstrap draws patients, not studies. Scores are
functions of counts, and counts add up over patients; a resample is therefore a vector of how often
each patient was drawn, and all resamples together are one matrix product.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason.errors import unknown
from chexreason.metrics import Bools, f1

Floats = npt.NDArray[np.float64]

#: The averages that can be bootstrapped.
AVERAGES = ("micro", "macro")
#: Draws times patients held in memory at once.
_CHUNK = 2_000_000


def ema(values: Sequence[float] | Floats, smoothing: float = 0.95) -> Floats:
    """Exponential moving average, as in Figures 2 and 3: y_t = s y_(t-1) + (1 - s) x_t.

    It starts at 0 and is divided by 1 - s^t, as TensorBoard does, so that the first points are not
    pulled towards 0; the paper does not say how its curves start. The result is as long as `values`.

    >>> ema([1.0, 1.0, 4.0], 0.5).round(3).tolist()
    [1.0, 1.0, 2.714]

    Raises ValueError unless 0 <= smoothing < 1.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"expected a smoothing of at least 0 and below 1, came {smoothing}")
    return pd.Series(values, dtype=float).ewm(alpha=1 - smoothing, adjust=True).mean().to_numpy()


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile bootstrap interval."""

    estimate: float
    low: float
    high: float
    level: float
    resamples: int
    patients: int

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
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


def _average_f1(counts: Floats, average: str) -> Floats:
    """Micro or macro F1 from counts (R, 3 F) -> (R,)."""
    by_kind = counts.reshape(len(counts), 3, -1).transpose(1, 0, 2)  # (3, R, F)
    return f1(by_kind.sum(axis=2)) if average == "micro" else f1(by_kind).mean(axis=1)


def _draws(rng: np.random.Generator, patients: int, resamples: int) -> Iterator[npt.NDArray[np.int64]]:
    """How often each patient is drawn, in chunks of resamples (r, P)."""
    step = max(1, _CHUNK // patients)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield rng.multinomial(patients, np.full(patients, 1 / patients), size=size)


def _bootstrap(
    true_BF: Bools,
    preds: Sequence[Bools],
    patients_B: Sequence[str],
    rng: np.random.Generator,
    mask_BF: Bools | None,
    average: str,
    resamples: int,
    level: float,
) -> Interval:
    """The interval of the last prediction's F1, less the first one's if there are two."""
    if average not in AVERAGES:
        raise unknown("average", average, AVERAGES, "chexreason/stats.py")
    if any(pred.shape != true_BF.shape for pred in preds) or len(patients_B) != len(true_BF) or not len(true_BF):
        raise ValueError(
            f"expected predictions of shape {true_BF.shape} and a patient a study, "
            f"came {[pred.shape for pred in preds]} and {len(patients_B)} patients"
        )
    codes_B, names = pd.factorize(np.asarray(patients_B, dtype=object))
    counts = [_patient_counts(true_BF, pred, mask_BF, codes_B, len(names)) for pred in preds]

    def statistic(draws: npt.NDArray[np.int64]) -> Floats:
        values = [_average_f1(draws @ one, average) for one in counts]
        return values[-1] - values[0] if len(values) == 2 else values[0]

    estimate = float(statistic(np.ones((1, len(names)), dtype=np.int64))[0])
    values = np.concatenate([statistic(chunk) for chunk in _draws(rng, len(names), resamples)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level, resamples, len(names))


def bootstrap(
    true_BF: Bools,
    pred_BF: Bools,
    patients_B: Sequence[str],
    rng: np.random.Generator,
    *,
    mask: Bools | None = None,
    average: str = "macro",
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interval of an F1 average (0 to 1) when patients are drawn with replacement."""
    return _bootstrap(true_BF, [pred_BF], patients_B, rng, mask, average, resamples, level)


def paired_bootstrap(
    true_BF: Bools,
    first_BF: Bools,
    second_BF: Bools,
    patients_B: Sequence[str],
    rng: np.random.Generator,
    *,
    mask: Bools | None = None,
    average: str = "macro",
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interval of F1(second) - F1(first) on the same studies (-1 to 1), both scored on the same draws.

    Raises ValueError for shapes that do not agree, UserError for an unknown average.
    """
    return _bootstrap(true_BF, [first_BF, second_BF], patients_B, rng, mask, average, resamples, level)


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a proportion, for failure rates; within 0 to 1 and sensible at 0 of n.

    >>> [round(bound, 4) for bound in wilson(1, 10)]
    [0.0179, 0.4042]

    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"expected 0 <= successes <= n and n > 0, came {successes} of {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)
