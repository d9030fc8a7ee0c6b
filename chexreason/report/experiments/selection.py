"""Best on validation against last: how much of a reported gain is the choosing?"""

from collections.abc import Sequence

import numpy as np

from chexreason.experiments import analysis, arms
from chexreason.experiments.analysis import OWN, Cell
from chexreason.report.experiments.answers import answers, behind, facts, have, missing, model, trained
from chexreason.report.experiments.intervals import Line, counted, framed, panel, spoken
from chexreason.report.theme import Html, Prose, signed
from chexreason.stats import Interval

CELL = Cell("A", "A", OWN["A"])


def _arms() -> list[str]:
    return [name for name, arm in arms.ARMS.items() if arm.stage == "grpo" and have(model(name), model(name, "last"))]


def on_validation(arm: str) -> float:
    """Best less last, macro-F1 on the studies that chose the best; mean over seeds."""
    gains = []
    for (name, _), run in trained().items():
        if name == arm:
            rows = run.metrics().query("finding == 'macro' and metric == 'f1'").set_index("checkpoint")["value"]
            gains.append(float(rows["best"] - rows["last"]))
    return sum(gains) / len(gains)


def on_others(arm: str) -> Interval:
    """Best less last on patients that no one chose by."""
    return analysis.contrast(answers(), analysis.change(model(arm), model(arm, "last"), CELL))


def figure() -> Html:
    """For each reinforcement arm: best less last, where it was chosen and elsewhere."""
    names = _arms()
    if not names:
        return missing("any reinforcement")
    lines = [Line(name, on_others(name), 0, on_validation(name)) for name in names]
    drawn = panel("Best checkpoint less last", lines, "difference in macro-F1", 7.2)
    return framed(
        "What choosing is worth",
        facts(model(names[0])),
        [drawn],
        "Hollow squares: on the validation studies that the best checkpoint was chosen by, where it cannot lose. "
        "Circles with intervals: the same difference on patients that had no say. Between the two lies selection."
        + counted(len(lines)),
        columns=1,
        behind=behind(*(model(name, which) for name in names for which in ("best", "last"))),
    )


def verdict() -> str | None:
    """The best checkpoint's mean advantage where it was chosen and elsewhere, in a line; None without the runs."""
    names = _arms()
    if not names:
        return None
    chosen, others = means(names)
    return f"best less last is {signed(chosen)} where it was chosen and {signed(others)} on other patients"


def means(names: Sequence[str]) -> tuple[float, float]:
    """Best less last, mean over arms: on the studies that chose the best, and on other patients."""
    chosen, others = [on_validation(name) for name in names], [on_others(name).estimate for name in names]
    return float(np.mean(chosen)), float(np.mean(others))


def finding() -> Prose:
    """The mean advantage of the best checkpoint where it was chosen, and elsewhere."""
    names = _arms()
    if not names:
        return Prose("*Not run yet.*")
    chosen, others = means(names)
    told = sum(on_others(name).low > 0 for name in names)
    return Prose(
        f"Over {len(names)} ways to train, the best checkpoint stands {signed(chosen)} above the last on the studies "
        f"that chose it, and {signed(others)} on other patients; the latter can be told from zero, upwards, for {told} "
        f"of them. For the plain reward it is {spoken(on_others(names[0]))}."
    )
