"""Question 1 of the second experiment: does reinforcement change what is seen, what is named, or how sharply?

Contrast (a), seeing at home, is decided by the split's part, whose vote is extrapolated: the AUROC of few answers moves
with naming, and stands beside it. A change is *not zero* by Holm's rule, and *less than counts* by two one-sided tests;
either may hold without the other (`SEEN`). Contrast (b), C less A, speaks for or against the paper's reading
(`reading`); where a loss is too small to count, it speaks against, also if it is surely below zero.
"""

from collections.abc import Mapping
from functools import cache

import pandas as pd

from companion.evidence import instrument, trainings
from companion.evidence.trainings import FACTORS, Change, draws, over
from companion.experiment import plan
from companion.experiment.scores import own
from companion.report.experiments import kept
from companion.report.experiments.kept import answers
from companion.report.frames import frame_table
from companion.report.plots import picture
from companion.report.theme import Html, decimal, signed, spoken

ARMS = ("base", "sft", "hard", "nuanced")
#: Step of the recipe -> the arms after and before it.
STEPS = {
    "base to SFT": ("sft", "base"),
    "SFT to hard GRPO": ("hard", "sft"),
    "SFT to nuanced GRPO": ("nuanced", "sft"),
}
#: What a change of seeing may be, and a loss from A to C, and still count as none, in micro-F1 (the plan).
NEGLIGIBLE, NO_LOSS = 0.01, 0.015
#: Two one-sided tests at 5 % are an interval at this level.
EQUIVALENCE = 0.90
#: Not zero by Holm's rule, and surely less than counts -> what is said of seeing at home.
SEEN = {
    (True, True): f"The hard reward changes what is seen at home, by less than counts ({NEGLIGIBLE} micro-F1)",
    (True, False): "The hard reward changes what is seen at home",
    (False, True): f"The hard reward does not change what is seen at home by as much as counts ({NEGLIGIBLE} micro-F1)",
    (False, False): "Whether the hard reward changes what is seen at home is not decided",
}


def split_figure() -> Html:
    """The change of micro-F1 in each step of the recipe at each hospital, in four parts."""
    if kept.missing(ARMS):
        return kept.waiting(ARMS)
    panels = {
        f"Hospital {hospital}": {step: _parts(*arms, hospital) for step, arms in STEPS.items()} for hospital in "ABC"
    }
    return picture(
        "What each step of the recipe changes", kept.head(plan.MANY, "micro-F1 of one answer, eight findings"), panels,
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
    if kept.missing(ARMS):
        return kept.waiting(ARMS)
    rows = []
    for hospital in "ABC":
        for outcome in trainings.OUTCOMES:
            value = {arm: answers().level(outcome, arm, own(hospital), ARMS) for arm in ARMS}
            change = {arm: answers().change(outcome, arm, "sft", own(hospital)) for arm in ("hard", "nuanced")}
            rows.append({"hospital": hospital, "outcome": outcome, "answers": value["sft"].answers,
                         **{arm: decimal(value[arm].estimate) for arm in ARMS},
                         **{f"{arm} less sft": spoken(change[arm]) for arm in change}})  # fmt: skip
    return frame_table(
        pd.DataFrame(rows), "Every outcome at each hospital", dense=True, head=kept.head(plan.MANY, "own labels")
    )


@cache
def primary() -> dict[str, tuple[Change, bool]]:
    """The two primary contrasts, and whether each is not zero by Holm's rule."""
    far, near = own("C"), own("A")
    seen = answers().split("hard", "sft", near)["seeing"]
    carries = answers().weighted("micro-F1", {("hard", far): 1, ("sft", far): -1, ("hard", near): -1, ("sft", near): 1})
    contrasts = {"seeing": seen, "carries": carries}
    held = trainings.holm(contrasts)
    return {name: (change, held[name]) for name, change in contrasts.items()}


@cache
def beside() -> dict[str, Change]:
    """What stands beside the contrasts: AUROC and micro-F1 at home, and the shares of patients, images and labels."""
    home = {name: answers().change(name, "hard", "sft", own("A")) for name in ("seeing", "micro-F1")}
    return home | answers().shares("micro-F1", "hard", "sft", "C")


def seen_cell(seen: Change, differs: bool) -> tuple[bool, bool]:
    """Of a change of seeing: whether it is not zero, and whether it is surely less than counts."""
    ends = seen.interval(EQUIVALENCE)
    return differs, ends.low > -NEGLIGIBLE and ends.high < NEGLIGIBLE


def reading(carries: Change, differs: bool, around: Mapping[str, Change]) -> tuple[str, list[str]]:
    """Whether contrast (b) is "for" the paper's reading, "against" it or "undecided", and what lacks to be for it."""
    labels, shares = around["labels"], [around[factor].estimate for factor in FACTORS]
    lacks = {
        "micro-F1 does not surely rise at home": around["micro-F1"].low > 0,
        "its change is not surely smaller at C": differs and carries.estimate < 0,
        "the part of the labels is not surely below zero": labels.high < 0,
        "the part of the labels is not the lowest": labels.estimate == min(shares),
    }
    missed = [what for what, there in lacks.items() if not there]
    if carries.low > -NO_LOSS:
        return "against", missed
    return ("undecided" if missed else "for"), missed


def verdict() -> str:
    """What the primary contrasts say, in two sentences; the wording follows from the values alone."""
    if lack := kept.missing(ARMS):
        return lack
    (seen, sees), (carries, differs), around = primary()["seeing"], primary()["carries"], beside()
    ends = seen.interval(EQUIVALENCE)
    first = (
        f"{SEEN[seen_cell(seen, sees)]}: {spoken(seen)}, with {EQUIVALENCE:.0%} confidence "
        f"{signed(ends.low)} to {signed(ends.high)}; beside it, AUROC: {spoken(around['seeing'])}"
    )
    side, lacks = reading(carries, differs, around)
    change = f"C less A {spoken(carries)}"
    if side == "for":
        second = (
            f"The evidence is for the paper's reading: micro-F1 rises at home, {spoken(around['micro-F1'])}, and less "
            f"at C, {change}, the largest part by the labels, {spoken(around['labels'])}"
        )
    elif side == "against":
        small = "a loss surely, but " if differs and carries.estimate < 0 else ""
        second = (
            f"The evidence is against the paper's reading: {small}no loss of micro-F1 that counts ({NO_LOSS}), {change}"
        )
    else:
        second = f"The paper's reading is undecided, {change}: {', and '.join(lacks)}"
    return f"{first}. {second}."


def who() -> Html:
    """How much patients, images and labels account for in the difference between a hospital's change and that at A."""
    if kept.missing(ARMS):
        return kept.waiting(ARMS)
    panels = {
        f"Hospital {there} less A": {
            f"GRPO, {arm}": dict(answers().shares("micro-F1", arm, "sft", there)) for arm in ("hard", "nuanced")
        }
        for there in "BC"
    }
    used = {one.answers for panel in panels.values() for parts in panel.values() for one in parts.values()}
    return picture(
        "Patients, images or labels?", kept.head(plan.MANY, "micro-F1"), panels,
        "difference of the changes of micro-F1",
        f"The change of reinforcement at another hospital less that at home, shared out among {', '.join(FACTORS)}; of "
        f"the first {' or '.join(map(str, sorted(used)))} answers to an image, which all of the worlds have.",
    )  # fmt: skip


def support() -> Html:
    """The best of k answers by Jaccard, for each arm and hospital: a ceiling, since the answer key picks."""
    if kept.missing(ARMS):
        return kept.waiting(ARMS)
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
    return frame_table(
        pd.DataFrame(rows), "The best of k answers, picked with the answer key", head=kept.head(plan.MANY, "Jaccard")
    )


def normals() -> str:
    """How the share of false normals changes, as a sentence."""
    if lack := kept.missing(ARMS):
        return lack
    each = []
    for hospital in "ABC":
        arms = ("sft", "hard", "nuanced")
        levels = [answers().level("false normals", arm, own(hospital), arms).estimate for arm in arms]
        change = answers().change("false normals", "hard", "sft", own(hospital))
        shares = " / ".join(decimal(level, 2) for level in levels)
        each.append(f"at {hospital} {shares} (hard less SFT {spoken(change, 2)})")
    return f"Abnormal patients answered No Finding, after SFT / the hard / the nuanced reward: {'; '.join(each)}."
