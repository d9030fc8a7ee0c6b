"""What claims rest on: differences of cells of the paper's tables, each in words and as code.

An effect is positive where it speaks for the claim. How it is asked, by which average, at which checkpoint, over which
findings, can be changed (`How`): a claim and its twins are one effect, asked in several ways. What `ledger.yml` may
call by its name is in `KNOWN`: functions that make an effect.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chexreason.labels import LABEL_SETS, NIH_SHARED
from companion.evidence.audit import facts
from companion.evidence.claims.quantity import CannotTell, Quantity, Side, largest, mean, smallest
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import MODELS

#: A finding is common from this prevalence on, and rare below the second; our reading of the paper's words.
COMMON, RARE = 0.2, 0.1
NONE = "none of the findings is {} among these studies and has enough positives"
#: Two macro-F1 closer than this are called about equal; the paper gives no margin for its "comparable" and "nearly".
MARGIN = 0.02


@dataclass(frozen=True)
class How:
    """What may be chosen: the average, the checkpoint, the findings, and whether the one that moves most counts."""

    average: str = "macro"
    last: bool = False  # the last step of GRPO instead of the best checkpoint
    findings: tuple[str, ...] = ()  # only these; (): as the table averages
    drop: bool = False  # without the finding that moves most

    def __str__(self) -> str:
        over = f" over the {len(self.findings)} shared findings" if self.findings else ""
        over += " over all findings but the one that moves most" if self.drop else ""
        return f"{self.average}-F1{over}{' at the last step' if self.last else ''}"


@dataclass(frozen=True)
class Effect:
    """What a claim rests on: the function that asks a side for it, and how; `ledger.yml` has the words."""

    ask: Callable[[Side, How], Quantity]
    how: How = field(default_factory=How)

    def __call__(self, side: Side) -> Quantity:
        return self.ask(side, self.how)

    def __neg__(self) -> "Effect":
        return joined(lambda one: one.times(-1), self)

    def asked(self, **how: Any) -> "Effect":
        """Asked in another way (`How`)."""
        return replace(self, how=replace(self.how, **how))


def joined(act: Callable[..., Quantity], *effects: Effect) -> Effect:
    """A function of the quantities of several effects, all asked as the first one is."""
    return Effect(lambda side, how: act(*(one.ask(side, how) for one in effects)), effects[0].how)


def carrying(side: Side, table: int, findings: Sequence[str], otherwise: str = "") -> tuple[str, ...]:
    """Those of some findings that carry a conclusion. Raises CannotTell if there is none."""
    names = side.carrying(table, findings)
    if not names:
        raise CannotTell(otherwise or f"none of these findings has {ENOUGH} positives")
    return names


def over(side: Side, table: int, row: str, findings: Sequence[str]) -> Quantity:
    """Macro-F1 over those of some findings that carry a conclusion."""
    names = carrying(side, table, findings)
    return mean([side.finding(table, row, name) for name in names], names)


def shared(side: Side) -> tuple[str, ...]:
    """The findings of both Tables 5 and 6 that carry a conclusion in both."""
    return carrying(side, 6, side.carrying(5, NIH_SHARED))


def common(side: Side, table: int) -> tuple[str, ...]:
    """The findings that many of a table's studies carry."""
    names = [name for name, share in side.prevalence(table).items() if share >= COMMON]
    return carrying(side, table, names, NONE.format("common"))


def rare(side: Side, table: int) -> tuple[str, ...]:
    """The findings that few of a table's studies carry."""
    names = [name for name, share in side.prevalence(table).items() if share < RARE]
    return carrying(side, table, names, NONE.format("rare"))


def _score(table: int, row: str, side: Side, how: How) -> Quantity:
    """The score of a row, asked as `how` says."""
    row = row.replace("best", "last") if how.last else row
    return over(side, table, row, how.findings) if how.findings else side.score(table, row, how.average)


class Changes(dict[str, Quantity]):
    """Finding -> its change; one that may not carry a conclusion is refused by name."""

    def __missing__(self, name: str) -> Quantity:
        raise CannotTell(f"{name} is not recorded there, or has too few positives")


def changes(side: Side, table: int, plus: str, minus: str) -> Changes:
    """The change of each finding from one model to another (Tables 5 and 6)."""
    names = carrying(side, table, LABEL_SETS["chexpert14" if table == 5 else "nih9"], "no finding has enough positives")
    return Changes({name: side.finding(table, plus, name) - side.finding(table, minus, name) for name in names})


def gap(table: int, plus: str, minus: str, of: int | None = None) -> Effect:
    """One row minus another, which may be one of the table `of`; between test sets on the findings of both."""
    other = of or table

    def ask(side: Side, how: How) -> Quantity:
        if how.drop:
            found = changes(side, table, plus, minus)
            most = max(found, key=lambda name: abs(found[name].value))
            rest = tuple(name for name in found if name != most)
            return mean([found[name] for name in rest], rest)
        if how.findings and {table, other} == {5, 6}:
            how = replace(how, findings=shared(side))
        return _score(table, plus, side, how) - _score(other, minus, side, how)

    return Effect(ask)


def lead(table: int, row: str, among: Sequence[str] = (), by: str = "macro") -> Effect:
    """A row minus the best of the others."""
    return joined(lambda own, *others: own - largest(others), *_scores(table, row, among)).asked(average=by)


def trail(table: int, row: str, by: str = "macro") -> Effect:
    """The worst of the other rows minus a row."""
    own, *others = _scores(table, row)
    return joined(lambda *found: smallest(found[:-1]) - found[-1], *others, own).asked(average=by)


def between(table: int, row: str, by: str = "macro") -> Effect:
    """How far a row is from being either the best or the worst."""
    return both(-lead(table, row, by=by), -trail(table, row, by=by))


def both(*effects: Effect) -> Effect:
    """The smallest of several effects: positive only if all are. Each is a finished effect, on its own findings."""
    return joined(lambda *found: smallest([one.about() for one in found]), *effects)


def each(*effects: Effect) -> Effect:
    """The same of effects that are asked each in its own way, by another average say."""
    return Effect(lambda side, how: smallest([one(side).about() for one in effects]))


def within(effect: Effect) -> Effect:
    """How far inside the margin a difference is: positive if the two are about equal."""
    return joined(lambda one: one.map(lambda x: MARGIN - np.abs(x)), effect)


def among(which: str, table: int, plus: str, minus: str, of: int | None = None) -> Effect:
    """One row minus another over the findings that are common, or rare, among a table's studies."""

    def ask(side: Side, how: How) -> Quantity:
        names = {"common": common, "rare": rare}[which](side, table)
        return over(side, table, plus, names) - over(side, of or table, minus, names)

    return Effect(ask)


def refused(reason: str) -> Effect:
    """What no number anywhere can judge, for this reason."""

    def ask(side: Side, how: How) -> Quantity:
        raise CannotTell(reason)

    return Effect(ask)


def _scores(table: int, row: str, among: Sequence[str] = ()) -> list[Effect]:
    """The scores of a row, and of the others of its table or of `among`."""
    others = [one for one in among or (MODELS if table >= 5 else facts.rows(table)) if one != row]
    return [Effect(functools.partial(_score, table, one)) for one in (row, *others)]


KNOWN: dict[str, Callable[..., Effect]] = {
    **{one.__name__: one for one in (gap, lead, trail, between, both, each, within, among, refused)},
    "mean_of": lambda *effects: joined(lambda *found: mean(found), *effects),
    "less": lambda one, other, share=1: joined(lambda a, b: a - b.times(share), one, other),
    "minus": lambda effect: -effect,
    "by": lambda average, effect: effect.asked(average=average),
    "on_shared": lambda effect: effect.asked(findings=NIH_SHARED),
}
