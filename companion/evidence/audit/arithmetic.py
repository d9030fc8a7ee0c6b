"""Do the numbers that the paper prints agree: in its tables, and between its text and its tables?

A printed 0.346 stands for everything from 0.3455 to 0.3465; whoever recomputes it from other printed numbers must carry
such ranges along, and only then can rounding be distinguished from error. Tables 2 to 4 print precision and recall
beside F1: a micro-F1 must be their harmonic mean, a macro-F1 cannot be more (the harmonic mean is concave). Tables 5
and 6 print every finding, so their macro rows can be recomputed. Every number that the text, abstract and conclusion
state about results is in `statements.yml`: it is a cell said again, or follows from cells, or stands alone. The last
kind is listed too: what cannot be checked is not a number that agrees. One that is said in several places counts once
in each.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from chexreason import prompts
from chexreason.recipe import Sizes
from companion.evidence.audit import facts
from companion.evidence.tables import MODELS, TABLES, title_of

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


def mean(ranges: Sequence[Range]) -> Range:
    """The mean of several ranges."""
    return Range(sum(r.low for r in ranges) / len(ranges), sum(r.high for r in ranges) / len(ranges))


def harmonic(first: Range, second: Range) -> Range:
    """2ab / (a + b), which rises in both; 0 where both are 0."""
    pairs = (max(first.low, 0), max(second.low, 0)), (first.high, second.high)
    return Range(*(2 * a * b / (a + b) if a + b > 0 else 0.0 for a, b in pairs))


def verdict(text: str, recomputed: float, possible: Range) -> str:
    """`agrees` if the recomputed value rounds to the printed one, `rounding` if unrounded ones may, else `error`."""
    stands_for = printed(text)
    if stands_for.meets(exactly(recomputed)):
        return AGREES
    return ROUNDING if stands_for.meets(possible) else ERROR


class Check(NamedTuple):
    """One printed number, recomputed."""

    place: str  # where the number is printed
    what: str
    printed: str
    recomputed: float
    verdict: str  # agrees, rounding or error
    note: str = ""


def check(place: str, what: str, text: str, possible: Range, note: str = "", point: float | None = None) -> Check:
    """Hold a printed number against what its operands allow; `point` is what they give as printed."""
    point = possible.middle if point is None else point
    return Check(place, what, text, point, verdict(text, point, possible), note)


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
            yield check(f"Table {number}", what, cells["macro", model, "f1"], mean(rows))


def _from_precision_and_recall() -> Iterator[Check]:
    """Each micro-F1 of Tables 2 to 4 as the harmonic mean of P and R, and each macro-F1 against that bound."""
    for average in ("micro", "macro"):
        for number in (2, 3, 4):
            cells, place = facts.cells(number), f"Table {number}"
            for row in facts.rows(number):
                texts = [cells[row, average, metric] for metric in ("precision", "recall")]
                whole, text = harmonic(*map(printed, texts)), cells[row, average, "f1"]
                p, r = map(float, texts)
                point, what = 2 * p * r / (p + r), f"{average}-F1 of {title_of(TABLES[number], row)}"
                if average == "micro":
                    yield check(place, f"{what} from its P and R", text, whole, point=point)
                else:
                    found = AGREES if printed(text).low <= whole.high else ERROR
                    note = "the recomputed value is an upper bound"
                    yield Check(place, f"{what} is no more than its P and R allow", text, point, found, note)


STATEMENTS = yaml.safe_load(Path(__file__).with_name("statements.yml").read_text(encoding="utf-8"))
#: Prompts of Table 1 whose recall section 4.1 gives.
STATED_RECALL: dict[str, str] = {one["recall"]: one["printed"] for one in STATEMENTS if "recall" in one}
#: Size of each base model by its name: NV-Reason-CXR-3B, MedGemma-4B, Qwen2.5-VL-3B.
BILLIONS: tuple[int, ...] = (3, 4, 3)
COUNTS: Mapping[str, Callable[[], int]] = {
    "sft": lambda: Sizes.sft,
    "grpo": lambda: Sizes.rl,
    "bullets": lambda: 4,
    "tuned": lambda: sum(table.section == "4.2" for table in TABLES.values()),
    "rewards": lambda: len({row.partition("_")[0] for row in facts.rows(4)}),
    "checklist": lambda: len(prompts.CHECKLIST),
    "elsewhere": lambda: len({table.dataset for table in TABLES.values()} - {"mimic"}),
    "smallest": lambda: min(BILLIONS),
    "largest": lambda: max(BILLIONS),
    "models of Table 5": lambda: len({name for _, name, _ in facts.cells(5)}),
    "models of Table 6": lambda: len({name for _, name, _ in facts.cells(6)}),
}


def cell(table: int, row: str, column: str, metric: str = "f1") -> Range:
    """A printed cell as a range."""
    return printed(facts.cells(table)[row, column, metric])


def text_numbers() -> list[Check]:
    """Every number of the text: agrees, differs by rounding, is an error, or has nothing to check against."""
    found = []
    for one in STATEMENTS:
        note = one.get("note", "")
        for says, text, follows in _numbers(one):
            for place in one["places"].split("; "):
                if follows is None:
                    found.append(Check(place, says, text, printed(text).middle, ALONE, note))
                else:
                    found.append(check(place, says, text, follows, note))
    return found


def _numbers(one: Mapping[str, Any]) -> Iterator[tuple[str, str, Range | None]]:
    """The numbers of an entry: what each is, as printed, and what it follows from."""
    says, text = one.get("says", ""), one.get("printed", "")
    match one:
        case {"row": [table, row], "who": who}:
            yield from ((f"{name}-F1 of {who}", one[name], cell(table, row, name)) for name in ("micro", "macro")
                        if name in one)  # fmt: skip
        case {"model": [table, model]}:
            where = "CheXpert" if table == 5 else "NIH"
            yield f"macro-F1 of {one.get('who', MODELS[model])} on {where}", text, cell(table, "macro", model)
        case {"finding": [table, finding]}:
            for model in ("medgemma_sft", "chexreason"):
                yield f"{finding}, {MODELS[model]}, CheXpert", one[model], cell(table, finding, model)
        case {"change": [[table, model], [other, end]]}:
            share = cell(other, "macro", end) / cell(table, "macro", model)
            # A fall is stated without its sign.
            yield says, text, exactly(1) - share if says.startswith("fall") else share - exactly(1)
        case {"gain": [table, row, other]}:
            yield says, text, cell(table, row, "micro") - cell(table, other, "micro")
        case {"failure": [table, row]}:
            yield says, text, cell(table, row, "all", "failure_rate")
        case {"cell": key}:
            yield says, text, cell(*key)
        case {"rows": [table, more]}:
            yield says, text, exactly(len(facts.rows(table)) + more)
        case {"count": name}:
            yield says, text, exactly(COUNTS[name]())
        case _:
            yield says or f"recall of {prompts.PROMPTS[one['recall']].title}", text, None


def implied_precision(row: str, recall: str) -> Range:
    """Micro precision of a prompt of Table 1 from its micro-F1 and the recall that section 4.1 gives: F R / (2R - F).

    The paper says that the prompts differ "primarily by recall rather than precision", and prints no precision.
    """
    f1, r = cell(1, row, "micro"), printed(recall)
    corners = [f * x / (2 * x - f) for f in (f1.low, f1.high) for x in (r.low, r.high)]
    return Range(min(corners), max(corners))
