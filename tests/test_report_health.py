"""What of GRPO's machinery acted: read from what was logged."""

from types import SimpleNamespace

import pandas as pd
import pytest

from companion.report.experiments import health


def run(clipped, tied, rates, stage="grpo"):
    """A training that logged these values, one an update."""
    logged = {health.CLIPPED: clipped, health.TIED: tied, health.RATE: rates}
    rows = [
        {"step": step, "metric": metric, "value": value}
        for metric, values in logged.items()
        for step, value in enumerate(values, 1)
    ]
    history = pd.DataFrame(rows, columns=["step", "metric", "value"])
    return SimpleNamespace(info={"stage": stage}, history=lambda: history)


@pytest.fixture
def trained(monkeypatch):
    """Sets what was trained."""
    return lambda found: monkeypatch.setattr(health, "trained", lambda: found)


def test_shares_are_means_over_updates_and_seeds(trained):
    trained({
        ("grpo-hard", 0): run([0.0, 0.002], [0.2, 0.2], [0.0, 1e-4]),
        ("grpo-hard", 1): run([0.0, 0.006], [0.4, 0.4], [1e-5, 1e-4]),
        ("hard-symmetric", 0): run([0.004, 0.008], [0.1], [0.0, 1e-4, 1e-4]),
        ("sft-medgemma-free_reasoning", 0): run([0.9], [0.9], [0.0], stage="sft"),
    })  # fmt: skip
    assert health.by_arm("clipped") == "0.20% to 0.60%"  # (0 + .002 + 0 + .006) / 4, and .006
    assert health.by_arm("tied") == "10% to 30%"
    assert health.seldom_clipped()
    assert health.idle_updates() == (2, 3, 2)


def test_where_the_clip_bounds_act_often_no_arm_is_said_to_be_without_a_treatment(trained):
    trained({("grpo-hard", 0): run([0.0, 0.4], [0.2, 0.2], [0.0, 1e-4])})
    assert health.by_arm("clipped") == "20.00% to 20.00%"
    assert not health.seldom_clipped()


@pytest.mark.parametrize("found", [{}, {("grpo-hard", 0): run([], [], [])}])
def test_what_was_not_logged_is_not_told(trained, found):
    trained(found)
    assert (health.by_arm("clipped"), health.by_arm("tied"), health.seldom_clipped()) == ("–", "–", False)
    assert health.lowest_last() == (0, 0, 0)
