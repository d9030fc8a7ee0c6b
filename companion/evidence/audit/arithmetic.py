"""Do the numbers that the paper prints agree: in its tables, and between its text and its tables?

A printed 0.346 stands for everything from 0.3455 to 0.3465; whoever recomputes it from other printed numbers must carry
such ranges along, and only then can rounding be distinguished from error. Tables 2 to 4 print precision and recall
beside F1: a micro-F1 must be their harmonic mean, a macro-F1 cannot be more (the harmonic mean is concave). Tables 5
and 6 print every finding, so their macro rows can be recomputed. Every number that the text, abstract and conclusion
state about results is in `statements.yml`: it is a cell said again, or follows from cells, or stands alone. The last
kind is listed too: what cannot be checked is not a number that agrees. One that is said in several places counts once
in each.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import yaml

from chexreason import prompts
from chexreason.recipe import Sizes
from companion.evidence.audit import facts
from companion.evidence.tables import MODELS, TABLES, title_of

#: For binary fractions that stand for decimal ones.
_SLACK = 1e-9

AGREES, ROUNDING, ERROR, ALONE = "agrees", "rounding", "error", "nothing to check against"


class Range(NamedTuple):
    """All values from `low` to `high`."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The value in the middle: what was printed, for a range made by `printed`."""
        return (self.low + self.high) / 2

    def meets(self, low: float, high: float) -> bool:
        """Whether some value lies in both this range and that from `low` to `high`."""
        return self.low <= high + _SLACK and low <= self.high + _SLACK


def exactly(value: float) -> Range:
    """A number that is not rounded, such as a count."""
    return Range(value, value)


@functools.cache
def printed(text: str) -> Range:
    """The range that a printed number stands for; a percentage as a share. Raises ValueError for anything else.

    >>> printed("0.346")
    Range(low=0.3455, high=0.3465)
    >>> printed("23%").low, printed("+0.026").high
    (0.225, 0.0265)
    """
    found = re.fullmatch(r"([+−-]?)(\d+(?:\.\d+)?)(%?)", text.replace(",", ""))
    if not found:
        raise ValueError(f"expected a number such as 0.346 or 23%, got {text!r}")
    sign, digits, percent = found.groups()
    value = Decimal(digits) * (-1 if sign in ("−", "-") and sign else 1)
    half = Decimal(1).scaleb(int(Decimal(digits).as_tuple().exponent)) / 2
    scale = 100 if percent else 1
    return Range(float((value - half) / scale), float((value + half) / scale))


def over(act: Callable[..., float], *ranges: Range) -> Range:
    """All values of a function that is monotone in each of its arguments, from the ends of their ranges."""
    values = [act(*ends) for ends in itertools.product(*ranges)]
    return Range(min(values), max(values))


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second)


class Check(NamedTuple):
    """One printed number, recomputed."""

    where: str
    what: str
    printed: str
    recomputed: float
    verdict: str
    note: str = ""


def check(place: str, what: str, text: str, possible: Range | None, note: str = "", point: float = 0.0) -> Check:
    """Hold a printed number against what its operands allow, None without any; `point` is what they give as printed.

    It agrees if the point rounds to the printed number, and differs by rounding if unrounded operands may give it.
    """
    own = printed(text)
    if possible is None:
        return Check(place, what, text, own.middle, ALONE, note)
    point = point or possible.middle
    verdict = AGREES if own.meets(point, point) else ROUNDING if own.meets(*possible) else ERROR
    return Check(place, what, text, point, verdict, note)


def tables() -> list[Check]:
    """Every number that others of its table give."""
    return [*_macro_averages(), *_from_precision_and_recall()]


def _macro_averages() -> Iterator[Check]:
    """Each macro average of Tables 5 and 6 from the findings above it."""
    for number in (5, 6):
        cells = facts.cells(number)
        for model, title in MODELS.items():
            rows = [printed(text) for (row, name, _), text in cells.items() if name == model and row != "macro"]
            what = f"macro-F1 of {title} from its {len(rows)} findings"
            yield check(
                f"Table {number}", what, cells["macro", model, "f1"], Range(*map(fmean, zip(*rows, strict=True)))
            )


def _from_precision_and_recall() -> Iterator[Check]:
    """Each micro-F1 of Tables 2 to 4 as the harmonic mean of P and R, and each macro-F1 against that bound."""
    for average, number in itertools.product(("micro", "macro"), (2, 3, 4)):
        cells, place = facts.cells(number), f"Table {number}"
        for row in facts.rows(number):
            texts = [cells[row, average, metric] for metric in ("precision", "recall")]
            whole, point = over(_harmonic, *map(printed, texts)), _harmonic(*map(float, texts))
            text, what = cells[row, average, "f1"], f"{average}-F1 of {title_of(TABLES[number], row)}"
            if average == "micro":
                yield check(place, f"{what} from its P and R", text, whole, point=point)
            else:
                found = AGREES if printed(text).low <= whole.high else ERROR
                note = "the recomputed value is an upper bound"
                yield Check(place, f"{what} is no more than its P and R allow", text, point, found, note)


STATEMENTS = yaml.safe_load(Path(__file__).with_name("statements.yml").read_text(encoding="utf-8"))
#: Prompts of Table 1 whose recall section 4.1 gives.
STATED_RECALL: dict[str, str] = {one["recall"]: one["printed"] for one in STATEMENTS if "recall" in one}
COUNTS: Mapping[str, Callable[[], int]] = {
    "sft": lambda: Sizes.sft,
    "grpo": lambda: Sizes.rl,
    "tuned": lambda: sum(table.section == "4.2" for table in TABLES.values()),
    "rewards": lambda: len({row.partition("_")[0] for row in facts.rows(4)}),
    "checklist": lambda: len(prompts.CHECKLIST),
    "elsewhere": lambda: len({table.dataset for table in TABLES.values()} - {"mimic"}),
}


def cell(table: int, row: str, column: str, metric: str = "f1") -> Range:
    """A printed cell as a range."""
    return printed(facts.cells(table)[row, column, metric])


def _between(act: Callable[[float, float], float]) -> Callable[[Sequence[Any]], Range]:
    """From one cell to another."""
    return lambda cells: over(act, *(cell(*one) for one in cells))


#: What a statement of the text follows from -> the range of values that this allows.
FOLLOWS: Mapping[str, Callable[[Any], Range]] = {
    "cell": lambda key: cell(*key),
    "rise": _between(lambda first, last: last / first - 1),
    "fall": _between(lambda first, last: 1 - last / first),  # stated without its sign
    "gain": _between(lambda first, last: last - first),
    "rows": lambda given: exactly(len(facts.rows(given[0])) + given[1]),
    "columns": lambda table: exactly(len({name for _, name, _ in facts.cells(table)})),
    "count": lambda name: exactly(COUNTS[name]()),
    "equals": exactly,
}


def text_numbers() -> list[Check]:
    """Every number of the text: agrees, differs by rounding, is an error, or has nothing to check against."""
    found = []
    for one in STATEMENTS:
        follows = next((act(one[name]) for name, act in FOLLOWS.items() if name in one), None)
        for place in one["places"].split("; "):
            found.append(check(place, one["says"], one["printed"], follows, one.get("note", "")))
    return found


def implied_precision(row: str) -> float:
    """Micro precision of a prompt of Table 1 from its micro-F1 and the recall that section 4.1 gives: F R / (2R - F).

    The paper says that the prompts differ "primarily by recall rather than precision", and prints no precision.
    """
    return over(lambda f1, r: f1 * r / (2 * r - f1), cell(1, row, "micro"), printed(STATED_RECALL[row])).middle
