"""The paper's values, held against what else the paper says of them: averages, harmonic means, its own sentences."""

import pandas as pd
import pytest

from chexreason.config import RESULTS
from chexreason.labels import FINDINGS, NIH_SHARED
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.tables import MODELS, published

#: Half a unit of the third decimal, and a little for binary fractions.
ROUNDING = 0.0005 + 1e-9
TABLES = range(1, 7)


def cells(number: int) -> pd.Series:
    return published(number).set_index(["row", "column", "metric"])["value"]


@pytest.mark.parametrize("number", TABLES)
def test_tidy(number):
    table = published(number)
    assert list(table.columns) == ["table", "row", "column", "metric", "value"]
    assert (table["table"] == number).all()
    assert not table.duplicated(["row", "column", "metric"]).any()
    assert table["value"].between(0, 1).all()
    text = (RESULTS / "published" / f"table{number}.csv").read_text(encoding="utf-8")
    assert all(len(line.rpartition(",")[2]) == 5 for line in text.splitlines()[1:]), "three decimals, as printed"


def test_every_cell_is_there():
    prf = {("micro", m) for m in ("precision", "recall", "f1")} | {("macro", m) for m in ("precision", "recall", "f1")}
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


@pytest.mark.parametrize("number", [2, 3, 4])
def test_micro_f1_is_the_harmonic_mean_of_micro_precision_and_recall(number):
    wide = published(number).query("column == 'micro'").pivot(index="row", columns="metric", values="value")
    low, high = (2 / (1 / (wide["precision"] + e) + 1 / (wide["recall"] + e)) for e in (-ROUNDING, ROUNDING))
    assert ((low - ROUNDING <= wide["f1"]) & (wide["f1"] <= high + ROUNDING)).all(), wide


@pytest.mark.parametrize("number", [5, 6])
def test_macro_row_is_the_mean_of_the_findings(number):
    wide = published(number).pivot(index="row", columns="column", values="value")
    means = wide.drop(index="macro").mean()
    assert ((means - wide.loc["macro"]).abs() <= 2 * ROUNDING).all(), means - wide.loc["macro"]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_failure_rates_are_multiples_of_one_in_five_hundred(number):
    """Which is why 500 validation studies are assumed."""
    rates = published(number).query("metric == 'failure_rate'")["value"] * 500
    assert ((rates - rates.round()).abs() < 1e-6).all()


@pytest.mark.parametrize(
    ("number", "row", "column", "metric", "value"),
    [
        # Values that the paper's running text repeats.
        (1, "reasoning_narrative", "micro", "f1", 0.524),
        (1, "reasoning_narrative", "macro", "f1", 0.270),
        (1, "reasoning_self_check", "micro", "f1", 0.514),
        (1, "reasoning_self_check", "macro", "f1", 0.253),
        (1, "reasoning_a", "micro", "f1", 0.498),
        (1, "reasoning_a", "macro", "f1", 0.245),
        (1, "reasoning_c", "all", "failure_rate", 0.482),
        (1, "reasoning_f", "all", "failure_rate", 0.180),
        (2, "only_label", "micro", "f1", 0.461),
        (2, "free_reasoning", "macro", "f1", 0.253),
        (2, "free_reasoning", "micro", "f1", 0.415),
        (2, "reasoning_a", "micro", "f1", 0.293),
        (2, "reasoning_a", "macro", "f1", 0.139),
        (3, "reasoning_a", "micro", "f1", 0.371),
        (3, "reasoning_a", "macro", "f1", 0.208),
        (3, "only_label", "micro", "f1", 0.249),
        (3, "only_label", "macro", "f1", 0.080),
        (3, "free_reasoning", "micro", "f1", 0.200),
        (3, "free_reasoning", "macro", "f1", 0.131),
        (3, "reasoning_narrative", "all", "failure_rate", 0.170),
        (4, "hard_best", "micro", "f1", 0.391),
        (4, "hard_best", "macro", "f1", 0.258),
        (4, "nuanced_best", "micro", "f1", 0.387),
        (4, "nuanced_best", "macro", "f1", 0.257),
        (5, "Cardiomegaly", "medgemma_sft", "f1", 0.442),
        (5, "Cardiomegaly", "chexreason", "f1", 0.664),
        (5, "Lung Opacity", "medgemma_sft", "f1", 0.161),
        (5, "Lung Opacity", "chexreason", "f1", 0.743),
        (5, "Support Devices", "medgemma_sft", "f1", 0.728),
        (5, "Support Devices", "chexreason", "f1", 0.818),
        (5, "macro", "nv_reason", "f1", 0.755),
        (5, "macro", "medgemma", "f1", 0.362),
        (5, "macro", "medgemma_sft", "f1", 0.282),
        (5, "macro", "chexreason", "f1", 0.346),
        (6, "macro", "medgemma_sft", "f1", 0.299),
        (6, "macro", "chexreason", "f1", 0.243),
    ],
)
def test_values_that_the_text_repeats(number, row, column, metric, value):
    assert cells(number)[row, column, metric] == pytest.approx(value)


def test_changes_that_the_text_states():
    prompts, near, far = cells(1), cells(5), cells(6)

    def macro(table, model):
        return table["macro", model, "f1"]

    gain = {name: prompts[name, "micro", "f1"] - prompts["reasoning_a", "micro", "f1"] for name in TABLE1_PROMPTS}
    assert round(gain["reasoning_narrative"], 3) == 0.026
    assert round(gain["reasoning_self_check"], 3) == 0.016
    assert round(macro(near, "chexreason") / macro(near, "medgemma_sft") - 1, 2) == 0.23
    assert round(1 - macro(far, "chexreason") / macro(far, "medgemma_sft"), 2) == 0.19
    assert round(1 - macro(far, "nv_reason") / macro(near, "nv_reason"), 2) == 0.61
    assert round(1 - macro(far, "chexreason") / macro(near, "chexreason"), 2) == 0.30
    assert round(1 - macro(far, "medgemma") / macro(near, "medgemma"), 2) == 0.33
    assert macro(far, "medgemma") == macro(far, "chexreason"), "'matching the pretrained MedGemma baseline'"


def test_facts_of_the_data_sets_name_their_source():
    facts = pd.read_csv(RESULTS / "published" / "datasets.csv", dtype=str)
    assert list(facts.columns) == ["dataset", "fact", "value", "source"]
    assert facts.notna().all(axis=None)
