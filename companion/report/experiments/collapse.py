"""Without each stabiliser in turn: does anything collapse, and what prevents it? (section 3.2.2)"""

import numpy as np
import pandas as pd

from companion.evidence import analysis
from companion.evidence.analysis import Key
from companion.evidence.outcomes import MICRO
from companion.experiment import arms, scores
from companion.report.behind import runs_behind
from companion.report.experiments.answers import answers, asked, below, changed, facts, have, missing, sizes, trained
from companion.report.experiments.names import HARD, NOT_RUN, NUANCED, PROFILE, SFT, model
from companion.report.figures import panel_svg, series
from companion.report.frames import frame_table
from companion.report.plots import framed, key_of, picture
from companion.report.theme import Html, badge, decimal, spoken

HOME = scores.own("A")


def ways() -> list[str]:
    """The arms of reinforcement that are judged here, as far as they have been run."""
    wanted = [HARD, NUANCED, *(name for name, arm in arms.ARMS.items() if arm.question in ("collapse", "dose"))]
    return [name for name in wanted if have(model(name, "last"))]


def after_last() -> pd.DataFrame:
    """A row a model on hospital A's test images, fine-tuning first, then each arm after its last step; means over
    trainings: `commonest` is the share of the answers that give the commonest list of labels, `lists` are different
    ones, `failed` is a share; `collapsed` counts trainings above the plan's threshold among `trainings`, `most` is the
    largest `commonest` of one, `label` the largest share of a single label. Empty without the runs."""
    names = [model(name, "last") for name in ways()]
    rows = {}
    for name in [model(SFT), *names] if names else []:
        found = pd.DataFrame(analysis.variety(answers(), name, HOME))
        micro = analysis.contrast(answers(), {Key(name, HOME): 1.0}, MICRO).estimate
        label = max(single_label(name, seed) for seed in answers().seeds([name]))
        collapsed, most = (found["commonest"] > analysis.COLLAPSED).sum(), found["commonest"].max()
        rows[name] = {**found.mean(), "micro": micro, "most": most, "label": label, "collapsed": collapsed,
                      "trainings": len(found)}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def figure() -> Html:
    """The share of the commonest answer after the last step, a point a seed, for each arm."""
    names = ways()
    if not names:
        return missing("the arms without a stabiliser")
    shown = {"before reinforcement": model(SFT), **{name: model(name, "last") for name in names}}
    points = {
        title: [one.commonest for one in analysis.variety(answers(), name, HOME)] for title, name in shown.items()
    }
    values = {"": {title: analysis.commonest(answers(), name, HOME) for title, name in shown.items()}}
    title, line = "After the last step, hospital A's images", analysis.COLLAPSED
    return picture(
        "How often is the commonest answer given?",
        facts(*(model(name, "last") for name in names), measure="share of the answers"),
        {title: values},
        "share of the answers",
        "A pale point a training; their mean with its 95 % interval over trainings (t) and patients. Right of the "
        f"line, at {line:.2f}, one list of labels dominates: the plan's rule for a collapse.",
        runs=asked(*shown.values()),
        columns=1,
        line=line,
        xlim=(0, 1),
        points={title: points},
    )


def table() -> Html:
    """After the last step: how varied the answers are, for each arm and for what they started from."""
    found = after_last()
    if found.empty:
        return missing("the arms without a stabiliser")
    arms_of = ["", *ways()]
    since = {arm: changed(model(arm, "last"), model(SFT), "A", MICRO) for arm in ways()}
    shown = pd.DataFrame(
        {
            "Arm": [arms.get(arm).what if arm else "fine-tuned, where all start" for arm in arms_of],
            "Commonest": found["commonest"].map("{:.2f}".format),
            "at most": found["most"].map("{:.2f}".format),
            "One label, at most": found["label"].map("{:.2f}".format),
            "Different": found["lists"].map("{:.0f}".format),
            "Failed": found["failed"].map("{:.2f}".format),
            "Micro-F1": found["micro"].map(decimal),
            "minus SFT": ["", *map(spoken, since.values())],
            "Entropy, end over start": [decimal(entropy_ratio(arm), 2) if arm else "" for arm in arms_of],
            "Collapsed": [f"{n:.0f} of {of:.0f}" for n, of in zip(found["collapsed"], found["trainings"], strict=True)],
            "As the plain reward": [", ".join(f"seed {seed}" for seed in untreated(arm)) for arm in arms_of],
        }
    )
    head = facts(*found.index[1:], measure="hospital A, micro-F1 post hoc")
    note = (
        "Commonest: the share of the answers that give the commonest list of labels, mean over trainings and most of "
        "one. One label: the share in which the commonest label stands, most of a training; the paper's window counts "
        "labels, not lists. As the plain reward: best and last checkpoint answer word for word as those of the plain "
        "reward, so that what was left out had no effect."
    )
    fell = ", ".join(arms.get(arm).what for arm, change in since.items() if below(change)) or "none"
    fit = sum(not isinstance(change, str) for change in since.values())
    lost = f"Of {fit} that can be compared, micro-F1 fell since fine-tuning, the whole interval below zero, in: {fell}."
    label = "The spread of the answers after the last step"
    return frame_table(shown, label, wrap=["Arm"], head=head, notes=[note, lost], dense=True)


def entropy_ratio(arm: str) -> float:
    """Entropy of the policy over the last tenth of a training over that of the first, mean over trainings."""
    logged = [series(run.history(), "entropy").to_numpy() for (name, _), run in trained().items() if name == arm]
    tenths = [max(1, len(values) // 10) for values in logged]
    ends = [values[-tenth:].mean() / values[:tenth].mean() for values, tenth in zip(logged, tenths, strict=True)]
    return float(np.mean(ends))


def curves(reward: str) -> Html:
    """Entropy, reward and distance over training for one reward ("hard" or "nuanced"), first seed of each arm."""
    first = {arm: run for (arm, seed), run in trained().items() if seed == 0}
    runs = {name: first[name] for name in ways() if arms.get(name).reward == reward and name in first}
    if not runs:
        return missing(f"the {reward} reward")
    histories = {name: [run.history()] for name, run in runs.items()}
    unlogged = [name for name, (history,) in histories.items() if series(history, "kl").empty]
    without = f" {', '.join(unlogged)}: trained without the KL term, so no distance is logged." if unlogged else ""
    return framed(
        f"Training with the {reward} reward",
        badge("miniature", PROFILE, sizes(), "seed 0"),
        [panel_svg(metric, histories, 2.8) for metric in ("entropy", "reward", "kl")],
        "A collapse would show as an entropy that falls to nothing while the distance from the start runs away."
        + without,
        columns=3,
        key=key_of(list(histories)),
        behind=runs_behind(runs.values()),
    )


def reward_spread(arm: str) -> float:
    """By how much rewards spread within a group: mean standard deviation over updates and trainings; NaN if none."""
    found = [series(run.history(), "reward_std").mean() for (name, _), run in trained().items() if name == arm]
    return float(np.mean(found)) if found else float("nan")


def verdict() -> str:
    """What collapses, in a line; `NOT_RUN` without the runs."""
    found = after_last().iloc[1:]
    if found.empty:
        return NOT_RUN
    off = found[found["collapsed"] > 0]
    named = [f"{str(name).removesuffix('-last')} ({one.collapsed:.0f} of {one.trainings:.0f} trainings)"
             for name, one in off.iterrows()]  # fmt: skip
    return ", ".join(named) if named else f"none of {len(found)} ways to train, in any training"


def nothing() -> bool:
    """Whether something was run and nothing collapsed, in any training."""
    found = after_last()
    return not found.empty and not found["collapsed"].iloc[1:].any()


def single_label(name: str, seed: int) -> float:
    """The share of the answers of a training in which its commonest label stands, as the paper's window counts it."""
    said = analysis.asked(answers().of[name, seed], HOME)["predicted"]
    return float(said.str.split(";").explode().value_counts().drop("", errors="ignore").max() / len(said))


def untreated(arm: str) -> list[int]:
    """Trainings of an arm whose answers, at the best checkpoint and at the last, are those of the plain reward."""
    plain = f"grpo-{arms.get(arm).reward}" if arm else arm
    pairs = [(model(arm, which), model(plain, which)) for which in ("best", "last")]
    if arm == plain or not all(have(*pair) for pair in pairs):
        return []
    seeds = answers().seeds([one for pair in pairs for one in pair])
    return [seed for seed in seeds if all(_said(mine, seed) == _said(other, seed) for mine, other in pairs)]


def _said(name: str, seed: int) -> list[list[str]]:
    return analysis.asked(answers().of[name, seed], HOME)[["completion", "predicted"]].to_numpy().tolist()
