"""A change taken apart: by finding, and by answers that could not be read."""

import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from chexreason import runs
from chexreason.labels import LABEL_SETS
from chexreason.metrics import label_cells
from companion import report
from companion.evidence.stats import Differences
from companion.report import differences, failures
from companion.report.theme import signed

FACTORY = runpy.run_path(str(Path(__file__).with_name("synthetic_results.py")))
PAIR = ("medgemma_sft", "chexreason")
RARE = {"nih9": "Pneumothorax", "chexpert14": "Fracture"}  # a handful of positives
NONE = {"nih9": "Pneumonia", "chexpert14": "Pneumonia"}  # no positive


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs of smoke on 200 studies; on NIH one finding has few positives and one has none."""
    root = tmp_path_factory.mktemp("results")
    FACTORY["write"]("smoke", root, root / "cache", ("02", "03", "04"), n=200)
    for folder in (root / "smoke").glob("04-generalization-*-nih"):
        rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
        sets = [set(cell.split(";")) - {"", NONE["nih9"]} for cell in rows["truth"]]
        having = [k for k, names in enumerate(sets) if RARE["nih9"] in names]
        for k in having[4:]:
            sets[k].discard(RARE["nih9"])
        rows["truth"] = [";".join(sorted(names)) for names in sets]
        rows.to_csv(folder / "predictions.csv.gz", index=False)
    return root


def cells_of(shown, name):
    """The cells of a row of a table, by its first one; what marks it does not count."""
    rows = [re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", row) for row in shown.split("<tr")]
    return next(cells[1:] for cells in rows if cells and cells[0].removesuffix("¶") == name)


def of(results, *models, dataset="nih"):
    return [runs.read(results / "smoke" / f"04-generalization-{model}-{dataset}") for model in models]


def scored(run, keep=slice(None)):
    """F1 of each finding by scikit-learn."""
    rows, label_set = run.predictions(), str(run.info["label_set"])
    truth, said = (label_cells(rows[column], label_set)[keep] for column in ("truth", "predicted"))
    return f1_score(truth, said, average=None, zero_division=0)


def test_findings_are_compared_one_by_one_and_the_rare_stay_outside_the_average(results):
    found = differences.between(*of(results, *PAIR))
    one, other = (scored(run) for run in of(results, *PAIR))
    names = LABEL_SETS["nih9"]
    assert found.rows.estimate[:-1] == pytest.approx(other - one)
    frequent = [k for k, name in enumerate(names) if name not in (RARE["nih9"], NONE["nih9"])]
    assert found.frequent == tuple(names[k] for k in frequent)
    assert found.rows.estimate[-1] == pytest.approx((other - one)[frequent].mean())
    shown = report.differences.figure("nih", *PAIR, "smoke", results).text
    assert f"{RARE['nih9']} (4*)" in shown
    assert f"no positive at all, so there is no F1 ({NONE['nih9']})" in shown
    assert f"macro average of the {len(frequent)} above" in shown
    order = differences._order(found)
    assert [found.names[k] for k in order[-2:]] == [RARE["nih9"], NONE["nih9"]] or order[-3] == len(names)
    assert "has not run both models" in report.differences.figure("nih", "medgemma", "qwen", "demo", results).text


def test_what_may_be_concluded_depends_on_the_runs(results):
    trained = report.differences.figure("nih", *PAIR, "smoke", results).text
    assert "One training each" in trained
    assert '<a href="cells.html">the experiment</a>' in trained
    assert "All together" not in trained
    untrained = report.differences.figure("nih", "medgemma", "nv_reason", "smoke", results).text
    assert "All together" in untrained
    assert "One training" not in untrained


def test_nothing_is_concluded_from_a_run_that_does_not_look(results, tmp_path):
    shutil.copytree(results / "smoke", tmp_path / "smoke")
    folder = tmp_path / "smoke" / "04-generalization-medgemma-nih"
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    rows.assign(predicted="Edema").to_csv(folder / "predictions.csv.gz", index=False)
    shown = report.differences.figure("nih", "medgemma", "nv_reason", "smoke", tmp_path).text
    assert "No conclusion is drawn: mini MedGemma gives one answer to 100% of the images" in shown
    assert "All together" not in shown


def test_what_is_named_is_frequent_and_beyond_the_joint_interval(results):
    """Edema is clear alone but not with the others, Fracture is rare; one that is clear gains, one loses."""
    rows = {  # low and high for all together, then alone
        "Edema": (-0.02, 0.30, 0.03, 0.25),
        "Fracture": (0.10, 0.40, 0.15, 0.35),
        "Cardiomegaly": (0.05, 0.45, 0.10, 0.40),
        "Consolidation": (-0.45, -0.05, -0.40, -0.10),
        "Atelectasis": (-0.20, 0.25, -0.15, 0.20),
        "macro": (0.01, 0.20, 0.02, 0.15),
    }
    low_all, high_all, low, high = np.array(list(rows.values())).T
    names = tuple(rows)[:-1]
    often = tuple(name for name in names if name != "Fracture")
    positives = {name: 50 if name in often else 4 for name in names}
    found = differences.Found(names, positives, often, Differences((low + high) / 2, low, high, low_all, high_all))
    models = ("medgemma", "nv_reason")
    said = differences._conclusion(found, of(results, *models), models, "miniature")
    assert said == "All together, beyond what the patients explain: Cardiomegaly, Consolidation."


def test_failures_are_counted_by_kind(results):
    (run,) = of(results, "medgemma_sft")
    rows = run.predictions()
    failed = rows["failed"].astype(bool)
    assert failed.sum() > 0
    found = failures.kinds(run)
    assert found[found > 0].to_dict() == {"cut off": int(failed.sum())}
    shown = failures.abroad("nih", "smoke", results).text
    assert "post hoc" in shown
    assert "… cut off" in shown
    assert "a block twice" not in shown
    assert cells_of(shown, "mini MedGemma (SFT)")[3:5] == [str(int(failed.sum()))] * 2


def test_base_sft_and_grpo_stand_beside_naming_every_label(results):
    shown = failures.abroad("nih", "smoke", results).text
    rows = re.findall(r"<th[^>]*>([^<]*)</th>" + r"\s*<td[^>]*>([^<]*)</td>" * 3, shown)
    assert [name for name, *_ in rows] == [
        "mini MedGemma",
        "mini MedGemma (SFT)",
        "mini ChexReason",
        "naming every label",
    ]
    runs_of = of(results, "medgemma", *PAIR)
    for (_, macro, _, named), run in zip(rows, runs_of, strict=False):
        assert macro == f"{scored(run).mean():.3f}"
        truth, said = (label_cells(run.predictions()[column], "nih9") for column in ("truth", "predicted"))
        assert named == f"{said.sum() / truth.sum():.2f}"
    truth = label_cells(runs_of[0].predictions()["truth"], "nih9")
    floor = f1_score(truth, np.ones_like(truth), average="macro", zero_division=0)
    assert rows[-1][1] == f"{floor:.3f}"


def test_the_change_on_readable_answers_leaves_out_what_either_model_fails_on(results):
    first, second = of(results, *PAIR)
    keep = ~(first.predictions()["failed"].astype(bool) | second.predictions()["failed"].astype(bool)).to_numpy()
    assert keep.sum() < 200
    said = cells_of(failures.abroad("nih", "smoke", results).text, "mini ChexReason")[-1]
    everywhere, readable = said.split("; ")
    names = LABEL_SETS["nih9"]
    often = label_cells(first.predictions()["truth"], "nih9")[keep].sum(axis=0) >= 20
    assert not often[names.index(RARE["nih9"])]
    wanted = [(scored(second, rows) - scored(first, rows))[often].mean() for rows in (slice(None), keep)]
    assert everywhere.startswith(f"{signed(wanted[0])} (")
    assert everywhere.endswith(" on 200")
    assert readable.startswith(f"{signed(wanted[1])} (")
    assert readable.endswith(f" on {keep.sum()}")
    assert "needs the rows" in failures.on_validation("miniature", results).text


@pytest.mark.parametrize(("model", "left"), [("medgemma_sft", []), ("chexreason", ["mini MedGemma"])])
def test_no_change_is_told_of_a_run_that_does_not_look(results, tmp_path, model, left):
    shutil.copytree(results / "smoke", tmp_path / "smoke")
    folder = tmp_path / "smoke" / f"04-generalization-{model}-nih"
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    rows.assign(predicted="Edema").to_csv(folder / "predictions.csv.gz", index=False)
    at_b, at_c = (failures.abroad(dataset, "smoke", tmp_path).text for dataset in ("chexpert", "nih"))
    models = ("mini MedGemma", "mini ChexReason")
    assert [name for name in models if cells_of(at_c, name)[-1] != "not compared"] == left
    assert "takes part in no order: gives one answer to 100% of the images" in at_c
    assert "not compared" not in at_b
