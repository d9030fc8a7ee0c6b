"""The audit's arithmetic: ranges, recomputed numbers, the text's numbers, contradictions; the tables' digests."""

import itertools
import json

import numpy as np
import pytest

from chexreason.audit import arithmetic, contradictions, facts, printed, statements, summary
from chexreason.audit.printed import AGREES, ERROR, ROUNDING, Range, exactly, harmonic, mean, verdict
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED

#: SHA-256 of the six tables as they were held, twice and in two ways, against the paper's text.
DIGESTS = {
    1: "118e6f2de49e74f2afa9d89b152f09948f8140d0820e8c7159df413291a2f3e8",
    2: "d8a75f8977b2e9928d7bc4d89b27e9443408622f733957ddf15f3285eb079a0f",
    3: "9608cd40deae75f3bfeac8ec2096719d85017f4246754ca4058c731192fc54ea",
    4: "bcae9806972708b93ed4e22f67f3ce82482de7fe154d1c24155e83bbbf5ac932",
    5: "d0dd7ed3118bb73e8261af5f9c3a2d322589540eacf508cf22f32545ef51def8",
    6: "dfe408febad22ec18bbc3e2e1e66b13cf031d398cf2d7abf209c7a268a12e13f",
}


def test_the_transcription_is_the_one_that_was_checked():
    assert facts.digests() == DIGESTS


def test_a_printed_number_stands_for_half_a_unit_to_either_side():
    assert printed.printed("0.346") == Range(0.3455, 0.3465)
    assert printed.printed("61%") == Range(0.605, 0.615)
    assert printed.printed("2,000") == Range(1999.5, 2000.5)
    assert printed.printed("−0.05") == Range(-0.055, -0.045)
    with pytest.raises(ValueError, match="expected a number"):
        printed.printed("about 3")


@pytest.mark.parametrize("act", ["__add__", "__sub__", "__mul__", "__truediv__"])
def test_ranges_hold_what_their_values_give(act):
    rng = np.random.default_rng(0)
    first, second = Range(-0.3, 0.4), Range(0.2, 0.9)
    whole = getattr(first, act)(second)
    values = [
        getattr(float(a), act)(float(b))
        for a, b in zip(rng.uniform(-0.3, 0.4, 2000), rng.uniform(0.2, 0.9, 2000), strict=True)
    ]
    assert whole.low <= min(values)
    assert max(values) <= whole.high
    # and no more than that
    ends = [getattr(a, act)(b) for a, b in itertools.product((-0.3, 0.4), (0.2, 0.9))]
    assert (whole.low, whole.high) == pytest.approx((min(ends), max(ends)))


def test_means_and_harmonic_means_of_ranges():
    assert mean([Range(0, 0.2), Range(0.4, 0.6)]) == Range(0.2, 0.4)
    assert harmonic(exactly(0.5), exactly(0.5)) == Range(0.5, 0.5)
    assert harmonic(exactly(0.0), exactly(0.0)) == Range(0, 0)
    with pytest.raises(ZeroDivisionError):
        exactly(1) / Range(-1, 1)
    with pytest.raises(ValueError, match="low <= high"):
        Range(1, 0)


def test_rounding_is_told_from_error():
    assert verdict("0.300", 0.3001, Range(0.29, 0.31)) == AGREES
    assert verdict("0.300", 0.3008, Range(0.3, 0.3016)) == ROUNDING
    assert verdict("0.300", 0.32, Range(0.31, 0.33)) == ERROR


def test_a_misprint_in_a_table_would_be_found(monkeypatch):
    """Each number of Tables 5 and 6 may change by 0.02 without its macro row following: then it is an error."""
    real = facts.cells
    wrong = {**real(5), ("Edema", "qwen", "f1"): "0.158"}
    monkeypatch.setattr(facts, "cells", lambda number: wrong if number == 5 else real(number))
    assert [one.what for one in arithmetic.macro_averages() if one.verdict == ERROR] == [
        "macro-F1 of Qwen2.5-VL from its 14 findings"
    ]


def test_the_tables_hold_up_to_rounding():
    checks = arithmetic.tables()
    assert arithmetic.tally(checks) == {AGREES: 30, ROUNDING: 4, ERROR: 0}
    assert {one.kind for one in checks} == {"macro average", "F1 from P and R", "bound from P and R"}
    rounded = {one.what for one in checks if one.verdict == ROUNDING}
    assert "macro-F1 of NV-Reason from its 9 findings" in rounded  # by hand: 2.678 / 9 = 0.29756, printed 0.297


def test_the_bound_of_macro_f1_can_fail(monkeypatch):
    real = facts.cells
    wrong = {**real(3), ("reasoning_a", "macro", "f1"): "0.300"}  # P 0.194 and R 0.265 allow at most 0.225
    monkeypatch.setattr(facts, "cells", lambda number: wrong if number == 3 else real(number))
    assert [one.place for one in arithmetic.macro_f1_bounds() if one.verdict == ERROR] == ["Table 3"]


def test_the_text_has_two_wrong_numbers_and_five_alone():
    numbers = statements.text_numbers()
    assert len(numbers) > 70
    assert [(one.place, one.printed) for one in statements.errors()] == [("section 1", "3"), ("section 5", "0.253")]
    assert sum(one.verdict == statements.ALONE for one in numbers) == 5
    # 0.346 / 0.282 - 1 = 0.22695 and 1 - 0.243 / 0.299 = 0.18729
    gains = {one.printed: one.recomputed for one in numbers if one.place == "abstract" and "%" in one.printed}
    assert gains["23%"] == pytest.approx(0.22695, abs=1e-4)
    assert gains["19%"] == pytest.approx(0.18729, abs=1e-4)


def test_implied_precision_gives_back_the_f1():
    for row, recall in statements.STATED_RECALL.items():
        p, r = statements.implied_precision(row, recall).middle, float(recall)
        assert 2 * p * r / (p + r) == pytest.approx(facts.value(1, row, "micro"), abs=1e-3)


def test_contradictions_name_both_places_and_still_stand():
    found = contradictions.CONTRADICTIONS
    assert len({one.name for one in found}) == len(found) >= 15
    assert all(one.first and one.second and one.says and one.against for one in found)
    assert all(one.still for one in found)
    assert sum(one.stands is not None for one in found) >= 12


def test_a_contradiction_that_no_longer_holds_says_so(monkeypatch):
    real = facts.cells
    wrong = {**real(5), ("macro", "qwen", "f1"): "0.300"}
    monkeypatch.setattr(facts, "cells", lambda number: wrong if number == 5 else real(number))
    assert [one.name for one in contradictions.CONTRADICTIONS if not one.still] == ["weakest"]


def test_the_best_of_each_column():
    found = {(one.table, one.of): one for one in arithmetic.best()}
    assert found[1, "macro-F1"].names == ("Reasoning Narrative",)
    assert found[2, "micro-F1"].names == ("Only Label",)
    assert found[6, "macro average"].names == ("MedGemma (SFT)",)
    assert found[6, "macro average"].lead == pytest.approx(0.002)
    assert len([one for one in found.values() if one.table == 5]) == len(FINDINGS) + 1
    assert len([one for one in found.values() if one.table == 6]) == len(NIH_SHARED) + 1


def test_facts_name_their_source_and_add_up():
    for dataset, split in (("mimic", "train"), ("chexpert", "train"), ("chexpert", "test"), ("nih", "test")):
        for count in facts.counts(dataset, split).values():
            assert count.source
            assert 0 <= count.positives + (count.uncertain or 0) <= count.n
    # The pairs of a label with itself are its count.
    for name in FINDINGS:
        assert facts.share_with("chexpert", "test", name, name) == 1
    assert facts.size("chexpert", "test") == 500
    with pytest.raises(UserError, match="part of a data set"):
        facts.counts("chexpert", "nowhere")


def test_the_summary_is_plain_data():
    found = json.loads(json.dumps(summary()))
    assert found["transcription"]["cells"] == {"1": 27, "2": 28, "3": 28, "4": 28, "5": 75, "6": 50}
    assert found["attainability"]["table5_impossible"] == []
