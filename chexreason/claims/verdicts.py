"""Claims and verdicts: *holds*, *fails* or *cannot be told*, with effect, interval and n.

A check's quantity is oriented so that a positive effect speaks for the claim. There are two kinds.
`BEYOND_CHANCE`: the claim is about models or methods, so it holds if the whole interval lies above the
bar, fails if it lies below, and otherwise cannot be told apart from noise. `AS_COUNTED`: the claim is about
the numbers themselves (an order, a count), and the effect alone decides. Each claim is judged by itself at 95 %; with
this many, a few verdicts may be chance, and the ledger says so.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from chexreason.audit.uncertainty import LEVEL, NIH_SIZES, PAIRED
from chexreason.claims.published import Published
from chexreason.claims.quantity import CannotTell, Quantity
from chexreason.claims.sides import Side

HOLDS, FAILS, CANNOT = "holds", "fails", "cannot be told"
VERDICTS = (HOLDS, FAILS, CANNOT)
BEYOND_CHANCE, AS_COUNTED = "beyond chance", "as counted"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, in our words, with the check that judges it."""

    name: str
    place: str  # abstract, section or table
    says: str
    rests_on: str  # the quantity, in words
    check: Callable[[Side], Quantity]  # raises CannotTell where the numbers cannot judge
    topic: str
    evidence: str  # the section of the audit's chapter that shows it: an anchor
    kind: str = BEYOND_CHANCE
    bar: float = 0.0  # what the effect has to exceed (BEYOND_CHANCE) or reach (AS_COUNTED)

    def described(self) -> dict[str, str | float]:
        """The claim as plain data, without its check."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "check"}


@dataclass(frozen=True)
class Outcome:
    """The verdict on a claim on one side."""

    claim: str
    side: str
    tier: str
    verdict: str
    reason: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: str = ""


def judge(claim: Claim, side: Side) -> Outcome:
    """The verdict on one claim on one side."""
    try:
        found = claim.check(side)
    except CannotTell as refusal:
        return Outcome(claim.name, side.name, side.tier, CANNOT, str(refusal))
    low, high = _interval(found)
    if claim.kind == AS_COUNTED:
        verdict = HOLDS if found.value >= claim.bar + (1e-9 if claim.bar == 0 else -1e-9) else FAILS
        reason = "as counted" if verdict == HOLDS else "counted otherwise"
    elif low > claim.bar:
        verdict, reason = HOLDS, "beyond chance"
    elif high < claim.bar:
        verdict, reason = FAILS, "the opposite, beyond chance"
    else:
        verdict = CANNOT
        way = "the claim's way" if found.value > claim.bar else "the other way"
        reason = f"points {way}, within chance"
    effect = found.value + 0.0  # -0.0 is 0
    return Outcome(claim.name, side.name, side.tier, verdict, reason, effect, low, high, _sizes(found))


def _interval(found: Quantity) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = np.nanquantile(found.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), found.value), max(float(high), found.value)


def _sizes(found: Quantity) -> str:
    listed = sorted(found.n, key=lambda one: one[0])
    return ", ".join(f"{where} n {'not stated' if n is None else f'= {n}'}" for where, n in listed)


def judge_published(claims: Iterable[Claim], correlation: float = PAIRED) -> dict[str, Outcome]:
    """The verdicts on the paper's own tables.

    The size of the NIH subset is not stated. Where a claim holds or fails at one of the sizes tried and not at
    the other, it cannot be told, and the reason says so; the wider interval is shown.
    """
    large, small = (Published(nih, correlation=correlation) for nih in NIH_SIZES)
    found = {}
    for claim in claims:
        one, two = judge(claim, large), judge(claim, small)
        if one.verdict != two.verdict and "NIH" in one.n:
            reason = (
                f"it {one.verdict if one.verdict != CANNOT else two.verdict} if the NIH subset is one of the two sizes "
                f"tried ({NIH_SIZES[0]:,} and {NIH_SIZES[1]:,}) and cannot be told at the other; the paper does not say"
            )
            two = replace(two, verdict=CANNOT, reason=reason)
        found[claim.name] = two if "NIH" in one.n else one
    return found


def outcomes(claims: Mapping[str, Claim], side: Side | None = None) -> dict[str, Outcome]:
    """Every claim judged on some runs, or on the paper if no side is given."""
    if side is None:
        return judge_published(claims.values())
    return {name: judge(claim, side) for name, claim in claims.items()}
