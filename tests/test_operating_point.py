"""The fixed reader whose cut is moved: the script's own arithmetic, and the table that comes with the repository."""

import importlib.util
import itertools
import json
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from chexreason import config
from chexreason.files import file_digest
from companion.evidence.comparable import ENOUGH
from companion.phantoms import HOSPITALS
from companion.phantoms.pretrain.make import CHECKPOINTS
from companion.report import audit_operating


@pytest.fixture(scope="module")
def script():
    place = config.ROOT / "benchmarks" / "operating_point.py"
    spec = importlib.util.spec_from_file_location("operating_point", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules["operating_point"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["operating_point"]


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return pd.read_csv(audit_operating.RESULT)


def test_a_reader_never_names_a_label_that_it_could_not_learn(script):
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(80, 6))
    recorded = np.zeros((80, 14), bool)
    recorded[:, 0] = seen[:, 0] + 0.3 * rng.normal(size=80) > 0.5
    recorded[:3, 1] = True
    reader = script.Reader(script.Images(seen, recorded))
    for named in (0.5, 1.33, 2.5):  # the cut names as many labels as are asked for
        cut = script.cut_for(np.linspace(0, 1, 700).reshape(50, 14), 40, named)
        assert (np.linspace(0, 1, 700) >= cut).sum() == round(named * 40)
    strength = reader.strength(seen, script.OWN)
    assert set(reader.fitted) == {0}
    assert (strength[:, 1:] == 0).all()
    p, base = reader.probabilities(seen)[:, 0], recorded[:, 0].mean()
    assert strength[:, 0] == pytest.approx(p / (1 - p) * (1 - base) / base)
    assert np.corrcoef(p, recorded[:, 0])[0, 1] > 0.7


def test_the_interval_adds_what_draws_and_patients_vary(script):
    by_draw = np.array([0.30, 0.32, 0.31, 0.29, 0.33])
    again = np.random.default_rng(2).normal(0.31, 0.02, 4000)
    found = script._interval(by_draw, again)
    # Where patients do not matter it is the t interval of the draws; where they do, it is wider.
    only = script._interval(by_draw, np.full(10, 0.31))
    wanted = scipy.stats.t.interval(0.95, 4, by_draw.mean(), by_draw.std(ddof=1) / 5**0.5)
    assert (only["low"], only["high"]) == pytest.approx(wanted)
    assert found["low"] < only["low"] < found[""] == only[""] < only["high"] < found["high"]
    assert script._interval(np.zeros(3), np.zeros(9)) == {"": 0.0, "low": 0.0, "high": 0.0}


def test_the_table_is_whole(values, script):
    whole = itertools.product(HOSPITALS, ("chexpert14", "nih9"), (script.OWN, script.ONE), script.NAMED)
    columns = ["hospital", "labels", "rule", "named_at_a"]
    assert sorted(values[columns].itertuples(index=False, name=None)) == sorted(whole)
    assert (values["fewest"] >= ENOUGH).all()
    assert (values["n"] == script.TEST).all()
    assert (values["draws"] >= 2).all()
    assert (script.OWN, script.ONE) == (audit_operating.OWN, audit_operating.ONE)
    for name in ("macro_f1", "change"):
        assert (values[f"{name}_low"] <= values[name]).all()
        assert (values[name] <= values[f"{name}_high"]).all()
    assert (values.loc[values["named_at_a"] == script.FROM, "change"] == 0).all()


def test_only_the_cut_moves(values):
    """The reader's ranking of the images is one and the same in all rows of a hospital."""
    assert (values.groupby(["hospital", "labels"])["auc"].nunique() == 1).all()
    assert (values.groupby(["hospital", "labels", "rule"])["named"].is_monotonic_increasing).all()
    home = values.query("hospital == 'A' and labels == 'chexpert14'")
    assert home["named"].to_numpy() == pytest.approx(home["named_at_a"].to_numpy(), rel=0.15)


def test_the_table_has_a_record_and_is_about_the_tower_that_is_there(values):
    record = json.loads((audit_operating.RESULT.parent / "record.json").read_text(encoding="utf-8"))
    assert record[audit_operating.RESULT.name]["sha256"] == file_digest(audit_operating.RESULT)
    tower = file_digest(CHECKPOINTS / "medgemma")[:12]
    assert set(values["tower"]) == {tower}
