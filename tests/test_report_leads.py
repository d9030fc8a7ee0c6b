"""Nothing is called best inside the noise, from one training, or from a run that does not look at the images."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chapter import cells_of

from chexreason import metrics, runs
from chexreason.errors import UserError
from chexreason.labels import LABEL_SETS
from companion import report
from companion.evidence import tables as evidence
from companion.evidence.audit.differences import differences
from companion.evidence.audit.uncertainty import PAIRED
from companion.evidence.stats import Interval
from companion.report import conclusions, leads
from companion.report.theme import spoken

#: What no sentence about our own trainings may say.
VERDICTS = r"is ahead|is behind|zero\b|told from|the best (prompt|format|reward)|in the (same|opposite) direction"


@pytest.fixture
def results(made_up, tmp_path):
    """Runs of smoke that a test may alter."""
    shutil.copytree(made_up / "smoke", tmp_path / "smoke")
    return tmp_path


def answer(folder: Path, predicted: np.ndarray | str) -> None:
    """Give a run other answers: a matrix of labels, or one answer to every image; its scores follow."""
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    names = LABEL_SETS[str(runs.read(folder).info["label_set"])]
    said = predicted if isinstance(predicted, str) else [";".join(np.array(names)[row]) for row in predicted]
    rows["predicted"] = said
    rows.to_csv(folder / "predictions.csv.gz", index=False)
    label_set = str(runs.read(folder).info["label_set"])
    truth, given = (metrics.label_cells(rows[column], label_set) for column in ("truth", "predicted"))
    scored = metrics.scores(truth, given, label_set, failure_rate=0.0).to_frame()
    if runs.read(folder).info["stage"] == "grpo":
        scored = pd.concat([scored.assign(checkpoint=name) for name in ("best", "last")])
    scored.to_csv(folder / "metrics.csv", index=False)


def truth(folder: Path) -> np.ndarray:
    run = runs.read(folder)
    return metrics.label_cells(run.predictions()["truth"], str(run.info["label_set"]))


def claim(folder: Path, value: float) -> None:
    """Write a macro-F1 into a run's scores, whatever its answers."""
    table = pd.read_csv(folder / "metrics.csv")
    table.loc[(table["finding"] == "macro") & (table["metric"] == "f1"), "value"] = value
    table.to_csv(folder / "metrics.csv", index=False)


@pytest.mark.parametrize("other", [{"seeds": [1]}, {"split": "train"}, {"dataset": "nih"}, {"label_set": "nih9"}])
def test_runs_that_are_not_alike_are_refused(other, made_up):
    run = runs.read(made_up / "smoke" / "01-prompting-reasoning_a")
    leads.together([run, run], resamples=10)
    with pytest.raises(UserError, match="on both sides of a comparison"):
        leads.together([run, replace(run, info={**run.info, **other})], resamples=10)


def test_runs_on_other_studies_are_refused(results):
    folder = results / "smoke" / "04-generalization-chexreason-nih"
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    rows.assign(study_key=["other", *rows["study_key"][1:]]).to_csv(folder / "predictions.csv.gz", index=False)
    with pytest.raises(UserError, match="the same studies on both sides"):
        conclusions.ours(6, "smoke", results)


@pytest.mark.parametrize("number", range(1, 7))
def test_bold_is_what_the_sentence_calls_highest_and_never_ours(number, made_up):
    shown = evidence.gather(number, "smoke", made_up)
    text = report.table(number, "smoke", made_up).text
    cells = re.findall(r"<td ([^>]*)>([^<]*)</td>", text)
    bold = [value for style, value in cells if "font-weight: bold" in style]
    if number >= 5:
        wanted = [shown.published[row, c, "f1"] for row in shown.rows()
                  for c in leads.highest(shown.published.xs((row, "f1"), level=("row", "metric")))]  # fmt: skip
    else:
        wanted = [shown.published[row, c, m] for c, m in shown.columns() if m != "failure_rate"
                  for row in leads.highest(shown.side("paper", c, m))]  # fmt: skip
    assert sorted(bold) == sorted(f"{value:.3f}" for value in wanted)
    assert not [style for style, _ in cells if "font-weight: bold" in style and "--cxr-tint" in style]
    assert "which does not say that the difference is real" in text
    assert ("failure rates" in text) == (number < 5)


@pytest.mark.parametrize("how", ["constant", "below"])
def test_a_run_that_does_not_look_is_marked_and_takes_part_in_nothing(how, results):
    folder = results / "smoke" / "01-prompting-reasoning_f"
    reason = "gives one answer to 100% of the images" if how == "constant" else "below naming every label"
    if how == "constant":
        answer(folder, "Edema")
        claim(folder, 0.99)  # would be the best by far
    else:
        answer(folder, ~truth(folder))
    shown = evidence.gather(1, "smoke", results)
    assert list(leads.unfit_of(shown)) == ["reasoning_f"]
    table = report.table(1, "smoke", results).text
    assert table.count("Reasoning F¶") == 1  # its row
    assert f"Reasoning F {reason}" in table.replace("scores 0.000, ", "")
    said = conclusions.ours(1, "smoke", results).text
    assert f"¶ Reasoning F takes part in no order: {reason}" in said.replace("scores 0.000, ", "")
    assert cells_of(said, "Reasoning F")[:3] == ["–"] * 3
    assert "minus Reasoning F" not in said
    assert "of the other 7 prompts" in said


def test_a_prompt_is_best_only_beyond_the_noise(results):
    said = conclusions.ours(1, "smoke", results).text
    assert "over 14 of 14 findings with at least 20 positives" in said
    shown = evidence.gather(1, "smoke", results)
    found = leads.together([leads.run_at(shown, row)[0] for row in shown.rows()])
    top = int(found.all_RM[0].argmax())
    near = sum(found.difference(k, top).low <= 0 for k in range(9) if k != top)
    title = leads.name_of(shown, shown.rows()[top])
    assert f"None is called best: {near} of the other 8 prompts cannot be distinguished from {title}," in said
    folder = results / "smoke" / "01-prompting-reasoning_c"
    answer(folder, truth(folder))
    said = conclusions.ours(1, "smoke", results).text
    assert "Reasoning C is best: its lead over each other prompt is more than the patients explain" in said


def thinned(folder: Path, name: str, positives: int) -> None:
    """Leave a finding few positives, and have both the run and its scores know."""
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    sets = [set(cell.split(";")) - {""} for cell in rows["truth"]]
    for one in [one for one in sets if name in one][positives:]:
        one.discard(name)
    rows["truth"] = [";".join(sorted(one)) for one in sets]
    rows.to_csv(folder / "predictions.csv.gz", index=False)


def same_but_for(folder: Path, name: str, hits: int) -> None:
    """Answers that are right of 4 in 5 labels, the same in each run, and of one finding right `hits` times."""
    recorded, column = truth(folder), list(LABEL_SETS[str(runs.read(folder).info["label_set"])]).index(name)
    said = recorded ^ (np.random.default_rng(1).random(recorded.shape) < 0.2)
    said[:, column] = recorded[:, column] & (np.cumsum(recorded[:, column]) <= hits)
    answer(folder, said)


RARE = "Pneumothorax"


def test_a_rare_finding_carries_no_change(results):
    for dataset in ("chexpert", "nih"):
        for model in ("medgemma", "nv_reason", "qwen", "medgemma_sft", "chexreason"):
            folder = results / "smoke" / f"04-generalization-{model}-{dataset}"
            thinned(folder, RARE, 10)
            same_but_for(folder, RARE, 10 if model == "chexreason" else 0)
    for number, of in ((5, 14), (6, 9)):
        said = conclusions.ours(number, "smoke", results).text
        assert f"over {of - 1} of {of} findings with at least 20 positives" in said
        start, end = (cells_of(said, model) for model in ("mini-Gemma (SFT)", "mini-ChexReason"))
        assert float(end[0]) - float(start[0]) == pytest.approx(1 / of, abs=0.001)
        assert end[2] == spoken(Interval(0.0, 0.0, 0.0))


def test_a_constant_run_is_in_no_spread_and_no_change_however_high_it_scores(results):
    folders = {2: "02-sft-medgemma-only_label", 4: "03-grpo-hard", 5: "04-generalization-chexreason-chexpert"}
    for name in folders.values():
        answer(results / "smoke" / name, "Edema")
        claim(results / "smoke" / name, 0.99)
    reason = "gives one answer to 100% of the images"
    rows = {2: "Only Label", 4: "Hard, best F1-score", 5: "mini-ChexReason"}
    for number, name in rows.items():
        said = conclusions.ours(number, "smoke", results).text
        assert set(cells_of(said, name)[:-2]) == {"–"}
        assert f"¶ {name} takes part in no order: {reason}" in said
    fit = conclusions.ours(6, "smoke", results).text
    assert "–" not in cells_of(fit, "mini-ChexReason")
    assert ("minus mini-Gemma (SFT)" in fit, "No difference to" in fit) == (True, False)
    answer(results / "smoke" / "04-generalization-medgemma_sft-nih", "Edema")
    unfit = conclusions.ours(6, "smoke", results).text
    assert "minus mini-Gemma (SFT)" not in unfit
    assert "No difference to mini-Gemma (SFT) is given." in unfit


def test_one_training_each_gives_no_order_however_large_the_lead(results):
    for name in ("02-sft-medgemma-only_label", "02-sft-qwen-reasoning_a", "03-grpo-hard",
                 "04-generalization-chexreason-nih", "04-generalization-chexreason-chexpert"):  # fmt: skip
        folder = results / "smoke" / name
        answer(folder, truth(folder))
    for number in range(2, 7):
        said = conclusions.ours(number, "smoke", results).text
        assert not re.search(VERDICTS, said[said.index("<table") :])
        assert "no order is given: what another training would give is in no interval" in said


def test_printed_leads_are_held_against_chance_as_the_audit_does():
    audited = {(one.lean.table, one.lean.first, one.lean.second, one.n): one.at[PAIRED] for one in differences()}
    hard = leads.printed_change((4, "nuanced_best"), (4, "hard_best"))
    assert hard.estimate == pytest.approx(0.001)
    one = audited[4, "nuanced_best", "hard_best", 500]
    assert (hard.low, hard.high) == pytest.approx((one.low, one.high))
    assert hard.low < 0 < hard.high
    gain = leads.printed_change((2, "free_reasoning"), (4, "hard_best"))
    assert gain.low == pytest.approx(audited[4, "free_reasoning", "hard_best", 500].low)
    near = leads.printed_change((5, "medgemma_sft"), (5, "chexreason"))
    assert near.estimate == pytest.approx(0.346 - 0.282)
    assert near.low > 0
    # The mean of the nine printed differences is -0.055; everywhere the printed averages' -0.056 is told.
    far = leads.printed_change((6, "medgemma_sft"), (6, "chexreason"), 500)
    assert far.estimate == pytest.approx(0.243 - 0.299)
    said = leads.printed_highest(1)
    assert said == "Reasoning Narrative (0.270); its lead over Reasoning Self-Check and Reasoning A is within chance"
