"""Beside our runs' scores: how many labels they name, why answers cannot be read, and the change where they can."""

import shutil

import numpy as np
import pandas as pd
import pytest
from chapter import cells_of
from sklearn.metrics import f1_score

from chexreason import runs
from chexreason.labels import LABEL_SETS
from chexreason.metrics import label_cells
from companion.report import conclusions
from companion.report.theme import signed

RARE = "Pneumothorax"  # a handful of positives


@pytest.fixture(scope="module")
def results(made_up, tmp_path_factory):
    """Runs of smoke; on NIH one finding has few positives."""
    root = tmp_path_factory.mktemp("results")
    shutil.copytree(made_up / "smoke", root / "smoke")
    for folder in (root / "smoke").glob("04-generalization-*-nih"):
        rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
        sets = [set(cell.split(";")) - {""} for cell in rows["truth"]]
        for names in [one for one in sets if RARE in one][4:]:
            names.discard(RARE)
        rows["truth"] = [";".join(sorted(names)) for names in sets]
        rows.to_csv(folder / "predictions.csv.gz", index=False)
    return root


def row_of(results, model, number=6):
    """The cells of a model in the table of our runs, without its name."""
    return cells_of(conclusions.ours(number, "smoke", results).text, model)


def rows_of(results, model, dataset="nih"):
    return runs.read(results / "smoke" / f"04-generalization-{model}-{dataset}").predictions()


def scored(rows, keep=slice(None)):
    """F1 of each finding by scikit-learn."""
    truth, said = (label_cells(rows[column], "nih9")[keep] for column in ("truth", "predicted"))
    return f1_score(truth, said, average=None, zero_division=0)


def test_labels_named_and_failures_are_counted(results):
    rows = rows_of(results, "medgemma_sft")
    failed = int(rows["failed"].astype(bool).sum())
    assert failed > 0
    truth, said = (label_cells(rows[column], "nih9") for column in ("truth", "predicted"))
    assert row_of(results, "mini-Gemma (SFT)")[-2:] == [
        f"{said.sum() / truth.sum():.2f}", f"{failed} (cut off {failed})",
    ]  # fmt: skip


def test_the_change_on_readable_answers_leaves_out_what_either_model_fails_on(results):
    first, second = (rows_of(results, model) for model in ("medgemma_sft", "chexreason"))
    keep = ~(first["failed"].astype(bool) | second["failed"].astype(bool)).to_numpy()
    assert keep.sum() < 200
    often = label_cells(first["truth"], "nih9")[keep].sum(axis=0) >= 20
    assert not often[LABEL_SETS["nih9"].index(RARE)]
    everywhere, readable = (
        signed((scored(second, rows) - scored(first, rows))[often].mean()) for rows in (slice(None), keep)
    )
    *_, change, same, _, _ = row_of(results, "mini-ChexReason")
    assert change.startswith(f"{everywhere} (")
    assert same.startswith(f"{readable} (")
    assert same.endswith(f" on {keep.sum()}")


@pytest.mark.parametrize(("model", "left"), [("medgemma_sft", []), ("chexreason", ["mini-Gemma"])])
def test_no_change_is_told_of_a_run_that_does_not_look(results, tmp_path, model, left):
    shutil.copytree(results / "smoke", tmp_path / "smoke")
    folder = tmp_path / "smoke" / f"04-generalization-{model}-nih"
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    rows.assign(predicted="Edema").to_csv(folder / "predictions.csv.gz", index=False)
    told = [name for name in ("mini-Gemma", "mini-ChexReason") if " on " in row_of(tmp_path, name)[-3]]
    assert told == left
    assert np.all([" on " in row_of(tmp_path, name, 5)[-3] for name in ("mini-Gemma", "mini-ChexReason")])
