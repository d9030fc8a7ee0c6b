"""Four times as much reinforcement: does the change at home, or the loss elsewhere, come with time?"""

from companion.report.experiments.answers import HARD, SFT, Comparison, behind, changed, facts, have, missing, model
from companion.report.experiments.cells import either
from companion.report.experiments.intervals import Line, counted, framed, panel
from companion.report.theme import Html, Prose, spoken

LONGER = "hard-longer"
LENGTHS = {HARD: "once", LONGER: "four times"}
CHECKPOINTS = {"best": "the best checkpoint", "last": "the last checkpoint"}


def change(arm: str, checkpoint: str, hospital: str) -> Comparison:
    """From fine-tuning to an arm at a hospital, over the seeds that both lengths have."""
    return changed(model(arm, checkpoint), model(SFT), hospital, beside=[model(one, checkpoint) for one in LENGTHS])


def figure() -> Html:
    """The change at each hospital after the short and after the long training, a panel a checkpoint."""
    models = [model(arm, checkpoint) for arm in LENGTHS for checkpoint in CHECKPOINTS]
    if not have(*models, model(SFT)):
        return missing("the longer training")
    panels, drawn = [], 0
    for checkpoint, title in CHECKPOINTS.items():
        lines = [
            Line(f"{hospital}, {length}", change(arm, checkpoint, hospital), series)
            for hospital in "ABC"
            for series, (arm, length) in enumerate(LENGTHS.items())
        ]
        drawn += sum(not isinstance(line.value, str) for line in lines)
        panels.append(panel(title.capitalize(), lines, "change in macro-F1 from fine-tuning"))
    return framed(
        "The same studies once, and four times",
        facts(*models, model(SFT)),
        panels,
        "Each hospital with its own patients, images and labels; hard reward; both lengths at the same seeds. Rows "
        "without a point are not compared: a model there scores below naming every label." + counted(drawn),
        behind=behind(*models, model(SFT)),
    )


def finding() -> Prose:
    """What the longer training changed, and whether that differs from the shorter one's."""
    if not have(model(LONGER), model(HARD), model(SFT)):
        return Prose("*Not run yet.*")
    long, short = ([f"{spoken(change(arm, 'best', there))} at {there}" for there in "ABC"] for arm in (LONGER, HARD))
    more = changed(model(LONGER), model(HARD), "A")
    seeds = "" if isinstance(more, str) else f", at the {len(more.seeds)} seeds that both lengths have"
    verdict = either(more, "distinguishable from zero", "not distinguishable from zero")
    return Prose(
        f"From fine-tuning to the best checkpoint{seeds}: after one pass {', '.join(short)}; after four passes "
        f"{', '.join(long)}. Four passes minus one, at home: {spoken(more)}, {verdict}."
    )
