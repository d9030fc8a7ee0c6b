"""Intervals for printed scores: what F1 would do if other studies of the same kind had been drawn.

The paper prints no interval and no count. From F1 and the support S the counts follow once it is known how many
labels the model names for each one recorded, q = R / P. Where P and R are printed that is known (`operating`);
elsewhere we assume as many as are recorded (`BALANCED`), and `CAUTIOUS` gives the widest case, as few as the score
allows (P = 1). Then F / (2 - F) = TP / (TP + FP + FN) is a plain proportion, of U = S (1 + q) (2 - F) / 2 studies, and
Wilson's score interval of it, carried back to F1, behaves at 0 and with a handful of studies.

For averages and differences each finding is drawn from its score intervals at all levels together (a confidence
distribution), moved so that its mean is the printed score: findings at 0 can only err upwards, and would pull every
average up. Errors of different findings are taken as independent, those of two models on the same studies as correlated
by `PAIRED`. Both are assumptions: `claims.calibration` holds them against the bootstrap of our own runs. Differences
between training runs are no part of it: the paper trained each model once.
"""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from chexreason.labels import FINDINGS
from companion.evidence.audit import facts
from companion.evidence.audit.lines import GROUNDS
from companion.evidence.stats import Interval, percentiles
from companion.evidence.tables import MODELS

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
#: The standard normal quantile of a two-sided test.
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
DRAWS = 10_000
#: Correlation of two models' scores of a finding over the same studies; not in the text we have.
PAIRED = 0.5
#: The same for two models of one lineage, and all that are tried to see how much hangs on it.
ALIKE = 0.9
CORRELATIONS: tuple[float, ...] = (0.0, PAIRED, ALIKE)
#: Labels named per label recorded, where it is not printed: as many as recorded, or as few as the score allows.
BALANCED, CAUTIOUS = 1.0, 0.0
#: Sizes that the NIH subset is tried at, since the paper does not state it: the whole official list, and few studies.
NIH_SIZES: tuple[int, int] = (facts.size("nih", "test"), facts.size("chexpert", "test"))


def possible(f1: float, named: float) -> float:
    """Labels named per label recorded, no fewer and no more than an F1 allows: P and R are 1 at most."""
    least = f1 / (2 - f1)
    return max(least, min(named, 1 / least)) if least > 0 else named


def union(f1: float, support: float, named: float = BALANCED) -> float:
    """TP + FP + FN in studies, from F1, support and labels named per label recorded; S (2 - F) if P = R, S if P = 1."""
    return support * (1 + possible(f1, named)) * (2 - f1) / 2


def at_quantile(f1: float, trials: float, z: Floats | float) -> Floats:
    """F1 at the standard normal quantile z of its score interval: 1.96 gives the upper 95 % limit, 0 the F1 itself."""
    share = f1 / (2 - f1)
    z = np.asarray(z, dtype=float)
    spread = z * z / trials
    half = z * np.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    bound = np.clip((share + spread / 2 + half) / (1 + spread), 0.0, 1.0)
    return 2 * bound / (1 + bound)


def interval(f1: float, support: float, named: float = BALANCED) -> Interval:
    """The score interval of one printed F1."""
    low, high = at_quantile(f1, union(f1, support, named), np.array([-Z, Z]))
    return Interval(f1, float(low), float(high))


def centred(f1: float, trials: float, z_R: Floats) -> Floats:
    """Draws of one F1 whose mean is the F1; `trials` is TP + FP + FN, and without any there is nothing to draw."""
    if trials <= 0:
        return np.full(z_R.shape, f1)
    values_R = at_quantile(f1, trials, z_R)
    return values_R - values_R.mean() + f1


def draw(scores: Mapping[str, float], supports: Mapping[str, float], z_FR: Floats, named: float = BALANCED) -> Floats:
    """F1 of each finding (F, R) at the normal draws `z_FR`, one row a finding in the order of `scores`."""
    trials = [union(f1, supports[name], named) for name, f1 in scores.items()]
    return np.stack([centred(*each) for each in zip(scores.values(), trials, z_FR, strict=True)])


def macro(
    scores: Mapping[str, float], supports: Mapping[str, float], rng: np.random.Generator, named: float = BALANCED
) -> Interval:
    """The interval of a macro-F1 from its findings, each of which is named at the same ratio."""
    draws_FR = draw(scores, supports, rng.standard_normal((len(scores), DRAWS)), named)
    return percentiles(np.append(np.mean(list(scores.values())), draws_FR.mean(axis=0)))


def shared(rng: np.random.Generator, common_FR: Floats, correlation: float = PAIRED) -> Floats:
    """Draws that correlate with those of other models on the same studies, which share `common_FR`."""
    return np.sqrt(correlation) * common_FR + np.sqrt(1 - correlation) * rng.standard_normal(common_FR.shape)


def difference(
    first: Mapping[str, float], second: Mapping[str, float], supports: Mapping[str, float], rng: np.random.Generator,
    correlation: float = PAIRED, named: tuple[float, float] = (BALANCED, BALANCED),
) -> Interval:  # fmt: skip
    """The interval of macro-F1(second) - macro-F1(first) on the same studies; `named` is of the first and second."""
    common_FR, sides = rng.standard_normal((len(first), DRAWS)), zip((first, second), named, strict=True)
    one, two = (draw(side, supports, shared(rng, common_FR, correlation), ratio) for side, ratio in sides)
    estimate = np.mean(list(second.values())) - np.mean(list(first.values()))
    return percentiles(np.append(estimate, (two - one).mean(axis=0)))


def supports_of(table: int, n: int | None = None) -> dict[str, float]:
    """Positives of each finding of a table: of its own part, of 500 validation studies, or of n."""
    dataset, split, findings, _ = GROUNDS[table]
    return facts.supports(dataset, split, findings, facts.size("chexpert", "test") if table < 5 and not n else n)


def patterned(macro: float) -> dict[str, float]:
    """Findings' scores that average to a macro-F1 in the pattern of the SFT checkpoint on CheXpert (none above 1)."""
    pattern = facts.column(5, "medgemma_sft")
    mean = float(np.mean([pattern[name] for name in FINDINGS]))
    return {name: min(1.0, pattern[name] * macro / mean) for name in FINDINGS}


def table_intervals(table: int, rng: np.random.Generator, n: int | None = None) -> dict[str, Interval]:
    """The macro-F1 of the five models of Table 5 or 6 with its interval, for n studies."""
    supports = supports_of(table, n)
    return {
        model: macro({name: facts.value(table, name, model) for name in supports}, supports, rng) for model in MODELS
    }
