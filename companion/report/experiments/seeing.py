"""Question 1 of the second experiment: does reinforcement change what is seen, what is named, or how sharply?

Nothing is shown before all planned trainings are there: who looks in between tests more often than once.
"""

from collections.abc import Sequence
from functools import cache

import pandas as pd

from companion.evidence import instrument, trainings
from companion.evidence.tables import results_root
from companion.evidence.trainings import FACTORS, Change, Trainings, draws, over, own
from companion.experiment import patients, plan
from companion.report.frames import frame_table
from companion.report.plots import picture
from companion.report.theme import Html, badge, block, decimal, spoken

ARMS = ("base", "sft", "hard", "nuanced")
#: Step of the recipe -> the arms after and before it.
STEPS = {
    "base to SFT": ("sft", "base"),
    "SFT to hard GRPO": ("hard", "sft"),
    "SFT to nuanced GRPO": ("nuanced", "sft"),
}
#: What a change of seeing may be and still count as none (the plan).
NEGLIGIBLE = 0.01


@cache
def answers() -> Trainings:
    """The kept answers of all arms."""
    return Trainings(results_root() / "experiment" / "runs")


def missing(arms: Sequence[str] = ARMS) -> str:
    """How many of the planned trainings of some arms are not there yet; empty if all are."""
    wanted = {(name, seed) for name in arms for seed in range(plan.get(name).seeds)}
    lack = wanted - set(answers().places)
    there = f"{len(wanted) - len(lack)} of {len(wanted)} runs of the plan are there"
    return f"{there}; nothing is shown before all are" if lack else ""


def _waiting() -> Html:
    return block(f'<p class="cxr-note">{missing()}. <code>make experiments</code> runs them.</p>')


def head(*facts: str) -> str:
    """The badge: tier, trainings, patients, and what is measured."""
    many = ", ".join(f"{len(patients.sample(name))} of {name}" for name in "ABC")
    return badge("miniature", "experiment", f"{plan.MANY} trainings an arm", f"patients: {many}", *facts)


def split_figure() -> Html:
    """The change of micro-F1 in each step of the recipe at each hospital, in four parts."""
    if missing():
        return _waiting()
    panels = {
        f"Hospital {hospital}": {step: _parts(*arms, hospital) for step, arms in STEPS.items()} for hospital in "ABC"
    }
    return picture(
        "What each step of the recipe changes", head("micro-F1 of one answer, eight findings"), panels,
        "change of micro-F1",
        "Each hospital's own patients, images and labels. The first four rows add up to the last. Seeing: patients "
        "with a finding are ranked above those without. Naming: how many labels are named. Form: answers that can be "
        "read. Sharpness: how near one answer comes to the vote of many. Bars: 95 % over patients and trainings, "
        "uncorrected.",
    )  # fmt: skip


@cache
def _parts(after: str, before: str, hospital: str) -> dict[str, Change]:
    found = answers().split(after, before, own(hospital))
    return {**{part: found[part] for part in instrument.PARTS}, "all": found["all"]}


def levels() -> Html:
    """Every outcome of base, SFT and both rewards at each hospital, and the changes of reinforcement."""
    if missing():
        return _waiting()
    rows = []
    for hospital in "ABC":
        for outcome in trainings.OUTCOMES:
            value = {arm: answers().level(outcome, arm, own(hospital)).estimate for arm in ARMS}
            change = {arm: answers().change(outcome, arm, "sft", own(hospital)) for arm in ("hard", "nuanced")}
            rows.append({"hospital": hospital, "outcome": outcome,
                         **{arm: decimal(value[arm]) for arm in ARMS},
                         **{f"{arm} less sft": spoken(change[arm]) for arm in change}})  # fmt: skip
    return frame_table(pd.DataFrame(rows), "Every outcome at each hospital", dense=True, head=head("own labels"))


@cache
def primary() -> dict[str, tuple[Change, bool]]:
    """The two primary contrasts, and whether each is not zero by Holm's rule."""
    seen = answers().change("seeing", "hard", "sft", own("A"))
    far, near = own("C"), own("A")
    carries = answers().weighted("micro-F1", {("hard", far): 1, ("sft", far): -1, ("hard", near): -1, ("sft", near): 1})
    contrasts = {"seeing": seen, "carries": carries}
    held = trainings.holm(contrasts)
    return {name: (change, held[name]) for name, change in contrasts.items()}


def verdict() -> str:
    """What the primary contrasts say, in two sentences; the wording follows from the values alone."""
    if missing():
        return missing()
    (seen, sees), (carries, differs) = primary()["seeing"], primary()["carries"]
    if sees:
        first = f"The hard reward changes what is seen at home: {spoken(seen)} of AUROC"
    elif max(abs(seen.low), abs(seen.high)) <= NEGLIGIBLE:
        first = f"The hard reward changes what is seen at home by less than {NEGLIGIBLE} of AUROC: {spoken(seen)}"
    else:
        first = "No change of what is seen at home is found, and none is ruled out that counts"
        first += f" ({NEGLIGIBLE} of AUROC): {spoken(seen)}"
    if differs:
        side = "smaller" if carries.estimate < 0 else "larger"
        second = f"its change of micro-F1 is {side} at C than at A: {spoken(carries)}"
    else:
        second = f"that its change of micro-F1 differs between C and A is not found: {spoken(carries)}"
    return f"{first}; {second}."


def who() -> Html:
    """How much patients, images and labels account for in the difference between a hospital's change and that at A."""
    if missing():
        return _waiting()
    panels = {
        f"Hospital {there} less A": {
            f"GRPO, {arm}": dict(answers().shares("micro-F1", arm, "sft", there)) for arm in ("hard", "nuanced")
        }
        for there in "BC"
    }
    return picture(
        "Patients, images or labels?", head("micro-F1"), panels, "difference of the changes of micro-F1",
        f"The change of reinforcement at another hospital less that at home, shared out among {', '.join(FACTORS)}.",
    )  # fmt: skip


def support() -> Html:
    """The best of k answers by Jaccard, for each arm and hospital: a ceiling, since the answer key picks."""
    if missing():
        return _waiting()
    rows = []
    for hospital in "ABC":
        for k in (1, 2, 4, 8):
            row = {"hospital": hospital, "k": k}
            for arm in ARMS:
                seeds = answers().seeds([arm])
                best = [
                    instrument.pass_at(answers().sampled(arm, s, own(hospital)), draws(hospital), k)[0] for s in seeds
                ]
                row[arm] = decimal(over(seeds, best).estimate)
            rows.append(row)
    return frame_table(pd.DataFrame(rows), "The best of k answers, picked with the answer key", head=head("Jaccard"))


def normals() -> str:
    """How the share of false normals changes, as a sentence."""
    if missing():
        return missing()
    each = []
    for hospital in "ABC":
        levels = [answers().level("false normals", arm, own(hospital)).estimate for arm in ("sft", "hard", "nuanced")]
        change = answers().change("false normals", "hard", "sft", own(hospital))
        shares = " / ".join(decimal(level, 2) for level in levels)
        each.append(f"at {hospital} {shares} (hard less SFT {spoken(change, 2)})")
    return f"Abnormal patients answered No Finding, after SFT / the hard / the nuanced reward: {'; '.join(each)}."
