"""Intervals and the power calculator, held against scipy, simulation and the bootstrap of our own runs."""

import numpy as np
import pytest
import scipy.stats

from chexreason.config import RESULTS
from chexreason.labels import NIH_SHARED
from companion.evidence.audit import differences, power, validation
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims import open_runs
from companion.evidence.claims.calibration import calibrate


def simulated(
    f1: float, prevalence: float, n: int, times: int, rng: np.random.Generator, named: float = 1.0
) -> np.ndarray:  # fmt: skip
    """F1 over many samples of n studies, for a finding named `named` times for each time that it is recorded."""
    hit = prevalence * f1 * (1 + named) / 2
    miss, wrong = prevalence - hit, named * prevalence - hit
    hits, extra, missed, _ = rng.multinomial(n, [hit, wrong, miss, 1 - hit - miss - wrong], size=times).T
    whole = 2 * hits + extra + missed
    return np.divide(2 * hits, whole, out=np.zeros(times), where=whole > 0)


@pytest.mark.parametrize(("hits", "missed", "extra"), [(100, 51, 51), (1, 4, 4), (0, 4, 4), (20, 0, 0), (3, 8, 8)])
def test_the_interval_is_wilsons_carried_over_to_f1(hits, missed, extra):
    """With P = R the reconstruction knows TP + FP + FN, and scipy has the interval of TP among them."""
    f1, support = 2 * hits / (2 * hits + missed + extra), hits + missed
    assert sure.union(f1, support) == pytest.approx(hits + missed + extra)
    wanted = scipy.stats.binomtest(hits, hits + missed + extra).proportion_ci(0.95, method="wilson")
    found = sure.interval(f1, support)
    assert (found.low, found.high) == pytest.approx([2 * p / (1 + p) for p in wanted], abs=1e-9)
    cautious = sure.interval(f1, support, sure.CAUTIOUS)
    assert cautious.high - cautious.low >= found.high - found.low


@pytest.mark.parametrize(
    ("f1", "prevalence", "named"),
    [(0.15, 0.02, 1), (0.4, 0.05, 1), (0.66, 0.3, 1), (0.9, 0.5, 1), (0.4, 0.1, 0.5), (0.4, 0.1, 2.5)],
)
def test_intervals_cover_as_often_as_they_promise(f1, prevalence, named):
    rng = np.random.default_rng(1)
    values = simulated(f1, prevalence, 500, 1500, rng, named)
    support = prevalence * 500
    covered = [one.low <= f1 <= one.high for one in (sure.interval(min(v, 1.0), support, named) for v in values)]
    assert 0.9 < np.mean(covered) <= (1.0 if named == 1 else 0.98)
    spread = (power.variance({"a": f1}, {"a": prevalence}, named) / 500) ** 0.5
    assert values.std() == pytest.approx(spread, rel=0.25 if support < 20 else 0.08)


def test_a_macro_interval_is_what_sampling_gives():
    rng = np.random.default_rng(3)
    scores, prevalence = {"a": 0.3, "b": 0.6, "c": 0.1}, {"a": 0.1, "b": 0.3, "c": 0.06}
    sampled = np.mean([simulated(scores[k], prevalence[k], 500, 8000, rng) for k in scores], axis=0)
    found = sure.macro(scores, {k: 500 * p for k, p in prevalence.items()}, rng)
    assert found.estimate == pytest.approx(1 / 3)
    assert found.high - found.low == pytest.approx(np.subtract(*np.quantile(sampled, [0.975, 0.025])), rel=0.1)


def test_correlation_narrows_a_difference_as_algebra_says():
    args = {"a": 0.3, "b": 0.5}, {"a": 0.4, "b": 0.5}, {"a": 400, "b": 900}, np.random.default_rng(4)
    found = {r: sure.difference(*args, correlation=r) for r in (0.0, 0.5, 0.9)}
    assert [one.estimate for one in found.values()] == pytest.approx([0.05] * 3)
    widths = [one.high - one.low for one in found.values()]
    assert widths == pytest.approx([widths[0] * (1 - r) ** 0.5 for r in found], rel=0.06)


def test_power_is_how_often_a_simulated_study_finds_the_difference():
    """Two models on studies of their own (r = 0): a z test with the true spread, 4,000 times."""
    rng = np.random.default_rng(5)
    first, second = {"a": 0.40, "b": 0.60}, {"a": 0.52, "b": 0.66}
    prevalence, n = {"a": 0.2, "b": 0.3}, 400
    gap = np.mean(
        [simulated(second[k], prevalence[k], n, 4000, rng) - simulated(first[k], prevalence[k], n, 4000, rng)
         for k in first], axis=0,
    )  # fmt: skip
    question = power.Question(first, second, prevalence)
    bar = 1.96 * question.spread(0.0) / n**0.5
    assert np.mean(np.abs(gap) > bar) == pytest.approx(question.power(n, 0.0), abs=0.04)


def test_the_number_of_studies_gives_the_wanted_power():
    for one in power.questions():
        n = one.needed()
        assert one.power(n) == pytest.approx(power.POWER, abs=1e-3)
        assert one.needed(0.9) < one.needed(0.5) < one.needed(0.0)
        at = [one.at_prevalence(share) for share in (0.01, 0.1, 0.5)]
        assert at[0] / at[1] == pytest.approx(10, rel=0.05)  # needed studies fall as 1 / prevalence
        assert at[0] / at[2] == pytest.approx(50, rel=0.05)
        places = one.at_hospitals()
        assert ("NIH ChestX-ray14, test" in places) == (len(one.prevalence) == len(NIH_SHARED))
        assert one.place != "Table 5" or places["CheXpert, test"] == n
    # By hand: one finding, F 0.2 and 0.3, p 0.1, r 0: v = .2*.8*1.8/.2 + .3*.7*1.7/.2 = 1.44 + 1.785 = 3.225
    by_hand = (1.959964 + 0.841621) ** 2 * 3.225 / 0.1**2
    assert power.Question({"a": 0.2}, {"a": 0.3}, {"a": 0.1}).needed(0.0) == pytest.approx(by_hand, abs=1)


def test_reconstructed_intervals_are_about_as_wide_as_the_bootstrap_of_our_runs():
    """The assumptions (a label said as often as present, findings independent) on runs where the truth can be had."""
    found = calibrate(open_runs(str(RESULTS / "demo")))
    assert len(found.widths) >= 6
    assert 0.7 < np.mean(found.widths) < 1.6
    assert len(found.correlations) == 2, "of one pair on two test sets"


def test_differences_are_shown_at_each_correlation():
    found = differences.differences()
    for one in found:
        widths = [interval.high - interval.low for interval in one.at.values()]
        assert tuple(one.at) == sure.CORRELATIONS == (0.0, 0.5, 0.9)
        assert widths == sorted(widths, reverse=True)
    sft = next(one for one in found if one.lean.name == "MedGemma (SFT) to GRPO on validation")
    assert [interval.estimate for interval in sft.at.values()] == pytest.approx([0.005] * 3)
    assert sft.told_apart == ()


def test_micro_f1_of_validation_is_wilsons_over_all_labels():
    """0.415 of 500 studies: TP + FP + FN from the pooled positives, P and R, and scipy's interval of TP among them."""
    found = validation.intervals(np.random.default_rng(0))
    assert len(found) == 9 + 4 + 4 + 4
    one = found[2, "free_reasoning"]["micro"]
    named = 0.365 / 0.480  # R / P as Table 2 prints them
    trials = sum(sure.supports_of(1).values()) * (1 + named) * (2 - 0.415) / 2
    hits = round(trials * 0.415 / (2 - 0.415))
    wanted = scipy.stats.binomtest(hits, round(trials)).proportion_ci(0.95, method="wilson")
    assert (one.low, one.high) == pytest.approx([2 * p / (1 + p) for p in wanted], abs=1e-3)
    for averages in found.values():
        for interval in averages.values():
            assert interval.low < interval.estimate < interval.high
