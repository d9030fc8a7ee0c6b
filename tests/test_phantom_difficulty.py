"""The committed calibration of the phantoms: neither too easy nor too hard, and harder away from home."""

import pandas as pd
import pytest

from chexreason import config


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return pd.read_csv(config.RESULTS / "phantoms" / "difficulty.csv").set_index(["hospital", "finding"])


def test_home_is_neither_too_easy_nor_too_hard_and_other_hospitals_are_harder(values: pd.DataFrame) -> None:
    home, means = values.loc["A"].drop(index="mean"), values.xs("mean", level="finding")
    assert means.loc["A", "auc"] == pytest.approx(home["auc"].mean(), abs=1e-3)
    assert 0.80 <= home["auc"].mean() <= 0.92
    assert home["auc"].max() <= 0.97, "none is given away"
    assert (home["low"] > 0.5).all(), "none is left to chance"
    assert max(means.loc["B", "high"], means.loc["C", "high"]) < means.loc["A", "auc"]
