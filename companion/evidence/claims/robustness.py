"""What is left of a verdict: under another choice, with all tests taken together, at another correlation.

*Choice*: many claims pick an average, a checkpoint or a set of findings where the paper prints another one, too. Such
a claim has twins (`Claim.choice`); it depends on the choice if a twin's verdict is another, or its effect points the
other way. *Together*: of many intervals at 95 % a few miss by chance, so each verdict is also held to the interval
that covers all tests of its side at once (`stats.differences`, the maximum-t method on the shared draws).
*Correlation*: how alike two models err on the same studies is not in the text we have, and every interval of a
difference hangs on it; a verdict at the assumed correlation is told beside those at the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from chexreason.settings import UNREAD
from companion.evidence import stats
from companion.evidence.audit.uncertainty import CORRELATIONS, LEVEL, NIH_SIZES, PAIRED
from companion.evidence.claims.published import Published
from companion.evidence.claims.quantity import Quantity
from companion.evidence.claims.sides import Side
from companion.evidence.claims.verdicts import (
    AS_COUNTED,
    BEYOND_CHANCE,
    CHANCE,
    FAILS,
    HOLDS,
    NOT_RUN,
    OTHERWISE,
    REFUSED,
    Claim,
    Outcome,
    is_test,
    judged,
)

Judged = tuple[Outcome, Quantity | None]


def outcomes(claims: Mapping[str, Claim], side: Side | None = None) -> dict[str, Outcome]:
    """Every claim judged on some runs, or on the paper if no side is given, with what is left of each verdict."""
    if side is not None:
        found = {name: judged(claim, side) for name, claim in claims.items()}
        return _choices(claims, _together(claims, found))
    tried = {r: _published(claims.values(), r) for r in CORRELATIONS}
    told = _together(claims, tried[PAIRED])
    for name, claim in claims.items():
        if claim.kind == BEYOND_CHANCE and told[name].effect is not None:
            verdicts = {r: found[name][0].verdict for r, found in tried.items()}
            told[name] = replace(told[name], by_correlation=verdicts, reason=told[name].reason + _at(verdicts))
    return _choices(claims, told)


def _at(verdicts: Mapping[float, str]) -> str:
    """How the verdicts at other correlations differ, as the end of a reason."""
    others = {r: verdict for r, verdict in verdicts.items() if verdict != verdicts[PAIRED]}
    if not others:
        return ", at every r tried"
    return "; " + ", ".join(f"{verdict} if r = {r:g}" for r, verdict in others.items())


def judge_published(claims: Iterable[Claim], correlation: float = PAIRED) -> dict[str, Outcome]:
    """The verdicts on the paper's own tables, each by itself, at one correlation of two models on the same studies."""
    return {name: one for name, (one, _) in _published(claims, correlation).items()}


def _published(claims: Iterable[Claim], correlation: float) -> dict[str, Judged]:
    """The verdicts on the paper's own tables.

    The size of the NIH subset is not in the text we have. Where a claim holds or fails at one of the sizes tried and
    not at the other, it lies within chance, and the reason says so; the wider interval, of the smaller size, is shown.
    """
    small = Published(min(NIH_SIZES), correlation=correlation)
    found = {claim.name: judged(claim, small) for claim in claims}
    large = Published(max(NIH_SIZES), correlation=correlation, like=small)
    for claim in claims:
        two, quantity = found[claim.name]
        if quantity is None or all(one.stated for one in quantity.n):
            continue
        one, _ = judged(claim, large)
        if one.verdict != two.verdict:
            reason = (
                f"{one.verdict if one.verdict != CHANCE else two.verdict} if the NIH subset is one of the two sizes "
                f"tried ({NIH_SIZES[0]:,} and {NIH_SIZES[1]:,}), {CHANCE} at the other; its size is {UNREAD}"
            )
            found[claim.name] = replace(two, verdict=CHANCE, reason=reason), quantity
    return found


def _together(claims: Mapping[str, Claim], found: Mapping[str, Judged]) -> dict[str, Outcome]:
    """Each verdict beyond chance, and whether the interval that holds for all tests at once leaves out its bar, too."""
    told = {name: one for name, (one, _) in found.items()}
    tested = {
        name: quantity
        for name, (_, quantity) in found.items()
        if quantity is not None and told[name].verdict != REFUSED and is_test(claims[name], quantity)
    }
    if not tested:
        return told
    values_RK = np.stack([np.append(one.value, one.draws) - claims[name].bar for name, one in tested.items()], axis=1)
    joint = stats.differences(values_RK, LEVEL)
    for k, name in enumerate(tested):
        if told[name].verdict in (HOLDS, FAILS, OTHERWISE):
            stands = bool(joint.low_all[k] > 0 or joint.high_all[k] < 0)
            told[name] = replace(told[name], together=stands, tests=len(tested))
        else:
            told[name] = replace(told[name], tests=len(tested))
    return told


def _choices(claims: Mapping[str, Claim], told: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Each outcome with the choices that turn it."""
    found = {}
    for name, claim in claims.items():
        turned = [(kind, twin) for kind, twin in claim.choice if _differ(claim, told[name], claims[twin], told[twin])]
        found[name] = replace(told[name], turned_by=tuple(turned))
    return found


def _differ(claim: Claim, one: Outcome, twin: Claim, other: Outcome) -> bool:
    """Whether a twin's verdict is another, or its effect lies on the other side of the bar.

    A claim that is refused since its labels do not match depends on the label set if its twin, where they do, has a
    verdict. Other refusals say nothing about the twin.
    """
    if other.effect is None or other.verdict in (REFUSED, NOT_RUN):
        return False
    if one.effect is None:
        return one.unlike and other.verdict != CHANCE
    if one.verdict in (REFUSED, NOT_RUN):
        return False
    sides = [_side_of_bar(claim, one.effect), _side_of_bar(twin, other.effect)]
    verdicts = [FAILS if verdict == OTHERWISE else verdict for verdict in (one.verdict, other.verdict)]
    return verdicts[0] != verdicts[1] or sides[0] != sides[1]


def _side_of_bar(claim: Claim, effect: float) -> float:
    """-1, 0 or 1; a claim as counted has reached its bar or has not."""
    away = round(effect - claim.bar, 9)
    return float(np.sign(away)) if claim.kind != AS_COUNTED or claim.bar == 0 else float(away >= 0)
