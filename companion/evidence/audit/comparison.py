"""What a comparison in the paper's text is, and how its own tables answer it (`comparisons` lists them).

"Highest", "followed by", "nearly matching": such a word compares printed values, often under one average and not
under the other, or at one checkpoint and not at the next. So a comparison is a list of pairs, one a reading; it
*agrees* if all hold, is *not borne out* if none does, and otherwise *depends* on what the pairs differ by. Words of
degree have no bar in the paper, and we set none: their direction is checked, and the two values are shown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from companion.evidence.audit import facts
from companion.evidence.audit.printed import AGREES, ALONE, DEPENDS, UNBORNE

BOTH: tuple[str, ...] = ("micro", "macro")


@dataclass(frozen=True)
class Pair:
    """Two printed values, or values that follow from printed ones, and whether they bear the statement out."""

    of: str  # what they are, such as "micro-F1"
    first: float
    second: float
    holds: bool


@dataclass(frozen=True)
class Comparison:
    """What the text says by comparing, in our words, and the pairs that decide it."""

    place: str
    says: str
    pairs: Callable[[], Sequence[Pair]] | None  # None: nothing is printed that could decide
    note: str = ""


@dataclass(frozen=True)
class Compared:
    """A comparison with its pairs and what they say."""

    place: str
    says: str
    pairs: tuple[Pair, ...]
    verdict: str  # agrees, depends, not borne out, or nothing to check against
    note: str


def held(one: Comparison) -> Compared:
    """A comparison, held against the tables."""
    if one.pairs is None:
        return Compared(one.place, one.says, (), ALONE, one.note)
    pairs = tuple(one.pairs())
    right = sum(pair.holds for pair in pairs)
    verdict = AGREES if right == len(pairs) else DEPENDS if right else UNBORNE
    return Compared(one.place, one.says, pairs, verdict, one.note)


def f1(table: int, row: str, average: str = "macro") -> float:
    """A printed F1: of a row of Tables 1 to 4, or the macro-F1 of a model of Tables 5 and 6."""
    return facts.value(table, "macro", row) if table >= 5 else facts.value(table, row, average)


def fail(table: int, row: str) -> float:
    """A printed failure rate."""
    return facts.value(table, row, "all", "failure_rate")


def rows(table: int) -> list[str]:
    """The rows of Tables 1 to 4, or the models of Tables 5 and 6."""
    return list(dict.fromkeys(key[1] if table >= 5 else key[0] for key in facts.cells(table)))


def above(of: str, first: float, second: float) -> Pair:
    """The first is said to be the larger."""
    return Pair(of, first, second, first > second)


def below(of: str, first: float, second: float) -> Pair:
    """The first is said to be the smaller."""
    return Pair(of, first, second, first < second)


def leads(table: int, row: str, averages: Iterable[str] = BOTH, among: Iterable[str] = ()) -> list[Pair]:
    """Said to be the best of its table, or of some rows; the second value is the best of the others."""
    others = [name for name in (tuple(among) or rows(table)) if name != row]
    return [above(_of(table, a), f1(table, row, a), max(f1(table, o, a) for o in others)) for a in averages]


def trails(table: int, row: str, averages: Iterable[str] = BOTH) -> list[Pair]:
    """Said to be the worst of its table; the second value is the worst of the others."""
    others = [name for name in rows(table) if name != row]
    return [below(_of(table, a), f1(table, row, a), min(f1(table, o, a) for o in others)) for a in averages]


def apart(table: int, first: str, second: str, average: str) -> float:
    """How far one row is above another."""
    return f1(table, first, average) - f1(table, second, average)


def _of(table: int, average: str) -> str:
    return f"{average}-F1" if table < 5 else "macro-F1 on CheXpert" if table == 5 else "macro-F1 on NIH"
