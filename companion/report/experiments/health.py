"""How much of GRPO's machinery acts in the experiment: clipped tokens, tied groups, an update without a step (3.2.2).

All of it is read from what the trainer logged; every number is a mean over an arm's updates and seeds. An arm that
changes what hardly ever acts is hardly another arm, which its chapter has to say.
"""

import numpy as np
import pandas as pd

from chexreason.recipe import SFT as SFTSettings
from chexreason.rewards import Hard
from chexreason.runs import Run
from companion.experiment import arms
from companion.report.experiments.answers import SFT, answers, model, trained
from companion.report.figures import series
from companion.report.theme import Prose

#: Share of the tokens below which the clip bounds count as hardly acting; our choice.
SELDOM = 0.01
CLIPPED, TIED, RATE = "clip_ratio/region_mean", "frac_reward_zero_std", "learning_rate"


def said() -> Prose:
    """The three sentences; a line in their place if nothing was run."""
    found = _runs()
    if not found:
        return Prose("*Not run yet.*")
    return Prose(" ".join(filter(None, (_clipping(found), _ties(found), _first(found)))))


def _runs() -> dict[str, list[Run]]:
    """Arm -> its GRPO runs, a seed each."""
    found: dict[str, list[Run]] = {}
    for (arm, _), run in trained().items():
        if run.info["stage"] == "grpo":
            found.setdefault(arm, []).append(run)
    return found


def _means(found: dict[str, list[Run]], metric: str) -> list[float]:
    """The mean of a logged metric over the updates and seeds of each arm that logs it, from least to most."""
    logged = {arm: [series(run.history(), metric) for run in runs] for arm, runs in found.items()}
    return sorted(
        float(np.mean([values.mean() for values in many])) for many in logged.values() if all(len(v) for v in many)
    )


def _clipping(found: dict[str, list[Run]]) -> str:
    shares = _means(found, CLIPPED)
    if not shares:
        return ""
    symmetric = sum("clip_high" in arms.get(arm).changes for arm in found)
    text = (
        f"The clip bounds act on {shares[0]:.2%} to {shares[-1]:.2%} of the tokens, by arm (a first pass over new "
        "answers clips none)"
    )
    if shares[-1] >= SELDOM:
        return f"{text}."
    return (
        f"{text}; so the arms with symmetric bounds ({symmetric}) are almost without a treatment "
        "in this respect, and whether clipping prevents anything cannot be distinguished from them."
    )


def _ties(found: dict[str, list[Run]]) -> str:
    shares = _means(found, TIED)
    if not shares:
        return ""
    sizes = {run.info["config"]["grpo"]["generations"] for runs in found.values() for run in runs}
    return (
        f"In {shares[0]:.0%} to {shares[-1]:.0%} of the groups of {' or '.join(map(str, sorted(sizes)))} answers all "
        "rewards are equal; such a group teaches nothing."
    )


def _first(found: dict[str, list[Run]]) -> str:
    rates = [rate for runs in found.values() for run in runs if len(rate := series(run.history(), RATE))]
    if not rates:
        return ""
    idle, least = sum(rate.iloc[0] == 0 for rate in rates), min(len(rate) for rate in rates)
    return (
        f"The learning rate rises from zero, so the first update changes nothing in {idle} of {len(rates)} trainings, "
        f"of {least} updates or more each."
    )


def fine_tuning() -> Prose:
    """Whether SFT had come to its end: the epoch of the lowest validation loss."""
    losses = [series(run.history(), "eval_loss") for run in trained().values() if run.info["stage"] == "sft"]
    losses = [values for values in losses if len(values)]
    if not losses:
        return Prose("*Not run yet.*")
    last = sum(values.iloc[-1] == values.min() for values in losses)
    epochs = max(map(len, losses))
    text = (
        f"In {last} of the experiment's {len(losses)} trainings by SFT the validation loss was lowest after the last "
        f"of {epochs} epochs"
    )
    if last <= len(losses) / 2:
        return Prose(f"{text}.")
    return Prose(
        f"{text}: there it was still falling, and early stopping (patience "
        f"{SFTSettings().early_stopping_patience}) could hardly act. "
        "So the checkpoints that reinforcement starts from are trained less than the paper's may be."
    )


def short_answers() -> Prose:
    """Whom the hard reward's penalty for short answers meets in the miniature: the answers that name one label."""
    rows = [frame for (name, _), frame in answers().of.items() if name == model(SFT)]
    if not rows:
        return Prose("*Not run yet.*")
    home = pd.concat([frame[(frame["population"] == "A") & (frame["film"] == "A")] for frame in rows])
    home = home[~home["failed"].astype(bool)]
    limit = Hard().min_length
    short = home["completion"].astype(str).str.len() < limit
    labels = home["predicted"].astype(str).str.count(";") + 1
    few, many = short[labels == 1].mean(), short[labels >= 3].mean()
    return Prose(
        f"The limit of {limit} characters is the paper's number and was not scaled to the miniature, whose traces are "
        f"shorter. Of the fine-tuned model's answers at hospital A {short.mean():.0%} are below it: "
        f"{few:.0%} of those that name one label, {many:.0%} of those that name three or more."
        + (" There the penalty is in effect a price on naming few labels." if few > 2 * many else "")
    )
