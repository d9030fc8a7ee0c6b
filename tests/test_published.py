"""The paper's tables as transcribed: whole, tidy, and in agreement with themselves and with its text."""

import pandas as pd
import pytest

from chexreason.config import RESULTS
from chexreason.labels import FINDINGS, NIH_SHARED
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.tables import MODELS, published


def cells(number: int) -> pd.Series:
    return published(number).set_index(["row", "column", "metric"])["value"]


@pytest.mark.parametrize("number", range(1, 7))
def test_tidy(number):
    table = published(number)
    assert list(table.columns) == ["table", "row", "column", "metric", "value"]
    assert (table["table"] == number).all()
    assert not table.duplicated(["row", "column", "metric"]).any()
    assert table["value"].between(0, 1).all()
    text = (RESULTS / "published" / f"table{number}.csv").read_text(encoding="utf-8")
    assert all(len(line.rpartition(",")[2]) == 5 for line in text.splitlines()[1:]), "three decimals, as printed"


def test_every_cell_is_there():
    prf = {(average, metric) for average in ("micro", "macro") for metric in ("precision", "recall", "f1")}
    expected = {
        1: (set(TABLE1_PROMPTS), {("micro", "f1"), ("macro", "f1"), ("all", "failure_rate")}),
        2: (set(SFT_FORMATS), prf | {("all", "failure_rate")}),
        3: (set(SFT_FORMATS), prf | {("all", "failure_rate")}),
        4: ({f"{r}_{c}" for r in ("nuanced", "hard") for c in ("best", "last")}, prf | {("all", "failure_rate")}),
        5: ({*FINDINGS, "macro"}, {(model, "f1") for model in MODELS}),
        6: ({*NIH_SHARED, "macro"}, {(model, "f1") for model in MODELS}),
    }
    for number, (rows, columns) in expected.items():
        assert set(cells(number).index) == {(row, *column) for row in rows for column in columns}


def test_facts_of_the_data_sets_name_their_source():
    facts = pd.read_csv(RESULTS / "published" / "datasets.csv", dtype=str)
    assert list(facts.columns) == ["dataset", "fact", "value", "source"]
    assert facts.notna().all(axis=None)
