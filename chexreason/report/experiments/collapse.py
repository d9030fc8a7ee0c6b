"""Without each stabiliser in turn: does anything collapse, and what prevents it? (section 3.2.2)"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from chexreason.experiments import analysis, arms
from chexreason.experiments.analysis import OWN, Cell, Key
from chexreason.report.behind import runs_behind
from chexreason.report.experiments.answers import (
    HARD,
    NUANCED,
    PROFILE,
    SFT,
    answers,
    behind,
    facts,
    have,
    missing,
    model,
    sizes,
    trained,
)
from chexreason.report.experiments.intervals import counted, dots, framed
from chexreason.report.figures import Panel, key_of, panel_svg, series
from chexreason.report.tables import frame_table
from chexreason.report.theme import Html, Prose, badge, block, decimal

PANELS = (Panel("entropy", "Entropy of the policy", "nats a token"), Panel("reward", "Total reward", "reward"),
          Panel("kl", "Distance from the start", "KL divergence, nats"))  # fmt: skip
HOME = Cell("A", "A", OWN["A"])


@dataclass(frozen=True)
class Spread:
    """How varied a model's answers are on hospital A's test films, and how good; means over seeds."""

    commonest: float  # share of the answers that give the commonest list of labels
    lists: float  # different lists
    failed: float
    macro_f1: float
    collapsed: int  # seeds in which one list dominates
    seeds: int


def spread(name: str) -> Spread:
    """The spread of one checkpoint's answers ("grpo-hard-last", say)."""
    found = analysis.variety(answers(), name, HOME)
    return Spread(
        float(np.mean([one.commonest for one in found])),
        float(np.mean([one.lists for one in found])),
        float(np.mean([one.failed for one in found])),
        analysis.contrast(answers(), {Key(name, HOME): 1.0}).estimate,
        sum(one.collapsed for one in found),
        len(found),
    )


def _arms() -> list[str]:
    wanted = [HARD, NUANCED, *(name for name, arm in arms.ARMS.items() if arm.question in ("collapse", "dose"))]
    return [name for name in wanted if have(model(name, "last"))]


def figure() -> Html:
    """The share of the commonest answer after the last step, a point a seed, for each arm."""
    names = _arms()
    if not names:
        return missing("the arms without a stabiliser")
    shown = {"before reinforcement": model(SFT), **{name: model(name, "last") for name in names}}
    rows = {title: [one.commonest for one in analysis.variety(answers(), name, HOME)] for title, name in shown.items()}
    means = {title: analysis.commonest(answers(), name, HOME) for title, name in shown.items()}
    return framed(
        "How often is the commonest answer given?",
        facts(*(model(name, "last") for name in names)),
        [dots("After the last step, hospital A's films", rows, means, "share of the answers", width=7.2)],
        "A point a seed; an upright bar for their mean, a level one for its interval. An arm collapses to the right, "
        f"beyond {analysis.COLLAPSED:.2f}; one that stays where the first row is has not changed in this respect."
        + counted(len(means)),
        columns=1,
        behind=behind(model(SFT), *(model(name, "last") for name in names)),
    )


def table() -> Html:
    """After the last step: how varied the answers are, for each arm and for what they started from."""
    names = _arms()
    if not names:
        return missing("the arms without a stabiliser")
    rows = []
    shown = {model(SFT): "fine-tuned, where all start", **{model(n, "last"): arms.get(n).what for n in names}}
    for name, label in shown.items():
        found = spread(name)
        rows.append(
            {
                "Arm": label,
                "Commonest": decimal(found.commonest, 2),
                "Different": f"{found.lists:.0f}",
                "Failed": decimal(found.failed, 2),
                "Macro-F1": decimal(found.macro_f1),
                "Collapsed": f"{found.collapsed} of {found.seeds}",
            }
        )
    return block(f'<div class="cxr-head">{facts(*(model(n, "last") for n in names))}</div>') + frame_table(
        pd.DataFrame(rows), "The spread of the answers after the last step", wrap=("Arm",)
    )


def curves(reward: str) -> Html:
    """Entropy, reward and distance over training for one reward ("hard" or "nuanced"), first seed of each arm."""
    names = [name for name in _arms() if arms.get(name).reward == reward]
    first = {arm: run for (arm, seed), run in trained().items() if seed == 0}
    runs = {name: first[name] for name in names if name in first}
    if not runs:
        return missing(f"the {reward} reward")
    histories = {name: run.history() for name, run in runs.items()}
    drawn = [panel_svg(panel, histories, 2.8) for panel in PANELS]
    head = badge("miniature", PROFILE, sizes(), "seed 0")
    return framed(
        f"Training with the {reward} reward",
        head,
        drawn,
        "A collapse would show as an entropy that falls to nothing while the distance from the start runs away.",
        columns=3,
        key=key_of(list(histories)),
        behind=runs_behind(runs.values()),
    )


def leash() -> Prose:
    """How strong the KL term is beside the policy term under each reward: beta times KL over the rewards' spread."""
    found = {}
    for name in (HARD, NUANCED):
        histories = [run.history() for (arm, _), run in trained().items() if arm == name]
        if not histories:
            return Prose("*Not run yet.*")
        found[name] = float(np.mean([series(history, "reward_std").mean() for history in histories]))
    beta = next(run.info["config"]["grpo"]["beta"] for (arm, _), run in trained().items() if arm == HARD)
    ratio = found[NUANCED] / found[HARD]
    return Prose(
        f"Within a group, rewards spread by {found[HARD]:.3g} under the hard reward and by {found[NUANCED]:.3g} under "
        f"the nuanced one. Advantages are not divided by that spread, so with the same beta of {beta} the divergence "
        f"term weighs {ratio:.0f} times less against the nuanced reward."
    )


def verdict() -> str | None:
    """What collapses, in a line; None without any run."""
    found = {name: spread(model(name, "last")) for name in _arms()}
    collapsed = [f"{name} ({one.collapsed} of {one.seeds} seeds)" for name, one in found.items() if one.collapsed]
    if not found:
        return None
    return ", ".join(collapsed) if collapsed else f"none of {len(found)} ways to train, in any seed"


def finding() -> Prose:
    """Whether anything collapsed, and without what."""
    names = _arms()
    if not names:
        return Prose("*Not run yet.*")
    found = {name: spread(model(name, "last")) for name in names}
    start = spread(model(SFT))
    lead = f"Collapsed: {verdict()}."
    widest = max(names, key=lambda name: found[name].commonest)
    return Prose(
        f"{lead} The commonest answer makes up {start.commonest:.2f} of the answers before reinforcement, and at most "
        f"{found[widest].commonest:.2f} after it ({widest})."
    )
