"""The fixed reader whose cut is moved: the script's own arithmetic, and the table that comes with the repository."""

import importlib.util
import json
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from chexreason import config
from chexreason.files import file_digest
from companion.evidence.comparable import ENOUGH
from companion.evidence.stats import Interval
from companion.phantoms import HOSPITALS
from companion.phantoms.pretrain.make import CHECKPOINTS
from companion.report import audit_operating
from companion.workflow import provenance


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


def test_the_cut_names_as_many_labels_as_are_asked_for(script):
    strength = np.random.default_rng(0).random((50, 14))
    for named in (0.5, 1.33, 2.5):
        cut = script.cut_for(strength, 40, named)
        assert (strength >= cut).sum() == round(named * 40)


def test_a_reader_never_names_a_label_that_it_could_not_learn(script):
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(80, 6))
    recorded = np.zeros((80, 14), bool)
    recorded[:, 0] = seen[:, 0] + 0.3 * rng.normal(size=80) > 0.5
    recorded[:3, 1] = True
    reader = script.Reader(script.Images(seen, recorded))
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
    between, patients = by_draw.var(ddof=1) / 5, again.var(ddof=1)
    freedom = (between + patients) ** 2 / (between**2 / 4 + patients**2 / 3999)
    reach = scipy.stats.t.ppf(0.975, freedom) * (between + patients) ** 0.5
    assert (found[""], found["low"], found["high"]) == pytest.approx((0.31, 0.31 - reach, 0.31 + reach))
    # Where patients do not matter it is the t interval of the draws.
    only = script._interval(by_draw, np.full(10, 0.31))
    wanted = scipy.stats.t.interval(0.95, 4, by_draw.mean(), by_draw.std(ddof=1) / 5**0.5)
    assert (only["low"], only["high"]) == pytest.approx(wanted)
    assert script._interval(np.zeros(3), np.zeros(9)) == {"": 0.0, "low": 0.0, "high": 0.0}


def test_the_table_is_whole(values, script):
    whole = {(h, s, r, q) for h in HOSPITALS for s in ("chexpert14", "nih9") for r in (script.OWN, script.ONE)
             for q in script.NAMED}  # fmt: skip
    columns = ["hospital", "labels", "rule", "named_at_a"]
    assert set(values[columns].itertuples(index=False, name=None)) == whole
    assert len(values) == len(whole)
    assert (values["fewest"] >= ENOUGH).all()
    assert (values["n"] == script.TEST).all()
    assert (values["draws"] >= 2).all()
    assert (script.OWN, script.ONE) == (audit_operating.OWN, audit_operating.ONE)
    for name in ("macro_f1", "change"):
        assert (values[f"{name}_low"] <= values[name]).all()
        assert (values[name] <= values[f"{name}_high"]).all()
    assert (values.loc[values["named_at_a"] == script.FROM, "change"] == 0).all()


@pytest.mark.parametrize(
    ("near", "far", "says"),
    [
        (Interval(0.09, 0.05, 0.13), Interval(0.02, -0.01, 0.05), ("a gain as large as", "makes no loss such as")),
        (Interval(0.03, 0.01, 0.05), Interval(0.02, -0.01, 0.05), ("part of a gain", "makes no loss such as")),
        (Interval(0.03, -0.01, 0.07), Interval(0.02, -0.01, 0.05), ("no gain at B", "makes no loss such as")),
        (Interval(0.09, 0.05, 0.13), Interval(-0.04, -0.06, -0.02), ("a gain as large as", "makes a loss at C, too")),
    ],
)
def test_what_is_said_of_gain_and_loss_follows_the_intervals(near, far, says):
    said = audit_operating.verdict(near, far, 0.064)
    assert all(part in said for part in says)
    assert "cannot tell naming more from seeing more" in said
