"""What is left of a verdict: under another choice, with all tests together, and at another correlation."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from synthetic_claims import made_up, quantity

from companion.evidence import claims
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims import CHANCE, CLAIMS, HOLDS, NOT_RUN, OTHERWISE, REFUSED, RESTS
from companion.evidence.claims.published import Published
from companion.evidence.claims.quantity import DRAWS, NotRun
from companion.evidence.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, _published


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("narrative-moderate", {"averaging"}),
        ("pronounced-three", {"baseline"}),
        ("sft-weakest-chexpert", {"label set", "baseline"}),  # of all five models it is not
        ("feasible", set()),  # refused: our readings of it turn nothing
        ("direct-best-medgemma", {"averaging"}),
        ("grpo-improves-validation", {"averaging", "checkpoint"}),
        ("grpo-improves-chexpert", {"label set", "largest finding"}),
        ("grpo-loses-nih", {"largest finding"}),
        ("sft-over-grpo", {"label set"}),
        ("free-prompts-reliable", {"checkpoint", "baseline"}),
        ("nv_reason-drops", {"label set"}),  # refused as stated, and judged on the nine
        ("chexreason-drops", set()),  # refused as stated, and within chance on the nine
        ("structured-best-qwen-macro", set()),
        ("reversal-macro", set()),  # incomplete by both averages
    ],
)
def test_what_a_claim_rests_on(paper, name, kinds):
    assert {kind for kind, _ in paper[name].turned_by} == kinds
    assert (paper[name].standing == RESTS) == bool(kinds)


@pytest.mark.parametrize(
    ("value", "twin", "trainings", "turned"),
    [
        (0.3, 0.4, None, False), (0.3, 0.02, None, True), (0.02, 0.03, None, False), (0.02, -0.02, None, True),
        (0.3, -0.3, None, True),
        (0.3, -0.3, 1, False),  # a twin from one training has an effect and an interval, and still is no verdict
    ],
)  # fmt: skip
def test_a_twin_turns_a_claim_by_its_verdict_or_its_sign(value, twin, trainings, turned):
    both = {"x": made_up(value, choice=(("averaging", "y"),)), "y": made_up(twin, trainings=trainings)}
    found = claims.outcomes(both, Published(500))["x"]
    assert found.turned_by == ((("averaging", "y"),) if turned else ())
    assert (found.standing == RESTS) == turned


def test_all_tests_together_are_stricter_and_follow_the_max_t_of_stats(paper):
    alone = {name: one for name, one in paper.items() if one.together is not None}
    assert {one.verdict for one in alone.values()} == {HOLDS, OTHERWISE}
    assert {one.tests for one in alone.values()} == {
        sum(one.effect is not None and CLAIMS[name].kind == BEYOND_CHANCE for name, one in paper.items())
    }
    assert any(one.together for one in alone.values())
    assert not all(one.together for one in alone.values())
    # A hundred independent tests: 1.96 standard errors become about 3.48 (the quantile .95^(1/100), two-sided).
    rng, bound = np.random.default_rng(0), scipy.stats.norm.ppf(1 - (1 - 0.95 ** (1 / 100)) / 2)
    values = np.where(np.arange(100) % 2, bound + 0.4, bound - 0.4)

    def check(value):
        found = dataclasses.replace(quantity(value), draws=value + rng.standard_normal(DRAWS))
        return lambda side: found

    many = {f"c{i}": dataclasses.replace(made_up(v), check=check(v)) for i, v in enumerate(values)}
    found = claims.outcomes(many, Published(500))
    assert {one.verdict for one in found.values()} == {HOLDS}
    assert [one.together for one in found.values()] == [v > bound for v in values]


def test_verdicts_at_other_correlations_are_told(paper):
    at = _published(CLAIMS, 0.0)
    for name, one in paper.items():
        if one.by_correlation:
            assert one.by_correlation[0.0] == at[name][0].verdict
            assert one.by_correlation[sure.PAIRED] == one.verdict
            assert ("at every r tried" in one.reason) == one.survives
    for name in ("grpo-loses-nih", "sft-beats-base-nih", "sft-weakest-chexpert"):
        assert not paper[name].survives
        assert "within chance if r = 0" in paper[name].reason
        assert paper[name].by_correlation[0.0] == CHANCE
    # The row names half as many labels as are recorded, so its interval is wider than with as many.
    assert "holds if r = 0.9" in paper["structured-worst-medgemma"].reason
    assert paper["grpo-improves-chexpert"].survives


def test_only_what_is_tested_counts_among_the_tests_of_a_side():
    """Refused quantities make no interval wider; a reading of ours that goes beyond chance is told, too."""

    def missing(side):
        raise NotRun("x")

    many = {
        "holds": made_up(0.3), "ours": made_up(-0.3, stated=False), "chance": made_up(0.001),
        "counted": made_up(0.3, kind=AS_COUNTED), "order of trained": made_up(0.3, trainings=3, kind=AS_COUNTED),
        "one training": made_up(0.3, trainings=1), "gone": dataclasses.replace(made_up(0.0), check=missing),
    }  # fmt: skip
    found = claims.outcomes(many, Published(500))
    assert {name: one.verdict for name, one in found.items()} == {
        "holds": HOLDS, "ours": OTHERWISE, "chance": CHANCE, "counted": HOLDS, "order of trained": HOLDS,
        "one training": REFUSED, "gone": NOT_RUN,
    }  # fmt: skip
    assert {name for name, one in found.items() if one.together is not None} == {"holds", "ours", "order of trained"}
    assert {name for name, one in found.items() if one.tests} == {"holds", "ours", "chance", "order of trained"}
    assert {one.tests for one in found.values()} == {0, 4}
