"""What is proposed against the loss abroad, and whether it helps: gain abroad without a loss at home."""

from collections.abc import Iterable

from chexreason.experiments import analysis, arms
from chexreason.experiments.analysis import OWN, Cell, Key
from chexreason.report.experiments.answers import HARD, answers, behind, facts, have, missing, model
from chexreason.report.experiments.intervals import Line, counted, framed, panel, spoken
from chexreason.report.theme import Html, Prose
from chexreason.stats import Interval

HOME = Cell("A", "A", OWN["A"])
ABROAD = (Cell("B", "B", OWN["B"]), Cell("C", "C", OWN["C"]))


def _cures() -> dict[str, str]:
    found = {name: arm.what for name, arm in arms.ARMS.items() if arm.question == "cures"}
    return {
        name: what for name, what in {**found, arms.SFT: "fine-tuning alone"}.items() if have(model(name), model(HARD))
    }


def at_home(arm: str) -> Interval:
    """An arm less plain reinforcement at hospital A."""
    return analysis.contrast(answers(), analysis.change(model(arm), model(HARD), HOME))


def abroad(arm: str) -> Interval:
    """An arm less plain reinforcement, mean over hospitals B and C, each with its own films and labels."""
    weights: dict[Key, float] = {}
    for cell in ABROAD:
        for key, sign in analysis.change(model(arm), model(HARD), cell).items():
            weights[key] = sign / len(ABROAD)
    return analysis.contrast(answers(), weights)


def figure() -> Html:
    """Each cure against plain reinforcement, at home and abroad."""
    cures = _cures()
    if not cures:
        return missing("any cure")
    panels = [
        panel(title, [Line(name, measure(name), series) for name in cures], "less plain reinforcement, macro-F1")
        for series, (title, measure) in enumerate({"Abroad: B and C": abroad, "At home: A": at_home}.items())
    ]
    return framed(
        "Is there a cure?",
        facts(*map(model, cures), model(HARD)),
        panels,
        "Right of the line is better than reinforcement with the hard reward. A cure lies to the right in the first "
        "panel and not to the left in the second." + counted(len(panels) * len(cures)),
        behind=behind(*map(model, cures), model(HARD)),
    )


def worked(cures: Iterable[str]) -> list[str]:
    """Those that gain abroad, their interval above zero, and do not lose at home, theirs not below it."""
    return [name for name in cures if abroad(name).low > 0 and at_home(name).high >= 0]


def verdict() -> str | None:
    """How many cures work, in a line; None without any cure's runs."""
    cures = _cures()
    if not cures:
        return None
    found = worked(cures)
    return f"{len(found)} of {len(cures)} do" + (f": {', '.join(found)}" if found else "")


def finding() -> Prose:
    """Which cures gain abroad and do not lose at home."""
    cures = _cures()
    if not cures:
        return Prose("*Not run yet.*")
    found = worked(cures)
    best = max(cures, key=lambda name: abroad(name).estimate)
    return Prose(
        (f"Of {len(cures)} candidates, these gain abroad without losing at home: {', '.join(found)}. "
         if found else f"None of the {len(cures)} candidates gains abroad by more than its interval leaves open. ")
        + f"The largest gain abroad is that of {best}: {spoken(abroad(best))}, with {spoken(at_home(best))} at home."
    )  # fmt: skip
