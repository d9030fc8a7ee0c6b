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
from chexreason.labels import NIH_SHARED
from chexreason.prompts import PROMPTS
from chexreason.recipe import GRPO
from chexreason.rewards import REWARDS, Hard, Nuanced
from companion.evidence import analysis, comparable, outcomes
from companion.evidence.analysis import OWN, Answers, Cell, Key, NotComparable
from companion.experiment import arms, scores
from companion.workflow import again

N = 120
REFERENCES = (*OWN.values(), "visible")
HOME = Cell("A", "A", OWN["A"])


#: Which of the nine findings each patient of each population has; all reference standards and models flip some of them.
TRUE = {p: np.random.default_rng(k).random((N, len(NIH_SHARED))) < 0.35 for k, p in enumerate("ABC")}


def names(has: np.ndarray) -> str:
    return ";".join(name for name, one in zip(NIH_SHARED, has, strict=True) if one)


def flipped(rng: np.random.Generator, population: str, index: int, share: float) -> str:
    return names(TRUE[population][index] ^ (rng.random(len(NIH_SHARED)) < share))


@pytest.fixture(scope="module")
def labels() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [(p, i, y, flipped(rng, p, i, 0.05)) for p in "ABC" for i in range(N) for y in REFERENCES]
    return pd.DataFrame(rows, columns=["population", "index", "reference", "positive"])


def answers_of(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(p, f, i, "", False, flipped(rng, p, i, 0.15)) for p in "ABC" for f in "ABC" for i in range(N)]
    return pd.DataFrame(rows, columns=["population", "image", "index", "completion", "failed", "predicted"])


@pytest.fixture(scope="module")
def answers(labels) -> Answers:
    models = [("base-best", 0), *[(model, seed) for model in ("sft", "grpo") for seed in range(3)]]
    found = Answers({key: answers_of(10 + k) for k, key in enumerate(models)}, labels)
    assert analysis.frequent(found, [Cell(p, p, y) for p in "ABC" for y in REFERENCES]) == NIH_SHARED
    return found


def by_sklearn(answers: Answers, model: str, seed: int, cell: Cell) -> float:
    asked = answers.of[model, seed].query(f"population == '{cell.population}' and image == '{cell.image}'")
    truth = answers.labels.query(f"population == '{cell.population}' and reference == '{cell.reference}'")
    both = (column.str.get_dummies(sep=";")[list(NIH_SHARED)] for column in (truth["positive"], asked["predicted"]))
    return float(f1_score(*both, average="macro", zero_division=0))


def gain(answers: Answers, cell: Cell) -> float:
    """GRPO minus SFT, mean over trainings."""
    return np.mean([by_sklearn(answers, "grpo", s, cell) - by_sklearn(answers, "sft", s, cell) for s in range(3)])


def test_every_arm_says_what_can_be_run() -> None:
    settings = {*GRPO.__dataclass_fields__, *Hard.__dataclass_fields__, *Nuanced.__dataclass_fields__, "answer_weight"}
    for name, arm in arms.ARMS.items():
        assert arm.prompt in PROMPTS, name
        assert arm.reward in REWARDS, name
        assert set(arm.changes) <= settings, name
        assert (arm.start is not None) == (arm.stage == "grpo" or arm.samples > 0), name
        assert len(arms.seeds_of(name)) >= arm.seeds, name
        assert not arm.samples or arm.question != "cures", name  # picked with the answer key
    paper = arms.ARMS["grpo-hard"]
    for arm in (arm for arm in arms.ARMS.values() if arm.question == "collapse"):
        assert (arm.start, arm.prompt, arm.credit) == (paper.start, paper.prompt, paper.credit)
        assert 1 <= len(arm.changes) <= 2
    with pytest.raises(UserError, match="grpo-hard"):
        arms.get("grpo-hrd")


def test_cells_are_scored_as_scikit_learn_does(answers) -> None:
    table = scores.cells(answers.of["sft", 0], answers.labels)
    macro = table[(table["finding"] == "macro") & (table["metric"] == "f1")].set_index(
        ["population", "image", "reference"]
    )
    assert len(macro) == 9 * len(REFERENCES)
    for cell in (Cell("A", "B", "visible"), Cell("C", "A", "report")):
        assert macro.loc[tuple(cell), "value"] == pytest.approx(by_sklearn(answers, "sft", 0, cell))


def test_a_contrast_is_the_mean_over_the_seeds_that_both_sides_have(answers) -> None:
    cell, base = Cell("A", "C", "report"), by_sklearn(answers, "base-best", 0, Cell("B", "B", "visible"))
    found = analysis.contrast(answers, analysis.change("grpo", "sft", cell))
    assert found.estimate == pytest.approx(gain(answers, cell))
    assert found.low < found.high
    cell = Cell("B", "B", "visible")  # an untrained model stands beside every seed
    found = analysis.contrast(answers, analysis.change("sft", "base-best", cell))
    assert found.estimate == pytest.approx(np.mean([by_sklearn(answers, "sft", s, cell) - base for s in range(3)]))
    fewer = Answers({key: one for key, one in answers.of.items() if key != ("grpo", 2)}, answers.labels)
    assert analysis.contrast(fewer, analysis.change("grpo", "sft", HOME)).seeds == (0, 1)
    assert analysis.contrast(fewer, analysis.change("sft", "base-best", HOME), beside=["grpo"]).seeds == (0, 1)
    with pytest.raises(UserError, match="a cell that was asked about"):
        answers.matrices(Key("sft", Cell("D", "A", "report")), 0)


def test_the_three_shares_add_up_to_the_whole(answers) -> None:
    parts = analysis.shares("grpo", "sft", "C")
    values = {name: analysis.contrast(answers, weights).estimate for name, weights in parts.items()}
    assert sum(values[name] for name in analysis.FACTORS) == pytest.approx(values["all"])
    assert values["all"] == pytest.approx(gain(answers, Cell("C", "C", OWN["C"])) - gain(answers, HOME))


def test_a_factor_without_effect_gets_no_share(answers) -> None:
    alike = {}
    for key, frame in answers.of.items():
        of_a = frame[frame["image"] == "A"].set_index(["population", "index"])["predicted"]
        said = [of_a[population, index] for population, index in zip(frame["population"], frame["index"], strict=True)]
        alike[key] = frame.assign(predicted=said)
    images_do_nothing = Answers(alike, answers.labels)
    weights = analysis.shares("grpo", "sft", "B")["images"]
    found = analysis.contrast(images_do_nothing, weights)
    assert (found.estimate, found.low, found.high) == pytest.approx((0, 0, 0))


def test_the_interval_of_one_training_agrees_with_a_bootstrap_written_out(answers) -> None:
    one, key = dataclasses.replace(answers, of={("sft", 0): answers.of["sft", 0]}, _known={}), Key("sft", HOME)
    ours, rng = analysis.contrast(one, {key: 1.0}), np.random.default_rng(7)
    true_NF, said_NF = answers.matrices(key, 0)
    values = []
    for _ in range(1500):
        rows = rng.integers(0, N, N)
        true, said = true_NF[rows], said_NF[rows]
        values.append(np.mean(2 * (true & said).sum(0) / np.maximum(1, true.sum(0) + said.sum(0))))
    assert [ours.low, ours.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.006)


def test_trainings_that_differ_widen_the_interval_as_student_s_t_does(answers) -> None:
    """Images on which each training does the same to all patients leave the spread of three trainings alone."""
    labels = answers.labels.assign(positive=[names(np.arange(9) % 3 == index % 3) for index in answers.labels["index"]])
    frame, of = answers.of["sft", 0], {}
    for seed in range(3):
        right = [np.arange(9) % 3 == index % 3 for index in frame["index"]]
        of["sft", seed] = frame.assign(predicted=[names(one | (np.arange(9) < seed)) for one in right])
    found = analysis.contrast(Answers(of, labels), {Key("sft", HOME): 1.0})
    spread = np.std(found.per_seed, ddof=1) / np.sqrt(3) * scipy.stats.t(2).ppf(0.975)
    assert spread > 0.1
    assert found.estimate == pytest.approx(np.mean(found.per_seed))
    assert [found.low, found.high] == pytest.approx([found.estimate - spread, found.estimate + spread], rel=0.06)


def test_a_constant_run_and_one_below_naming_every_label_are_in_no_difference(answers) -> None:
    frame = answers.of["sft", 1]
    constant = dict(answers.of) | {("sft", 1): frame.assign(predicted="Edema")}
    with pytest.raises(NotComparable, match="sft gives one answer to 100% of the images"):
        analysis.contrast(Answers(constant, answers.labels), analysis.change("grpo", "sft", HOME))
    rng = np.random.default_rng(3)
    random = dict(answers.of)
    for seed in range(3):
        said = [names(rng.random(len(NIH_SHARED)) < 0.2) for _ in range(len(frame))]
        random["sft", seed] = frame.assign(predicted=said)
    with pytest.raises(NotComparable, match=r"sft scores .*, below naming every label"):
        analysis.contrast(Answers(random, answers.labels), analysis.change("grpo", "sft", HOME))
    level = analysis.contrast(Answers(random, answers.labels), {Key("sft", HOME): 1.0})
    assert level.estimate < 0.4  # a level is shown all the same


def test_an_average_that_carries_a_conclusion_leaves_rare_findings_out(answers) -> None:
    labels, rare = answers.labels, "Pneumothorax"
    few = labels["index"] % 10 == 0  # 12 of 120 patients
    without = labels["positive"].str.replace(rare, "", regex=False)
    at_c = (labels["population"] == "C") & (labels["reference"] == OWN["C"])
    changed = labels.assign(positive=labels["positive"].where(~at_c | few, without))
    known = Answers(answers.of, changed)
    assert known.positives(Cell("C", "C", OWN["C"]))[rare] < comparable.ENOUGH
    there = analysis.contrast(known, analysis.change("grpo", "sft", Cell("C", "C", OWN["C"])))
    crossing = analysis.contrast(known, analysis.shares("grpo", "sft", "C")["all"])
    assert there.findings == crossing.findings == tuple(name for name in NIH_SHARED if name != rare)


def test_a_model_trained_once_does_not_stand_beside_other_seeds(answers) -> None:
    once = {key: rows for key, rows in answers.of.items() if key[0] != "grpo" or key[1] == 1}
    fewer, untouched = Answers(once, answers.labels), analysis.change("sft", "base-best", HOME)
    assert fewer.seeds(["grpo"]) == fewer.seeds(["grpo", "sft"]) == fewer.seeds(["base-best", "grpo"]) == [1]
    with pytest.raises(NotComparable, match=comparable.ONE_TRAINING):
        analysis.contrast(fewer, untouched, beside=["grpo"])
    assert analysis.contrast(fewer, untouched).seeds == (0, 1, 2)
    apart = Answers({key: rows for key, rows in once.items() if key != ("sft", 1)}, answers.labels)
    with pytest.raises(UserError, match="models with a seed in common"):
        analysis.contrast(apart, analysis.change("grpo", "sft", HOME))


def test_one_seed_concludes_nothing_about_training(answers) -> None:
    one = Answers({key: rows for key, rows in answers.of.items() if key[1] == 0}, answers.labels)
    for weights in (analysis.change("grpo", "sft", HOME), analysis.change("sft", "base-best", HOME),
                    analysis.shares("grpo", "sft", "C")["labels"]):  # fmt: skip
        with pytest.raises(NotComparable, match="one training: another may come out otherwise"):
            analysis.contrast(one, weights)
    assert analysis.contrast(one, {Key("sft", HOME): 1.0}).seeds == (0,)  # a level is shown all the same
    untrained = {Key("base-best", Cell("B", "B", "visible")): 1.0, Key("base-best", HOME): -1.0}
    assert analysis.contrast(one, untrained).seeds == (0,)


@pytest.mark.parametrize("name", ["micro", "jaccard", "named", "called-normal"])
def test_each_outcome_against_scikit_learn_or_counting(answers, name) -> None:
    key = Key("sft", HOME)
    true_NF, said_NF = answers.matrices(key, 1)
    normal = NIH_SHARED.index("No Finding")
    wanted = {
        "micro": f1_score(true_NF, said_NF, average="micro"),
        "jaccard": np.mean([(t & s).sum() / (t | s).sum() if (t | s).any() else 1.0
                            for t, s in zip(true_NF, said_NF, strict=True)]),
        "named": said_NF.sum() / true_NF.sum(),
        "called-normal": said_NF[~true_NF[:, normal], normal].mean(),
    }[name]  # fmt: skip
    assert answers.values(key, 1, outcomes.OUTCOMES[name])[0] == pytest.approx(wanted, abs=1e-6)


def test_the_share_of_the_commonest_list_has_a_binomial_interval(answers) -> None:
    cell = Cell("A", "A", "report")
    frame = answers.of["sft", 0]
    frame = frame.assign(predicted=frame["predicted"].where(frame["index"] % 5 < 3, "Edema"))
    said = frame[(frame["population"] == "A") & (frame["image"] == "A")]
    top = said["predicted"].value_counts().index[0]
    share, n = float((said["predicted"] == top).mean()), len(said)
    one = dataclasses.replace(answers, of={("sft", 0): frame}, _known={})
    found = analysis.commonest(one, "sft", cell)
    assert found.estimate == pytest.approx(share)
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
