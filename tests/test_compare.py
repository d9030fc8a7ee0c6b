"""Two runs side by side: a table computed by hand, what falls out on either side, and what may not be compared."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import f1_score

from chexreason import config, runs
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, LABEL_SETS, NIH_SHARED
from chexreason.rows import under
from companion.evidence import paired, tables
from companion.report import leads, scored
from companion.workflow import commands as cli

DEMO = config.RESULTS / "demo"


def run(name: str, label_set: str = "nih9", **info) -> runs.Run:
    facts = {"run_id": name, "tier": "replication", "label_set": label_set, "dataset": "nih", "split": "test"}
    return runs.Run(Path(name), facts | {"config": {"decoding": {"uncertain": "zeros"}}} | info)


def rows(said: str, truth: str = "E,E;P,P,-", patients: str = "aabc", **columns) -> pd.DataFrame:
    """Rows of studies s0, s1, ...: E is Edema, P Pneumonia, N No Finding; x is an answer that failed."""
    names = {"E": "Edema", "P": "Pneumonia", "N": "No Finding"}

    def cells(text: str) -> list[str]:
        return [";".join(names[one] for one in cell.split(";") if one in names) for cell in text.split(",")]

    made = {
        "study_key": [f"s{k}" for k in range(len(patients))], "patient_key": list(patients), "truth": cells(truth),
        "predicted": cells(said), "failed": [cell == "x" for cell in said.split(",")], "ignored": "",
    }  # fmt: skip
    return pd.DataFrame(made | columns)


def compare(first: pd.DataFrame, second: pd.DataFrame, **how) -> paired.Compared:
    given = tuple(how.pop("runs", (run("one"), run("two"))))
    return paired.compare(given, (first, second), **{"resamples": 300} | how)


def of(found: paired.Compared, score: str) -> list[float]:
    return found.table.set_index("score").loc[score, ["first", "second", "difference"]].tolist()


def test_a_table_computed_by_hand() -> None:
    """Truth: Edema on s0 and s1, Pneumonia on s1 and s2. First: 2 hits, 1 extra, 2 missed; second: 4 hits."""
    found = compare(rows("E,-,E,x"), rows("E,E;P,P,N"), findings=("Edema", "Pneumonia", "No Finding"))
    assert found.findings == ("No Finding", "Edema", "Pneumonia")
    assert of(found, "micro-F1") == pytest.approx([2 * 1 / (2 * 1 + 1 + 3), 2 * 4 / (2 * 4 + 1), 8 / 9 - 1 / 3])
    assert of(found, "Edema") == pytest.approx([2 * 1 / (2 * 1 + 1 + 1), 1, 0.5])
    assert of(found, "Pneumonia") == [0, 1, 1]
    assert of(found, "No Finding") == [0, 0, 0]
    assert of(found, "macro-F1") == pytest.approx([1 / 6, 2 / 3, 1 / 2])
    assert of(found, "labels named per recorded") == pytest.approx([2 / 4, 5 / 4, 3 / 4])
    assert of(found, "abnormal called normal") == pytest.approx([0, 1 / 4, 1 / 4])
    assert (found.studies, found.patients, found.failures, found.left_out) == (4, 3, (1, 0), {})


def test_the_interval_is_of_patients_drawn_for_both() -> None:
    """By drawing them here: three patients, one with two studies."""
    first, second = rows("E,-,E,-"), rows("E,E;P,P,-")
    found = compare(first, second, findings=("Edema",), resamples=4000)
    rng, drawn = np.random.default_rng(1), []
    true, one, two = (np.array(["Edema" in cell for cell in side]) for side in
                      (first["truth"], first["predicted"], second["predicted"]))  # fmt: skip
    of_patient = [[0, 1], [2], [3]]
    for _ in range(4000):
        picked = [k for patient in rng.integers(3, size=3) for k in of_patient[patient]]
        scores = [2 * (true & said)[picked].sum() / max(1, (true[picked].sum() + said[picked].sum()))
                  for said in (one, two)]  # fmt: skip
        drawn.append(scores[1] - scores[0])
    row = found.table.set_index("score").loc["Edema"]
    assert [row["low"], row["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_what_falls_out_is_counted() -> None:
    first, second = rows("E,-,E,x"), rows("E,E;P,P,N").iloc[1:]
    found = compare(first, second, runs=(run("one", "chexpert14"), run("two")), drop_failures=True)
    assert (found.studies, found.patients, found.findings) == (2, 2, NIH_SHARED)
    assert found.left_out == {
        "findings of the first run alone": 5, "studies of the first run alone": 1, "studies where an answer failed": 1,
    }  # fmt: skip
    shown = scored.compared_text(found, 100)
    assert "Left out: 5 findings of the first run alone, 1 studies of the first run alone" in shown


def test_the_order_of_the_rows_does_not_matter() -> None:
    second = rows("E,E;P,P,N")
    assert compare(rows("E,-,E,x"), second).table.equals(compare(rows("E,-,E,x"), second.iloc[::-1]).table)


STATES = ["Edema=1;Pneumonia=-1", "Edema=1;Pneumonia=1", "Pneumonia=1", "Edema=-1"]


@pytest.mark.parametrize(("policy", "pneumonia"), [("zeros", 2), ("ones", 3), ("ignore", 2)])
def test_uncertain_labels_are_read_anew_from_the_states(policy, pneumonia) -> None:
    first, second = rows("E;P,-,E,x", states=STATES), rows("E,E;P,P,N", states=STATES)
    found = compare(first, second, policy=policy)
    assert found.policy == policy
    assert found.table.set_index("score").loc["Pneumonia", "positives"] == pneumonia
    hits, extra, missed = {"zeros": (0, 1, 2), "ones": (1, 0, 2), "ignore": (0, 0, 2)}[policy]
    assert of(found, "Pneumonia")[0] == 2 * hits / (2 * hits + extra + missed)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"policy": "ones"}, "Expected rows of one that keep what its label file states, for --uncertain ones, got "
                             "labels read with zeros alone. Leave --uncertain out."),
        ({"runs": (run("one"), run("two", tier="miniature"))}, "Expected two runs of one tier"),
        ({"findings": FINDINGS}, "Expected findings on which both runs are scored, got Enlarged Cardiomediastinum, "),
        ({"runs": (run("one"), run("two", config={"decoding": {"uncertain": "ones"}}))}, "Say which with --uncertain."),
        ({"second": {"study_key": list("wxyz")}}, "Expected two runs with studies in common, got none."),
        ({"second": {"truth": ["", "", "", "Edema"]}}, "got other ones for 4 of 4 studies. Score both against"),
        ({"second": {"failed": True}, "drop_failures": True}, "a study that both runs answer readably, got none."),
    ],
)  # fmt: skip
def test_what_may_not_be_compared(how, told) -> None:
    second = rows("E,E;P,P,N").assign(**how.pop("second", {}))
    with pytest.raises(UserError) as error:
        compare(rows("E,-,E,x"), second, **how)
    assert told in str(error.value)


@pytest.mark.parametrize("run_id", [path.parent.name for path in sorted(DEMO.glob("*/run.json"))])
def test_what_is_stated_of_drawn_images_is_known_and_agrees_with_the_rows(run_id) -> None:
    one = paired.open_run(run_id, "demo", config.RESULTS)
    names = LABEL_SETS[one.info["label_set"]]
    told = paired.with_states(one, paired.rows_of(one), names)
    zeros, ones = (under(told, names, policy)["truth"].str.count(";").sum() for policy in ("zeros", "ones"))
    assert (under(told, names, "zeros")["truth"] == told["truth"]).all()
    assert (ones > zeros) == (one.info["dataset"] == "mimic"), "radiologists and NIH's text mining record no doubts"


@pytest.mark.parametrize("where", ["chexpert", "nih"])
def test_drawn_studies_can_be_held_against_what_was_drawn(where) -> None:
    """The rows keep it from the images' own record; scikit-learn scores them."""
    both = tuple(paired.open_run(f"04-generalization-{model}-{where}", "demo", config.RESULTS)
                 for model in ("medgemma_sft", "chexreason"))  # fmt: skip
    tables_ = tuple(map(paired.rows_of, both))
    found = paired.compare(both, tables_, against="drawn", resamples=2)
    truth, *said = ([[name in cell.split(";") for name in found.findings] for cell in column]
                    for column in (tables_[0]["visible"], *(one["predicted"] for one in tables_)))  # fmt: skip
    for column, one in zip(("first", "second"), said, strict=True):
        values = found.table.set_index("score")[column]
        each = f1_score(truth, one, average=None, zero_division=0)
        assert values[list(found.findings)].tolist() == pytest.approx(each.tolist())
        assert values["micro-F1"] == pytest.approx(f1_score(truth, one, average="micro"))
    own = paired.compare(both, tables_, against={"chexpert": "radiologist", "nih": "text-mined"}[where], resamples=2)
    assert own.table.equals(paired.compare(both, tables_, resamples=2).table), "what this hospital records"
    other = paired.compare(both, tables_, against="report", policy="ones", resamples=2)
    assert not other.table.equals(paired.compare(both, tables_, against="report", policy="zeros", resamples=2).table)


def test_means_over_seeds_have_students_interval() -> None:
    """As scipy's one-sample t-test has it, of differences that are each the comparison at one seed."""
    each = []
    for profile in paired.profiles("experiment/runs/seed*", config.RESULTS):
        both = tuple(paired.open_run(name, profile, config.RESULTS) for name in ("sft", "hard"))
        each.append(paired.compare(both, tuple(map(paired.rows_of, both)), resamples=2))
    found = paired.over_seeds(each)
    assert found.seeds == len(each) >= 2
    assert found.studies == sum(one.studies for one in each)
    for score in ("micro-F1", "Edema", "abnormal called normal"):
        gaps = [of(one, score)[2] for one in each]
        row = found.table.set_index("score").loc[score]
        ends = ttest_1samp(gaps, 0).confidence_interval()
        assert (row["difference"], row["low"], row["high"]) == pytest.approx((np.mean(gaps), ends.low, ends.high))
    counted = sum(one.table.set_index("score").loc["Edema", "positives"] for one in each)
    assert found.table.set_index("score").loc["Edema", "positives"] == counted
    with pytest.raises(UserError, match="two seeds or more"):
        paired.over_seeds(each[:1])
    with pytest.raises(UserError, match="the same findings"):
        paired.over_seeds([each[0], compare(rows("E,-,E,x"), rows("E,E;P,P,N"))])


def test_other_labels_are_there_for_drawn_studies_alone() -> None:
    for against, told in (("drawn", "drawn studies for --against drawn"), ("nobody", "a kind of labels among")):
        with pytest.raises(UserError, match=told):
            compare(rows("E,-,E,x"), rows("E,E;P,P,N"), against=against)


def test_the_difference_is_the_books() -> None:
    """The same draws as in the chapters: to the last digit."""
    demo = tables.read_runs("demo")
    both = tuple(demo[f"04-generalization-{model}-chexpert"] for model in ("medgemma_sft", "chexreason"))
    found = paired.compare(both, tuple(one.predictions() for one in both))
    gap = leads.together(both).difference(0, 1)
    row = found.table.set_index("score").loc["macro-F1 of frequent"]
    assert (row["difference"], row["low"], row["high"]) == (gap.estimate, gap.low, gap.high)
    for place, one in zip(("first", "second"), both, strict=True):
        then = tables.scores(one)
        assert [row[place] for row in found.table.to_dict("records")[4:18]] == [then[n, "f1"] for n in FINDINGS]
        assert found.table[place][0] == pytest.approx(then["micro", "f1"], abs=1e-15)


def test_the_command_finds_runs_by_name_profile_and_folder(tmp_path, monkeypatch, capsys) -> None:
    first, second = "04-generalization-medgemma_sft-nih", "04-generalization-qwen-nih"
    shutil.copytree(DEMO / second, tmp_path / "mine")
    monkeypatch.setenv("COLUMNS", "60")
    told = []
    for words in ([first, second], [f"demo/{first}", str(tmp_path / "mine")], [str(DEMO / first), second]):
        assert cli.main(["compare", *words, "--labels", "edema, lung lesion", "--failures", "drop"]) == 0
        told.append(capsys.readouterr().out)
    assert len(set(told)) == 1
    assert max(map(len, told[0].splitlines())) <= 60
    assert cli.main(["compare", first, second, "--labels", "nine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["names"], found["studies"], len(found["findings"])) == ([first, second], 120, 9)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("04-generalization-qwen-nih nosuch", "Expected a run of demo, such as 0"),
        ("04-generalization-qwen-nih 04-generalization-qwen-nih --labels Fracture", "Expected findings on which both"),
        ("04-generalization-qwen-nih 04-generalization-qwen-chexpert", "Expected two runs with studies in common"),
        ("04-generalization-qwen-nih 04-generalization-qwen-nih --labels gout", "Expected findings among"),
        (
            "04-generalization-qwen-nih {bare}",
            "Expected the rows of 04-generalization-qwen-nih, got none in",
        ),
    ],
)
def test_wrong_words_get_one_line(tmp_path, capsys, words, told) -> None:
    bare = shutil.copytree(DEMO / "04-generalization-qwen-nih", tmp_path / "bare")
    (bare / "predictions.csv.gz").unlink()
    line = ["compare", *words.format(bare=bare).split(), "--cache", str(tmp_path)]
    assert cli.main(line) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda info: info.pop("split"), "the record of a scored run, got another one in"),
        (lambda info: info.update(config=[]), "the record of a scored run, got another one in"),
        (lambda info: info.update(label_set="mine"), "the record of a scored run, got another one in"),
        (None, "the rows of 04-generalization-medgemma-nih, got none called failed"),
    ],
)
def test_a_damaged_run_is_one_line(tmp_path, capsys, spoil, told) -> None:
    place = tmp_path / "demo" / "04-generalization-medgemma-nih"
    shutil.copytree(DEMO / place.name, place)
    info = json.loads((place / "run.json").read_text())
    if spoil:
        spoil(info)
    else:
        table = pd.read_csv(place / "predictions.csv.gz").drop(columns="failed")
        table.to_csv(place / "predictions.csv.gz", index=False)
    (place / "run.json").write_text(json.dumps(info))
    assert cli.main(["compare", str(place), str(place)]) == 2
    message = capsys.readouterr().err
    assert told in message
    assert len(message) <= 201 + len("chexreason: ")


def test_a_name_that_is_nearly_a_runs_is_short(capsys) -> None:
    assert cli.main(["compare", "01-prompting-free_reasoning_of_some_other_name", "x"]) == 2
    assert len(capsys.readouterr().err) <= 201 + len("chexreason: ")
