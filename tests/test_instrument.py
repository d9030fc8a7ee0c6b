"""The instrument against scikit-learn, enumeration and policies of which is known what they differ in."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, f1_score, jaccard_score, roc_auc_score

from chexreason.labels import FINDINGS, NO_FINDING
from companion.evidence import instrument, stats

NINE = FINDINGS[2:11]
COLUMNS = [FINDINGS.index(name) for name in NINE]


def some(seed=0, n=80, k=5, failing=0.2):
    """Answers without rhyme or reason, weights, and resamples of them."""
    rng = np.random.default_rng(seed)
    failed, true = rng.random((n, k)) < failing, rng.random((n, 14)) < 0.3
    said = ((rng.random((n, k, 14)) < 0.3) ^ (true[:, None] & (rng.random((n, k, 14)) < 0.3))) & ~failed[:, :, None]
    stratum = np.arange(n) % 3
    weights = instrument.draws(stratum, np.array([1.0, 2.5, 7.0])[stratum], 6, rng)
    return instrument.Sampled(said, failed, true, NINE), weights


def flat(one, weight_N):
    """Reference, answers and weights of all answers, one below the other."""
    true = np.repeat(one.true_NF[:, COLUMNS], one.answers, axis=0)
    return true, one.said_NKF[:, :, COLUMNS].reshape(true.shape), np.repeat(weight_N, one.answers)


def test_auroc_is_scikit_learns_in_every_draw_and_passes_over_findings_that_have_none():
    one, weights = some()
    one.recorded_NF[:, 4] = False
    one.recorded_NF[:, 5] = np.arange(80) == 0
    weights[3, 0] = 0  # this draw has nobody with the sixth finding
    each, mean = instrument.auroc_by_finding(one, weights), instrument.auroc(one, weights)
    assert np.isnan(each).sum(axis=0).tolist() == [0, 0, 0, 0, 7, (weights[:, 0] == 0).sum(), 0, 0, 0]
    for draw, weight in enumerate(weights):
        kept = np.flatnonzero(~np.isnan(each[draw]))
        share = one.said_NKF[:, :, COLUMNS].mean(axis=1)
        wanted = [roc_auc_score(one.recorded_NF[:, f], share[:, f], sample_weight=weight) for f in kept]
        assert (*each[draw, kept], mean[draw]) == pytest.approx((*wanted, np.mean(wanted)))


def test_auroc_of_fewer_votes_is_the_mean_over_all_choices_of_answers_for_both_patients():
    one, weights = some(n=6, failing=0.0)
    one.recorded_NF[:] = np.arange(6)[:, None] % 2
    choices = [list(choice) for choice in itertools.combinations(range(5), 2)]
    share = np.stack([one.named_NKF[:, choice].sum(axis=1) for choice in choices], axis=1)  # (N, choices, F)
    won = []
    for i, j in itertools.product((1, 3, 5), (0, 2, 4)):
        better = (share[i, :, None] > share[j]) + (share[i, :, None] == share[j]) / 2  # (choices, choices, F)
        won.append((weights[0, i] * weights[0, j], better.mean(axis=(0, 1))))
    wanted = sum(weight * each for weight, each in won) / sum(weight for weight, _ in won)
    assert instrument.auroc_by_finding(one, weights, votes=2)[0] == pytest.approx(wanted)


def test_f1_and_jaccard_are_scikit_learns_on_all_answers():
    one, weights = some()
    micro, macro = instrument.micro_f1(one, weights), instrument.macro_f1(one, weights)
    for draw, weight in enumerate(weights):
        true, said, often = flat(one, weight)
        assert micro[draw] == pytest.approx(f1_score(true, said, average="micro", sample_weight=often))
        assert macro[draw] == pytest.approx(f1_score(true, said, average="macro", sample_weight=often))
    each = [len(t & s) / len(t | s) if t | s else 1.0 for t, s in (
        (set(np.flatnonzero(t)), set(np.flatnonzero(s))) for t, s in zip(true, said, strict=True))]  # fmt: skip
    each = np.where(one.failed_NK.ravel(), 0, each)
    assert instrument.jaccard(one, weights)[-1] == pytest.approx(np.average(each, weights=often))
    assert (each == 1).any()


def test_the_vote_names_as_many_as_asked_and_is_the_mean_over_ways_to_break_ties():
    one, weights = some(n=40)
    true, share, weight = one.recorded_NF.ravel(), one.share_NF.ravel(), np.ones((1, 40))
    rng = np.random.default_rng(0)
    orders = [np.lexsort((rng.random(true.size), -share)) for _ in range(4000)]
    for ratio in (0.5, 1.0, None):
        wanted = instrument.named_per_recorded(one, weight)[0] if ratio is None else ratio
        named = wanted * true.sum()
        part = np.clip(named - np.arange(true.size), 0, 1)  # the last label counts by the part that is needed
        hits = np.mean([(true[order] * part).sum() for order in orders])
        assert instrument.vote_f1(one, weight, ratio)[0] == pytest.approx(2 * hits / (named + true.sum()), abs=1e-3)
    everything = 2 * (weights @ one.recorded_NF.sum(axis=1)) / (weights @ (one.recorded_NF.sum(axis=1) + len(NINE)))
    assert instrument.vote_f1(one, weights, 1e6) == pytest.approx(everything)


def test_shares_of_answers():
    one, weights = some()
    true, said, often = flat(one, weights[2])
    assert instrument.named_per_recorded(one, weights)[2] == pytest.approx(
        (said.T @ often).sum() / (true.T @ often).sum()
    )
    assert instrument.failed(one, weights)[2] == pytest.approx(np.average(one.failed_NK.ravel(), weights=often))
    called, below = 0.0, 0.0
    for patient, weight in enumerate(weights[2]):
        if {*np.array(FINDINGS)[one.true_NF[patient]]} - {NO_FINDING, "Support Devices"}:
            names = [{*np.array(FINDINGS)[answer]} - {"Support Devices"} for answer in one.said_NKF[patient]]
            called, below = called + weight * names.count({NO_FINDING}), below + weight * one.answers
    assert instrument.false_normal(one, weights)[2] == pytest.approx(called / below)
    assert called > 0


def test_the_best_of_some_answers_is_the_mean_over_all_choices():
    one, weights = some(n=30)
    one.true_NF[:10] = one.said_NKF[:10, 0]
    one = instrument.Sampled(one.said_NKF, one.failed_NK, one.true_NF, NINE)
    each = instrument.jaccards(one)
    for k in range(1, 6):
        choices = [list(choice) for choice in itertools.combinations(range(5), k)]
        best = np.mean([each[:, choice].max(axis=1) for choice in choices], axis=0)
        exact = np.mean([(each[:, choice] == 1).any(axis=1) for choice in choices], axis=0)
        for found, wanted in zip(instrument.pass_at(one, weights, k), (best, exact), strict=True):
            assert found == pytest.approx(weights @ wanted / weights.sum(axis=1))
    with pytest.raises(ValueError, match="1 to 5 answers"):
        instrument.pass_at(one, weights, 6)


def test_brier_is_scikit_learns_and_the_bins_add_up():
    one, weights = some()
    wanted = [brier_score_loss(one.recorded_NF[:, f], one.share_NF[:, f], sample_weight=weights[1]) for f in range(9)]
    assert instrument.brier(one, weights)[1] == pytest.approx(np.mean(wanted))
    share, often, weight = np.moveaxis(instrument.calibration(one, weights, bins=4), 2, 0)
    assert share[0] == pytest.approx([0.1, 0.4, 0.6, 0.9], abs=0.1)  # of 0 or 1, 2, 3, 4 or 5 answers in five
    assert weight.sum(axis=1) == pytest.approx(9 * weights.sum(axis=1))
    assert (often * weight).sum(axis=1) == pytest.approx(weights @ one.recorded_NF.sum(axis=1))


def test_draws_keep_the_strata_and_vary_as_much_as_samples_do():
    """Few patients in each stratum: n draws of n would cover less."""
    rng, sizes, weight = np.random.default_rng(1), np.array([4, 8, 1]), np.array([10.0, 2.0, 5.0])
    stratum = np.repeat([0, 1, 2], sizes)
    drawn = instrument.draws(stratum, weight[stratum], 4000, rng)
    totals = drawn @ np.eye(3)[stratum]
    assert totals == pytest.approx(np.tile(sizes * weight, (4001, 1)))
    value = rng.standard_normal(13)
    wanted = sum((w * n) ** 2 * value[stratum == s].var(ddof=1) / n for s, (n, w) in enumerate([(4, 10), (8, 2)]))
    assert (drawn[1:] @ value).mean() == pytest.approx(drawn[0] @ value, abs=4 * np.sqrt(wanted / 4000))
    assert (drawn[1:] @ value).var() == pytest.approx(wanted, rel=0.1)


def test_an_interval_of_a_weighted_mean_covers_what_it_says():
    """The mean of the population is 0; its strata are far apart."""
    rng, stratum, weight, hits, tries = np.random.default_rng(2), np.arange(90) % 3, np.array([1.0, 3.0, 9.0]), 0, 400
    offset = np.arange(3) - np.average(np.arange(3), weights=weight)
    drawn = instrument.draws(stratum, weight[stratum], 500, rng)
    for _ in range(tries):
        value = rng.standard_normal(90) + 3 * offset[stratum]
        found = stats.percentiles(drawn @ value / drawn.sum(axis=1))
        hits += found.low <= 0 <= found.high
    assert hits / tries == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / tries))


def policy(n=2000, k=16, sees=1.0, names=1.0, chance=0.7, seed=5):
    """Answers that name a finding where its signs, seen anew each time, pass a cut; it sets how many are named."""
    rng = np.random.default_rng(3)
    often = np.linspace(0.1, 0.4, 14)
    true = rng.random((n, 14)) < often
    signs = sees * true + rng.standard_normal((n, 14))
    seen = signs[:, None] + chance * np.random.default_rng(seed).standard_normal((n, k, 14))
    cut = [np.quantile(seen[:, :, f], 1 - names * often[f]) for f in range(14)]
    return instrument.Sampled(seen > cut, np.zeros((n, k), bool), true, NINE)


def unreadable(one, share):
    failed = np.random.default_rng(4).random(one.failed_NK.shape) < share
    return instrument.Sampled(one.said_NKF & ~failed[:, :, None], failed, one.true_NF, NINE)


CHANGES = {
    "seeing": (policy(), policy(sees=1.6, chance=0.8)),
    "naming": (policy(names=0.7), policy(names=1.4)),
    "form": (policy(), unreadable(policy(), 0.35)),
    "sharpness": (policy(chance=1.2), policy(chance=0.4)),
}


@pytest.mark.parametrize("part", instrument.PARTS)
def test_a_change_of_one_kind_is_found_in_its_part_and_the_parts_add_up(part):
    a, b = CHANGES[part]
    drawn = instrument.draws(np.zeros(2000, int), np.ones(2000), 4, np.random.default_rng(0))
    found = instrument.split(a, b, drawn)
    assert sum(found[name] for name in instrument.PARTS) == pytest.approx(found["all"])
    for name in instrument.PARTS:
        assert found[name][0] == pytest.approx(found["all"][0] * (name == part), abs=0.12 * abs(found["all"][0])), name
    back = instrument.split(b, a, drawn)
    assert all(back[name] == pytest.approx(-found[name]) for name in (*instrument.PARTS, "all"))


def test_a_policy_that_names_nothing_has_parts_and_misuse_is_refused():
    one = policy(n=300)
    silent = instrument.Sampled(one.said_NKF & False, one.failed_NK, one.true_NF, NINE)
    found = instrument.split(one, silent, np.ones((1, 300)))
    assert sum(found[name] for name in instrument.PARTS) == pytest.approx(-instrument.micro_f1(one, np.ones((1, 300))))
    with pytest.raises(ValueError, match="other than No Finding"):
        instrument.Sampled(one.said_NKF, one.failed_NK, one.true_NF, FINDINGS)
    with pytest.raises(ValueError, match="name nothing"):
        instrument.Sampled(one.said_NKF, ~one.failed_NK, one.true_NF, NINE)
    with pytest.raises(ValueError, match="shapes"):
        instrument.Sampled(one.said_NKF[:, :, :9], one.failed_NK, one.true_NF, NINE)


def test_nearness_is_scikit_learns_jaccard_over_all_pairs_whatever_their_number():
    one, weights = some(0, n=20, k=3)
    other, _ = some(1, n=20, k=4)

    def near(n, k, j):
        read = not (one.failed_NK[n, k] or other.failed_NK[n, j])
        return jaccard_score(one.said_NKF[n, k], other.said_NKF[n, j]) if read else 0.0

    each = [np.mean([near(n, k, j) for k in range(3) for j in range(4)]) for n in range(20)]
    assert instrument.nearness(one, other, weights) == pytest.approx(weights @ each / weights.sum(axis=1))
    assert instrument.nearness(one, other, weights) == pytest.approx(instrument.nearness(other, one, weights))
