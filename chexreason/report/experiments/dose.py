"""Four times as much reinforcement: does the change at home, or the loss elsewhere, come with time?"""

from chexreason.experiments import analysis
from chexreason.experiments.analysis import OWN, Cell
from chexreason.report.experiments.answers import HARD, SFT, answers, behind, facts, have, missing, model
from chexreason.report.experiments.intervals import Line, counted, framed, panel, spoken
from chexreason.report.theme import Html, Prose
from chexreason.stats import Interval

LONGER = "hard-longer"
LENGTHS = {HARD: "once", LONGER: "four times"}
CHECKPOINTS = {"best": "the best checkpoint", "last": "the last checkpoint"}


def change(arm: str, checkpoint: str, hospital: str) -> Interval:
    """From fine-tuning to an arm at a hospital, with its own films and labels."""
    cell = Cell(hospital, hospital, OWN[hospital])
    return analysis.contrast(answers(), analysis.change(model(arm, checkpoint), model(SFT), cell))


def figure() -> Html:
    """The change at each hospital after the short and after the long training, a panel a checkpoint."""
    models = [model(arm, checkpoint) for arm in LENGTHS for checkpoint in CHECKPOINTS]
    if not have(*models, model(SFT)):
        return missing("the longer training")
    panels = [
        panel(
            title.capitalize(),
            [
                Line(f"{hospital}, {length}", change(arm, checkpoint, hospital), series)
                for hospital in "ABC"
                for series, (arm, length) in enumerate(LENGTHS.items())
            ],
            "change in macro-F1 from fine-tuning",
        )
        for checkpoint, title in CHECKPOINTS.items()
    ]
    return framed(
        "The same studies once, and four times",
        facts(*models, model(SFT)),
        panels,
        "Each hospital with its own patients, films and labels; hard reward. If a gain at A, or a loss abroad, only "
        "wanted time, the rows of the longer training lie further from the line." + counted(2 * 3 * len(LENGTHS)),
        behind=behind(*models, model(SFT)),
    )


def finding() -> Prose:
    """What the longer training changed, and whether it can be told from the shorter one's."""
    if not have(model(LONGER), model(HARD), model(SFT)):
        return Prose("*Not run yet.*")
    told = [f"at hospital {there} {spoken(change(LONGER, 'best', there))}" for there in "ABC"]
    home = Cell("A", "A", OWN["A"])
    more = analysis.contrast(answers(), analysis.change(model(LONGER), model(HARD), home))
    verdict = "which can be told from none" if more.excludes_zero else "which cannot be told from none"
    return Prose(
        f"After four times as many steps the best checkpoint has changed, from fine-tuning, {', '.join(told)}. Against "
        f"the shorter training that is {spoken(more)} at home, {verdict}."
    )
