"""What the answers say that the plan did not ask (post hoc): how many labels are named, who is called normal.

These outcomes were chosen after the answers had been seen; the next experiment is to confirm them on fresh patients.
"""

import pandas as pd

from companion.evidence import analysis
from companion.evidence.analysis import Key
from companion.evidence.outcomes import CALLED_NORMAL, OUTCOMES
from companion.experiment import scores
from companion.report.experiments.answers import Comparison, above, answers, asked, changed, facts, have, missing
from companion.report.experiments.names import BELOW, HARD, NAMES, NUANCED, SFT, model
from companion.report.frames import frame_table
from companion.report.theme import Html, decimal


def shown(checkpoint: str) -> dict[str, str]:
    """Model -> its name, in the order of training."""
    return {model("base"): NAMES["base"], model(SFT): NAMES[SFT],
            model(HARD, checkpoint): NAMES[HARD], model(NUANCED, checkpoint): NAMES[NUANCED]}  # fmt: skip


def table(checkpoint: str = "best") -> Html:
    """All outcomes at each hospital by its own labels, a row a model; "last" for reinforcement's last checkpoint."""
    if not have(*shown(checkpoint)):
        return missing("all four models")
    rows = []
    for hospital in "ABC":
        cell, head = scores.own(hospital), f"Hospital {hospital}"
        for name, title in shown(checkpoint).items():
            row, head = {"": head, "model": title}, ""
            for outcome in OUTCOMES.values():
                found = analysis.contrast(answers(), {Key(name, cell): 1.0}, outcome)
                off = analysis.unfit(answers(), Key(name, cell), outcome)
                row[outcome.title] = decimal(found.estimate) + BELOW * bool(off)
            answer = [analysis.asked(answers().of[name, seed], cell)["failed"] for seed in answers().seeds([name])]
            row["unreadable"] = f"{pd.concat(answer).astype(bool).mean():.1%}"
            rows.append(row)
    note = (
        f"Means over trainings, each hospital with its own patients, images and labels. {BELOW}: below naming every "
        "label for every patient, or one answer for nearly all, in one training at least; such a score takes part in "
        "no comparison. Macro-F1 holds the findings with enough positives. Unreadable: answers that break the format, "
        "which count as naming nothing."
    )
    head = facts(*shown(checkpoint), measure="nine findings, post hoc but for macro-F1")
    return frame_table(pd.DataFrame(rows), "Four models at three hospitals", dense=True, head=head, notes=[note],
                       runs=asked(*shown(checkpoint)))  # fmt: skip


def called_normal(arm: str, checkpoint: str = "last") -> list[Comparison]:
    """The change since SFT of the share of abnormal patients called normal, at A, B and C."""
    return [changed(model(arm, checkpoint), model(SFT), hospital, CALLED_NORMAL) for hospital in "ABC"]


def called_normal_rises(arm: str) -> bool:
    """Whether more abnormal patients are called normal than after SFT at each hospital, every interval above zero."""
    return all(map(above, called_normal(arm)))
