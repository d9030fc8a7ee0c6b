"""The paper's tables as transcribed: whole, tidy, and in agreement with themselves and with its text."""

import pandas as pd

from chexreason.config import RESULTS
from chexreason.labels import FINDINGS, NIH_SHARED
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.tables import MODELS, published


def test_every_cell_is_there_once_with_three_decimals():
    prf = {(average, metric) for average in ("micro", "macro") for metric in ("precision", "recall", "f1")}
    failed = ("all", "failure_rate")
    expected = {
        1: (TABLE1_PROMPTS, {("micro", "f1"), ("macro", "f1"), failed}),
        2: (SFT_FORMATS, prf | {failed}),
        3: (SFT_FORMATS, prf | {failed}),
        4: ([f"{r}_{c}" for r in ("nuanced", "hard") for c in ("best", "last")], prf | {failed}),
        5: ([*FINDINGS, "macro"], {(model, "f1") for model in MODELS}),
        6: ([*NIH_SHARED, "macro"], {(model, "f1") for model in MODELS}),
    }
    for number, (rows, columns) in expected.items():
        table = published(number)
        cells = list(table[["table", "row", "column", "metric"]].itertuples(index=False, name=None))
        assert sorted(cells) == sorted((number, row, *column) for row in rows for column in columns)
        assert table["value"].between(0, 1).all()
        text = (RESULTS / "published" / f"table{number}.csv").read_text(encoding="utf-8")
        assert all(len(line.rpartition(",")[2]) == 5 for line in text.splitlines()[1:]), "three decimals, as printed"


def test_facts_of_the_data_sets_name_their_source():
    facts = pd.read_csv(RESULTS / "published" / "datasets.csv", dtype=str)
    assert list(facts.columns) == ["dataset", "fact", "value", "source"]
    assert facts.notna().all(axis=None)
