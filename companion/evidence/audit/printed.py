"""Numbers as they are printed: a range of half a unit of the last place, and arithmetic on such ranges.

A printed 0.346 stands for everything from 0.3455 to 0.3465. Whoever recomputes a printed number from
other printed numbers must carry these ranges along; only then can rounding be told from error
(the paper's Tables 1 to 6 and every number of its text).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

#: For binary fractions that stand for decimal ones.
_SLACK = 1e-9

AGREES, ROUNDING, ERROR = "agrees", "rounding", "error"
#: Of a statement: true under one reading and not under another, under none, or nothing to hold it against.
DEPENDS, UNBORNE, ALONE = "depends", "not borne out", "nothing to check against"


@dataclass(frozen=True)
class Range:
    """All values from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"expected low <= high, got {self.low} and {self.high}")

    @property
    def middle(self) -> float:
        """The value in the middle: what was printed, for a range made by `printed`."""
        return (self.low + self.high) / 2

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: "Range") -> "Range":
        return Range(self.low - other.high, self.high - other.low)

    def __mul__(self, other: "Range") -> "Range":
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(ends), max(ends))

    def __truediv__(self, other: "Range") -> "Range":
        if other.low <= 0 <= other.high:
            raise ZeroDivisionError("a range that holds zero cannot divide")
        return self * Range(1 / other.high, 1 / other.low)

    def meets(self, other: "Range") -> bool:
        """Whether some value lies in both."""
        return self.low <= other.high + _SLACK and other.low <= self.high + _SLACK


def exactly(value: float) -> Range:
    """A number that is not rounded, such as a count."""
    return Range(value, value)


def printed(text: str) -> Range:
    """The range that a printed number stands for; a percentage as a share.

    >>> printed("0.346")
    Range(low=0.3455, high=0.3465)
    >>> printed("23%").low, printed("+0.026").high
    (0.225, 0.0265)

    Raises ValueError for anything that is not a number.
    """
    found = re.fullmatch(r"([+−-]?)(\d+(?:\.\d+)?)(%?)", text.replace(",", ""))
    if not found:
        raise ValueError(f"expected a number such as 0.346 or 23%, got {text!r}")
    sign, digits, percent = found.groups()
    value = Decimal(digits) * (-1 if sign in ("−", "-") and sign else 1)
    half = Decimal(1).scaleb(int(Decimal(digits).as_tuple().exponent)) / 2
    scale = 100 if percent else 1
    return Range(float((value - half) / scale), float((value + half) / scale))


def mean(ranges: Iterable[Range]) -> Range:
    """The mean of several ranges."""
    listed = list(ranges)
    return Range(sum(r.low for r in listed) / len(listed), sum(r.high for r in listed) / len(listed))


def harmonic(first: Range, second: Range) -> Range:
    """2ab / (a + b), which rises in both; 0 where both are 0."""

    def one(a: float, b: float) -> float:
        return 2 * a * b / (a + b) if a + b > 0 else 0.0

    return Range(one(max(first.low, 0), max(second.low, 0)), one(first.high, second.high))


def verdict(text: str, recomputed: float, possible: Range) -> str:
    """`agrees` if the recomputed value rounds to the printed one, `rounding` if the unrounded ones may, else `error`.

    >>> verdict("0.297", 0.2976, Range(0.2971, 0.2981)), verdict("0.253", 0.241, Range(0.2405, 0.2415))
    ('rounding', 'error')
    """
    stands_for = printed(text)
    if stands_for.meets(exactly(recomputed)):
        return AGREES
    return ROUNDING if stands_for.meets(possible) else ERROR
