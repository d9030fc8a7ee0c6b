"""Labels named per label recorded, by hand, and whose profile ChexReason has."""

import numpy as np
import pytest

from companion.evidence.audit import differences, facts, matched, operating, power, validation
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims.published import Published


@pytest.mark.parametrize(
    ("table", "row", "by_hand"),
    [
        (2, "free_reasoning", 0.365 / 0.480),
        (3, "reasoning_a", 0.436 / 0.322),
        (4, "hard_best", 0.455 / 0.343),
        # P = F R / (2 R - F) from the recall in section 4.1: 0.524 x 0.599 / 0.674 = 0.4657; 0.599 / 0.4657 = 1.286.
        (1, "reasoning_narrative", 1.2863),
        (1, "reasoning_self_check", 1.1712),
        (1, "reasoning_a", 1.0241),
    ],
)
def test_ratios_are_recall_over_precision(table, row, by_hand):
    assert operating.named(table, row).ratio == pytest.approx(by_hand, abs=1e-4)
    assert operating.for_intervals(table, row) == operating.named(table, row).ratio


def test_what_is_known_of_the_other_rows():
    assert operating.named(1, "reasoning_b") is None
    assert operating.for_intervals(1, "reasoning_b") == operating.for_intervals(5, "medgemma_sft") == sure.BALANCED
    assert operating.unknown_rows() == 9 - 3
    assert [one.table for one in operating.all_named()] == [1] * 3 + [2] * 4 + [3] * 4 + [4] * 4
    seen = operating.on_validation()
    assert (seen["medgemma"].low, seen["medgemma"].high) == pytest.approx((1.02, 1.29), abs=0.005)
    assert (seen["chexreason"].low, seen["chexreason"].high) == pytest.approx((1.23, 1.33), abs=0.005)
    # F1 = 0.8 with support 10: at least 10 x 0.8 / 1.2 named, at most 15.
    assert (sure.possible(0.8, 0.1) * 10, sure.possible(0.8, 5.0) * 10) == pytest.approx((20 / 3, 15))
    assert sure.possible(0.0, 5.0) == 5.0


def test_labels_recorded_a_study():
    """MIMIC by hand from label_counts.csv; CheXpert's test set and NIH's list as a division of their sums."""
    found = operating.densities()
    mimic = sum(one.positives for one in facts.counts("mimic", "train").values()) / 222_750
    assert found["mimic"].all_labels == pytest.approx(mimic) == pytest.approx(1.79, abs=0.005)
    assert found["chexpert"].all_labels == pytest.approx(2.78, abs=0.005)
    assert (found["nih"].shared, found["chexpert"].shared) == pytest.approx((0.95, 1.01), abs=0.005)


def test_the_intervals_of_validation_and_of_the_ledger_follow_the_ratio():
    """The row that names more has the narrower interval; with P = R nothing changes. Precision is a share of the labels
    named: 0.76 times as many as recorded, so a wider spread than with 1."""
    found = validation.intervals(np.random.default_rng(0))
    wide, narrow = found[2, "free_reasoning"]["micro"], validation.micro(0.415)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert found[3, "free_reasoning"]["micro"] == validation.micro(0.200)
    question = power.questions()[0]
    assert question.named == (operating.for_intervals(2, "free_reasoning"), operating.for_intervals(4, "hard_best"))
    assert {one.named for one in differences.leans() if one.table >= 5} == {(sure.BALANCED, sure.BALANCED)}
    side, positives = Published(500), sum(sure.supports_of(1).values())
    drawn = side.score(2, "free_reasoning", "micro", "precision").draws
    assert drawn.std() == pytest.approx((0.480 * 0.520 / (positives * 0.365 / 0.480)) ** 0.5, rel=0.03)
    drawn = side.score(2, "free_reasoning", "micro", "recall").draws
    assert drawn.std() == pytest.approx((0.365 * 0.635 / positives) ** 0.5, rel=0.03)
    low, high = np.quantile(side.score(4, "hard_best", "micro").draws, [0.025, 0.975])
    expected = found[4, "hard_best"]["micro"]
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.002)


def test_what_hangs_on_the_ratios_of_tables_5_and_6():
    """A model that names as little as its score allows leaves the widest interval."""
    usual = {(one.lean.name, one.n): one for one in differences.differences()}
    far = {name for (name, _), one in usual.items() if one.lean.table >= 5}
    assert {name.partition(", n =")[0] for some in differences.turned().values() for name in some} <= far
    for one in differences.differences(named=dict.fromkeys(sure.MODELS, sure.CAUTIOUS)):
        if one.lean.table >= 5:
            before = usual[one.lean.name, one.n].at[0.0]
            assert one.at[0.0].high - one.at[0.0].low > before.high - before.low


def test_whose_profile_chexreason_has():
    """Table 5: nearer to the untouched MedGemma than to SFT; Table 6: the other way round."""
    found = {(t, other): matched.likeness(t, other) for t in (5, 6) for other in ("medgemma", "medgemma_sft")}
    assert [(round(one.apart, 3), round(one.r, 2)) for one in found.values()] == [
        (0.031, 0.98), (0.151, 0.70), (0.103, 0.56), (0.080, 0.84),
    ]  # fmt: skip
    near = found[5, "medgemma"]
    assert len(near.points) == 14
    reach = 1.959964 * np.array([-1, 1]) / np.sqrt(14 - 3)  # Fisher's interval
    assert (near.low, near.high) == pytest.approx(tuple(np.tanh(np.arctanh(near.r) + reach)), abs=1e-6)
