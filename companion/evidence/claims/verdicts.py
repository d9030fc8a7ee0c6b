"""Claims and verdicts: what holds, fails, lies within chance, cannot be tested, or was not run; with effect and n.

A positive effect speaks for the claim. `BEYOND_CHANCE`: the claim is about models or methods; it holds if the whole
interval lies above the bar, fails if it lies below, and is otherwise within chance. `AS_COUNTED`: it is about the
numbers themselves (an order, a count), and the effect alone decides; of models that we trained the interval does, too.
What we sharpen is our reading (`stated` is False), or has a margin of ours (`sharpened`), and never *fails*: it does
not hold *as we read it*. Where models were trained once, the claim cannot be tested. Each is judged by itself at 95 %.

What is left of a verdict: *Choice*: a claim that picks an average, a checkpoint or findings where the paper prints
others, too, has twins (`Claim.choice`), and depends on the choice if one comes out otherwise. *Together*: each verdict
is also held to the interval that covers all tests of its side at once (`stats.differences`, the maximum-t method on the
shared draws). *Correlation*: how alike two models err on the same studies is not printed; several are tried.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chexreason.settings import UNREAD
from companion.evidence import stats
from companion.evidence.audit.uncertainty import CORRELATIONS, LEVEL, NIH_SIZES, PAIRED
from companion.evidence.claims.published import Published
from companion.evidence.claims.quantity import CannotTell, NotRun, Quantity, Side, Unlike
from companion.evidence.comparable import ONE_TRAINING

HOLDS, FAILS, CHANCE, REFUSED = "holds", "fails", "within chance", "cannot be tested"
#: A reading of ours that the numbers speak against, and a claim whose run is not there.
OTHERWISE, NOT_RUN = "not as we read it", "not run"
VERDICTS = (HOLDS, CHANCE, FAILS, OTHERWISE, REFUSED, NOT_RUN)
BEYOND_CHANCE, AS_COUNTED = "beyond chance", "as counted"
#: What a claim may silently choose: micro- or macro-F1, the best or the last checkpoint (or the fine-tuned one),
#: which findings are averaged, whether one finding carries the average, and what it is compared with.
AVERAGING, CHECKPOINT, LABEL_SET, LARGEST = "averaging", "checkpoint", "label set", "largest finding"
CHOICES = (AVERAGING, CHECKPOINT, LABEL_SET, LARGEST, "baseline")
#: Where an effect points that lies within chance of its bar.
WAYS = {1.0: "the claim's way", -1.0: "the other way", 0.0: "nowhere"}
RESTS = "depends on a choice"
#: Where a claim stands, each in one place: turned by a choice, or what its verdict says.
STANDINGS = (HOLDS, RESTS, CHANCE, FAILS, OTHERWISE, REFUSED, NOT_RUN)


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, in our words, with the check that judges it."""

    name: str
    place: str  # abstract, section or table
    says: str
    rests_on: str  # the quantity, in words
    check: Callable[[Side], Quantity]  # raises CannotTell where the numbers cannot judge
    topic: str
    evidence: str  # what shows it: a name among the ledger's places
    kind: str = BEYOND_CHANCE
    bar: float = 0.0  # what the effect has to exceed (BEYOND_CHANCE; AS_COUNTED if 0) or reach
    choice: tuple[tuple[str, str], ...] = ()  # (what is chosen, the claim that chooses otherwise)
    stated: bool = True  # False: the paper does not say it; it is a claim of the paper read with another choice
    sharpened: bool = False  # the paper says it without a margin, and the margin is ours

    def described(self) -> dict[str, Any]:
        """The claim as plain data, without its check."""
        return {name: value for name, value in vars(self).items() if name != "check"}


@dataclass(frozen=True)
class Outcome:
    """The verdict on a claim on one side, and what is left of it under other choices and assumptions."""

    claim: str
    side: str
    tier: str
    verdict: str
    reason: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: str = ""
    runs: tuple[str, ...] = ()  # ids of the runs behind it
    missing: str = ""  # the run that it waits for
    unlike: bool = False  # refused since two numbers are over different findings
    turned_by: tuple[tuple[str, str], ...] = ()  # (choice, twin) with another verdict, or an effect the other way
    together: bool | None = None  # whether it stands with all tests of the side at once; None if it is no such verdict
    tests: int = 0  # how many those are
    by_correlation: Mapping[float, str] = field(default_factory=dict)  # the verdict at each correlation tried

    @property
    def standing(self) -> str:
        return RESTS if self.turned_by else self.verdict

    @property
    def survives(self) -> bool:
        """Whether the verdict is the same at every correlation tried."""
        return set(self.by_correlation.values()) <= {self.verdict}

    def described(self) -> dict[str, Any]:
        by_correlation = {f"{r:g}": verdict for r, verdict in self.by_correlation.items()}
        return {**vars(self), "by_correlation": by_correlation, "standing": self.standing}


Judged = tuple[Outcome, Quantity | None]


def judge(claim: Claim, side: Side) -> Outcome:
    """The verdict on one claim on one side, by itself."""
    return judged(claim, side)[0]


def judged(claim: Claim, side: Side) -> Judged:
    """The verdict with the quantity that it rests on; None where there is none."""
    try:
        found = side.settle(claim.check)
    except CannotTell as refusal:
        missing = refusal.run_id if isinstance(refusal, NotRun) else ""
        return Outcome(
            claim.name, side.name, side.tier, NOT_RUN if missing else REFUSED, str(refusal), missing=missing,
            unlike=isinstance(refusal, Unlike),
        ), None  # fmt: skip
    interval = stats.percentiles(np.append(found.value, found.draws), LEVEL)
    against = FAILS if claim.stated and not claim.sharpened else OTHERWISE
    # An interval lies above its bar; of an order of trainings the bar itself is enough, unless it is 0.
    bar = _reach(claim) if claim.kind == AS_COUNTED else claim.bar
    if not is_test(claim, found):
        verdict = HOLDS if reaches(claim, found.value) else against
        reason = "as counted" if verdict == HOLDS else "counted otherwise"
    elif interval.low > bar:
        verdict, reason = HOLDS, "beyond chance"
    elif interval.high < bar:
        verdict, reason = against, "the opposite, beyond chance"
    else:
        verdict, reason = CHANCE, f"points {WAYS[np.sign(round(found.value - claim.bar, 9))]}, within chance"
    if found.trainings == 1:
        alone = f"; over patients alone {reason}" if np.ptp(found.draws) else ""
        verdict, reason = REFUSED, f"{ONE_TRAINING}{alone}"
    return Outcome(
        claim.name, side.name, side.tier, verdict, reason, found.value + 0.0, interval.low, interval.high,  # -0.0 is 0
        ", ".join(map(str, sorted(found.n))), tuple(sorted(found.runs)),
    ), found  # fmt: skip


def _reach(claim: Claim) -> float:
    return claim.bar + (1e-9 if claim.bar == 0 else -1e-9)


def reaches(claim: Claim, value: float) -> bool:
    """Whether a value alone, without an interval, speaks for a claim: it exceeds a bar of 0, or reaches another one."""
    return value >= _reach(claim)


def is_test(claim: Claim, found: Quantity) -> bool:
    """Whether the interval decides: not if the claim counts what is printed, or what was asked of untrained models."""
    return claim.kind == BEYOND_CHANCE or found.trainings is not None


def outcomes(claims: Mapping[str, Claim], side: Side | None = None) -> dict[str, Outcome]:
    """Every claim judged on some runs, or on the paper if no side is given, with what is left of each verdict."""
    tried = {r: _published(claims, r) for r in CORRELATIONS} if side is None else {}
    each = _together(claims, tried[PAIRED] if side is None else {n: judged(one, side) for n, one in claims.items()})
    for name, claim in claims.items():
        if tried and claim.kind == BEYOND_CHANCE and each[name].effect is not None:
            verdicts = {r: found[name][0].verdict for r, found in tried.items()}
            others = [f"{one} if r = {r:g}" for r, one in verdicts.items() if one != verdicts[PAIRED]]
            how = f"; {', '.join(others)}" if others else ", at every r tried"
            each[name] = replace(each[name], by_correlation=verdicts, reason=each[name].reason + how)
    turned = {
        name: [(kind, twin) for kind, twin in claim.choice if _differ(claim, each[name], claims[twin], each[twin])]
        for name, claim in claims.items()
    }
    return {name: replace(one, turned_by=tuple(turned[name])) for name, one in each.items()}


def _published(claims: Mapping[str, Claim], correlation: float) -> dict[str, Judged]:
    """The verdicts on the paper's own tables.

    The size of the NIH subset is not in the text we have. Where a claim holds or fails at one of the sizes tried and
    not at the other, it lies within chance, and the reason says so; the wider interval, of the smaller size, is shown.
    """
    large, small = (Published(size, correlation) for size in NIH_SIZES)
    found = {}
    for name, claim in claims.items():
        two, quantity = judged(claim, small)
        if quantity is not None and not all(studies.stated for studies in quantity.n):
            one = judge(claim, large)
            if one.verdict != two.verdict:
                reason = (
                    f"{one.verdict if one.verdict != CHANCE else two.verdict} if the NIH subset is one of the two "
                    f"sizes tried ({NIH_SIZES[0]:,} and {NIH_SIZES[1]:,}), {CHANCE} at the other; its size is {UNREAD}"
                )
                two = replace(two, verdict=CHANCE, reason=reason)
        found[name] = two, quantity
    return found


def _together(claims: Mapping[str, Claim], found: Mapping[str, Judged]) -> dict[str, Outcome]:
    """Each verdict beyond chance, and whether the interval that holds for all tests at once leaves out its bar, too."""
    each = {name: one for name, (one, _) in found.items()}
    tested = {
        name: np.append(quantity.value, quantity.draws) - claims[name].bar
        for name, (one, quantity) in found.items()
        if quantity is not None and one.verdict != REFUSED and is_test(claims[name], quantity)
    }
    if tested:
        joint = stats.differences(np.stack(list(tested.values()), axis=1), LEVEL)
        for name, low, high in zip(tested, joint.low_all, joint.high_all, strict=True):
            stands = bool(low > 0 or high < 0) if each[name].verdict != CHANCE else None
            each[name] = replace(each[name], together=stands, tests=len(tested))
    return each


def _differ(claim: Claim, one: Outcome, twin: Claim, other: Outcome) -> bool:
    """Whether a twin's verdict is another, or its effect lies on the other side of the bar.

    A claim that is refused since its labels do not match depends on the label set if its twin, where they do, has a
    verdict. Other refusals say nothing about the twin.
    """
    if other.effect is None or other.verdict == REFUSED:
        return False
    if one.effect is None or one.verdict == REFUSED:
        return one.unlike and other.verdict != CHANCE
    same = {FAILS if verdict == OTHERWISE else verdict for verdict in (one.verdict, other.verdict)}
    return len(same) > 1 or _side_of_bar(claim, one.effect) != _side_of_bar(twin, other.effect)


def _side_of_bar(claim: Claim, effect: float) -> float:
    """-1, 0 or 1; a claim as counted has reached its bar or has not."""
    away = round(effect - claim.bar, 9)
    return float(np.sign(away)) if claim.kind != AS_COUNTED or claim.bar == 0 else float(away >= 0)
