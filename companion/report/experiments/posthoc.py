"""What the answers say that the plan did not ask (post hoc): how many labels are named, who is called normal.

Base, SFT and both rewards stand side by side at each hospital and against each yardstick. These outcomes were chosen
after the answers had been seen; the next experiment is to confirm them on fresh patients.
"""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from chexreason import prompts
from chexreason.completions import Failure, parse_completion
from companion.evidence import analysis
from companion.evidence.analysis import OWN, Cell, Key
from companion.evidence.outcomes import CALLED_NORMAL, JACCARD, MACRO, MICRO, NAMED, OUTCOMES
from companion.experiment.worlds import YARDSTICKS
from companion.report.experiments.answers import (
    HARD,
    NAMES,
    NUANCED,
    SFT,
    answers,
    behind,
    changed,
    facts,
    have,
    missing,
    model,
)
from companion.report.experiments.cells import YARDSTICK_NAMES
from companion.report.experiments.intervals import BELOW, Line, counted, framed, panel
from companion.report.tables import frame_table
from companion.report.theme import Html, Prose, block, decimal, spoken

#: Heads of the table's columns, short enough for one screen.
HEADS = {
    NAMED.name: "named", CALLED_NORMAL.name: "called normal", JACCARD.name: "Jaccard", MICRO.name: "micro-F1",
    MACRO.name: "macro-F1",
}  # fmt: skip


def shown(checkpoint: str) -> dict[str, str]:
    """Model -> its name, in the order of training."""
    return {model("base"): NAMES["base"], model(SFT): NAMES[SFT],
            model(HARD, checkpoint): NAMES[HARD], model(NUANCED, checkpoint): NAMES[NUANCED]}  # fmt: skip


def table(hospital: str, checkpoint: str = "best") -> Html:
    """All outcomes at a hospital, a row a yardstick and model; "last" for the last checkpoint of reinforcement."""
    if not have(*shown(checkpoint)):
        return missing("all four models")
    rows = []
    for yardstick in YARDSTICKS:
        cell = Cell(hospital, hospital, yardstick)
        frequent = analysis.frequent(answers(), [cell])
        head = YARDSTICK_NAMES[yardstick] + (" (its own)" if yardstick == OWN[hospital] else "")
        for name, title in shown(checkpoint).items():
            row, head = {"held against": head, "model": title}, ""
            for outcome in OUTCOMES.values():
                findings = frequent if outcome.by_finding else analysis.FINDINGS
                found = analysis.contrast(answers(), {Key(name, cell): 1.0}, outcome, findings)
                off = analysis.unfit(answers(), Key(name, cell), found.seeds, outcome, findings)
                row[HEADS[outcome.name]] = decimal(found.estimate) + (BELOW if off else "")
            votes = analysis.auroc(answers(), name, cell)
            row["AUROC"] = "–" if votes is None else decimal(votes.estimate)
            rows.append(row)
    frame = pd.DataFrame(rows).fillna("")
    head = facts(*shown(checkpoint), measure="nine findings, post hoc but for macro-F1")
    note = (
        '<p class="cxr-note">Means over trainings. Named: labels named per recorded. Called normal: the share of '
        f"abnormal patients answered “No Finding”. {BELOW}: below naming every label for every patient, or one answer "
        "for nearly all; such a score takes part in no comparison. AUROC: of the votes, the share of the trainings "
        "that name a finding; a dash where there is one training. Macro-F1 and AUROC hold the findings with enough "
        "positives.</p>"
    )
    body = frame_table(frame, f"Hospital {hospital}: four models, four yardsticks", dense=True)
    return (
        block(f'<div class="cxr-head"><strong>Hospital {hospital}</strong></div><div class="cxr-head">{head}</div>')
        + body + block(note + behind(*shown(checkpoint)))
    )  # fmt: skip


def changes(checkpoint: str = "last") -> Html:
    """From SFT to each reward at each hospital by four outcomes, with intervals."""
    models = [model(arm, checkpoint) for arm in (HARD, NUANCED)]
    if not have(*models, model(SFT)):
        return missing("both rewards")
    panels, drawn = [], 0
    for outcome in (NAMED, CALLED_NORMAL, JACCARD, MICRO):
        lines = [
            Line(f"{hospital}, {NAMES[arm]}", changed(name, model(SFT), hospital, outcome), series)
            for hospital in "ABC"
            for series, (arm, name) in enumerate(zip((HARD, NUANCED), models, strict=True))
        ]
        drawn += sum(not isinstance(line.value, str) for line in lines)
        panels.append(panel(outcome.title[0].upper() + outcome.title[1:], lines, "change from SFT"))
    rises = all(called_normal_rises(arm, checkpoint) for arm in (HARD, NUANCED))
    return framed(
        "At the last step more abnormal patients are called normal"
        if rises and checkpoint == "last"
        else "From SFT to reinforcement",
        facts(*models, model(SFT), measure="post hoc"),
        panels,
        f"From SFT to the {checkpoint} checkpoint, each hospital with its own patients, images and labels. Post hoc: "
        "these outcomes were chosen after the answers had been seen." + counted(drawn),
        behind=behind(*models, model(SFT)),
    )


def called_normal_rises(arm: str, checkpoint: str = "last") -> bool:
    """Whether more abnormal patients are called normal than after SFT at each hospital, every interval above zero."""
    found = [changed(model(arm, checkpoint), model(SFT), h, CALLED_NORMAL) for h in "ABC"]
    return all(not isinstance(one, str) and one.low > 0 for one in found)


def finding() -> Prose:
    """What these outcomes say, in sentences."""
    if not have(*shown("last")):
        return Prose("*Not run yet.*")
    said = []
    for arm in (HARD, NUANCED):
        found = [spoken(changed(model(arm, "last"), model(SFT), h, CALLED_NORMAL)) for h in "ABC"]
        lead = f"{NAMES[arm]}, last checkpoint minus SFT: {found[0]} at A, {found[1]} at B and {found[2]} at C"
        said.append(lead + (", above zero at each" if called_normal_rises(arm) else ""))
    before = changed(model(SFT), model("base"), "A", NAMED)
    scores = [changed(model(SFT), model("base"), h, MACRO) for h in "AB"]
    return Prose(
        "All of this is *post hoc*: the outcomes were chosen after the answers had been seen, and the intervals are "
        "not corrected for their number.\n\n"
        f"**Share of abnormal patients answered “No Finding”.** {'. '.join(said)}.\n\n"
        f"**Overlap with the labels.** {_overlap()}\n\n"
        f"**Before reinforcement.** SFT minus untouched, at A: labels named per recorded {spoken(before)}; macro-F1 "
        f"over the frequent findings {spoken(scores[0])} at A and {spoken(scores[1])} at B. The untouched model saw "
        "the findings of many more drawn images, with what is visible as the label, so this is no fair race; it says "
        "that the changes which reinforcement makes start from a model that names fewer labels."
    )


def _overlap() -> str:
    """Where mean Jaccard or micro-F1 changed from SFT or from the untouched model, zero outside the interval."""
    off = []
    for before, name in ((model(SFT), "SFT"), (model("base"), "untouched")):
        for arm in (HARD, NUANCED):
            for outcome in (JACCARD, MICRO):
                for hospital in "ABC":
                    found = changed(model(arm, "last"), before, hospital, outcome)
                    if not isinstance(found, str) and found.excludes_zero:
                        off.append(f"{NAMES[arm]} minus {name} at {hospital}, {outcome.title}: {spoken(found)}")
    lead = "Mean Jaccard and micro-F1 of both rewards at each hospital, last checkpoint, against SFT and untouched: "
    return lead + (f"zero is outside these intervals alone: {'; '.join(off)}." if off
                   else "no interval leaves zero out.")  # fmt: skip


def failures() -> Html:
    """Why answers could not be read, by kind, as shares of the answers at A, B and C; means over trainings."""
    if not have(*shown("last")):
        return missing("all four models")
    rows = []
    for name, title in {**shown("best"), **shown("last")}.items():
        of = [frame for (one, _), frame in answers().of.items() if one == name]
        kinds: Counter[str] = Counter()
        total = 0
        for frame in of:
            own = frame[frame["population"] == frame["film"]]
            total += len(own)
            for text in own.loc[own["failed"].astype(bool), "completion"]:
                kinds[_kind(str(text))] += 1
        checkpoint = " (last)" if name.endswith("-last") else ""
        rows.append(
            {"model": title + checkpoint, "trainings": str(len(of)), "answers": f"{total:,}",
             "unreadable": f"{kinds.total() / total:.1%}",
             "by kind": "; ".join(f"{kind.replace('_', ' ')} {many / total:.1%}" for kind, many in kinds.most_common())
             or "–"}
        )  # fmt: skip
    head = facts(*shown("last"), measure="own images of A, B and C, post hoc")
    return block(f'<div class="cxr-head">{head}</div>') + frame_table(
        pd.DataFrame(rows), "Why answers could not be read", wrap=("by kind",)
    )


#: The first of these that holds is the kind of a failure.
KINDS: Sequence[Failure] = (
    Failure.REPEATED_BLOCK, Failure.TRUNCATED, Failure.MISSING_BLOCK, Failure.WRONG_ORDER, Failure.EMPTY,
    Failure.UNKNOWN_LABEL,
)  # fmt: skip


def _kind(completion: str) -> str:
    failures = parse_completion(completion, prompts.get("free_reasoning").answer, False).failures
    return next((kind.value for kind in KINDS if kind in failures), "cut off")
