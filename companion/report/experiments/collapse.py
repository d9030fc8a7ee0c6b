"""Without each stabiliser in turn: does anything collapse, and what prevents it? (section 3.2.2)"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from companion.evidence import analysis
from companion.evidence.analysis import Key
from companion.evidence.outcomes import MICRO
from companion.experiment import arms, scores
from companion.report.behind import runs_behind
from companion.report.experiments.answers import (
    HARD,
    NUANCED,
    PROFILE,
    SFT,
    answers,
    behind,
    changed,
    facts,
    have,
    missing,
    model,
    sizes,
    trained,
)
from companion.report.experiments.intervals import counted, dots, framed
from companion.report.figures import Panel, key_of, panel_svg, series
from companion.report.tables import frame_table
from companion.report.theme import Html, Prose, badge, block, decimal, spoken

PANELS = (Panel("entropy", "Entropy of the policy", "nats a token"), Panel("reward", "Total reward", "reward"),
          Panel("kl", "Distance from the start", "KL divergence, nats"))  # fmt: skip
HOME = scores.own("A")


@dataclass(frozen=True)
class Spread:
    """How varied a model's answers are on hospital A's test images, and how good; means over trainings."""

    commonest: float  # share of the answers that give the commonest list of labels
    lists: float  # different lists
    failed: float
    micro_f1: float
    collapsed: int  # trainings in which one list dominates
    seeds: int


def spread(name: str) -> Spread:
    """The spread of one checkpoint's answers ("grpo-hard-last", say)."""
    found = analysis.variety(answers(), name, HOME)
    return Spread(
        float(np.mean([one.commonest for one in found])),
        float(np.mean([one.lists for one in found])),
        float(np.mean([one.failed for one in found])),
        analysis.contrast(answers(), {Key(name, HOME): 1.0}, MICRO).estimate,
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
        facts(*(model(name, "last") for name in names), measure="share of the answers"),
        [
            dots(
                "After the last step, hospital A's images",
                rows,
                means,
                "share of the answers",
                width=4.4,
                line=analysis.COLLAPSED,
                span=(0, 1),
            )
        ],
        "A point a training; an upright bar for their mean, a level one for its interval. Right of the dashed line, "
        f"at {analysis.COLLAPSED:.2f}, one list of labels dominates: the plan's rule for a collapse."
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
                "Micro-F1": decimal(found.micro_f1),
                "minus SFT": "" if name == model(SFT) else spoken(changed(name, model(SFT), "A", MICRO)),
                "Entropy, end over start": _entropy(name),
                "Collapsed": f"{found.collapsed} of {found.seeds}",
            }
        )
    return block(f'<div class="cxr-head">{_table_facts(names)}</div>') + frame_table(
        pd.DataFrame(rows), "The spread of the answers after the last step", wrap=("Arm",)
    )


def _table_facts(names: list[str]) -> str:
    return facts(*(model(name, "last") for name in names), measure="hospital A, micro-F1 post hoc")


def entropy_ratio(arm: str) -> float:
    """Entropy of the policy over the last tenth of a training over that of the first, mean over trainings."""
    ratios = []
    for (name, _), run in trained().items():
        if name == arm:
            logged = series(run.history(), "entropy").to_numpy()
            tenth = max(1, len(logged) // 10)
            ratios.append(float(logged[-tenth:].mean() / logged[:tenth].mean()))
    return float(np.mean(ratios))


def _entropy(name: str) -> str:
    arm = name.removesuffix("-last")
    return decimal(entropy_ratio(arm), 2) if arm in _arms() else ""


def _against_start() -> dict[str, analysis.Contrast]:
    """The change of micro-F1 at home from SFT (post hoc), of the arms that can be compared."""
    found = {name: changed(model(name, "last"), model(SFT), "A", MICRO) for name in _arms()}
    return {name: one for name, one in found.items() if not isinstance(one, str)}


def worse() -> list[str]:
    """Arms whose micro-F1 at home fell from SFT, the whole interval below zero."""
    return [name for name, one in _against_start().items() if one.high < 0]


def curves(reward: str) -> Html:
    """Entropy, reward and distance over training for one reward ("hard" or "nuanced"), first seed of each arm."""
    names = [name for name in _arms() if arms.get(name).reward == reward]
    first = {arm: run for (arm, seed), run in trained().items() if seed == 0}
    runs = {name: first[name] for name in names if name in first}
    if not runs:
        return missing(f"the {reward} reward")
    histories = {name: run.history() for name, run in runs.items()}
    drawn = [panel_svg(panel, histories, 2.8) for panel in PANELS]
    unlogged = [name for name, history in histories.items() if series(history, "kl").empty]
    head = badge("miniature", PROFILE, sizes(), "seed 0")
    return framed(
        f"Training with the {reward} reward",
        head,
        drawn,
        "A collapse would show as an entropy that falls to nothing while the distance from the start runs away."
        + (
            f" No distance is logged, and so none is drawn, for {', '.join(unlogged)}: trained without the KL term."
            if unlogged
            else ""
        ),
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
    collapsed = [f"{name} ({one.collapsed} of {one.seeds} trainings)" for name, one in found.items() if one.collapsed]
    if not found:
        return None
    return ", ".join(collapsed) if collapsed else f"none of {len(found)} ways to train, in any training"


def nothing() -> bool:
    """Whether something was run and nothing collapsed, in any training."""
    found = [spread(model(name, "last")) for name in _arms()]
    return bool(found) and not any(one.collapsed for one in found)


def single_labels() -> list[str]:
    """Trainings in which one label stands in more answers than the paper's window allows, with its share."""
    found = []
    for name in _arms():
        for seed in answers().seeds([model(name, "last")]):
            said = analysis.asked(answers().of[model(name, "last"), seed], HOME)["predicted"]
            share = said.str.split(";").explode().value_counts().iloc[0] / len(said)
            if share > analysis.COLLAPSED:
                found.append(f"{name} at seed {seed}, {share:.0%}")
    return found


def untreated() -> list[str]:
    """Trainings of an arm whose answers, at the best checkpoint and at the last, are those of the plain reward."""
    found = []
    for name in _arms():
        plain = f"grpo-{arms.get(name).reward}"
        pairs = [(model(name, which), model(plain, which)) for which in ("best", "last")]
        if name != plain and all(have(*pair) for pair in pairs):
            found += [
                f"{name} at seed {seed} ({plain})"
                for seed in answers().seeds([one for pair in pairs for one in pair])
                if all(_said(mine, seed) == _said(other, seed) for mine, other in pairs)
            ]
    return found


def _said(name: str, seed: int) -> list[list[str]]:
    return analysis.asked(answers().of[name, seed], HOME)[["completion", "predicted"]].to_numpy().tolist()


def finding() -> Prose:
    """Whether anything collapsed by the plan's rule, and what the paper's other symptoms say."""
    names = _arms()
    if not names:
        return Prose("*Not run yet.*")
    found = {name: spread(model(name, "last")) for name in names}
    start, fallen, compared = spread(model(SFT)), worse(), len(_against_start())
    widest = max(names, key=lambda name: found[name].commonest)
    lowest = min(names, key=entropy_ratio)
    single = max(one.commonest for name in names for one in analysis.variety(answers(), model(name, "last"), HOME))
    return Prose(
        f"Collapsed by the plan's rule, one list of labels in more than {analysis.COLLAPSED:.0%} of the answers: "
        f"{verdict()}. The commonest list makes up {start.commonest:.2f} of the answers before reinforcement; after "
        f"it, on average at most {found[widest].commonest:.2f} in an arm ({widest}) and {single:.2f} in a single "
        "training. "
        + (
            "Nothing collapsed with a stabiliser or without, so whether the stabilisers prevent collapse **cannot be "
            "tested** here. "
            if nothing()
            else ""
        )
        + (
            f"Word for word the answers of the plain reward, best and last: {'; '.join(same)}; what is left out had no "
            "effect there. "
            if (same := untreated())
            else ""
        )
        + "The paper's window counts single labels, not lists: by that measure the threshold is passed in "
        + (f"{'; '.join(alone)}. " if (alone := single_labels()) else "no training. ")
        + "The paper names two more symptoms, which the plan did not (post hoc). Performance: micro-F1 at home fell "
        f"from SFT, its whole interval below zero, in {len(fallen) or 'none'} of {compared} ways to train that can be "
        "compared"
        + (f" ({', '.join(fallen)})" if fallen else "")
        + f". Entropy: at the end it is {entropy_ratio(lowest):.2f} of what it was at the start in the arm where it "
        f"fell most ({lowest})."
    )
