"""The experiment's arms, and its analysis against hand-computed scores and an independent bootstrap."""

import dataclasses
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import f1_score

from chexreason.config import load_profile
from chexreason.errors import UserError
from chexreason.experiments import again, analysis, arms
from chexreason.experiments.analysis import OWN, Answers, Cell, Key
from chexreason.hyperparameters import GRPO
from chexreason.labels import NIH_SHARED
from chexreason.prompts import PROMPTS
from chexreason.rewards import REWARDS, HardSettings, NuancedSettings

N = 40
YARDSTICKS = (*OWN.values(), "visible")


def names(rng: np.random.Generator) -> str:
    return ";".join(name for name in NIH_SHARED if rng.random() < 0.3)


@pytest.fixture
def labels() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [(p, i, y, names(rng)) for p in "ABC" for i in range(N) for y in YARDSTICKS]
    return pd.DataFrame(rows, columns=["population", "index", "yardstick", "positive"])


def answers_of(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(p, f, i, "", False, names(rng)) for p in "ABC" for f in "ABC" for i in range(N)]
    return pd.DataFrame(rows, columns=["population", "film", "index", "completion", "failed", "predicted"])


@pytest.fixture
def answers(labels) -> Answers:
    models = [("base-best", 0), *[(model, seed) for model in ("sft", "grpo") for seed in range(3)]]
    return Answers({key: answers_of(10 + k) for k, key in enumerate(models)}, labels)


def by_sklearn(answers: Answers, model: str, seed: int, cell: Cell) -> float:
    asked = answers.of[model, seed].query(f"population == '{cell.population}' and film == '{cell.film}'")
    truth = answers.labels.query(f"population == '{cell.population}' and yardstick == '{cell.yardstick}'")
    sets = [[set(text.split(";")) for text in column] for column in (truth["positive"], asked["predicted"])]
    binary = [np.array([[name in one for name in NIH_SHARED] for one in rows]) for rows in sets]
    return float(f1_score(*binary, average="macro", zero_division=0))


def test_every_arm_says_what_can_be_run() -> None:
    settings = {*GRPO.__dataclass_fields__, *HardSettings.__dataclass_fields__, *NuancedSettings.__dataclass_fields__}
    for name, arm in arms.ARMS.items():
        assert arm.prompt in PROMPTS, name
        assert arm.reward in REWARDS, name
        assert set(arm.changes) <= settings, name
        assert (arm.start is not None) == (arm.stage == "grpo" or arm.samples > 0), name
        assert len(arms.seeds_of(name)) >= arm.seeds, name
    with pytest.raises(UserError, match="grpo-hard"):
        arms.get("grpo-hrd")


def test_an_arm_without_a_stabiliser_differs_from_the_paper_in_that_alone() -> None:
    stabilisers = [arm for arm in arms.ARMS.values() if arm.question == "collapse"]
    paper = arms.ARMS["grpo-hard"]
    assert all((arm.start, arm.prompt, arm.credit) == (paper.start, paper.prompt, paper.credit) for arm in stabilisers)
    assert all(1 <= len(arm.changes) <= 2 for arm in stabilisers)


def test_cells_are_scored_as_scikit_learn_does(answers) -> None:
    table = analysis.cells(answers.of["sft", 0], answers.labels)
    macro = table[(table["finding"] == "macro") & (table["metric"] == "f1")].set_index(
        ["population", "film", "yardstick"]
    )
    assert len(macro) == 9 * len(YARDSTICKS)
    for cell in (Cell("A", "B", "visible"), Cell("C", "A", "report")):
        assert macro.loc[tuple(cell), "value"] == pytest.approx(by_sklearn(answers, "sft", 0, cell))


def test_a_contrast_is_the_weighted_mean_over_seeds(answers) -> None:
    cell = Cell("A", "C", "report")
    found = analysis.contrast(answers, analysis.change("grpo", "sft", cell))
    wanted = np.mean([by_sklearn(answers, "grpo", s, cell) - by_sklearn(answers, "sft", s, cell) for s in range(3)])
    assert found.estimate == pytest.approx(wanted)
    assert found.low < found.high


def test_an_untrained_model_is_compared_with_every_seed(answers) -> None:
    cell = Cell("B", "B", "visible")
    found = analysis.contrast(answers, analysis.change("sft", "base-best", cell))
    base = by_sklearn(answers, "base-best", 0, cell)
    assert found.estimate == pytest.approx(np.mean([by_sklearn(answers, "sft", s, cell) - base for s in range(3)]))


def test_the_three_shares_add_up_to_the_whole(answers) -> None:
    parts = analysis.shares("grpo", "sft", "C")
    values = {name: analysis.contrast(answers, weights).estimate for name, weights in parts.items()}
    assert sum(values[name] for name in analysis.FACTORS) == pytest.approx(values["all"])

    def change(cell: Cell) -> float:
        return float(
            np.mean([by_sklearn(answers, "grpo", s, cell) - by_sklearn(answers, "sft", s, cell) for s in range(3)])
        )

    assert values["all"] == pytest.approx(change(Cell("C", "C", OWN["C"])) - change(Cell("A", "A", OWN["A"])))


def test_a_factor_without_effect_gets_no_share(answers) -> None:
    alike = {key: frame.assign(predicted="Edema") for key, frame in answers.of.items()}
    for (model, seed), frame in alike.items():
        alike[model, seed] = frame.assign(predicted="Edema" if model == "sft" else "Edema;No Finding")
    films_do_nothing = Answers(alike, answers.labels)
    weights = analysis.shares("grpo", "sft", "B")["films"]
    found = analysis.contrast(films_do_nothing, weights)
    assert (found.estimate, found.low, found.high) == pytest.approx((0, 0, 0))


def test_the_interval_agrees_with_a_bootstrap_written_out(answers) -> None:
    key = Key("sft", Cell("A", "A", "report"))
    ours = analysis.contrast(answers, {key: 1.0})
    rng, values = np.random.default_rng(7), []
    counts = [answers.counts(key, seed) for seed in range(3)]
    for _ in range(1500):
        patients, seeds = rng.integers(0, N, N), rng.integers(0, 3, 3)
        values.append(np.mean([analysis.macro_f1(counts[s][patients].sum(0, keepdims=True))[0] for s in seeds]))
    assert [ours.low, ours.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.012)


def test_a_cell_that_nobody_was_asked_about_is_refused(answers) -> None:
    with pytest.raises(UserError, match="a cell that was asked about"):
        answers.counts(Key("sft", Cell("D", "A", "report")), 0)


def test_the_share_of_the_commonest_list_has_a_binomial_interval(answers) -> None:
    cell = Cell("A", "A", "report")
    frame = answers.of["sft", 0]
    frame = frame.assign(predicted=frame["predicted"].where(frame["index"] % 5 < 3, "Edema"))
    said = frame[(frame["population"] == "A") & (frame["film"] == "A")]
    top = said["predicted"].value_counts().index[0]
    share, n = float((said["predicted"] == top).mean()), len(said)
    one = dataclasses.replace(answers, of={("sft", 0): frame}, _known={})
    found = analysis.commonest(one, "sft", cell)
    assert found.estimate == pytest.approx(share)
    assert share == pytest.approx(next(v.commonest for v in analysis.variety(one, "sft", cell)))
    low, high = scipy.stats.binom(n, share).ppf([0.025, 0.975]) / n
    assert [found.low, found.high] == pytest.approx([low, high], abs=1.5 / n)


def test_what_is_run_again_has_to_leave_the_same_files(tmp_path) -> None:
    for side, minute in (("anew", 1), ("kept", 2)):
        run = tmp_path / side / "base-best-answers"
        run.mkdir(parents=True)
        (run / "run.json").write_text(f'{{"started": {minute}}}')
        (run / "metrics.csv").write_text("finding,metric,value\nmacro,f1,0.3\n")
        with gzip.GzipFile(run / "predictions.csv.gz", "wb", mtime=minute) as file:
            file.write(b"index,predicted\n0,Edema\n")
    assert again.compare(tmp_path / "anew", tmp_path / "kept") == 2
    (tmp_path / "kept" / "base-best-answers" / "metrics.csv").write_text("finding,metric,value\nmacro,f1,0.4\n")
    with pytest.raises(UserError, match=r"base-best-answers/metrics\.csv"):
        again.compare(tmp_path / "anew", tmp_path / "kept")


def test_on_another_processor_new_code_is_held_against_the_recorded_code_there(tmp_path, monkeypatch) -> None:
    profile = dataclasses.replace(load_profile("experiment"), results=tmp_path / "results", cache=tmp_path / "cache")
    recorded, now = {"grpo.py": "before"}, {"grpo.py": "after"}
    profile.results.mkdir()
    (profile.results / "record.json").write_text(json.dumps({"made_by": recorded}))

    def leave(place: Path, loss: float) -> None:
        place.mkdir(parents=True)
        (place / "history.csv").write_text(f"step,name,value\n1,loss,{loss}\n")

    def run_arm(name, seed, anew):
        if not (anew.results / "seed0" / name).is_dir():
            leave(anew.results / "seed0" / name, 0.25)

    monkeypatch.setattr(again.train, "run_arm", run_arm)
    monkeypatch.setattr(again.provenance, "experiment_made_by", lambda: now)
    for name in arms.AGAIN:
        leave(profile.results / "seed0" / name, 0.5)  # as another processor left it
    with pytest.raises(UserError, match="if this is another processor"):
        again.run_again(profile)
    for name in arms.AGAIN:
        leave(again._place(profile, recorded) / "results" / "experiment" / "seed0" / name, 0.25)
    again.run_again(profile)
    record = json.loads((profile.results / "record.json").read_text())
    assert record["made_by"] == now
    assert record["again"]["against"] == "those that the recorded code leaves on the same machine"
