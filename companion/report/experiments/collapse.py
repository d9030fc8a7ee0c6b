"""Without each stabiliser in turn: does anything collapse, and what prevents it? (section 3.2.2)"""

import numpy as np
import pandas as pd

from companion.evidence import analysis
from companion.evidence.analysis import Key
from companion.evidence.outcomes import MICRO
from companion.experiment import arms, scores
from companion.report.behind import runs_behind
from companion.report.experiments.answers import answers, asked, changed, facts, have, missing, sizes, trained
from companion.report.experiments.names import HARD, NUANCED, PROFILE, SFT, model
from companion.report.figures import Panel, panel_svg, series
from companion.report.frames import frame_table
from companion.report.plots import framed, key_of, picture
from companion.report.theme import Html, badge, decimal, spoken

PANELS = (Panel("entropy", "Entropy of the policy", "nats a token"), Panel("reward", "Total reward", "reward"),
          Panel("kl", "Distance from the start", "KL divergence, nats"))  # fmt: skip
HOME = scores.own("A")


def ways() -> list[str]:
    """The arms of reinforcement that are judged here, as far as they have been run."""
    wanted = [HARD, NUANCED, *(name for name, arm in arms.ARMS.items() if arm.question in ("collapse", "dose"))]
    return [name for name in wanted if have(model(name, "last"))]


def after_last() -> pd.DataFrame:
    """A row a model on hospital A's test images, fine-tuning first, then each arm after its last step; means over
    trainings: `commonest` is the share of the answers that give the commonest list of labels, `lists` are different
    ones, `failed` is a share; `most` is the largest `commonest` of a training, `collapsed` counts those above the
    plan's threshold among `trainings`. Empty without the runs."""
    names = [model(name, "last") for name in ways()]
    rows = {}
    for name in [model(SFT), *names] if names else []:
        found = pd.DataFrame(analysis.variety(answers(), name, HOME))
        micro = analysis.contrast(answers(), {Key(name, HOME): 1.0}, MICRO).estimate
        collapsed, most = (found["commonest"] > analysis.COLLAPSED).sum(), found["commonest"].max()
        rows[name] = {**found.mean(), "micro": micro, "most": most, "collapsed": collapsed, "trainings": len(found)}
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
        span=(0, 1),
        points={title: points},
    )


def table() -> Html:
    """After the last step: how varied the answers are, for each arm and for what they started from."""
    found = after_last()
    if found.empty:
        return missing("the arms without a stabiliser")
    arms_of = ["", *ways()]
    shown = pd.DataFrame(
        {
            "Arm": [arms.get(arm).what if arm else "fine-tuned, where all start" for arm in arms_of],
            "Commonest": found["commonest"].map("{:.2f}".format),
            "Different": found["lists"].map("{:.0f}".format),
            "Failed": found["failed"].map("{:.2f}".format),
            "Micro-F1": found["micro"].map(decimal),
            "minus SFT": [spoken(changed(model(a, "last"), model(SFT), "A", MICRO)) if a else "" for a in arms_of],
            "Entropy, end over start": [decimal(entropy_ratio(arm), 2) if arm else "" for arm in arms_of],
            "Collapsed": [f"{n:.0f} of {of:.0f}" for n, of in zip(found["collapsed"], found["trainings"], strict=True)],
        }
    )
    head = facts(*found.index[1:], measure="hospital A, micro-F1 post hoc")
    return frame_table(shown, "The spread of the answers after the last step", wrap=["Arm"], head=head)


def entropy_ratio(arm: str) -> float:
    """Entropy of the policy over the last tenth of a training over that of the first, mean over trainings."""
    logged = [series(run.history(), "entropy").to_numpy() for (name, _), run in trained().items() if name == arm]
    tenths = [max(1, len(values) // 10) for values in logged]
    ends = [values[-tenth:].mean() / values[:tenth].mean() for values, tenth in zip(logged, tenths, strict=True)]
    return float(np.mean(ends))


def against_start() -> dict[str, analysis.Contrast]:
    """The change of micro-F1 at home from SFT (post hoc), of the arms that can be compared."""
    found = {name: changed(model(name, "last"), model(SFT), "A", MICRO) for name in ways()}
    return {name: one for name, one in found.items() if not isinstance(one, str)}


def worse() -> list[str]:
    """Arms whose micro-F1 at home fell from SFT, the whole interval below zero."""
    return [name for name, one in against_start().items() if one.high < 0]


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
        [panel_svg(panel, histories, 2.8) for panel in PANELS],
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


def verdict() -> str | None:
    """What collapses, in a line; None without any run."""
    found = after_last().iloc[1:]
    if found.empty:
        return None
    off = found[found["collapsed"] > 0]
    named = [f"{str(name).removesuffix('-last')} ({one.collapsed:.0f} of {one.trainings:.0f} trainings)"
             for name, one in off.iterrows()]  # fmt: skip
    return ", ".join(named) if named else f"none of {len(found)} ways to train, in any training"


def nothing() -> bool:
    """Whether something was run and nothing collapsed, in any training."""
    found = after_last()
    return not found.empty and not found["collapsed"].iloc[1:].any()


def untested() -> str:
    """What follows if nothing collapsed; empty if something did."""
    if not nothing():
        return ""
    return "Nothing collapsed with a stabiliser or without, so whether these prevent collapse cannot be tested."


def widest() -> str:
    """The largest share of the commonest list after the last step: of an arm, and of a single training."""
    found = after_last().iloc[1:]
    if found.empty:
        return "–"
    first = found.sort_values("commonest").iloc[-1]
    arm = str(first.name).removesuffix("-last")
    return f"{first['commonest']:.2f} in an arm ({arm}) and {found['most'].max():.2f} in a single training"


def single_labels() -> list[str]:
    """Trainings in which one label stands in more answers than the paper's window allows, with its share."""
    found = []
    for name in ways():
        for seed in answers().seeds([model(name, "last")]):
            said = analysis.asked(answers().of[model(name, "last"), seed], HOME)["predicted"]
            share = said.str.split(";").explode().value_counts().iloc[0] / len(said)
            if share > analysis.COLLAPSED:
                found.append(f"{name} at seed {seed}, {share:.0%}")
    return found


def untreated() -> list[str]:
    """Trainings of an arm whose answers, at the best checkpoint and at the last, are those of the plain reward."""
    found = []
    for name in ways():
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
