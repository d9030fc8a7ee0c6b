"""Smoothing against its recurrence, intervals against loops and scipy."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import f1_score

from companion.evidence import stats


def study(seed=0, n=120, findings=14, patients=None):
    """Labels, a poor and a better reader, and a patient for each study."""
    rng = np.random.default_rng(seed)
    true = rng.random((n, findings)) < 0.3
    poor, better = (true ^ (rng.random(true.shape) < error) for error in (0.3, 0.15))
    names = np.array([f"p{i}" for i in rng.integers(patients or n, size=n)])
    return true, poor, better, names


def test_ema_is_the_recurrence_divided_by_its_weight():
    values = np.random.default_rng(0).normal(size=300)
    level, weight, expected = 0.0, 0.0, []
    for value in values:
        level = 0.95 * level + 0.05 * value
        weight = 0.95 * weight + 0.05
        expected.append(level / weight)
    assert stats.ema(values) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="smoothing"):
        stats.ema([1.0], 1.0)


def difference(true, first, second, patients, rng, *, mask=None, resamples=10_000):
    """F1 of the second less that of the first, with its interval."""
    found = stats.resampled_f1(true, [first, second], patients, rng, mask=mask, resamples=resamples)["macro"]
    return stats.percentiles(found[:, 1] - found[:, 0])


def test_all_models_and_findings_of_a_resample_are_scikit_learns_to_the_last_bit():
    true, poor, better, patients = study(n=60, patients=25)
    mask = np.random.default_rng(1).random(true.shape) < 0.8
    found = stats.resampled_f1(true, [poor, better], patients, np.random.default_rng(2), mask=mask, resamples=30)
    names = list(dict.fromkeys(patients))
    drawn = np.random.default_rng(2).integers(len(names), size=(30, len(names)), dtype=np.int32)
    assert found["findings"].shape == (31, 2, 14)
    for number, draw in enumerate([np.arange(len(names)), *drawn]):
        rows = np.concatenate([np.flatnonzero(patients == names[index]) for index in draw])
        for model, pred in enumerate((poor, better)):
            truth, said = (array[rows] & mask[rows] for array in (true, pred))
            each = f1_score(truth, said, average=None, zero_division=0)
            assert found["findings"][number, model].tolist() == each.tolist()
            assert found["micro"][number, model] == f1_score(truth, said, average="micro", zero_division=0)
            assert found["macro"][number, model] == pytest.approx(each.mean(), abs=1e-15)


def test_neither_ignored_cells_nor_chunks_make_a_difference(monkeypatch):
    true, poor, better, patients = study()
    mask = np.random.default_rng(7).random(true.shape) < 0.7
    one = difference(true, poor, better, patients, np.random.default_rng(8), mask=mask, resamples=101)
    monkeypatch.setattr(stats, "_CHUNK", 1000)
    flipped = [array ^ ~mask for array in (true, poor, better)]
    assert difference(*flipped, patients, np.random.default_rng(8), mask=mask, resamples=101) == one


def test_misuse_is_refused():
    true, poor, _, patients = study()
    rng = np.random.default_rng(12)
    for truth, pred, keys in ((true, poor[:5], patients), (true, poor, patients[:5]), (true[:0], poor[:0], [])):
        with pytest.raises(ValueError, match="a patient a study"):
            stats.resampled_f1(truth, [pred], keys, rng)


def test_intervals_that_hold_together_are_those_of_a_normal_maximum() -> None:
    # For K independent normals the maximum-t bound is the 0.95^(1/K) two-sided quantile, by Sidak's formula.
    rng, spread = np.random.default_rng(0), np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    values = np.concatenate([np.full((1, 5), 7.0), 7.0 + spread * rng.standard_normal((40_000, 5))])
    found = stats.differences(values)
    sidak = scipy.stats.norm.ppf((1 + 0.95 ** (1 / 5)) / 2)
    np.testing.assert_allclose((found.high_all - found.estimate) / spread, sidak, rtol=0.02)
    np.testing.assert_allclose(found.high - found.low, 2 * 1.959964 * spread, rtol=0.03)
    assert (found.low_all < found.low).all()


@pytest.mark.parametrize("trainings", [3, 5])
@pytest.mark.parametrize(("patients", "seeds", "both"), [(0.0, 1.0, 0.0), (1.0, 1.0, 0.0), (1.0, 0.3, 0.5)])
def test_an_interval_over_few_trainings_covers_what_it_says(trainings, patients, seeds, both) -> None:
    """True mean 0; effects of patients, trainings and of both together. Resampled percentiles cover 74 or 84 %."""
    rng, n, draws, hits, tries = np.random.default_rng(trainings), 60, 400, 0, 400
    for _ in range(tries):
        effect = patients * rng.standard_normal((n, 1)) + both * rng.standard_normal((n, trainings))
        value_NS = effect * np.sqrt(n) + seeds * rng.standard_normal(trainings)
        weights = np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), size=draws)]) / n
        found = stats.percentiles(stats.over_seeds(list((weights @ value_NS).T), rng))
        hits += found.low <= 0 <= found.high
    assert hits / tries > 0.95 - 3 * np.sqrt(0.95 * 0.05 / tries)


def test_weights_of_trainings_add_up_and_spread_like_t() -> None:
    weights = stats.training_weights(4, 200_000, np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(1)
    alone_R = np.random.default_rng(0).standard_normal(1001)  # one training has the interval of its patients
    assert stats.over_seeds([alone_R]) == pytest.approx(alone_R)
    value_S = np.array([0.1, 0.5, 0.2, 0.9])
    scaled = (weights @ value_S - value_S.mean()) / (value_S.std(ddof=1) / 2)
    wanted = scipy.stats.t(3).ppf([0.025, 0.25, 0.75, 0.975])
    assert np.quantile(scaled, [0.025, 0.25, 0.75, 0.975]) == pytest.approx(wanted, abs=0.06)
