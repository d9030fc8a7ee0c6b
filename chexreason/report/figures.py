"""Figures 1 to 3: training curves, raw points faint and their exponential average bold.

Figure 1 shows the four formats of fine-tuning, Figures 2 and 3 the two rewards; all with the paper's
average of smoothing 0.95. A fourth drawing, which the paper lacks, shows what tells a healthy GRPO
run from a dead one. A panel is an SVG of its own, so that panels stand beside one another on a
desk and below one another on a phone, and each takes the page's text colour.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chexreason import prompts
from chexreason.errors import unknown
from chexreason.evidence import profile as shown_profile
from chexreason.evidence import read_runs, tier_of
from chexreason.report.behind import runs_behind
from chexreason.report.theme import INK, SERIES, Html, badge, block, escape, fresh_id
from chexreason.stats import ema

SMOOTHING = 0.95
STYLE: Any = {
    "font.size": 9, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK,
    "grid.alpha": 0.15, "grid.linewidth": 0.6, "svg.fonttype": "none", "font.family": "sans-serif",
    "axes.titlesize": 10, "axes.titleweight": "bold", "svg.hashsalt": "chexreason", "path.simplify": True,
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One set of axes: a metric of the training history."""

    metric: str
    title: str
    unit: str


@dataclass(frozen=True)
class FigureSpec:
    """A figure: the runs it shows (run id -> label of the series) and its panels."""

    label: str
    title: str
    runs: Mapping[str, str]
    panels: tuple[Panel, ...]


def _grpo(number: int, reward: str) -> FigureSpec:
    return FigureSpec(
        f"Figure {number}",
        f"GRPO with the {reward} reward",
        {f"03-grpo-{reward}": reward},
        (
            Panel("reward", "Total reward", "reward"),
            Panel(f"rewards/{reward}/mean", "Reward function, mean", "reward"),
            Panel("completions/mean_length", "Completion length", "tokens"),
        ),
    )


def _health(reward: str) -> FigureSpec:
    return FigureSpec(
        "Diagnostics",
        f"is the {reward} reward still teaching?",
        {f"03-grpo-{reward}": reward},
        (
            Panel("frac_reward_zero_std", "Groups whose completions tie", "share of groups"),
            Panel("kl", "Distance from the SFT checkpoint", "KL divergence, nats"),
            Panel("entropy", "Entropy of the policy", "nats a token"),
            Panel("clip_ratio/region_mean", "Tokens that were clipped", "share of tokens"),
        ),
    )


FIGURES: Mapping[int | str, FigureSpec] = {
    1: FigureSpec(
        "Figure 1",
        "fine-tuning MedGemma in four formats",
        {f"02-sft-medgemma-{name}": prompts.get(name).title for name in prompts.SFT_FORMATS},
        (
            Panel("mean_token_accuracy", "Token accuracy", "share of tokens"),
            Panel("loss", "Training loss", "nats a token"),
        ),
    ),
    2: _grpo(2, "nuanced"),
    3: _grpo(3, "hard"),
    "health of nuanced": _health("nuanced"),
    "health of hard": _health("hard"),
}


def figure(number: int | str, profile: str | None = None, results: Path | None = None) -> Html:
    """Figure 1, 2 or 3 (or "health of hard", "health of nuanced") from a profile's training histories.

    Without such runs it says which command makes them. Raises UserError for an unknown figure or profile.
    """
    if number not in FIGURES:
        raise unknown("figure", number, [str(name) for name in FIGURES], "chexreason/report/figures.py")
    spec, profile = FIGURES[number], profile or shown_profile()
    have = read_runs(profile, results)
    shown = {label: have[run_id] for run_id, label in spec.runs.items() if run_id in have}
    label = f"{spec.label}: {spec.title}"
    if not shown:
        return block(
            f'<div class="cxr-head"><strong>{escape(label)}</strong></div><p class="cxr-note">The paper gives '
            f"its curves as a picture only, and the profile {escape(profile)} has no such run. "
            f"<code>make book PROFILE={escape(profile)}</code> makes it.</p>"
        )
    infos = [run.info for run in shown.values()]

    def span(key: str) -> str:
        return ", ".join(dict.fromkeys(str(info.get(key, "not noted")) for info in infos))

    facts = (f"trained on {span('n_train')} studies", f"seed {span('seed')}", f"run {span('run_id')}")
    head = badge(tier_of(profile), profile, *facts)
    histories = {name: run.history() for name, run in shown.items()}
    width = 2.8 if len(spec.panels) == 3 else 3.6  # inches; three stand in a row
    drawn = "".join(panel_svg(panel, histories, width) for panel in spec.panels)
    return block(
        f'<div class="cxr-head"><strong>{escape(label)}</strong></div><div class="cxr-head">{head}</div>'
        + (key_of(list(shown)) if len(shown) > 1 else "")
        + f'<div class="cxr-panels cxr-panels-{len(spec.panels)}">{drawn}</div>'
        + f"<figcaption>{escape(caption(spec, histories))}{runs_behind(shown.values())}</figcaption>",
        "figure",
    )


def series(history: pd.DataFrame, metric: str) -> pd.Series:
    """A metric of a training history by step, in order; empty if it was never logged."""
    rows = history[history["metric"] == metric].sort_values("step", kind="stable")
    return pd.Series(rows["value"].to_numpy(), index=rows["step"].to_numpy(), dtype=float)


def panel_svg(panel: Panel, histories: Mapping[str, pd.DataFrame], width: float = 3.6) -> str:
    """One panel as an SVG element: a faint raw line and a bold average for each history."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(width, 2.6), layout="constrained")
        axes = drawing.add_subplot()
        for (name, history), (colour, dash, marker) in zip(histories.items(), _cycle(len(histories)), strict=True):
            raw = series(history, panel.metric)
            if raw.empty:
                continue
            smooth = ema(raw.to_numpy(), SMOOTHING)
            axes.plot(raw.index, raw, color=colour, alpha=0.3, linewidth=0.8)
            # A few points alone would hardly be seen as a line.
            dots = marker if len(raw) < 4 else ""
            axes.plot(raw.index, smooth, color=colour, linewidth=2, linestyle=dash, marker=dots, label=name)
        if not axes.lines:
            axes.text(0.5, 0.5, "not logged in this run", ha="center", va="center", transform=axes.transAxes)
        axes.set(title=panel.title, xlabel="step", ylabel=panel.unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        return to_svg(drawing, f"{panel.title}. {describe(panel, histories)}")


def _cycle(count: int) -> list[tuple[str, str, str]]:
    styles = [*SERIES, (INK, "solid", "v")]
    return [styles[i % len(styles)] for i in range(count)]


def to_svg(drawing: Figure, alt: str) -> str:
    """A figure as an SVG element that takes the page's colour and font and is read out as `alt`."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # Ids repeat from figure to figure, and a page must not hold the same id twice.
    prefix = fresh_id("svg")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'xlink:href="#{prefix}-')
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r"font: ([0-9.]+px|bold [0-9.]+px|[0-9. a-z]+px) [^;\"]+", r"font: \1 inherit", svg)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', svg, count=1)


def describe(panel: Panel, histories: Mapping[str, pd.DataFrame]) -> str:
    """Where each average starts and ends, as a sentence."""
    parts = []
    for name, history in histories.items():
        raw = series(history, panel.metric)
        if not raw.empty:
            smooth = ema(raw.to_numpy(), SMOOTHING)
            lead = f"{name} goes" if len(histories) > 1 else "goes"
            parts.append(f"{lead} from {_short(smooth[0])} to {_short(smooth[-1])}")
    return ("; ".join(parts) + ".") if parts else "Not logged."


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def caption(spec: FigureSpec, histories: Mapping[str, pd.DataFrame]) -> str:
    """What to see, computed from the histories."""
    parts = [f"{panel.title}: {describe(panel, histories)}" for panel in spec.panels]
    return "Faint: as logged at each step. Bold: exponential average as in the paper. " + " ".join(parts)


def key_of(names: Sequence[str]) -> str:
    """The legend of several series, each with its colour and dash."""
    dashes = {"solid": "", "dashed": "7 3", "dashdot": "8 3 2 3", "dotted": "2 3"}
    entries = "".join(
        f'<li><svg viewBox="0 0 40 12" aria-hidden="true"><line x1="0" y1="6" x2="40" y2="6" '
        f'stroke="{colour.replace(INK, "currentColor")}" '
        f'stroke-width="3" stroke-dasharray="{dashes[dash]}"/></svg>{escape(name)}</li>'
        for name, (colour, dash, _) in zip(names, _cycle(len(names)), strict=True)
    )
    return f'<ul class="cxr-key">{entries}</ul>'
