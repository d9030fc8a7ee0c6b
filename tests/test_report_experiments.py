"""The experiment's chapters on made-up answers whose truth is known: each sentence has to say it."""

import re
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from chexreason import claims, report
from chexreason.errors import UserError
from chexreason.experiments import analysis, arms
from chexreason.labels import NIH_SHARED
from chexreason.metrics import label_cells
from chexreason.report.experiments import answers, cells, collapse, cures, dose, scaffold, selection

FACTORY = runpy.run_path(str(Path(__file__).with_name("synthetic_experiment.py")))
#: Reinforcement with the hard reward is right more often than fine-tuning, one cure far more, best more than last.
WRONG = {
    "": 0.25,
    "grpo-hard-best": 0.10,
    "grpo-hard-last": 0.20,
    "cure-visible-best": 0.01,
    "hard-longer-best": 0.48,
}
READ_ONCE = (answers.answers, answers.trained, answers.runs_of, cells._shares, scaffold._drawn)
ONE_ANSWER = frozenset({"nuanced-no-kl-last"})


@contextmanager
def shown(root: Path) -> Iterator[None]:
    """The chapters read the results below `root`, and nothing that was read before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHEXREASON_RESULTS", str(root))
        for read in READ_ONCE:
            read.cache_clear()
        yield
    for read in READ_ONCE:
        read.cache_clear()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    root = tmp_path_factory.mktemp("experiment")
    FACTORY["write"](root, WRONG, ONE_ANSWER)
    with shown(root):
        yield


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[None]:
    with shown(tmp_path):
        yield


@pytest.mark.usefixtures("results")
def test_all_arms_are_found_with_their_seeds() -> None:
    known = answers.answers()
    for name, arm in arms.ARMS.items():
        if arm.question != "scaffold":
            seeds = list(arms.seeds_of(name)) if arm.stage or arm.samples else [0]
            assert known.seeds([f"{name}-best"]) == seeds, name
    assert f"{FACTORY['PATIENTS']} patients a world" in answers.about()


@pytest.mark.usefixtures("results")
def test_films_labels_or_patients() -> None:
    gain = cells.home("grpo-hard")
    assert gain.low > 0
    said = str(cells.finding())
    assert f"At hospital A, reinforcement changes the score: {gain.estimate:+.3f}" in said
    assert cells.verdict().startswith(f"at home {gain.estimate:+.3f}")
    # The answers follow each film's own labels, so held against any other yardstick a world away they are worse off.
    found = analysis.contrast(answers.answers(), analysis.shares("grpo-hard-best", f"{arms.SFT}-best", "B")["all"])
    assert f"{found.estimate:+.3f}".replace("-", "−") in said
    assert cells.split().text.count("<svg") == 2
    assert cells.yardsticks().text.count("<svg") == 3
    assert len(re.findall("<tr>", cells.levels().text)) == 1 + 12


@pytest.mark.usefixtures("results")
def test_a_longer_training_that_loses_is_said_to_lose() -> None:
    assert dose.change("hard-longer", "best", "A").high < 0 < dose.change("grpo-hard", "best", "A").low
    said = str(dose.finding())
    assert said.endswith("at home, which can be told from none.")
    for there in "ABC":
        found = dose.change("hard-longer", "best", there)
        assert f"at hospital {there} {found.estimate:+.3f}".replace("-", "−") in said
    assert dose.figure().text.count("<svg") == 2


@pytest.mark.usefixtures("results")
def test_a_model_with_one_answer_has_collapsed_and_no_other() -> None:
    assert collapse.verdict() == "nuanced-no-kl (3 of 3 seeds)"
    spread = collapse.spread("nuanced-no-kl-last")
    assert (spread.commonest, spread.lists) == (1.0, 1.0)
    assert "3 of 3" in collapse.table().text
    assert "nuanced-no-kl 1.000" in collapse.figure().text
    assert "weighs 100 times less" in str(collapse.leash())
    for reward in ("hard", "nuanced"):
        assert collapse.curves(reward).text.count("<svg role") == 3


@pytest.mark.usefixtures("results")
def test_the_choice_of_a_checkpoint() -> None:
    # Chosen on: 0.02 by construction, and 0.001 more with each seed.
    assert selection.on_validation("grpo-hard") == pytest.approx(0.02 + 0.001 * np.mean(range(5)))
    assert selection.on_others("grpo-hard").low > 0
    assert selection.on_others("cure-answer-weight").estimate == pytest.approx(0, abs=0.05)
    assert "best less last is +0.02" in selection.verdict()
    assert selection.figure().text.count("<svg") == 1


@pytest.mark.usefixtures("results")
def test_the_order_of_the_formats_turns_round() -> None:
    general, medical = (np.mean(scaffold.protocol_against_labels(base)) for base in ("qwen", "medgemma"))
    assert scaffold.verdict().startswith(f"as the paper says: protocol less labels alone is {general:+.3f}")
    said = str(scaffold.finding())
    assert f"in 0 of 3 seeds; over seeds and patients the mean difference is −{-medical:.3f} (" in said
    assert scaffold.figure().text.count("<svg") == 2


@pytest.mark.usefixtures("results")
def test_the_mean_difference_of_two_formats_against_a_bootstrap_written_out() -> None:
    cells_of = [
        [
            [label_cells(one[column], "chexpert14") for column in ("truth", "predicted")]
            for one in (
                answers.trained()[f"sft-qwen-{name}", seed].predictions() for name in ("only_label", "reasoning_a")
            )
        ]
        for seed in range(3)
    ]
    rng, drawn = np.random.default_rng(7), []
    for _ in range(200):
        differences = []
        for seed in rng.integers(3, size=3):
            size = len(cells_of[seed][0][0])
            picked = rng.integers(size, size=size)
            scored = [
                f1_score(true[picked], said[picked], average="macro", zero_division=0) for true, said in cells_of[seed]
            ]
            differences.append(scored[1] - scored[0])
        drawn.append(np.mean(differences))
    found = scaffold.mean_difference("qwen")
    assert found.estimate == pytest.approx(np.mean(scaffold.protocol_against_labels("qwen")))
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


@pytest.mark.usefixtures("results")
def test_the_one_cure_that_works_is_named() -> None:
    assert cures.worked(cures._cures()) == ["cure-visible"]
    assert cures.verdict() == "1 of 6 do: cure-visible"
    assert "The largest gain abroad is that of cure-visible" in str(cures.finding())
    assert cures.figure().text.count("<svg") == 2


@pytest.mark.usefixtures("results")
def test_the_front_page_leads_to_every_chapter() -> None:
    shown = report.experiment().text
    for page in ("cells", "scaffold", "collapse", "selection", "cures"):
        assert f'href="{page}.html"' in shown
    assert "1 of 6 do: cure-visible" in shown


@pytest.mark.usefixtures("nothing")
def test_without_runs_every_chapter_says_so() -> None:
    shown = [cells.split(), cells.yardsticks(), cells.levels(), collapse.figure(), collapse.table(),
             collapse.curves("hard"), selection.figure(), scaffold.figure(), cures.figure(), dose.figure()]  # fmt: skip
    assert all("make experiments" in one.text for one in shown)
    said = [cells.finding(), collapse.finding(), collapse.leash(), selection.finding(), scaffold.finding(),
            cures.finding(), dose.finding()]  # fmt: skip
    assert all(str(one) == "*Not run yet.*" for one in said)
    assert report.experiment().text.count("not run yet") == 5


@pytest.mark.usefixtures("results")
def test_the_claims_are_judged_over_seeds() -> None:
    side = claims.open_side("experiment")
    found = claims.outcomes(claims.CLAIMS, side)
    assert found["structured-worst-medgemma"].verdict == claims.HOLDS
    assert found["structured-best-qwen-macro"].verdict == claims.HOLDS
    assert found["structured-best-qwen-macro"].n == f"hospital A validate, 3 seeds n = {FACTORY['PATIENTS']}"
    # GRPO gains everywhere here, over the nine findings; the average over fourteen is refused.
    assert found["grpo-improves-chexpert-nine"].verdict == claims.HOLDS
    assert found["grpo-loses-nih"].verdict == claims.FAILS
    assert "nine findings" in found["grpo-improves-chexpert"].reason
    # Rewarded for what can be seen, a model is right more often abroad, by construction; the two hospitals' one is not.
    assert found["other-reward-would-help"].verdict == claims.HOLDS
    assert found["curriculum-would-help"].verdict != claims.HOLDS
    assert any(run.startswith("seed1/cure-visible-best") for run in found["other-reward-would-help"].runs)
    # One stabiliser's absence collapses in each seed; the labels' part is what the chapter says.
    assert (found["stabilisers"].verdict, found["stabilisers"].effect) == (claims.HOLDS, 1.0)
    parts = [analysis.shares("grpo-hard-best", f"{arms.SFT}-best", there)["labels"] for there in "BC"]
    mean = np.mean([analysis.contrast(answers.answers(), one).estimate for one in parts])
    assert found["aligns-to-convention"].effect == pytest.approx(-mean)


@pytest.mark.usefixtures("results")
def test_a_score_over_seeds_is_scikit_learns_mean() -> None:
    side = claims.open_side("experiment")
    wanted = []
    for seed in range(3):
        rows = answers.trained()["sft-qwen-only_label", seed].predictions()
        truth, said = (label_cells(rows[name], "chexpert14") for name in ("truth", "predicted"))
        wanted.append(f1_score(truth, said, average="macro", zero_division=0))
    got = side.score(3, "only_label")
    assert got.value == pytest.approx(np.mean(wanted))
    assert got.draws.std() > 0.005
    world = answers.answers().of["grpo-hard-best", 1].query("population == 'C' and film == 'C'").sort_values("index")
    labels = answers.answers().labels.query("population == 'C' and yardstick == 'text-mined'").sort_values("index")
    cells_of_c = [label_cells(column, "nih9")[:, 3] for column in (labels["positive"], world["predicted"])]
    per_seed = [one.finding(6, "chexreason", NIH_SHARED[3]).value for one in side._sides]
    assert per_seed[1] == pytest.approx(f1_score(*cells_of_c, zero_division=0))


def test_without_the_experiment_its_side_is_refused(tmp_path) -> None:
    (tmp_path / "experiment" / "seed0" / "base-best-answers").mkdir(parents=True)
    (tmp_path / "experiment" / "seed0" / "base-best-answers" / "run.json").write_text(
        '{"run_id": "base-best-answers", "tier": "miniature"}'
    )
    with pytest.raises(UserError, match="make experiments"):
        claims.open_side("experiment", tmp_path)
