"""The committed calibration of the phantoms: neither too easy nor too hard, and harder away from home."""

import pandas as pd
import pytest
from chapter import sentences

from chexreason import config
from chexreason.labels import FINDINGS, NO_FINDING
from companion.phantoms import HOSPITALS
from companion.report import phantoms


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return pd.read_csv(config.RESULTS / "phantoms" / "difficulty.csv").set_index(["hospital", "finding"])


def test_every_finding_is_reported_at_every_hospital(values: pd.DataFrame) -> None:
    expected = {(place, name) for place in HOSPITALS for name in (*FINDINGS, "mean") if name != NO_FINDING}
    assert set(values.index) == expected
    assert len(values) == len(expected)
    assert (values["low"] <= values["auc"]).all()
    assert (values["auc"] <= values["high"]).all()
    assert (values["positives"] >= 30).all()


def test_home_is_neither_too_easy_nor_too_hard_and_other_hospitals_are_harder(values: pd.DataFrame) -> None:
    home, means = values.loc["A"].drop(index="mean"), values.xs("mean", level="finding")
    assert means.loc["A", "auc"] == pytest.approx(home["auc"].mean(), abs=1e-3)
    assert 0.80 <= home["auc"].mean() <= 0.92
    assert home["auc"].max() <= 0.97, "none is given away"
    assert (home["low"] > 0.5).all(), "none is left to chance"
    assert max(means.loc["B", "high"], means.loc["C", "high"]) < means.loc["A", "auc"]


def test_the_page_says_what_the_table_holds(values: pd.DataFrame) -> None:
    home = values.loc["A"].drop(index="mean")["auc"]
    said = sentences("phantoms")
    assert f"the hardest finding is {home.idxmin()} ({home.min():.2f})" in said
    assert f"{values.loc[('C', 'mean'), 'auc']:.2f} at C" in said
    assert phantoms.difficulty().text.count("<svg ") == 1


def test_looks_compare_real_images_with_each_hospital() -> None:
    looks = phantoms.measured("looks")
    assert set(looks["source"]) == {"real", *HOSPITALS}
    assert (looks.groupby(["quantity", "at"]).size() == 1 + len(HOSPITALS)).all()
    wide = looks.pivot(index=["quantity", "at"], columns="source", values="median")
    nearest = (wide.drop(columns="real").sub(wide["real"], axis=0)).abs().groupby("quantity").mean()
    assert nearest.loc["grey level", "C"] < 30
    assert nearest.loc["log10 power", "C"] < 0.35
    assert "real images" in phantoms.looks().text
