"""The audit's arithmetic: ranges, recomputed numbers, the text's numbers, contradictions."""

import itertools
import json

import numpy as np
import pytest

from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import arithmetic, comparisons, contradictions, facts, printed, statements, summary
from companion.evidence.audit.printed import (
    AGREES,
    ALONE,
    DEPENDS,
    ERROR,
    ROUNDING,
    Range,
    exactly,
    harmonic,
    mean,
    verdict,
)


def test_a_printed_number_stands_for_half_a_unit_to_either_side():
    assert printed.printed("0.346") == Range(0.3455, 0.3465)
    assert printed.printed("61%") == Range(0.605, 0.615)
    assert printed.printed("2,000") == Range(1999.5, 2000.5)
    assert printed.printed("−0.05") == Range(-0.055, -0.045)
    with pytest.raises(ValueError, match="Expected a number"):
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


def test_the_text_has_two_wrong_numbers_and_ten_alone():
    numbers = statements.text_numbers()
    assert len(numbers) > 95
    assert [(one.place, one.printed) for one in statements.errors()] == [("section 1", "3"), ("section 5", "0.253")]
    # Five of section 1 and 4.1, one A100 in three places, the smoothing of two figures.
    assert sum(one.verdict == ALONE for one in numbers) == 10
    # 0.346 / 0.282 - 1 = 0.22695 and 1 - 0.243 / 0.299 = 0.18729
    gains = {one.printed: one.recomputed for one in numbers if one.place == "abstract" and "%" in one.printed}
    assert gains["23%"] == pytest.approx(0.22695, abs=1e-4)
    assert gains["19%"] == pytest.approx(0.18729, abs=1e-4)


def test_implied_precision_gives_back_the_f1():
    for row, recall in statements.STATED_RECALL.items():
        p, r = statements.implied_precision(row, recall).middle, float(recall)
        assert 2 * p * r / (p + r) == pytest.approx(facts.value(1, row, "micro"), abs=1e-3)


@pytest.mark.parametrize(
    ("place", "what", "text"),
    [
        ("abstract", "studies for SFT", "2,000"), ("section 1", "studies for GRPO", "1,000"),
        ("section 5", "A100 GPU", "1"), ("section 4.1", "steps of Reasoning A", "12"),
        ("Table 1, its list of cues", "steps of Reasoning A", "12"), ("section 4.2", "models fine-tuned", "2"),
        ("section 4.3", "out-of-distribution test sets", "2"), ("Table 5, caption", "models", "5"),
        ("section 4.4", "billion parameters of the largest model", "4"),
        ("section 4.3 (again)", "rise on CheXpert from SFT to ChexReason", "+23%"),
        ("Figure 3, caption", "smoothing of the average", "0.95"),
    ],
)  # fmt: skip
def test_numbers_of_the_setting_are_located_too(place, what, text):
    (found,) = (one for one in statements.text_numbers() if (one.place, one.what) == (place, what))
    assert found.printed == text
    assert found.verdict in (AGREES, ALONE)


def test_a_number_of_the_setting_can_be_wrong(monkeypatch):
    monkeypatch.setattr("chexreason.recipe.Sizes.sft", 3000)
    wrong = {one.place for one in statements.errors() if one.what == "studies for SFT"}
    assert wrong == {"abstract", "section 1", "section 3.2.1", "section 5"}


def test_contradictions_name_both_places_and_still_stand():
    found = contradictions.CONTRADICTIONS
    assert len({one.name for one in found}) == len(found) == 22
    assert all(one.first and one.second and one.says and one.against for one in found)
    assert all(one.still for one in found)
    assert sum(one.stands is not None for one in found) == 16
    moderate = next(one for one in found if one.name == "moderate")
    assert "second of four (0.264)" in moderate.against
    assert "averaging" in moderate.matters


def test_a_contradiction_that_no_longer_holds_says_so(monkeypatch):
    real = facts.cells
    wrong = {**real(3), ("reasoning_narrative", "all", "failure_rate"): "0.300"}
    monkeypatch.setattr(facts, "cells", lambda number: wrong if number == 3 else real(number))
    assert [one.name for one in contradictions.CONTRADICTIONS if not one.still] == ["whose-failures"]


def test_an_opinion_a_metaphor_and_another_data_set_contradict_nothing():
    found = {one.name: one for one in contradictions.CONTRADICTIONS}
    withdrawn = {"weakest", "length", "high-support", "nine-compatible", "paradigm-or-scale", "masters-format"}
    assert not withdrawn & set(found)
    assert "likened to" in found["unbiased-teacher"].says
    assert "goes unmentioned" in found["whose-failures"].against
    assert "lack" not in found["whose-failures"].says
    assert "If advantages are not divided" in found["one-beta"].against
    for name in ("uncertainty-encoding", "which-differs"):
        assert found[name].against.startswith("if Table 5 is on the official test set")
    assert "the authors have settled it" in found["in-or-out"].matters


def test_whom_chexreason_is_close_to_is_as_the_questions_to_the_authors_say():
    """Table 5: nearer to the untouched MedGemma than to SFT; Table 6: the other way round, at the base's average."""

    def apart(table, other):
        one, two = (facts.column(table, name) for name in ("chexreason", other))
        return np.mean([abs(one[name] - two[name]) for name in one])

    assert apart(5, "medgemma") == pytest.approx(0.0312, abs=1e-3)
    assert apart(5, "medgemma") < apart(5, "medgemma_sft")
    assert apart(6, "medgemma_sft") < apart(6, "medgemma")
    assert facts.cells(6)["macro", "chexreason", "f1"] == facts.cells(6)["macro", "medgemma", "f1"]


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
    assert found["attainability"]["table5_ways"]["Lung Lesion / nv_reason"] == {
        "ways": 1, "hits": [7, 7], "predicted": [8, 8]
    }  # fmt: skip
    assert found["attainability"]["validation_candidates"]["MIMIC-CXR-JPG's validation split, studies"] == {
        "n": 1808, "cannot_give": []
    }  # fmt: skip
    assert found["transcription"]["altered"] == {}
    assert len(found["comparisons"]) == len(comparisons.COMPARISONS)
    assert {one["verdict"] for one in found["best"]} == {AGREES, DEPENDS, arithmetic.UNSTATED}
    shown = found["uncertainty"]["findings"]
    assert {len(shown["5"]), *(len(side) for side in shown["6"].values())} == {14 * 5, 9 * 5}
    assert shown["5"]["Pleural Other / qwen"]["few"] is True
    assert len(found["uncertainty"]["validation"]["scores"]) == 9 + 4 + 4 + 4
    assert all(set(one["by_correlation"]) == {"0.0", "0.5", "0.9"} for one in found["uncertainty"]["differences"])
    crossing = [one for one in found["matched"]["waterfalls"] if one["from_table"] != one["table"]]
    assert [one["from"] for one in crossing] == ["medgemma_sft", "chexreason"]
