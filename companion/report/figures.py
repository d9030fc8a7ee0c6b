"""Figures 1 to 3: training curves, each training a thin line as logged and the exponential average bold.

Figure 1 shows the four formats of fine-tuning, Figures 2 and 3 the two rewards; all with the paper's
average of smoothing 0.95, over trainings where there are several. The book shows a miniature by the
experiment's trainings, which have most steps and seeds; a notebook shows its own profile's.
Captions come from the logged values, never from the average, which lags and hides a fall at the end. A
fourth drawing, which the paper lacks, shows what tells a healthy GRPO run from a dead one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from chexreason import prompts
from chexreason.errors import unknown
from chexreason.runs import Run, read_all
from companion.evidence.sections import EXPERIMENT
from companion.evidence.stats import ema
from companion.evidence.tables import MODELS, read_runs, results_root, tier_of
from companion.evidence.tables import profile as shown_profile
from companion.report.behind import runs_behind
from companion.report.leads import titled
from companion.report.plots import LOOKS, framed, key_of, panel
from companion.report.theme import Html, badge, block, escape

SMOOTHING = 0.95


#: A metric of the training history -> the title of its panel and its unit.
PANELS: Mapping[str, tuple[str, str]] = {
    "mean_token_accuracy": ("Token accuracy", "share of tokens"),
    "loss": ("Training loss", "nats a token"),
    "reward": ("Total reward", "reward"),
    "completions/mean_length": ("Completion length", "tokens"),
    "frac_reward_zero_std": ("Groups whose completions tie", "share of groups"),
    "kl": ("Distance from the SFT checkpoint", "KL divergence, nats"),
    "entropy": ("Entropy of the policy", "nats a token"),
    "clip_ratio/region_mean": ("Tokens that were clipped", "share of tokens"),
}
FORMATS = {f"02-sft-medgemma-{name}": prompts.get(name).title for name in prompts.SFT_FORMATS}
HARD, NUANCED = {"03-grpo-hard": "hard"}, {"03-grpo-nuanced": "nuanced"}
COURSE = ("reward", "completions/mean_length")
HEALTH = ("frac_reward_zero_std", "kl", "entropy", "clip_ratio/region_mean")
#: Figure -> its title, the runs that it shows (run id -> label of the series) and a panel a metric.
FIGURES: Mapping[int | str, tuple[str, Mapping[str, str], tuple[str, ...]]] = {
    1: ("Figure 1: fine-tuning MedGemma in four formats", FORMATS, ("mean_token_accuracy", "loss")),
    2: ("Figure 2: GRPO with the nuanced reward", NUANCED, COURSE),
    3: ("Figure 3: GRPO with the hard reward", HARD, COURSE),
    "health of nuanced": ("Diagnostics: is the nuanced reward still teaching?", NUANCED, HEALTH),
    "health of hard": ("Diagnostics: is the hard reward still teaching?", HARD, HEALTH),
}
#: Stands below Figures 2 and 3.
ONE_FUNCTION = (
    "The paper's second panel, the mean of the reward function, would repeat the first: there is one function, so its "
    "mean is the total reward."
)
#: Label of a series -> the histories of its trainings, a seed each.
Histories = Mapping[str, Sequence[pd.DataFrame]]


def figure(number: int | str, profile: str | None = None, results: Path | None = None) -> Html:
    """Figure 1, 2 or 3 (or "health of hard", "health of nuanced") from training histories.

    Of a `profile` that is named, its own runs; of none, the book's, for a miniature the experiment's if there are
    any. Without such runs it says which command makes them. Raises UserError for an unknown figure or profile.
    """
    if number not in FIGURES:
        raise unknown("figure", number, [str(name) for name in FIGURES], "companion/report/figures.py")
    (label, wanted, metrics), asked = FIGURES[number], profile or shown_profile()
    have = read_runs(asked, results)
    shown = {name: [have[run_id]] for run_id, name in wanted.items() if run_id in have}
    if profile is None and tier_of(asked) == "miniature":
        shown = _experiment(wanted, results) or shown
    runs = [run for found in shown.values() for run in found]
    if not runs:
        return block(
            f'<div class="cxr-head"><strong>{escape(label)}</strong></div><p class="cxr-note">The paper gives '
            f"its curves as a picture only, and the profile {escape(asked)} has no such run. "
            f"<code>make book PROFILE={escape(asked)}</code> makes it.</p>"
        )
    tier = str(runs[0].info["tier"])
    label = label.replace(MODELS["medgemma"], titled("medgemma", tier))
    histories = {name: [run.history() for run in found] for name, found in shown.items()}
    sizes = ", ".join(dict.fromkeys(str(run.info.get("n_train", "not noted")) for run in runs))
    seeds = list(map(str, sorted({int(run.info["seed"]) for run in runs})))
    head = badge(
        tier, f"profile {runs[0].info['profile']}", f"trained on {sizes} studies",
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}",
    )  # fmt: skip
    says = caption(metrics, histories) + (ONE_FUNCTION if metrics == COURSE else "")
    return framed(label, head, [panel_svg(metric, histories) for metric in metrics], says,
                  key=key_of(list(shown)) if len(shown) > 1 else "", behind=runs_behind(runs))  # fmt: skip


def _experiment(wanted: Mapping[str, str], results: Path | None) -> dict[str, list[Run]]:
    """Label of the series -> the experiment's trainings of the same arm, with the seeds that all series have."""
    folders = sorted((results_root(results) / EXPERIMENT).glob("seed*"))
    arms = {label: run_id.partition("-")[2] for run_id, label in wanted.items()}  # without the stage's number
    have = [{run.run_id: run for run in read_all(folder)} for folder in folders]
    whole = [runs for runs in have if runs.keys() >= set(arms.values())]
    return {label: [runs[arm] for runs in whole] for label, arm in arms.items()} if whole else {}


def series(history: pd.DataFrame, metric: str) -> pd.Series:
    """A metric of a training history by step, in order; empty if it was never logged."""
    rows = history[history["metric"] == metric].sort_values("step", kind="stable")
    return pd.Series(rows["value"].to_numpy(), index=rows["step"].to_numpy(), dtype=float)


def _logged(metric: str, histories: Histories) -> dict[str, list[pd.Series]]:
    """A metric of each series, a training each, where it was logged."""
    found = {name: [series(one, metric) for one in each] for name, each in histories.items()}
    return {name: kept for name, each in found.items() if (kept := [raw for raw in each if not raw.empty])}


def panel_svg(metric: str, histories: Histories, width: float = 3.6) -> str:
    """One panel as an SVG element: a thin line a training as logged, and the bold average over the trainings."""
    logged, looks = _logged(metric, histories), dict(zip(histories, LOOKS, strict=False))
    title, unit = PANELS[metric]

    def draw(axes: Axes) -> None:
        for name, found in logged.items():
            colour, dash, marker = looks[name]
            for raw in found:
                sns.lineplot(raw, color=colour, alpha=0.7, linewidth=0.7, errorbar=None, ax=axes)
            mean = pd.concat(found, axis=1).mean(axis=1)
            smooth = pd.Series(ema(mean.to_numpy(), SMOOTHING), index=mean.index)
            # A few points alone would hardly be seen as a line.
            dots = marker if len(mean) < 4 else None
            sns.lineplot(smooth, color=colour, linewidth=2, linestyle=dash, marker=dots, errorbar=None, ax=axes)
        if not logged:
            axes.text(0.5, 0.5, "not logged in this run", ha="center", va="center", transform=axes.transAxes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))

    return panel(title, draw, describe(metric, histories), (width, 2.6), xlabel="step", ylabel=unit)


def describe(metric: str, histories: Histories) -> str:
    """The first and the last logged value of each series (means over trainings), and how its last third lies."""
    parts = []
    for name, found in _logged(metric, histories).items():
        first, last = (f"{np.mean([raw.iloc[k] for raw in found]):.3g}".replace("-", "−") for k in (0, -1))
        thirds = [(raw, max(1, len(raw) // 3)) for raw in found]
        up = [np.sign(raw.iloc[-k:].mean() - raw.iloc[:k].mean()) for raw, k in thirds]
        where = {1: "above", 0: "level with", -1: "below"}[up[0]] if len(up) == 1 else "above"
        count = f" in {up.count(1)} of {len(up)} trainings" * (len(up) > 1)
        named = f"{name} " * (len(histories) > 1)
        parts.append(f"{named}{first} first, {last} last; last third {where} the first{count}.")
    return " ".join(parts) or "Not logged."


def caption(metrics: Sequence[str], histories: Histories) -> str:
    """What is drawn, and what the logged values are; computed from the histories."""
    several = any(len(found) > 1 for found in histories.values())
    text = (
        f"Thin: a training as logged. Bold: the exponential average (smoothing {SMOOTHING}, as in the paper)"
        f"{' of the mean over trainings' * several}. Numbers: the first and the last "
        f"logged value{', means over trainings' * several}. "
    )
    steps = max(int(one["step"].max()) for found in histories.values() for one in found)
    for metric in metrics:
        many = sorted({len(raw) for found in _logged(metric, histories).values() for raw in found})
        points = f" ({' to '.join(map(str, dict.fromkeys(many[:1] + many[-1:])))} values on {steps} steps)" * bool(many)
        text += f"{PANELS[metric][0]}{points}: {describe(metric, histories)} "
    return text
