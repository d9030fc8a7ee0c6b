"""Best on validation against last: how much of a reported gain is the choosing? Both sides over the same findings."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd

from companion.evidence import analysis, comparable, outcomes, stats
from companion.evidence import tables as evidence
from companion.evidence.analysis import FINDINGS, Key
from companion.evidence.outcomes import MACRO, MICRO, Outcome
from companion.evidence.stats import Interval
from companion.experiment import arms, scores
from companion.report.experiments.answers import answers, asked, facts, have, missing, trained
from companion.report.experiments.names import NOT_RUN, model
from companion.report.plots import picture
from companion.report.theme import Html, signed, spoken

CELL = scores.own("A")


@cache
def ways() -> list[str]:
    """The arms whose best and last checkpoint may both be compared at home, by both outcomes."""
    return [name for name, arm in arms.ARMS.items() if arm.stage == "grpo" and have(*_both(name)) and not _unfit(name)]


def _both(arm: str) -> tuple[str, str]:
    return model(arm), model(arm, "last")


def _unfit(arm: str) -> str:
    known, trainings = answers(), answers().seeds(_both(arm))
    reasons = (
        analysis.unfit(known, Key(name, CELL), trainings, of, FINDINGS) for name in _both(arm) for of in (MACRO, MICRO)
    )
    return "one training" if len(trainings) < 2 else next(filter(None, reasons), "")


def seeds() -> list[int]:
    """The trainings that every arm has."""
    return answers().seeds([one for name in ways() for one in _both(name)]) if ways() else []


def frequent() -> set[str]:
    """The findings with enough positives on both sides: among the validation studies of each seed, and elsewhere."""
    found = set(analysis.frequent(answers(), [CELL])) if ways() else set()
    for name in ways():
        for seed in seeds():
            values = evidence.scores(trained()[name, seed], "best")
            found &= set(comparable.frequent({one: float(values[one, "support"]) for one in FINDINGS}))
    return found


def _validation(arm: str, seed: int, checkpoint: str, outcome: Outcome) -> float:
    values = evidence.scores(trained()[arm, seed], checkpoint)
    support, said, recall = (np.array([float(values[name, metric]) for name in FINDINGS])
                             for metric in ("support", "predicted", "recall"))  # fmt: skip
    hits = recall * support
    counts = np.stack([hits, said - hits, support - hits])
    return float(stats.f1(counts).mean() if outcome is MACRO else stats.f1(counts.sum(axis=1)))


@cache
def advantages(outcome: str) -> pd.DataFrame:
    """Best minus last over the nine findings, a row an (arm, seed): `chosen` on the studies that chose the best,
    `others` on patients that no one chose by, and their difference, what choosing `adds` to the report."""
    of, rows = outcomes.OUTCOMES[outcome], {}
    for arm in ways():
        for seed in seeds():
            chosen = [_validation(arm, seed, which, of) for which in ("best", "last")]
            others = [answers().values(Key(name, CELL), seed, of)[0] for name in _both(arm)]
            rows[arm, seed] = {"chosen": chosen[0] - chosen[1], "others": float(others[0] - others[1])}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["chosen", "others"])
    return found.assign(adds=found["chosen"] - found["others"]).rename_axis(["arm", "seed"])


def over_trainings(values: Iterable[float]) -> Interval:
    """The mean of one number a training, with its t interval."""
    return stats.percentiles(stats.over_seeds([np.full(1 + answers().resamples, value) for value in values]))


def figure() -> Html:
    """For each reinforcement arm: best minus last, where it was chosen and elsewhere."""
    if not (names := ways()):
        return missing("any reinforcement whose checkpoints may be compared")
    found, title = advantages(MICRO.name), "Best checkpoint minus last"
    chosen = found["chosen"].groupby("arm").mean()
    values = {
        "on other patients": {name: over_trainings(found["others"].xs(name)) for name in names},
        "where it was chosen": {name: Interval(chosen[name], chosen[name], chosen[name]) for name in names},
    }
    return picture(
        "The best checkpoint, where it was chosen and on other patients",
        facts(*map(model, names), measure="micro-F1 over the same nine findings (post hoc)"),
        {title: values},
        "difference in micro-F1",
        "Squares, without an interval: on the validation studies that the best checkpoint was chosen by. Circles: the "
        "same difference, over the same findings and trainings, on patients that had no say; t intervals over "
        f"{len(seeds())} trainings, not corrected for their number.",
        runs=asked(*(one for name in names for one in _both(name))),
        columns=1,
    )


def verdict() -> str:
    """What choosing adds, in a line; `NOT_RUN` without the runs."""
    if not ways():
        return NOT_RUN
    said = []
    for outcome, how in ((MACRO, "by which it was chosen"), (MICRO, "post hoc")):
        each = advantages(outcome.name).groupby("seed").mean()
        chosen, others, _ = each.mean()
        said.append(
            f"by {outcome.title} ({how}) {signed(chosen)} where it was chosen, {signed(others)} on other patients, "
            f"difference {spoken(over_trainings(list(each['adds'])))}"
        )
    return f"best minus last over nine findings, most of them rare: {'; '.join(said)}"
