"""Figures 1 to 3: captions from what was logged, one training a thin line, no series twice, no style twice."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from chexreason import runs
from chexreason.config import RESULTS
from companion import report
from companion.evidence import tables as evidence
from companion.evidence.stats import ema
from companion.report import figures, plots, theme


@pytest.fixture
def book(monkeypatch):
    """The book as it is committed."""
    monkeypatch.setenv("CHEXREASON_PROFILE", "demo")
    monkeypatch.delenv("CHEXREASON_RESULTS", raising=False)


@pytest.mark.parametrize("number", list(figures.FIGURES))
def test_figures_have_a_panel_a_metric_and_no_fixed_ground(number, made_up):
    _, wanted, metrics = figures.FIGURES[number]
    text = report.figure(number, "smoke", made_up).text
    assert text.count("<svg role=") == len(metrics)
    assert "currentColor" in text
    assert theme.INK not in text
    assert not re.search(r"fill: ?(#fff(fff)?|white)\b", text)
    assert "not logged" not in text
    for run_id in wanted:
        assert run_id in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {f"#{name}" for name in ids} >= set(re.findall(r'(?:href="|url\()(#[^")]+)', text))
    assert "make book PROFILE=demo" in report.figure(number, "demo", made_up).text


def test_captions_tell_logged_values_and_never_the_average(made_up):
    history = evidence.gather(4, "smoke", made_up).runs["03-grpo-hard"].history()
    raw = figures.series(history, "reward")
    said = figures.describe("reward", {"hard": [history]})
    wanted = f"{raw.iloc[0]:.3g} first, {raw.iloc[-1]:.3g} last".replace("-", "−")
    assert said.startswith(wanted)
    caption = figures.caption(figures.COURSE, {"hard": [history]})
    assert said in caption
    assert f"({len(raw)} values on {raw.index.max()} steps)" in caption


def test_a_fall_at_the_end_is_no_rise():
    """The average of this series rises from first to last, the logged values fall."""
    values = [0.217, 0.254, 0.231, 0.395, 0.184, 0.220, 0.182, 0.171]
    history = pd.DataFrame({"step": range(1, 16, 2), "metric": "reward", "value": values})
    smooth = ema(values, figures.SMOOTHING)
    assert smooth[-1] > smooth[0]
    said = figures.describe("reward", {"hard": [history]})
    assert said == "0.217 first, 0.171 last; last third below the first."


def test_several_trainings_are_counted_one_by_one_and_drawn_one_by_one():
    rising = [pd.DataFrame({"step": range(9), "metric": "reward", "value": np.linspace(0, k, 9)}) for k in (1, 2, -3)]
    assert (
        figures.describe("reward", {"a": rising}) == "0 first, 0 last; last third above the first in 2 of 3 trainings."
    )
    drawn = figures.panel_svg("reward", {"a": rising})
    assert len(re.findall(r"stroke-opacity: 0\.7[;\"]", drawn)) == 3


@pytest.mark.parametrize("reward", ["hard", "nuanced"])
def test_total_reward_and_the_one_functions_mean_are_one_series(reward):
    """So the second is not drawn; if a run ever logs two reward functions, the note in the caption is wrong."""
    for folder in (RESULTS / "experiment").glob(f"seed*/grpo-{reward}"):
        history = runs.read(folder).history()
        total, mean = (figures.series(history, metric) for metric in ("reward", f"rewards/{reward}/mean"))
        pd.testing.assert_series_equal(total, mean)
    drawn = [figures.series(history, metric) for metric in figures.COURSE]
    for one, other in itertools.combinations(drawn, 2):
        assert not np.array_equal(one.to_numpy(), other.to_numpy())


@pytest.mark.usefixtures("book")
def test_the_book_shows_the_experiment_and_a_notebook_its_own():
    shown = report.figure(3).text
    assert "profile experiment" in shown
    assert "seeds 0, 1, 2, 3, 4" in shown
    assert "32 values on 64 steps" in shown
    own = report.figure(3, "demo").text
    assert "profile demo" in own
    assert "8 values on 16 steps" in own
    # A format taught with more seeds than another is shown with the seeds that all have.
    assert "seeds 0, 1, 2<" in report.figure(1).text


def test_without_the_experiment_the_book_shows_its_profile(made_up, monkeypatch):
    monkeypatch.setenv("CHEXREASON_PROFILE", "smoke")
    monkeypatch.setenv("CHEXREASON_RESULTS", str(made_up))
    assert "profile smoke" in report.figure(2).text


def test_no_two_series_look_alike():
    assert len({(colour, dash) for colour, dash, _ in plots.LOOKS}) == len(plots.LOOKS) == 20
    assert plots.LOOKS[:4] == list(theme.SERIES)
    lines = re.findall(r"<line [^>]*>", plots.key_of([f"arm {k}" for k in range(7)]))
    assert len(set(lines)) == 7
