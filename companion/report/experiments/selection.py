"""Best on validation against last: how much of a reported gain is the choosing? Both sides over the same findings."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd

from companion.evidence import analysis, comparable, stats
from companion.evidence import tables as evidence
from companion.evidence.analysis import FINDINGS, Contrast, Key
from companion.evidence.outcomes import MACRO, MICRO, OUTCOMES, Outcome
from companion.evidence.stats import Interval
from companion.experiment import arms, scores
from companion.report.experiments.answers import answers, asked, facts, missing, trained
from companion.report.experiments.names import NOT_RUN, model
from companion.report.plots import picture
from companion.report.theme import Html, signed, spoken

CELL = scores.own("A")
BOTH = ("best", "last")


@cache
def ways() -> list[str]:
    """The arms whose best and last checkpoint may both be compared at home, by both outcomes."""
    return [name for name, arm in arms.ARMS.items() if arm.stage == "grpo" and not _unfit(name)]


def _unfit(arm: str) -> str:
    known, names = answers(), [model(arm, which) for which in BOTH]
    if len(trainings := known.seeds(names)) < 2:
        return "one training" if trainings else NOT_RUN
    each = (analysis.unfit(known, Key(one, CELL), of, trainings, FINDINGS) for one in names for of in (MACRO, MICRO))
    return next(filter(None, each), "")


def seeds() -> list[int]:
    """The trainings that every arm has."""
    return answers().seeds([model(name, which) for name in ways() for which in BOTH]) if ways() else []


def frequent() -> set[str]:
    """The findings with enough positives on both sides: among the validation studies of each seed, and elsewhere."""
    runs = [evidence.scores(trained()[name, seed], "best") for name in ways() for seed in seeds()]
    chosen_by = [comparable.frequent({one: float(run[one, "support"]) for one in FINDINGS}) for run in runs]
    return set(analysis.frequent(answers(), [CELL])).intersection(*chosen_by) if runs else set()


def _validation(arm: str, seed: int, checkpoint: str, outcome: Outcome) -> float:
    """An outcome over the nine findings on the validation studies, from the metrics that were kept."""
    values = evidence.scores(trained()[arm, seed], checkpoint).unstack().loc[list(FINDINGS)]
    support, said, hits = values["support"], values["predicted"], values["recall"] * values["support"]
    counts = np.stack([hits, said - hits, support - hits])
    return float(stats.f1(counts).mean() if outcome is MACRO else stats.f1(counts.sum(axis=1)))


@cache
def advantages(outcome: str) -> pd.DataFrame:
    """Best minus last over the nine findings, a row an (arm, seed): `chosen` on the studies that chose the best,
    `others` on patients that no one chose by, and their difference, what choosing `adds` to the report."""
    of, rows = OUTCOMES[outcome], {}
    for arm in ways():
        for seed in seeds():
            chosen = [_validation(arm, seed, which, of) for which in BOTH]
            others = [float(answers().values(Key(model(arm, which), CELL), seed, of)[0]) for which in BOTH]
            rows[arm, seed] = {"chosen": chosen[0] - chosen[1], "others": others[0] - others[1]}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["chosen", "others"])
    return found.assign(adds=found["chosen"] - found["others"]).rename_axis(["arm", "seed"])


def over_trainings(values: Iterable[float]) -> Contrast:
    """The mean of one number a training, with its t interval."""
    return analysis.over(seeds(), [np.full(1 + answers().resamples, value) for value in values], FINDINGS)


def figure() -> Html:
    """For each reinforcement arm: best minus last, where it was chosen and elsewhere."""
    if not ways():
        return missing("any reinforcement whose checkpoints may be compared")
    found = advantages(MICRO.name)
    chosen = found["chosen"].groupby("arm", sort=False).mean()
    return picture(
        "The best checkpoint, where it was chosen and on other patients",
        facts(*map(model, ways()), measure="micro-F1 over the same nine findings (post hoc)"),
        {"Best checkpoint minus last": {
            "on other patients": {name: over_trainings(found["others"].xs(name)) for name in ways()},
            "where it was chosen": {name: Interval(mean, mean, mean) for name, mean in chosen.items()},
        }},
        "difference in micro-F1",
        "Squares, without an interval: on the validation studies that the best checkpoint was chosen by. Circles: the "
        "same difference, over the same findings and trainings, on patients that had no say; t intervals over "
        f"{len(seeds())} trainings, not corrected for their number.",
        runs=asked(*(model(name, which) for name in ways() for which in BOTH)),
        columns=1,
    )  # fmt: skip


def _averages() -> list[str]:
    """What choosing adds by either average, a clause each; none without the runs."""
    if not ways():
        return []
    said = []
    for outcome, how in ((MACRO, "by which it was chosen"), (MICRO, "post hoc")):
        each = advantages(outcome.name).groupby("seed").mean()
        chosen, others, _ = each.mean()
        said.append(
            f"by {outcome.title} ({how}) {signed(chosen)} where it was chosen, {signed(others)} on other patients, "
            f"difference {spoken(over_trainings(each['adds']))}"
        )
    return said


def verdict() -> str:
    """What choosing adds, in a line; `NOT_RUN` without the runs."""
    said = "; ".join(_averages())
    return f"best minus last over nine findings, most of them rare: {said}" if said else NOT_RUN


def told() -> str:
    """The same by either average, in a sentence each."""
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in _averages() or [NOT_RUN])
