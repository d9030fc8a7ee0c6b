"""Best on validation against last: how much of a reported gain is the choosing?"""

from chexreason.experiments import analysis, arms
from chexreason.experiments.analysis import OWN, Cell
from chexreason.report.experiments.answers import answers, facts, have, missing, model, trained
from chexreason.report.experiments.intervals import Line, framed, panel, spoken
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
    lines = []
    for name in names:
        chosen = on_validation(name)
        lines += [Line(f"{name}: chosen on", Interval(chosen, chosen, chosen), 1)]
        lines += [Line(f"{name}: others", on_others(name), 0)]
    drawn = panel("Best checkpoint less last", lines, "difference in macro-F1", 5.4)
    return framed(
        "What choosing is worth",
        facts(model(names[0])),
        [drawn],
        "Squares: on the validation studies that the best checkpoint was chosen by, where it cannot lose. Circles with "
        "intervals: the same difference on patients that had no say. What lies between the two is selection.",
    )


def finding() -> Prose:
    """The mean advantage of the best checkpoint where it was chosen, and elsewhere."""
    names = _arms()
    if not names:
        return Prose("*Not run yet.*")
    chosen = sum(map(on_validation, names)) / len(names)
    others = [on_others(name) for name in names]
    mean = sum(one.estimate for one in others) / len(others)
    told = sum(one.low > 0 for one in others)
    return Prose(
        f"Over {len(names)} ways to train, the best checkpoint stands {signed(chosen)} above the last on the studies "
        f"that chose it, and {signed(mean)} on other patients; the latter can be told from zero, upwards, for {told} "
        f"of them. For the plain reward it is {spoken(on_others(names[0]))}."
    )
