"""Smoothing against its recurrence, intervals against loops and scipy."""

import time

import numpy as np
import pytest
import scipy.stats
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import f1_score

from companion.evidence import stats


def study(seed=0, n=120, findings=14, patients=None):
    """Labels, a poor and a better reader, and a patient for each study."""
    rng = np.random.default_rng(seed)
    true = rng.random((n, findings)) < 0.3
    poor, better = (true ^ (rng.random(true.shape) < error) for error in (0.3, 0.15))
    names = np.array([f"p{i}" for i in rng.integers(patients or n, size=n)])
    return true, poor, better, names


# --- Moving average ---


def test_ema_is_the_recurrence_divided_by_its_weight():
    values = np.random.default_rng(0).normal(size=300)
    level, weight, expected = 0.0, 0.0, []
    for value in values:
        level = 0.95 * level + 0.05 * value
        weight = 0.95 * weight + 0.05
        expected.append(level / weight)
    assert stats.ema(values) == pytest.approx(expected, abs=1e-12)


def test_ema_keeps_what_does_not_change_and_starts_at_the_first_value():
    assert stats.ema([2.5] * 50) == pytest.approx([2.5] * 50)
    assert stats.ema([7.0, -3.0])[0] == 7.0
    assert stats.ema([1.0, 5.0, 2.0], smoothing=0.0).tolist() == [1.0, 5.0, 2.0]
    assert stats.ema([]).shape == (0,)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 95])
def test_ema_refuses_a_smoothing_that_is_none(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        stats.ema([1.0], smoothing)


# --- Bootstrap ---


def difference(true, first, second, patients, rng, *, average="macro", mask=None, resamples=10_000):
    """F1 of the second less that of the first, with its interval."""
    found = stats.resampled_f1(true, [first, second], patients, rng, mask=mask, resamples=resamples)[average]
    return stats.percentiles(found[:, 1] - found[:, 0])


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_estimate_is_that_of_scikit_learn(average):
    true, poor, better, patients = study(patients=40)
    rng = np.random.default_rng(1)
    found = difference(true, poor, better, patients, rng, average=average, resamples=50)
    scores = [f1_score(true, pred, average=average, zero_division=0) for pred in (poor, better)]
    assert found.estimate == pytest.approx(scores[1] - scores[0], abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_draws_are_those_of_an_explicit_loop_over_patients(average):
    true, poor, better, patients = study(n=60, patients=25)
    found = difference(true, poor, better, patients, np.random.default_rng(2), average=average, resamples=80)
    names = list(dict.fromkeys(patients))
    drawn = np.random.default_rng(2).integers(len(names), size=(80, len(names)), dtype=np.int32)
    differences = []
    for draw in drawn:
        rows = np.concatenate([np.flatnonzero(patients == names[index]) for index in draw])
        one, two = (f1_score(true[rows], pred[rows], average=average, zero_division=0) for pred in (poor, better))
        differences.append(two - one)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])), abs=1e-12)


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


def test_a_patient_with_very_many_studies_is_counted_exactly():
    true, poor, _, _ = study(n=6, findings=2)
    times = [9_000_001, 1, 3, 1, 5, 1]  # 32-bit floats hold whole numbers up to 2^24 = 16,777,216
    repeated = [np.repeat(array, times, axis=0) for array in (true, poor)]
    patients = np.repeat(np.arange(6).astype(str), times)
    found = stats.resampled_f1(repeated[0], repeated[1:], patients, np.random.default_rng(0), resamples=20)
    drawn = np.random.default_rng(0).integers(6, size=(20, 6), dtype=np.int32)
    for number, draw in enumerate(drawn, start=1):
        hits, wrong = (sum(times[i] * int(cell[i].sum()) for i in draw) for cell in (true & poor, true ^ poor))
        assert found["micro"][number, 0] == 2 * hits / (2 * hits + wrong)


def test_the_interval_is_about_that_of_scipy():
    true, poor, better, patients = study(n=150)
    patients = np.arange(150).astype(str)  # a patient a study, which is what scipy can draw

    def macro_f1(truth, pred):
        hits, wrong = (truth & pred).sum(axis=0), (truth ^ pred).sum(axis=0)
        return (2 * hits / (2 * hits + wrong)).mean()

    def statistic(index):
        rows = index.astype(int)
        return macro_f1(true[rows], better[rows]) - macro_f1(true[rows], poor[rows])

    theirs = scipy_bootstrap(
        (np.arange(150),),
        statistic,
        n_resamples=2000,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(3),
    ).confidence_interval
    ours = difference(true, poor, better, patients, np.random.default_rng(4), resamples=4000)
    width = ours.high - ours.low
    assert abs(ours.low - theirs.low) < 0.15 * width
    assert abs(ours.high - theirs.high) < 0.15 * width
    assert ours.excludes_zero


def test_studies_of_one_patient_widen_the_interval():
    true, poor, better, _ = study(n=200)
    clustered = np.repeat(np.arange(20), 10).astype(str)
    repeated = [np.repeat(array[:20], 10, axis=0) for array in (true, poor, better)]
    rng = np.random.default_rng(5)
    by_patient = difference(*repeated, clustered, rng)
    by_study = difference(*repeated, np.arange(200).astype(str), rng)
    assert by_patient.high - by_patient.low > 2 * (by_study.high - by_study.low)


def test_the_same_answers_differ_by_nothing():
    true, poor, _, patients = study()
    found = difference(true, poor, poor, patients, np.random.default_rng(6))
    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.excludes_zero


def test_ignored_cells_make_no_difference():
    true, poor, better, patients = study()
    mask = np.random.default_rng(7).random(true.shape) < 0.7
    one = difference(true, poor, better, patients, np.random.default_rng(8), mask=mask)
    flipped = [array ^ ~mask for array in (true, poor, better)]
    assert difference(*flipped, patients, np.random.default_rng(8), mask=mask) == one


def test_chunks_do_not_change_the_result(monkeypatch):
    true, poor, better, patients = study()
    whole = difference(true, poor, better, patients, np.random.default_rng(9), resamples=101)
    monkeypatch.setattr(stats, "_CHUNK", 1000)
    assert difference(true, poor, better, patients, np.random.default_rng(9), resamples=101) == whole


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(10)
    hits = 0
    for _ in range(150):
        true = rng.random((150, 2)) < 0.4
        one, two = (true ^ (rng.random(true.shape) < 0.2) for _ in range(2))  # equally good readers
        found = difference(true, one, two, np.arange(150).astype(str), rng, resamples=300)
        hits += found.low <= 0 <= found.high
    assert 0.88 < hits / 150 <= 1.0


def test_a_large_test_set_is_quick():
    true, poor, better, patients = study(n=25_000, findings=9, patients=2_800)
    start = time.process_time()
    difference(true, poor, better, patients, np.random.default_rng(11), resamples=1000)
    assert time.process_time() - start < 10


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


def test_what_never_varies_has_no_width() -> None:
    values = np.concatenate([np.zeros((50, 1)), np.random.default_rng(1).standard_normal((50, 1))], axis=1)
    found = stats.differences(values)
    assert (found.low_all[0], found.high_all[0]) == (0, 0)
    assert np.isfinite(found.high_all).all()


# Trainings.


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


def test_resampling_few_trainings_would_cover_too_little() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        value_S = rng.standard_normal(3)
        low, high = np.quantile(value_S[rng.integers(0, 3, (400, 3))].mean(axis=1), [0.025, 0.975])
        hits += low <= 0 <= high
    assert hits / 400 < 0.85


def test_weights_of_trainings_add_up_and_spread_like_t() -> None:
    weights = stats.training_weights(4, 200_000, np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(1)
    value_S = np.array([0.1, 0.5, 0.2, 0.9])
    scaled = (weights @ value_S - value_S.mean()) / (value_S.std(ddof=1) / 2)
    wanted = scipy.stats.t(3).ppf([0.025, 0.25, 0.75, 0.975])
    assert np.quantile(scaled, [0.025, 0.25, 0.75, 0.975]) == pytest.approx(wanted, abs=0.06)


def test_one_training_has_the_interval_of_its_patients() -> None:
    value_R = np.random.default_rng(0).standard_normal(1001)
    assert stats.over_seeds([value_R]) == pytest.approx(value_R)
