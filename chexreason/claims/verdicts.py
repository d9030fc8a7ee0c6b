"""Claims and verdicts: *holds*, *fails* or *cannot be told*, with effect, interval and n.

A check's quantity is oriented so that a positive effect speaks for the claim. There are two kinds.
`BEYOND_CHANCE`: the claim is about models or methods, so it holds if the whole interval lies above the
bar, fails if it lies below, and otherwise cannot be told apart from noise. `AS_COUNTED`: the claim is about
the numbers themselves (an order, a count), and the effect alone decides. Each claim is judged by itself at 95 %;
with this many, a few verdicts may be chance, so `outcomes` also says which would stand if all were judged together
(Holm 1979). On the paper's tables it further says which verdicts change with the correlation that is assumed between
two models' answers to the same studies.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from chexreason.audit.uncertainty import CORRELATIONS, LEVEL, NIH_SIZES, PAIRED
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
    p: float | None = None  # of an effect on the other side of the bar, both ways; None where no chance is involved
    together: bool | None = None  # whether it is told with all claims of its side judged at once
    turns: tuple[str, ...] = ()  # the choices with which the verdict changes
    unsteady: bool = False  # whether another assumed correlation would change the verdict
    runs: tuple[str, ...] = ()  # the runs behind it


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
    p = _chance(found, claim.bar) if claim.kind == BEYOND_CHANCE else None
    runs = tuple(sorted(found.runs))
    return Outcome(claim.name, side.name, side.tier, verdict, reason, effect, low, high, _sizes(found), p, runs=runs)


def _chance(found: Quantity, bar: float) -> float:
    """Twice the share of draws on the rarer side of the bar, at most 1; never 0, since the draws are finitely many."""
    draws = found.draws[~np.isnan(found.draws)]
    rarer = min(int((draws <= bar).sum()), int((draws >= bar).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(draws) + 1))


def together(found: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes, each with whether it is told when all are judged at once (Holm 1979, at `LEVEL`).

    >>> p = {"a": 0.01, "b": 0.04, "c": 0.03}  # at 5 %: 0.01 <= 0.05/3, but 0.03 > 0.05/2, and so 0.04 is out as well
    >>> one = {name: Outcome(name, "s", "t", CANNOT, "", 0.1, p=value) for name, value in p.items()}
    >>> {name: outcome.together for name, outcome in together(one).items()}
    {'a': True, 'b': False, 'c': False}
    """
    ordered = sorted((one.p, name) for name, one in found.items() if one.p is not None)
    told: set[str] = set()
    for k, (p, name) in enumerate(ordered):
        if p > (1 - LEVEL) / (len(ordered) - k):
            break
        told.add(name)
    return {name: one if one.p is None else replace(one, together=name in told) for name, one in found.items()}


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
        if "NIH" in one.n:
            two = replace(two, n=two.n.replace("n not stated", f"n not stated (interval for {NIH_SIZES[1]})"))
        found[claim.name] = two if "NIH" in one.n else one
    return found


def steady(found: Mapping[str, Outcome], claims: Mapping[str, Claim]) -> dict[str, Outcome]:
    """The paper's outcomes, each with the assumed correlations at which its verdict would be another one."""
    others = {r: judge_published(claims.values(), r) for r in CORRELATIONS if r != PAIRED}
    said = {}
    for name, one in found.items():
        changed = [f"{r:g} it {other[name].verdict}" for r, other in others.items()
                   if other[name].verdict != one.verdict]  # fmt: skip
        reason = f"{one.reason}; at a correlation of {' and of '.join(changed)}" if changed else one.reason
        said[name] = replace(one, reason=reason, unsteady=bool(changed))
    return said


def outcomes(claims: Mapping[str, Claim], side: Side | None = None) -> dict[str, Outcome]:
    """Every claim judged on some runs, or on the paper if no side is given, by itself and with all at once."""
    if side is None:
        return together(steady(judge_published(claims.values()), claims))
    return together({name: judge(claim, side) for name, claim in claims.items()})
