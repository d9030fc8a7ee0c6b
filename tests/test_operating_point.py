"""The fixed reader whose cut is moved: the script's interval, and what is said of its table."""

import importlib

import numpy as np
import pytest
import scipy.stats

from chexreason import config
from companion.evidence.stats import Interval
from companion.report import audit_operating


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(config.ROOT / "benchmarks"))
        yield importlib.import_module("operating_point")


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
