"""The experiment's chapters on made-up answers whose truth is known: each sentence has to say it."""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_experiment
from chapter import cells_of, sentences, table_rows
from sklearn.metrics import f1_score

from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED
from chexreason.metrics import label_cells
from companion.evidence import analysis, claims, comparable
from companion.evidence import tables as evidence
from companion.evidence.analysis import OWN, Contrast, Key
from companion.evidence.stats import Interval
from companion.experiment import arms, scores
from companion.report import plots
from companion.report.experiments import answers, cells, collapse, cures, posthoc, scaffold, selection
from companion.report.experiments.names import BELOW, NOT_RUN
from companion.report.theme import decimal, spoken

#: Share of flipped labels: reinforcement with the hard reward is right more often than fine-tuning, its best checkpoint
#: more than the last, one cure more than both; a longer training is worse. All lie above naming every label.
WRONG = {
    "": 0.14,
    "grpo-hard-best": 0.06,
    "grpo-hard-last": 0.10,
    "cure-visible-best": 0.005,
    "hard-longer-best": 0.26,
}
ONE_ANSWER = frozenset({"nuanced-no-kl-last"})
HARD, SFT = "grpo-hard-best", f"{arms.SFT}-best"


FORMATS = {name for name, arm in arms.ARMS.items() if arm.stage == "sft"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All arms."""
    root = tmp_path_factory.mktemp("experiment")
    synthetic_experiment.write(root, WRONG, ONE_ANSWER)
    with synthetic_experiment.shown(root):
        yield


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[None]:
    with synthetic_experiment.shown(tmp_path):
        yield


@pytest.fixture
def constant_general(tmp_path: Path) -> Iterator[None]:
    """Nothing has collapsed, and the general base gives one answer with each format."""
    general = frozenset(name for name in FORMATS if arms.get(name).base == "qwen")
    synthetic_experiment.write(tmp_path, WRONG, general, only=FORMATS | {"grpo-hard"})
    with synthetic_experiment.shown(tmp_path):
        yield


@pytest.fixture
def once(tmp_path: Path) -> Iterator[None]:
    """GRPO at seed 1 alone beside SFT at all seeds; the general base's formats at seed 0 alone."""
    synthetic_experiment.write(tmp_path, WRONG, only=FORMATS | {"grpo-hard"})
    for arm, seed in (("grpo-hard", 1), ("sft-qwen", 0)):
        for folder in (tmp_path / "experiment").glob(f"seed*/{arm}*"):
            if folder.parent.name != f"seed{seed}":
                shutil.rmtree(folder)
    with synthetic_experiment.shown(tmp_path):
        yield


def made_up(low: float, estimate: float, high: float) -> Contrast:
    return Contrast(estimate, low, high, NIH_SHARED, (0, 1, 2), (estimate,) * 3)


#: By sign alone these change something, by their intervals only the first and the last.
GAIN, UP, DOWN, LOSS = (made_up(*one) for one in ((0.01, 0.05, 0.09), (-0.05, 0.02, 0.09), (-0.09, -0.02, 0.05),
                                                  (-0.09, -0.05, -0.01)))  # fmt: skip
NONE = "SFT scores 0.184, below naming every label (0.2)"


def by_sklearn(name: str, hospital: str, seed: int, findings=NIH_SHARED, average="macro") -> float:
    """The F1 of a model at a hospital, from the frames as they are."""
    known = answers.answers()
    said = known.of[name, seed].query(f"population == image == '{hospital}'").sort_values("index")["predicted"]
    own = known.labels.query(f"population == '{hospital}' and reference == '{OWN[hospital]}'").sort_values("index")
    keep = [NIH_SHARED.index(finding) for finding in findings]
    both = (label_cells(column, "nih9")[:, keep] for column in (own["positive"], said))
    return float(f1_score(*both, average=average, zero_division=0))


@pytest.mark.usefixtures("results")
def test_images_labels_or_patients() -> None:
    gain, other = cells.home("grpo-hard"), cells.home("grpo-nuanced")
    wanted = [by_sklearn(HARD, "A", s, gain.findings) - by_sklearn(SFT, "A", s, gain.findings) for s in range(5)]
    assert gain.estimate == pytest.approx(np.mean(wanted))
    # The other reward's answers are no better than fine-tuning's.
    assert gain.low > 0
    assert other.low < 0 < other.high
    assert answers.significance(gain) == "distinguishable from zero"
    assert answers.significance(other) == "not distinguishable from zero"
    assert cells.verdict().startswith(f"at home {spoken(gain)};")
    found = analysis.contrast(answers.answers(), analysis.shares(HARD, SFT, "B")["all"])
    assert cells.elsewhere("grpo-hard", "B").startswith(f"the change minus that at A is {spoken(found)}")
    shown = cells.split().text
    assert shown.count("<svg") == 2
    assert f"Hospital B minus hospital A, all three, hard reward: {spoken(found)}" in shown


@pytest.mark.usefixtures("results")
def test_both_lengths_are_compared_at_the_same_seeds() -> None:
    assert answers.answers().seeds([HARD, SFT]) == [0, 1, 2, 3, 4]
    lengths = ("hard-longer-best", HARD)
    long, short = (answers.changed(name, SFT, "A", beside=lengths) for name in lengths)
    assert long.high < 0 < short.low
    assert long.seeds == short.seeds == (0, 1, 2)
    assert long.findings == short.findings
    assert short.per_seed == answers.changed(HARD, SFT, "A").per_seed[:3]


@pytest.mark.usefixtures("results")
def test_what_is_post_hoc_is_said_and_what_is_unfit_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "unfit", lambda known, key, *_: "below" * (key.cell.image == "C"))
    text = posthoc.table().text
    head, _, sft, *others = table_rows(text)
    level = answers.compared({Key(SFT, scores.own("A")): 1.0})
    assert dict(zip(head, sft, strict=True))["macro-F1"] == decimal(level.estimate)
    assert "post hoc but for macro-F1" in text
    assert [BELOW in "".join(row) for row in others] == [False] * 6 + [True] * 4


def test_a_caption_counts_what_leaves_zero_out_and_what_is_not_compared() -> None:
    said = answers.counted({"at home": {"hard": {"A": GAIN, "B": UP}, "nuanced": {"A": DOWN, "B": NONE}}})
    assert " 3 intervals at 95 %" in said
    assert "zero lies outside 1 of them (at home, A, hard), where chance would put 0.1" in said
    assert said.endswith("1 are not compared; the numbers below say why.")


def test_a_figure_has_each_estimate_at_its_place_and_says_it() -> None:
    values = {"hard": {"A": GAIN, "B": UP}, "nuanced": {"A": DOWN, "B": NONE}}
    drawn, listed = plots.intervals("At home", values, "change"), plots.numbers({"At home": values})
    assert drawn.count("not compared") == 2  # in the row and in the text
    said = [f"{row}, {series}: {spoken(one)}" for series, rows in values.items() for row, one in rows.items()]
    assert all(one in drawn and one in listed for one in said)


@pytest.mark.usefixtures("results")
def test_a_model_with_one_answer_has_collapsed_and_no_other() -> None:
    assert collapse.verdict() == "nuanced-no-kl (3 of 3 trainings)"
    assert not collapse.nothing()
    one = collapse.after_last().loc["nuanced-no-kl-last"]
    assert (one["commonest"].estimate, one["label"], one["lists"], one["collapsed"]) == (1, 1, 1, 3)
    assert "nuanced-no-kl: 1 (1 to 1)" in collapse.figure().text
    assert collapse.reward_spread("grpo-nuanced") / collapse.reward_spread("grpo-hard") == pytest.approx(100)
    # A constant run is in no comparison, whatever its score.
    text = collapse.table().text
    assert "3 of 3" in text
    assert text.count("not compared") == 1
    assert "Of 10 that can be compared" in text


@pytest.mark.usefixtures("results")
def test_the_choice_of_a_checkpoint_has_like_on_both_sides() -> None:
    assert selection.seeds() == [0, 1, 2]
    columns = [FINDINGS.index(name) for name in NIH_SHARED]
    # Without the arm whose last checkpoint gives one answer.
    ways = [name for name, arm in arms.ARMS.items() if arm.stage == "grpo" and name != "nuanced-no-kl"]
    assert selection.ways() == ways
    for average in ("macro", "micro"):
        found = selection.advantages(average)
        assert sorted(found.index) == sorted((name, seed) for name in ways for seed in range(3))
        for seed in selection.seeds():
            truth, best, last = (cells[:, columns] for cells in synthetic_experiment.validation("grpo-hard", seed))
            here = [f1_score(truth, said, average=average) for said in (best, last)]
            there = [by_sklearn(f"grpo-hard-{which}", "A", seed, average=average) for which in ("best", "last")]
            wanted = [here[0] - here[1], there[0] - there[1]]
            assert found.loc[("grpo-hard", seed), ["chosen", "others"]].tolist() == pytest.approx(wanted)
    # The last checkpoint of each arm was made worse on the validation studies.
    assert (selection.advantages("micro").loc["hard-scaled", "chosen"] > 0.03).all()
    chosen, others = selection.advantages("micro")[["chosen", "others"]].mean()
    assert f"{chosen:+.3f} where it was chosen, {others:+.3f} on other patients" in selection.verdict()
    assert selection.figure().text.count("<svg") == 1


@pytest.mark.usefixtures("results")
def test_with_healthy_runs_formats_are_set_against_each_other() -> None:
    wanted = []
    for seed in range(3):
        two = [answers.trained()[f"sft-qwen-{name}", seed].predictions() for name in ("reasoning_a", "only_label")]
        assert two[0]["truth"].equals(two[1]["truth"])
        both_cells = [[label_cells(one[column], "chexpert14") for column in ("truth", "predicted")] for one in two]
        wanted.append(np.subtract(*(f1_score(*both, average="macro", zero_division=0) for both in both_cells)))
    found = scaffold.difference("qwen")
    assert len(scaffold.findings()) == 14  # each has 20 positives here
    assert found.estimate == pytest.approx(np.mean(wanted))
    assert scaffold.difference("medgemma").high < 0 < found.low
    assert "cannot answer" not in scaffold.verdict()
    assert f"{spoken(found)} on the general one" in scaffold.verdict()
    assert "Four formats, two base models" in scaffold.figure().text
    assert scaffold.figure().text.count("<svg") == 2


@pytest.mark.usefixtures("constant_general")
def test_constant_runs_rank_no_format() -> None:
    said = scaffold.verdict()
    assert said.startswith("cannot answer")
    assert "not compared (6 of 6 runs are constant or below naming every label) on the general one" in said
    assert not re.search("only label|free reasoning|narrative|reasoning a", said, re.IGNORECASE)
    assert scaffold.constants("qwen") == 12
    assert collapse.nothing()
    assert "3 of 3 constant or below" in scaffold.figure().text
    assert "On the general base formats cannot be compared" in scaffold.figure().text


@pytest.mark.usefixtures("results")
def test_the_one_cure_that_works_is_named() -> None:
    assert cures.worked(cures.cures()) == ["cure-visible"]
    assert cures.verdict() == "1 of the 4 that can be compared abroad: cure-visible"
    assert list(cures.gains()) == ["At home: A", "Abroad: B", "Abroad: C"]


@pytest.mark.parametrize(
    ("home", "at_b", "at_c", "works"),
    [
        (UP, GAIN, GAIN, True), (DOWN, GAIN, GAIN, True), (UP, GAIN, NONE, True), (UP, GAIN, UP, False),
        (UP, UP, GAIN, False), (LOSS, GAIN, GAIN, False), (NONE, GAIN, GAIN, False), (UP, NONE, NONE, False),
    ],
)  # fmt: skip
def test_a_cure_gains_wherever_it_can_be_compared_and_is_not_seen_to_lose_at_home(
    monkeypatch: pytest.MonkeyPatch, home: object, at_b: object, at_c: object, works: bool
) -> None:
    at = {"A": home, "B": at_b, "C": at_c}
    monkeypatch.setattr(cures, "against_plain", lambda name, hospital: at[hospital])
    assert cures.worked(["cure-visible"]) == (["cure-visible"] if works else [])
    # What was trained on B is judged abroad by C alone.
    alone = works or (at_c is GAIN and home not in (LOSS, NONE))
    assert cures.worked(["cure-two-hospitals"]) == (["cure-two-hospitals"] if alone and at_c is GAIN else [])


@pytest.mark.usefixtures("results")
def test_what_is_below_naming_every_label_is_marked_in_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    first = "SFT, its one greedy answer"
    floor = cures._floor
    for beyond in ("", "C", "ABC"):
        monkeypatch.setattr(cures, "_floor", lambda h, beyond=beyond: 0.99 if h in beyond else floor(h))
        shown = cells_of(cures.ceiling().text, first)
        assert [BELOW in cell for cell in shown] == [h in beyond for h in "ABC"]
        assert [float(cell.rstrip(BELOW)) for cell in shown] == pytest.approx([greedy(h) for h in "ABC"], abs=0.0005)


def greedy(hospital: str, seeds: Sequence[int] = range(3)) -> float:
    """SFT's macro-F1 by scikit-learn over the findings with enough positives, mean over trainings."""
    often = analysis.frequent(answers.answers(), [scores.own(hospital)])
    return float(np.mean([by_sklearn(SFT, hospital, seed, often) for seed in seeds]))


@pytest.mark.usefixtures("results")
def test_performance_is_lost_only_where_the_whole_interval_is_below_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"hard-no-kl-last": LOSS, "hard-symmetric-last": DOWN, "hard-scaled-last": GAIN}
    monkeypatch.setattr(collapse, "changed", lambda after, *_: changes.get(after, NONE))
    text = collapse.table().text
    assert "Of 3 that can be compared, micro-F1 fell since fine-tuning" in text
    assert "the whole interval below zero, in: equation 3 without the KL term." in text


@pytest.mark.usefixtures("results")
def test_an_arm_that_answers_as_the_plain_reward_had_no_treatment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert collapse.untreated("hard-no-kl") == []
    known = answers.answers()
    of = dict(known.of)
    for which in ("best", "last"):
        of[f"hard-no-kl-{which}", 1] = of[f"grpo-hard-{which}", 1].copy()
    monkeypatch.setattr(collapse, "answers", lambda: replace(known, of=of))
    assert (collapse.untreated("hard-no-kl"), collapse.untreated("grpo-hard")) == ([1], [])
    assert collapse.table().text.count(">seed 1<") == 1


@pytest.mark.usefixtures("results")
def test_the_blind_control_has_no_patient_s_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 50):
        for _ in range(20):
            others = cures._others(n, rng)
            assert sorted(others) == list(range(n))  # each answer is given once
            assert (others != np.arange(n)).all()
    # Answers that are right of every patient score 1; given to others, they do not.
    known = answers.answers()
    true_NF, _ = known.matrices(Key(SFT, scores.own("A")), 0)
    with monkeypatch.context() as patch:
        patch.setattr(type(known), "matrices", lambda *_: (true_NF, true_NF))
        assert cures._blind.__wrapped__("A", 0, 1) < 0.6
    for hospital in "ABC":
        blind = [cures._blind(hospital, 0, tries) for tries in (1, 2, 4, 8)]
        assert blind == sorted(blind)
        assert blind[0] < greedy(hospital, [0])


def test_what_is_rare_in_one_seed_or_on_one_side_carries_no_conclusion(monkeypatch: pytest.MonkeyPatch) -> None:
    often = {(name, "support"): float(comparable.ENOUGH) for name in FINDINGS}
    chosen_by = {0: often, 1: often | {("Edema", "support"): comparable.ENOUGH - 1.0}}
    monkeypatch.setattr(evidence, "scores", lambda run, *_: pd.Series(chosen_by[run]))
    monkeypatch.setattr(scaffold, "runs_of", lambda base: {scaffold.ALONE: {0: 0, 1: 1}})
    assert scaffold.findings() == tuple(name for name in FINDINGS if name != "Edema")
    monkeypatch.setattr(selection, "ways", lambda: ["grpo-hard"])
    monkeypatch.setattr(selection, "seeds", lambda: [0, 1])
    monkeypatch.setattr(selection, "answers", lambda: None)
    monkeypatch.setattr(selection, "trained", lambda: {("grpo-hard", seed): seed for seed in (0, 1)})
    monkeypatch.setattr(analysis, "frequent", lambda *_: tuple(name for name in NIH_SHARED if name != "Pneumothorax"))
    assert selection.frequent() == set(NIH_SHARED) - {"Edema", "Pneumothorax"}


@pytest.mark.usefixtures("once")
def test_one_training_concludes_nothing_in_any_chapter() -> None:
    known = answers.answers()
    assert (known.seeds([SFT]), known.seeds([HARD]), known.seeds([SFT, HARD])) == ([0, 1, 2, 3, 4], [1], [1])
    one = "one training: another may come out otherwise"
    assert cells.home("grpo-hard") == one
    assert answers.significance(one) == "so nothing is concluded"
    assert all(cells.elsewhere("grpo-hard", there) == f"nothing is compared: {one}" for there in "BC")
    assert selection.ways() == []
    assert selection._unfit("grpo-hard") == "one training"
    assert selection.verdict() == NOT_RUN
    assert len(scaffold.runs_of("medgemma")[scaffold.ALONE]) == 3
    assert len(scaffold.runs_of("qwen")[scaffold.ALONE]) == 1
    assert isinstance(scaffold.difference("medgemma"), Interval)
    assert scaffold.difference("qwen") == one
    assert str(scaffold.verdict()).startswith("cannot answer")


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("page", ["cells", "smaller", "sft"])
def test_a_chapter_can_be_read_before_anything_is_run(page: str) -> None:
    """Its cells run, and each value in its sentences is there."""
    assert "None" not in sentences(page, shown=True)


@pytest.mark.usefixtures("nothing")
def test_without_runs_every_chapter_says_so() -> None:
    shown = [chapter.figure() for chapter in (collapse, selection, scaffold)]
    shown += [cells.split(), collapse.table(), cures.ceiling(), posthoc.table()]
    shown.append(answers.compare("title", cures.gains(), "unit", [HARD, SFT], ""))
    assert all("make experiments" in one.text for one in shown)
    assert cells.home("grpo-hard") == scaffold.difference("qwen") == NOT_RUN
    assert {chapter.verdict() for chapter in (cells, scaffold, collapse, selection, cures)} == {NOT_RUN}


@pytest.mark.usefixtures("results")
def test_the_claims_are_judged_over_seeds(monkeypatch) -> None:
    side = claims.open_side("experiment")
    found = claims.outcomes(claims.CLAIMS, side)
    assert found["structured-worst-medgemma"].verdict == claims.HOLDS
    assert found["structured-best-qwen-macro"].verdict == claims.HOLDS
    assert found["structured-best-qwen-macro"].n == f"hospital A validate, 3 seeds n = {synthetic_experiment.PATIENTS}"
    # GRPO gains everywhere here, over the nine findings; the average over fourteen is refused.
    assert found["grpo-improves-chexpert-nine"].verdict == claims.HOLDS
    assert found["grpo-loses-nih"].verdict == claims.FAILS
    assert "nine findings" in found["grpo-improves-chexpert"].reason
    # Rewarded for what can be seen, a model is right more often abroad, by construction; the two hospitals' one is not.
    assert found["other-reward-would-help"].verdict == claims.HOLDS
    assert found["curriculum-would-help"].verdict != claims.HOLDS
    assert any(run.startswith("seed1/cure-visible-best") for run in found["other-reward-would-help"].runs)
    # One stabiliser's absence collapses in each of three seeds, which is too few.
    assert (found["stabilisers"].verdict, found["stabilisers"].effect) == (claims.CHANCE, 1.0)
    # Two of SFT's trainings lie below naming every label; without that rule the labels' part is the chapter's.
    assert re.search(r"below naming every label .* in 2 of 5 trainings", found["aligns-to-convention"].reason)
    monkeypatch.setattr(analysis, "unfit", lambda *_: "")
    found = claims.outcomes({"aligns-to-convention": claims.CLAIMS["aligns-to-convention"]}, side)
    parts = [analysis.contrast(answers.answers(), analysis.shares(HARD, SFT, there)["labels"]) for there in "BC"]
    assert found["aligns-to-convention"].effect == pytest.approx(-np.mean([one.estimate for one in parts]))


def test_without_the_experiment_its_side_is_refused(tmp_path) -> None:
    folder = tmp_path / "experiment" / "seed0" / "base-best-answers"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"run_id": "base-best-answers", "tier": "miniature"}')
    with pytest.raises(UserError, match="make experiments"):
        claims.open_side("experiment", tmp_path)
