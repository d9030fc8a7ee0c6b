"""Images, labels or patients: what the change from fine-tuning to reinforcement is lost to elsewhere."""

from functools import cache

from companion.evidence import analysis
from companion.evidence.analysis import FACTORS, OWN, Cell, Key
from companion.evidence.outcomes import MACRO
from companion.evidence.stats import Interval
from companion.experiment import scores
from companion.experiment.worlds import FINDINGS, YARDSTICKS
from companion.report.experiments.answers import (
    HARD,
    NUANCED,
    SFT,
    Comparison,
    answers,
    behind,
    changed,
    compared,
    facts,
    have,
    missing,
    model,
)
from companion.report.experiments.intervals import Line, counted, framed, panel
from companion.report.theme import Html, Prose, spoken

REWARDS = {HARD: "hard reward", NUANCED: "nuanced reward"}
YARDSTICK_NAMES = {one: f"{hospital}'s labels" for hospital, one in OWN.items()} | {"visible": "what was drawn"}
FACTOR_NAMES = {"patients": "patients", "films": "images", "labels": "labels", "all": "all three"}


@cache
def _shares(arm: str, checkpoint: str, there: str) -> dict[str, Comparison]:
    weights = analysis.shares(model(arm, checkpoint), model(SFT), there)
    return {name: compared(one) for name, one in weights.items()}


def split(checkpoint: str = "best") -> Html:
    """The main figure: the difference of changes at B and at C, and the part of each factor."""
    models = [model(arm, checkpoint) for arm in REWARDS]
    if not have(*models, model(SFT)):
        return missing("both rewards")
    panels, drawn = [], 0
    for there in "BC":
        lines = []
        for series, (arm, title) in enumerate(REWARDS.items()):
            found = _shares(arm, checkpoint, there)
            lines += [Line(f"{title}: {FACTOR_NAMES[name]}", found[name], series) for name in (*FACTORS, "all")]
        drawn += sum(not isinstance(line.value, str) for line in lines)
        panels.append(panel(f"Hospital {there} minus hospital A", lines, "difference of changes in macro-F1"))
    return framed(
        "What a change at A is worth elsewhere",
        facts(*models, model(SFT)),
        panels,
        "Left of the line: reinforcement raised the score less there than at home, or lowered it more. The last row "
        "of each reward is "
        "the whole difference; the three above it add up to it. An interval across the line cannot be distinguished "
        "from zero. Rows without a point are not compared, since a model there scores below naming every label or no "
        "finding is frequent enough on both sides." + counted(drawn),
        behind=behind(*models, model(SFT)),
    )


def home(arm: str, checkpoint: str = "best") -> Comparison:
    """The change from fine-tuning to an arm at hospital A, with A's own labels."""
    return changed(model(arm, checkpoint), model(SFT), "A")


def off(name: str, hospital: str) -> str:
    """Why a model takes part in no comparison of macro-F1 at a hospital; empty if it does."""
    known, cell = answers(), scores.own(hospital)
    try:
        return analysis.unfit(known, Key(name, cell), known.seeds([name]), MACRO, analysis.frequent(known, [cell]))
    except analysis.NotComparable as reason:
        return str(reason)


def as_planned(arm: str, checkpoint: str) -> Comparison:
    """The plan's own outcome at home: over all nine findings, however rare."""
    weights = analysis.change(model(arm, checkpoint), model(SFT), scores.own("A"))
    return compared(weights, MACRO, findings=FINDINGS)


def either(value: Interval | str, yes: str, no: str) -> str:
    """One of two phrases: whether an interval leaves zero out."""
    return yes if not isinstance(value, str) and value.excludes_zero else no


def finding(checkpoint: str = "best") -> Prose:
    """What was found, a paragraph a reward."""
    parts = []
    for arm, title in REWARDS.items():
        if not have(model(arm, checkpoint), model(SFT)):
            continue
        gain = home(arm, checkpoint)
        if isinstance(gain, str):
            said = f"the change is {spoken(gain)}"
        else:
            verdict = either(gain, "changed the score", "made no change that can be distinguished from zero")
            said = f"reinforcement {verdict}: {spoken(gain)} over the {len(gain.findings)} frequent findings"
        text = [f"**{title.capitalize()}.** At hospital A {said}."]
        text += [f"At hospital {there} {_there(arm, checkpoint, there)}." for there in "BC"]
        if not isinstance(gain, str) and not gain.excludes_zero:
            text.append("Without a detectable gain at home there is nothing whose loss elsewhere could be explained.")
        text.append(f"Over all nine findings, as planned, the change at A is {spoken(as_planned(arm, checkpoint))}.")
        parts.append(" ".join(text))
    return Prose("\n\n".join(parts) or "*Not run yet.*")


def _there(arm: str, checkpoint: str, there: str) -> str:
    found = _shares(arm, checkpoint, there)
    if isinstance(found["all"], str):
        return f"nothing is compared: {found['all']}"
    named = [FACTOR_NAMES[name] for name in FACTORS if either(found[name], "yes", "")]
    parts = f"the part of the {' and the '.join(named)} can" if named else "none of the three parts can"
    chance = ", without a correction for the number of intervals" if named else ""
    return f"the change minus that at A is {spoken(found['all'])}; {parts} be distinguished from zero{chance}"


def verdict() -> str | None:
    """The primary outcome in a line; None without its runs."""
    if not have(model(HARD), model(SFT)):
        return None
    gain = home(HARD)
    doubt = "" if isinstance(gain, str) or gain.excludes_zero else ", not distinguishable from zero"
    text = [f"at home {spoken(gain)}{doubt}"]
    return "; ".join([*text, *(f"at {there} {_there(HARD, 'best', there)}" for there in "BC")])


def yardsticks(checkpoint: str = "best") -> Html:
    """The change at each hospital's images, for A's patients, held against each convention and the truth."""
    models = [model(arm, checkpoint) for arm in REWARDS]
    if not have(*models, model(SFT)):
        return missing("both rewards")
    panels, off, drawn = [], [], 0
    for film in "ABC":
        lines = []
        for series, (arm, title) in enumerate(REWARDS.items()):
            for yardstick in YARDSTICKS:
                change = analysis.change(model(arm, checkpoint), model(SFT), Cell("A", film, yardstick))
                line = Line(f"{title.split()[0]}, {YARDSTICK_NAMES[yardstick]}", compared(change), series)
                lines.append(line)
                drawn += not isinstance(line.value, str)
                if either(line.value, "yes", ""):
                    off.append(f"{line.label}, images of {film}, {spoken(line.value)}")
        panels.append(panel(f"images of {film}", lines, "change in macro-F1"))
    return framed(
        "The same answers, four yardsticks",
        facts(*models, model(SFT)),
        panels,
        "Patients of A, imaged at each hospital; from fine-tuning to reinforcement. If a model learns a convention, "
        "the rows of that convention move and those of what was drawn do not. "
        + (f"Intervals without zero: {'; '.join(off)}; by chance, {drawn / 20:.1f} of {drawn} on average." if off
           else "No interval leaves zero out.") + counted(drawn),
        behind=behind(*models, model(SFT)),
    )  # fmt: skip
