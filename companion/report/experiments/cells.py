"""Images, labels or patients: what the change from fine-tuning to reinforcement is lost to elsewhere."""

from companion.evidence import analysis
from companion.evidence.analysis import OWN, Key
from companion.experiment import scores
from companion.experiment.worlds import FINDINGS
from companion.report.experiments.answers import Comparison, answers, changed, compare, compared, have
from companion.report.experiments.names import HARD, NOT_RUN, NUANCED, SFT, model
from companion.report.theme import Html, spoken

REWARDS = {HARD: "hard reward", NUANCED: "nuanced reward"}
REFERENCES = {one: f"{hospital}'s labels" for hospital, one in OWN.items()} | {"visible": "what was drawn"}
#: Part of the difference between two hospitals -> what it is called.
PARTS = {"patients": "patients", "images": "images", "labels": "labels", "all": "all three"}


def shares(arm: str, checkpoint: str, there: str) -> dict[str, Comparison]:
    """The change at a hospital minus that at A, and the part of each factor (`analysis.shares`)."""
    weights = analysis.shares(model(arm, checkpoint), model(SFT), there)
    return {PARTS[name]: compared(weights[name]) for name in PARTS}


def split(checkpoint: str = "best") -> Html:
    """The main figure: the difference of changes at B and at C, and the part of each factor."""
    return compare(
        "What a change at A is worth elsewhere",
        {
            f"Hospital {there} minus hospital A": {
                title: shares(arm, checkpoint, there) for arm, title in REWARDS.items()
            }
            for there in "BC"
        },
        "difference of changes in macro-F1",
        [*(model(arm, checkpoint) for arm in REWARDS), model(SFT)],
        "Left of the line: reinforcement raised the score less there than at home, or lowered it more. The parts of "
        "patients, images and labels add up to all three.",
    )


def home(arm: str, checkpoint: str = "best") -> Comparison:
    """The change from fine-tuning to an arm at hospital A, with A's own labels."""
    return changed(model(arm, checkpoint), model(SFT), "A")


def off(name: str, hospital: str) -> str:
    """Why a model takes part in no comparison of macro-F1 at a hospital; empty if it does."""
    try:
        return analysis.unfit(answers(), Key(name, scores.own(hospital)))
    except analysis.NotComparable as reason:
        return str(reason)


def as_planned(arm: str, checkpoint: str = "best") -> Comparison:
    """The plan's own outcome at home: over all nine findings, however rare."""
    weights = analysis.change(model(arm, checkpoint), model(SFT), scores.own("A"))
    return compared(weights, findings=FINDINGS)


def elsewhere(arm: str, there: str, checkpoint: str = "best") -> str:
    """What can be said of the change at another hospital, as the end of a sentence."""
    found = shares(arm, checkpoint, there)
    whole = found.pop(PARTS["all"])
    if isinstance(whole, str):
        return f"nothing is compared: {whole}"
    clear = [name for name, one in found.items() if not isinstance(one, str) and one.excludes_zero]
    parts = f"the part of the {' and the '.join(clear)} can" if clear else "none of the three parts can"
    chance = ", without a correction for the number of intervals" if clear else ""
    return f"the change minus that at A is {spoken(whole)}; {parts} be distinguished from zero{chance}"


def verdict() -> str:
    """The primary outcome in a line; `NOT_RUN` without the runs."""
    if not have(model(HARD), model(SFT)):
        return NOT_RUN
    gain = home(HARD)
    doubt = "" if isinstance(gain, str) or gain.excludes_zero else ", not distinguishable from zero"
    return "; ".join([f"at home {spoken(gain)}{doubt}", *(f"at {there} {elsewhere(HARD, there)}" for there in "BC")])
