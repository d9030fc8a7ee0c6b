"""Questions 2 to 6: verdicts that follow from the values, figures of made-up answers of all arms."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from companion.evidence import trainings
from companion.evidence.trainings import Change, Trainings
from companion.experiment import patients, plan
from companion.report.experiments import kept, mechanism, recipes, seeing


def change(low: float, high: float) -> Change:
    """A change with a 95 % interval of a normal."""
    middle = (low + high) / 2
    return Change(middle, low, high, (0, 1), (middle, middle), (high - low) / 2 / 1.96, np.inf)


@pytest.mark.parametrize(
    ("zero", "hard", "half", "quarter", "side"),
    [
        ((0.1, 0.3), (0.1, 0.3), (0.02, 0.2), (0.05, 0.3), "for"),
        ((0.1, 0.3), (0.1, 0.3), (-0.02, 0.2), (0.05, 0.3), "undecided"),
        ((0.1, 0.3), (-0.1, 0.3), (0.02, 0.2), (0.05, 0.3), "undecided"),
        ((-0.01, 0.03), (0.1, 0.3), (-0.2, -0.1), (-0.1, -0.01), "against"),
        ((-0.01, 0.03), (-0.3, -0.1), (-0.2, -0.1), (-0.1, -0.01), "undecided"),
        ((-0.3, -0.1), (0.1, 0.3), (0.02, 0.2), (0.05, 0.3), "undecided"),
    ],
)
def test_what_leads_back_to_the_base(zero, hard, half, quarter, side):
    found = {"zero": zero, "hard": hard, "zero less half of hard": half, "zero less a quarter of hard": quarter}
    assert mechanism.back_side({name: change(*ends) for name, ends in found.items()}) == side


@pytest.mark.parametrize(
    ("said", "seen", "side"),
    [
        ((0.02, 0.05), (0.015, 0.03), "for, seen"),
        ((0.02, 0.05), (-0.005, 0.009), "for, said"),
        ((0.02, 0.05), (-0.005, 0.02), "for, open"),
        ((0.005, 0.05), (0.015, 0.03), "undecided"),
        ((-0.02, 0.009), (0.015, 0.03), "against"),
        ((0.002, 0.009), (0.0, 0.1), "against"),
        ((-0.02, 0.011), (0.015, 0.03), "undecided"),
    ],
)
def test_whether_reinforcement_aligns(said, seen, side):
    assert mechanism.credit_side({"said": change(*said), "seen": change(*seen)}) == side


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two trainings of every arm: `zero` with the untouched reference repeats the base, each credit its convention."""
    for name, value in {"POOL": 800, "PLAIN": dict.fromkeys("ABC", 60), "ENOUGH": 6}.items():
        monkeypatch.setattr(patients, name, value)
    monkeypatch.setattr(trainings, "RESAMPLES", 60)
    monkeypatch.setattr(plan, "ARMS", {name: replace(arm, seeds=min(arm.seeds, 2)) for name, arm in plan.ARMS.items()})
    monkeypatch.setattr(plan, "SOME", 2)
    caches = (patients.sample, trainings.draws, kept.answers, mechanism.back, mechanism.credit, seeing.primary,
              seeing.beside)  # fmt: skip
    for cached in caches:
        cached.cache_clear()
    base = {}
    for name, arm in plan.ARMS.items():
        paid = arm.credit if arm.question == 3 else "report"
        for seed in range(arm.seeds):
            rng, parts = np.random.default_rng([seed, *name.encode()]), []
            for world in arm.worlds:
                table, each = patients.sample(world.population), arm.answers(world)
                true_NF = patients.truth(world.population, paid)
                said_NKF = true_NF[:, None] ^ (rng.random((len(table), each, 14)) < 0.1)
                if name.startswith("back-base"):
                    said_NKF = base[world][:, :each]
                elif name == "base":
                    base[world] = said_NKF
                words = [
                    " ".join(f"{code:x}" if code else "-empty" for code in row)
                    for row in said_NKF @ (1 << np.arange(14))
                ]
                parts.append(pd.DataFrame({"population": world.population, "image": world.image, "answers": words,
                                           "index": table["index"], "checkpoint": "last"}))  # fmt: skip
            folder = tmp_path / f"seed{seed}" / f"{name}-answers"
            folder.mkdir(parents=True)
            (folder / "predictions.csv.gz").write_bytes(gzip.compress(pd.concat(parts).to_csv(index=False).encode()))
            (folder / "metrics.csv").write_text(f"population,image,metric,value\n,,divergence,0.{seed}1\n")
            (folder / "run.json").write_text("{}")
    said = Trainings(tmp_path)
    for module in (kept, mechanism, recipes, seeing):
        monkeypatch.setattr(module, "answers", lambda: said)
    yield tmp_path
    for cached in caches:
        cached.cache_clear()


def test_pages_of_made_up_answers_say_what_was_made(made, monkeypatch):
    assert mechanism.back_verdict().startswith("The reference alone leads back to the base: with the untouched base")
    assert mechanism.credit_verdict().startswith("Reinforcement aligns to the convention that pays")
    for shown, said in {
        mechanism.back_figure: "hard, divided by spread, reference: untouched base",
        mechanism.credit_figure: "Held against A&#x27;s reports",
        recipes.more_figure: "Seeing, hospital C, placebo reward",
        recipes.beta_figure: "beta 0.05",
        recipes.neighbours_figure: "Micro-F1, hospital A, blend-50",
        recipes.table: "farthest first",
        seeing.split_figure: "SFT to nuanced GRPO",
    }.items():
        assert said in shown().text, shown
    assert recipes.differing().startswith(f"Of {4 * len(recipes.NEIGHBOURS)} intervals ")
    (made / "seed0" / "blend-50-answers" / "run.json").unlink()
    monkeypatch.setattr(kept, "answers", lambda: Trainings(made))
    assert f"of {2 * (1 + len(recipes.NEIGHBOURS))} runs of the plan are there" in recipes.differing()
