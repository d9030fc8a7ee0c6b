"""Without each stabiliser in turn: does anything collapse, and what prevents it? (section 3.2.2)"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from companion.evidence import analysis
from companion.evidence.outcomes import MICRO
from companion.experiment import arms, scores
from companion.report.experiments.answers import answers, asked, below, changed, facts, have, missing, shown, trained
from companion.report.experiments.names import HARD, NOT_RUN, NUANCED, SFT, model
from companion.report.figures import series
from companion.report.frames import frame_table
from companion.report.theme import Html, decimal, spoken

HOME = scores.own("A")


def ways() -> list[str]:
    """The arms of reinforcement that are judged here, as far as they have been run."""
    wanted = [HARD, NUANCED, *(name for name, arm in arms.ARMS.items() if arm.question in ("collapse", "dose"))]
    return [name for name in wanted if have(model(name, "last"))]


def _models() -> list[str]:
    """Fine-tuning, where all start, and each arm after its last step; none if no arm has been run."""
    return [model(SFT), *(model(name, "last") for name in ways())] if ways() else []


def _said(name: str, seeds: Sequence[int]) -> list[pd.DataFrame]:
    """A model's answers at home, a training each."""
    return [analysis.asked(answers().of[name, seed], HOME) for seed in seeds]


def after_last() -> pd.DataFrame:
    """A row a model on hospital A's test images. Of all trainings: `commonest` is the share of the answers that give
    the commonest list of labels, `label` that of the commonest single label, the largest of a training; `collapsed`
    counts `trainings` above the plan's threshold. Means over trainings: different `lists`, share `failed`, `micro`-F1.
    """
    rows = {}
    for name in _models():
        shares, said = analysis.commonest(answers(), name, HOME), _said(name, answers().seeds([name]))
        labels = [one["predicted"].str.split(";").explode().value_counts().drop("", errors="ignore") for one in said]
        rows[name] = {
            "commonest": shares, "label": max(count.max() / len(one) for count, one in zip(labels, said, strict=True)),
            "lists": np.mean([one["predicted"].nunique() for one in said]),
            "failed": np.mean([one["failed"].astype(bool).mean() for one in said]),
            "micro": analysis.contrast(answers(), {analysis.Key(name, HOME): 1.0}, MICRO).estimate,
            "collapsed": sum(one > analysis.COLLAPSED for one in shares.per_seed), "trainings": len(said),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def figure() -> Html:
    """The share of the commonest answer after the last step, a point a seed, for each arm."""
    if (found := after_last()).empty:
        return missing("the arms without a stabiliser")
    title, line = "After the last step, hospital A's images", analysis.COLLAPSED
    shares = dict(zip(["before reinforcement", *ways()], found["commonest"], strict=True))
    return shown(
        "How often is the commonest answer given?",
        facts(*found.index[1:], measure="share of the answers"),
        {title: {"": shares}},
        "share of the answers",
        "The mean with its 95 % interval over trainings (t) and patients. Right of the line, at "
        f"{line:.2f}, one list of labels dominates: the plan's rule for a collapse.",
        runs=asked(*found.index), columns=1, line=line, xlim=(0, 1),
    )  # fmt: skip


def table() -> Html:
    """The other symptoms of a collapse after the last step, for each arm and for what they started from."""
    if (found := after_last()).empty:
        return missing("the arms without a stabiliser")
    since = {arm: changed(model(arm, "last"), model(SFT), "A", MICRO) for arm in ways()}
    rows = pd.DataFrame({
        "Arm": ["fine-tuned, where all start", *(arms.get(arm).what for arm in ways())],
        "Collapsed": [f"{n} of {of}" for n, of in zip(found["collapsed"], found["trainings"], strict=True)],
        "One label, at most": found["label"].map("{:.2f}".format),
        "Different": found["lists"].map("{:.0f}".format),
        "Failed": found["failed"].map("{:.2f}".format),
        "Micro-F1": found["micro"].map(decimal),
        "minus SFT": ["", *map(spoken, since.values())],
        "Entropy, end over start": ["", *(decimal(entropy_ratio(arm), 2) for arm in ways())],
        "As the plain reward": ["", *(", ".join(f"seed {seed}" for seed in untreated(arm)) for arm in ways())],
    })  # fmt: skip
    note = (
        "Collapsed: trainings in which one list of labels dominates. One label: the share in which the commonest label "
        "stands, most of a training; the paper's window counts labels, not lists. As the plain reward: best and last "
        "checkpoint answer word for word as those of the plain reward, so that what was left out had no effect."
    )
    fell = ", ".join(arms.get(arm).what for arm, change in since.items() if below(change)) or "none"
    fit = sum(not isinstance(change, str) for change in since.values())
    lost = f"Of {fit} that can be compared, micro-F1 fell since fine-tuning, the whole interval below zero, in: {fell}."
    head = facts(*found.index[1:], measure="hospital A, micro-F1 post hoc")
    label = "The spread of the answers after the last step"
    return frame_table(rows, label, wrap=["Arm"], head=head, notes=[note, lost], dense=True)


def _logged(arm: str, metric: str) -> list[pd.Series]:
    """What an arm's trainings logged."""
    return [series(run.history(), metric) for (name, _), run in trained().items() if name == arm]


def entropy_ratio(arm: str) -> float:
    """Entropy of the policy over the last tenth of a training over that of the first, mean over trainings."""
    tenths = [(values, max(1, len(values) // 10)) for values in _logged(arm, "entropy")]
    return float(np.mean([values[-tenth:].mean() / values[:tenth].mean() for values, tenth in tenths]))


def reward_spread(arm: str) -> float:
    """By how much rewards spread within a group: mean standard deviation over updates and trainings; NaN if none."""
    return float(pd.Series([one.mean() for one in _logged(arm, "reward_std")], dtype=float).mean())


def verdict() -> str:
    """What collapses, in a line; `NOT_RUN` without the runs."""
    if (found := after_last()).empty:
        return NOT_RUN
    each = zip(ways(), found["collapsed"][1:], found["trainings"][1:], strict=True)
    off = [f"{name} ({many} of {of} trainings)" for name, many, of in each if many]
    return ", ".join(off) or f"none of {len(ways())} ways to train, in any training"


def nothing() -> bool:
    """Whether something was run and nothing collapsed, in any training."""
    return verdict().startswith("none of")


def untreated(arm: str) -> list[int]:
    """Trainings of an arm whose answers, at the best checkpoint and at the last, are those of the plain reward."""
    plain = f"grpo-{arms.get(arm).reward}"
    names = [model(one, which) for one in (arm, plain) for which in ("best", "last")]
    seeds = answers().seeds(names) if arm != plain else []
    each = [[one[["completion", "predicted"]].to_numpy().tolist() for one in _said(name, seeds)] for name in names]
    return [seed for seed, best, last, *other in zip(seeds, *each, strict=True) if [best, last] == other]
