"""What the answers say that the plan did not ask (post hoc): how many labels are named, who is called normal.

Base, SFT and both rewards stand side by side at each hospital and against each yardstick. These outcomes were chosen
after the answers had been seen; the next experiment is to confirm them on fresh patients.
"""

import pandas as pd

from chexreason import prompts
from chexreason.completions import Failure, parse_completion
from companion.evidence import analysis
from companion.evidence.analysis import OWN, Cell, Key
from companion.evidence.outcomes import CALLED_NORMAL, JACCARD, MACRO, MICRO, NAMED, OUTCOMES
from companion.report.experiments.answers import above, answers, asked, changed, facts, have, missing
from companion.report.experiments.cells import YARDSTICKS
from companion.report.experiments.names import BELOW, HARD, NAMES, NUANCED, SFT, model
from companion.report.failures import by_kind
from companion.report.frames import frame_table
from companion.report.theme import Html, decimal, spoken

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
        head = YARDSTICKS[yardstick] + (" (its own)" if yardstick == OWN[hospital] else "")
        for name, title in shown(checkpoint).items():
            row, head = {"held against": head, "model": title}, ""
            for outcome in OUTCOMES.values():
                findings = frequent if outcome.by_finding else analysis.FINDINGS
                found = analysis.contrast(answers(), {Key(name, cell): 1.0}, outcome, findings)
                off = analysis.unfit(answers(), Key(name, cell), found.seeds, outcome, findings)
                row[HEADS[outcome.name]] = decimal(found.estimate) + (BELOW if off else "")
            votes = analysis.auroc(answers(), name, cell)
            row["AUROC"] = "–" if votes is None else decimal(votes)
            rows.append(row)
    frame = pd.DataFrame(rows).fillna("")
    head = facts(*shown(checkpoint), measure="nine findings, post hoc but for macro-F1")
    note = (
        "Means over trainings. Named: labels named per recorded. Called normal: the share of abnormal patients "
        f"answered “No Finding”. {BELOW}: below naming every label for every patient, or one answer for nearly all; "
        "such a score takes part in no comparison. AUROC: of the votes, the share of the trainings that name a "
        "finding; a dash where there is one training. Macro-F1 and AUROC hold the findings with enough positives."
    )
    title, label = f"Hospital {hospital}", f"Hospital {hospital}: four models, four yardsticks"
    runs = asked(*shown(checkpoint))
    return frame_table(frame, label, dense=True, title=title, head=head, notes=[note], runs=runs)


def called_normal_rises(arm: str, checkpoint: str = "last") -> bool:
    """Whether more abnormal patients are called normal than after SFT at each hospital, every interval above zero."""
    return all(above(changed(model(arm, checkpoint), model(SFT), h, CALLED_NORMAL)) for h in "ABC")


def called_normal(arm: str) -> str:
    """The change from SFT to the last checkpoint of the share of abnormal patients called normal, in words."""
    found = [f"{spoken(changed(model(arm, 'last'), model(SFT), h, CALLED_NORMAL))} at {h}" for h in "ABC"]
    return ", ".join(found) + (" (above zero at each)" if called_normal_rises(arm) else "")


def failures() -> Html:
    """Why answers could not be read, by kind, as shares of the answers at A, B and C, all trainings together."""
    if not have(*shown("last")):
        return missing("all four models")
    rows = []
    for name, title in {**shown("best"), **shown("last")}.items():
        of = pd.concat([frame for (one, _), frame in answers().of.items() if one == name])
        of = of[of["population"] == of["film"]]
        failed = of.loc[of["failed"].astype(bool), "completion"].astype(str)
        shares = by_kind(map(_failures, failed)) / len(of)
        row = {"model": title + " (last)" * name.endswith("-last"), "answers": f"{len(of):,}",
               "unreadable": f"{len(failed) / len(of):.1%}"}  # fmt: skip
        rows.append(row | shares.map("{:.1%}".format).to_dict())
    head = facts(*shown("last"), measure="own images of A, B and C, post hoc")
    note = "An answer may be of several kinds."
    return frame_table(pd.DataFrame(rows), "Why answers could not be read", head=head, notes=[note], dense=True)


def _failures(completion: str) -> tuple[str, ...]:
    """Kinds of failure of an answer that failed; what fails for none of the reasons in its text was cut off."""
    found = parse_completion(completion, prompts.get("free_reasoning").answer, False).failures
    return tuple(found) or (Failure.TRUNCATED,)
