"""The chapter on question 1: nothing before all trainings are there, and sentences that follow from the values."""

from types import SimpleNamespace

import numpy as np
import pytest

from companion.evidence.trainings import Change
from companion.report.experiments import kept, seeing


def change(low: float, high: float) -> Change:
    """A change with a 95 % interval of a normal; its 90 % interval reaches 0.84 times as far."""
    middle = (low + high) / 2
    return Change(middle, low, high, (0, 1), (middle, middle), (high - low) / 2 / 1.96, np.inf)


def test_nothing_is_shown_before_all_trainings_are_there(monkeypatch):
    places = {("base", 0): None, **{(arm, seed): None for arm in ("sft", "hard") for seed in range(10)}}
    monkeypatch.setattr(kept, "answers", lambda: SimpleNamespace(places=places))
    assert kept.missing(seeing.ARMS).startswith("21 of 31 runs")
    for shown in (seeing.split_figure, seeing.levels, seeing.who, seeing.support):
        assert "21 of 31 runs of the plan are there; nothing is shown" in shown().text
    assert seeing.verdict() == seeing.normals() == kept.missing(seeing.ARMS)


AROUND = {"seeing": (0.001, 0.003), "micro-F1": (0.01, 0.03), "patients": (-0.01, 0.01), "images": (-0.01, 0.0),
          "labels": (-0.04, -0.01)}  # fmt: skip
LESS = (-0.05, -0.02)


def told(monkeypatch, seen=(-0.02, 0.02), carries=(-0.04, 0.04), **around) -> str:
    """The verdict on made-up intervals; a contrast is not zero if its interval leaves zero out."""
    contrasts = {name: change(*ends) for name, ends in (("seeing", seen), ("carries", carries))}
    monkeypatch.setattr(kept, "missing", lambda _: "")
    monkeypatch.setattr(seeing, "primary", lambda: {k: (one, one.excludes_zero) for k, one in contrasts.items()})
    monkeypatch.setattr(seeing, "beside", lambda: {k: change(*ends) for k, ends in (AROUND | around).items()})
    return seeing.verdict()


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((0.002, 0.009), "changes what is seen at home, by less than counts (0.01 micro-F1): +0.005"),
        ((-0.009, -0.002), "changes what is seen at home, by less than counts (0.01 micro-F1): −0.005"),
        ((0.005, 0.02), "changes what is seen at home: +0.013"),
        ((-0.03, -0.01), "changes what is seen at home: −0.020"),
        ((-0.006, 0.008), "does not change what is seen at home by as much as counts (0.01 micro-F1): +0.001"),
        ((-0.010, 0.0108), "does not change what is seen at home by as much as counts"),  # the 90 % interval decides
        ((-0.012, 0.013), "Whether the hard reward changes what is seen at home is not decided"),
        ((-0.002, 0.016), "Whether the hard reward changes what is seen at home is not decided"),
    ],
)
def test_four_cells_of_seeing_at_home(monkeypatch, seen, expected):
    said = told(monkeypatch, seen)
    assert expected in said
    assert "; beside it, AUROC: +0.002 (+0.001 to +0.003). " in said


@pytest.mark.parametrize(
    ("carries", "around", "expected"),
    [
        (LESS, {}, "for the paper's reading: micro-F1 rises at home, +0.020 (+0.010 to +0.030), and less at C"),
        (LESS, {"micro-F1": (-0.01, 0.03)}, "undecided, C less A −0.035 (−0.050 to −0.020): micro-F1 does not surely"),
        ((-0.05, 0.01), {}, "is undecided, C less A −0.020 (−0.050 to +0.010): its change is not surely smaller at C."),
        (LESS, {"labels": (-0.04, 0.01)}, ": the part of the labels is not surely below zero."),
        (LESS, {"images": (-0.06, 0.0)}, ": the part of the labels is not the lowest."),
        ((-0.05, 0.01), {"labels": (0.0, 0.02)}, "and the part of the labels is not surely below zero, and the part"),
        ((-0.014, 0.03), {}, "against the paper's reading: no loss of micro-F1 that counts (0.015), C less A +0.008"),
        ((0.01, 0.03), {}, "is against the paper's reading: no loss of micro-F1 that counts"),
        ((-0.014, -0.002), {}, "is against the paper's reading: a loss surely, but no loss of micro-F1 that counts"),
        ((-0.015, -0.002), {}, "is for the paper's reading"),
    ],
)  # fmt: skip
def test_for_against_or_undecided(monkeypatch, carries, around, expected):
    assert expected in told(monkeypatch, carries=carries, **around)


def test_a_contrast_below_zero_alone_is_not_enough_where_holm_does_not_hold_it():
    around = {name: change(*ends) for name, ends in AROUND.items()}
    assert seeing.reading(change(*LESS), False, around) == ("undecided", ["its change is not surely smaller at C"])
    assert seeing.seen_cell(change(0.002, 0.009), False) == (False, True)


def test_what_decides_and_what_stands_beside_it(monkeypatch):
    asked = []
    said = SimpleNamespace(
        split=lambda *what: asked.append(("split", *what)) or {"seeing": change(0.02, 0.03)},
        weighted=lambda outcome, weights: asked.append((outcome, tuple(weights.values()))) or change(-0.03, 0.01),
        change=lambda *what: asked.append(what) or change(0, 1),
        shares=lambda *what: asked.append(what) or {"labels": change(-1, 0)},
    )
    monkeypatch.setattr(seeing, "answers", lambda: said)
    for cached in (seeing.primary, seeing.beside):
        cached.cache_clear()
    contrasts, around = seeing.primary(), seeing.beside()
    for cached in (seeing.primary, seeing.beside):
        cached.cache_clear()
    home = seeing.own("A")
    assert asked[:2] == [("split", "hard", "sft", home), ("micro-F1", (1, -1, -1, 1))]
    assert [held for _, held in contrasts.values()] == [True, False]
    assert list(around) == ["seeing", "micro-F1", "labels"]
    assert asked[-1] == ("micro-F1", "hard", "sft", "C")
