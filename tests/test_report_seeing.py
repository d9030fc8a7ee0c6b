"""The chapter on question 1: nothing before all trainings are there, and sentences that follow from the values."""

from types import SimpleNamespace

import numpy as np
import pytest

from companion.evidence.trainings import Change
from companion.report.experiments import seeing


def change(low: float, high: float) -> Change:
    middle = (low + high) / 2
    return Change(middle, low, high, (0, 1), (middle, middle), np.array([middle, low, high]))


def test_nothing_is_shown_before_all_trainings_are_there(monkeypatch):
    places = {("base", 0): None, **{(arm, seed): None for arm in ("sft", "hard") for seed in range(10)}}
    monkeypatch.setattr(seeing, "answers", lambda: SimpleNamespace(places=places))
    assert seeing.missing().startswith("21 of 31 runs")
    for shown in (seeing.split_figure, seeing.levels, seeing.who, seeing.support):
        assert "21 of 31 runs of the plan are there; nothing is shown" in shown().text
    assert seeing.verdict() == seeing.normals() == seeing.missing()


@pytest.mark.parametrize(
    ("seen", "carries", "told"),
    [
        ((0.005, 0.02), (-0.05, -0.01), ("changes what is seen at home: +0.013", "is smaller at C than at A: −0.030")),
        ((-0.006, 0.008), (-0.01, 0.03), ("by less than 0.01 of AUROC: +0.001", "is not found: +0.010")),
        ((-0.012, 0.008), (0.01, 0.03), ("none is ruled out that counts (0.01 of AUROC): −0.002", "is larger at C")),
    ],
)
def test_the_verdict_follows_from_the_values(monkeypatch, seen, carries, told):
    monkeypatch.setattr(seeing, "missing", lambda: "")
    found = {
        name: (change(*ends), not ends[0] <= 0 <= ends[1]) for name, ends in (("seeing", seen), ("carries", carries))
    }
    monkeypatch.setattr(seeing, "primary", lambda: found)
    for part in told:
        assert part in seeing.verdict()
