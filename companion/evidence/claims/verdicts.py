"""Claims and verdicts: what holds, fails, lies within chance, cannot be tested, or was not run; with effect and n.

A check's quantity is oriented so that a positive effect speaks for the claim. There are two kinds.
`BEYOND_CHANCE`: the claim is about models or methods, so it holds if the whole interval lies above the
bar, fails if it lies below, and is otherwise within chance. `AS_COUNTED`: the claim is about the numbers
themselves (an order, a count), and the effect alone decides; of models that we trained an order or a count is about
trainings, and is held to its interval, too. A claim is judged in the form in which the text makes it;
what we sharpen is our reading (`stated` is False), or has a margin of ours (`sharpened`), and never *fails*: it does
not hold *as we read it*. Where models were trained once, another training may come out otherwise, and the claim cannot
be tested there. Each claim is judged by itself at 95 %; `robustness` says what is left of its verdict under another
choice, together with all others, and under another assumption.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from companion.evidence.audit.uncertainty import LEVEL
from companion.evidence.claims.quantity import CannotTell, NotRun, Quantity, Unlike
from companion.evidence.claims.sides import Side
from companion.evidence.comparable import ONE_TRAINING

HOLDS, FAILS, CHANCE, REFUSED = "holds", "fails", "within chance", "cannot be tested"
#: A reading of ours that the numbers speak against, and a claim whose run is not there.
OTHERWISE, NOT_RUN = "not as we read it", "not run"
VERDICTS = (HOLDS, CHANCE, FAILS, OTHERWISE, REFUSED, NOT_RUN)
BEYOND_CHANCE, AS_COUNTED = "beyond chance", "as counted"
#: What a claim may silently choose: micro- or macro-F1, the best or the last checkpoint (or the fine-tuned one),
#: which findings are averaged, whether one finding carries the average, and what it is compared with.
AVERAGING, CHECKPOINT, LABEL_SET, LARGEST = "averaging", "checkpoint", "label set", "largest finding"
BASELINE = "baseline"
CHOICES = (AVERAGING, CHECKPOINT, LABEL_SET, LARGEST, BASELINE)
#: Where an effect points that lies within chance of its bar.
WAYS = {True: "the claim's way", False: "the other way"}
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
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "check"}


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
        """One of `STANDINGS`."""
        return RESTS if self.turned_by else self.verdict

    @property
    def survives(self) -> bool:
        """Whether the verdict is the same at every correlation tried."""
        return set(self.by_correlation.values()) <= {self.verdict}

    def described(self) -> dict[str, Any]:
        """The outcome as plain data, with its standing."""
        by_correlation = {f"{r:g}": verdict for r, verdict in self.by_correlation.items()}
        return {**asdict(self), "by_correlation": by_correlation, "standing": self.standing}


def judge(claim: Claim, side: Side) -> Outcome:
    """The verdict on one claim on one side, by itself."""
    return judged(claim, side)[0]


def judged(claim: Claim, side: Side) -> tuple[Outcome, Quantity | None]:
    """The verdict with the quantity that it rests on; None where there is none."""
    try:
        found = side.settle(claim.check)
    except CannotTell as refusal:
        missing = refusal.run_id if isinstance(refusal, NotRun) else ""
        return Outcome(
            claim.name, side.name, side.tier, NOT_RUN if missing else REFUSED, str(refusal), missing=missing,
            unlike=isinstance(refusal, Unlike),
        ), None  # fmt: skip
    low, high = _interval(found)
    against = FAILS if claim.stated and not claim.sharpened else OTHERWISE
    # A count has exceeded a bar of 0 or reached another one; an interval lies above its bar.
    bar = claim.bar + (1e-9 if claim.bar == 0 else -1e-9) if claim.kind == AS_COUNTED else claim.bar
    if not is_test(claim, found):
        verdict = HOLDS if found.value >= bar else against
        reason = "as counted" if verdict == HOLDS else "counted otherwise"
    elif low > bar:
        verdict, reason = HOLDS, "beyond chance"
    elif high < bar:
        verdict, reason = against, "the opposite, beyond chance"
    else:
        verdict = CHANCE
        away = round(found.value - claim.bar, 9)
        reason = f"points {'nowhere' if not away else WAYS[away > 0]}, within chance"
    if found.trainings == 1:
        alone = f"; over patients alone {reason}" if np.ptp(found.draws) else ""
        verdict, reason = REFUSED, f"{ONE_TRAINING}{alone}"
    effect = found.value + 0.0  # -0.0 is 0
    n = ", ".join(map(str, sorted(found.n)))
    runs = tuple(sorted(found.runs))
    return Outcome(claim.name, side.name, side.tier, verdict, reason, effect, low, high, n, runs), found


def is_test(claim: Claim, found: Quantity) -> bool:
    """Whether the interval decides: not if the claim counts what is printed, or what was asked of untrained models."""
    return claim.kind == BEYOND_CHANCE or found.trainings is not None


def _interval(found: Quantity) -> tuple[float, float]:
    low, high = np.quantile(found.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), found.value), max(float(high), found.value)
