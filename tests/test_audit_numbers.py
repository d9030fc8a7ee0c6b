"""The audit's arithmetic: what a number stands for, recomputed numbers, the text's numbers, contradictions."""

import json
from collections import Counter

import pytest

from companion.evidence import contradictions, frames
from companion.evidence.audit import arithmetic, facts
from companion.evidence.audit.arithmetic import AGREES, ALONE, ERROR, ROUNDING, Range, check, exactly, over, printed


@pytest.fixture
def misprint(monkeypatch):
    """Sets another value into a cell of a table."""
    real = facts.cells

    def spoil(number, key, text):
        wrong = {**real(number), key: text}
        monkeypatch.setattr(facts, "cells", lambda which: wrong if which == number else real(which))

    return spoil


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [("0.346", (0.3455, 0.3465)), ("61%", (0.605, 0.615)), ("2,000", (1999.5, 2000.5)), ("−0.05", (-0.055, -0.045))],
)
def test_a_printed_number_stands_for_half_a_unit_to_either_side(text, stands_for):
    assert printed(text) == Range(*stands_for)
    with pytest.raises(ValueError, match="xpected a number"):
        printed(f"about {text}")


def test_ranges_reach_as_far_as_their_ends_and_rounding_is_told_from_error():
    assert over(lambda a, b: a / b, Range(-0.3, 0.4), Range(0.2, 0.5)) == Range(-0.3 / 0.2, 0.4 / 0.2)
    assert over(lambda a, b: a - b, exactly(1), Range(0.2, 0.9)) == Range(1 - 0.9, 0.8)
    for point, possible, verdict in (
        (0.3001, Range(0.29, 0.31), AGREES), (0.3008, Range(0.3, 0.3016), ROUNDING), (0.32, Range(0.31, 0.33), ERROR),
        (0.0, None, ALONE),
    ):  # fmt: skip
        assert check("section 1", "x", "0.300", possible, point=point).verdict == verdict


def test_the_tables_hold_up_to_rounding():
    checks = arithmetic.tables()
    assert Counter(one.verdict for one in checks) == {AGREES: 30, ROUNDING: 4}
    rounded = {one.what for one in checks if one.verdict == ROUNDING}
    assert "macro-F1 of NV-Reason from its 9 findings" in rounded  # by hand: 2.678 / 9 = 0.29756, printed 0.297


@pytest.mark.parametrize(
    ("number", "key", "text"),
    [
        (5, ("Edema", "qwen", "f1"), "0.158"),
        (3, ("reasoning_a", "macro", "f1"), "0.300"),  # P 0.194 and R 0.265 allow at most 0.225
        (2, ("only_label", "micro", "f1"), "0.470"),
    ],
)
def test_a_misprint_in_a_table_would_be_found(misprint, number, key, text):
    misprint(number, key, text)
    assert [one.where for one in arithmetic.tables() if one.verdict == ERROR] == [f"Table {number}"]


def test_the_text_has_two_wrong_numbers_and_ten_alone(monkeypatch):
    numbers = arithmetic.text_numbers()
    assert len(numbers) == 102
    wrong = [(one.where, one.printed) for one in numbers if one.verdict == ERROR]
    assert wrong == [("section 1", "3"), ("section 5", "0.253")]
    # Five of section 1 and 4.1, one A100 in three places, the smoothing of two figures.
    assert sum(one.verdict == ALONE for one in numbers) == 10
    # 0.346 / 0.282 - 1 = 0.22695 and 1 - 0.243 / 0.299 = 0.18729
    gains = {one.printed: one.recomputed for one in numbers if one.where == "abstract" and "%" in one.printed}
    assert gains == pytest.approx({"23%": 0.22695, "19%": 0.18729}, abs=1e-4)
    # A number of the setting can be wrong, too.
    monkeypatch.setattr("chexreason.recipe.Sizes.sft", 3000)
    now = {one.where for one in arithmetic.text_numbers() if one.verdict == ERROR and one.what == "studies for SFT"}
    assert now == {"abstract", "section 1", "section 3.2.1", "section 5"}


def test_implied_precision_gives_back_the_f1():
    for row, recall in arithmetic.STATED_RECALL.items():
        p, r = arithmetic.implied_precision(row), float(recall)
        assert 2 * p * r / (p + r) == pytest.approx(facts.value(1, row, "micro"), abs=1e-3)


def test_contradictions_name_both_places_and_still_stand():
    found = contradictions.found()
    assert found == list(contradictions.CONTRADICTIONS)
    assert sum(bool(one.stands or one.unborne) for one in found) == 16
    assert any("second of four (0.264)" in one.against for one in found)


@pytest.mark.parametrize(
    ("number", "key", "text", "gone"),
    [
        (3, ("reasoning_narrative", "all", "failure_rate"), "0.300", "high failure rate"),
        (2, ("only_label", "macro", "f1"), "0.300", "direct label prediction"),
    ],
)
def test_a_contradiction_that_no_longer_holds_drops_out(misprint, number, key, text, gone):
    misprint(number, key, text)
    (lost,) = set(contradictions.CONTRADICTIONS) - set(contradictions.found())
    assert gone in lost.says


def test_the_frames_are_plain_data_for_a_program():
    found = json.loads(json.dumps(frames.data()))
    assert found["altered"] == {}
    assert set(found) - {"tier", "paper", "altered"} == set(frames.PARTS)
    assert [one["numbers"] for one in found["transcription"]["rows"]] == [27, 28, 28, 28, 75, 50]
    assert {"validation set": "MIMIC-CXR-JPG's validation split, studies", "size": 1808,
            "printed rates it cannot give": 0} in found["sizes"]["rows"]  # fmt: skip
    cells = found["findings"]["rows"]
    assert len(cells) == 14 + 9 + 9
    assert next(one for one in cells if one["finding"] == "Pleural Other")["few"] == "yes"
    assert set(cells[0]["ChexReason"]) == {"estimate", "low", "high"}
    assert len(found["validation"]["rows"]) == 9 + 4 + 4 + 4
