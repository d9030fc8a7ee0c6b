"""Checks that several claims share: who leads, what changes, how close two are, and what refuses an answer."""

from collections.abc import Callable, Sequence

import numpy as np

from chexreason.labels import LABEL_SETS
from companion.evidence.claims.published import labels_of
from companion.evidence.claims.quantity import CannotTell, Quantity, largest, mean, smallest
from companion.evidence.claims.sides import Side, over
from companion.evidence.tables import MODELS

Check = Callable[[Side], Quantity]

#: Two macro-F1 closer than this are called about equal; the paper gives no margin for its "comparable" and "nearly".
MARGIN = 0.02

NEAR, FAR = "chexpert14", "nih9"


def leads(table: int, row: str, others: Sequence[str], average: str = "macro") -> Check:
    """How far a row is ahead of the best of the others."""
    return lambda side: (
        side.score(table, row, average) - largest([side.score(table, one, average) for one in others if one != row])
    )


def trails(table: int, row: str, others: Sequence[str], average: str = "macro") -> Check:
    """How far a row is behind the worst of the others."""
    return lambda side: (
        smallest([side.score(table, one, average) for one in others if one != row]) - side.score(table, row, average)
    )


def rises(table: int, first: str, second: str, average: str = "macro") -> Check:
    """From one row of a table to another."""
    return lambda side: side.score(table, second, average) - side.score(table, first, average)


def close(table: int, first: str, second: str, average: str = "macro") -> Check:
    """How far inside the margin two rows are: positive if they are about equal."""
    return within(rises(table, first, second, average))


def within(check: Check) -> Check:
    """How far inside the margin a difference is."""
    return lambda side: check(side).map(lambda x: MARGIN - np.abs(x))


class Changes(dict[str, Quantity]):
    """Finding -> its change; one that may not carry a conclusion is refused by name."""

    def __missing__(self, name: str) -> Quantity:
        raise CannotTell(f"{name} is not recorded there, or has too few positives")


def changes(side: Side, table: int, first: str, second: str) -> Changes:
    """The change of each finding from one model to another (Tables 5 and 6)."""
    names = side.carrying(table, LABEL_SETS[NEAR if table == 5 else FAR])
    if not names:
        raise CannotTell("no finding has enough positives")
    return Changes({name: side.finding(table, second, name) - side.finding(table, first, name) for name in names})


def without_largest(table: int, first: str, second: str) -> Check:
    """The change of the macro average over all findings but the one that moves most."""

    def check(side: Side) -> Quantity:
        found = changes(side, table, first, second)
        drop = max(found, key=lambda name: abs(found[name].value))
        rest = tuple(name for name in found if name != drop)
        return mean([found[name] for name in rest], rest)

    return check


def over_findings(table: int, first: str, second: str, findings: Sequence[str]) -> Check:
    """The change of the average over some findings."""
    return lambda side: over(side, table, second, findings) - over(side, table, first, findings)


def leads_over(table: int, row: str, others: Sequence[str], findings: Sequence[str]) -> Check:
    """How far a model is ahead of the best of the others, over some findings."""
    return lambda side: (
        over(side, table, row, findings) - largest([over(side, table, one, findings) for one in others if one != row])
    )


def refuses(reason: str) -> Check:
    """No number anywhere can judge it, for this reason."""

    def check(side: Side) -> Quantity:
        raise CannotTell(reason)

    return check


def measured(what: str, otherwise: str) -> Check:
    """What the experiment measured; nobody else can judge it, for this reason."""
    return lambda side: side.measured(what, otherwise)


def both(first: Check, second: Check) -> Check:
    """The smaller of two effects: positive only if both are. Each is a finished effect, over findings of its own."""
    return lambda side: smallest([first(side).about(), second(side).about()])


def public(number: Callable[[], float], *parts: tuple[str, str]) -> Check:
    """A number from the public label counts of some (data set, split)."""
    return lambda side: side.public(number(), labels_of(*parts))


def minus(check: Check) -> Check:
    """The effect the other way round."""
    return lambda side: check(side).times(-1)


MODEL_NAMES = tuple(MODELS)
