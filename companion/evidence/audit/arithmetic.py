"""Does the paper's arithmetic hold: averages from their rows, F1 from P and R.

Tables 2 to 4 print precision and recall beside F1. For the micro average F1 must be their harmonic mean.
For the macro average it cannot be more than that (the harmonic mean is concave, so the mean of the
findings' F1 lies below the F1 of the mean P and R); it would be equal only if the paper had averaged P
and R first. Tables 5 and 6 print every finding, so their macro rows can be recomputed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from companion.evidence.audit import facts
from companion.evidence.audit.printed import AGREES, ERROR, ROUNDING, Range, harmonic, mean, printed, verdict
from companion.evidence.tables import MODELS, TABLES, title_of


@dataclass(frozen=True)
class Check:
    """One printed number, recomputed."""

    place: str  # where the number is printed
    what: str
    printed: str
    recomputed: float
    possible: Range  # what the recomputed value may be, given that its operands are rounded
    verdict: str  # agrees, rounding or error
    note: str = ""


def check(place: str, what: str, text: str, possible: Range, note: str = "", point: float | None = None) -> Check:
    """Hold a printed number against what its operands allow; `point` is what they give as printed."""
    point = possible.middle if point is None else point
    return Check(place, what, text, point, possible, verdict(text, point, possible), note)


def macro_averages() -> Iterator[Check]:
    """Each macro average of Tables 5 and 6 from the findings above it."""
    for number in (5, 6):
        cells = facts.cells(number)
        for model, title in MODELS.items():
            rows = [printed(text) for (row, name, _), text in cells.items() if name == model and row != "macro"]
            what = f"macro-F1 of {title} from its {len(rows)} findings"
            yield check(f"Table {number}", what, cells["macro", model, "f1"], mean(rows))


def from_precision_and_recall() -> Iterator[Check]:
    """Each micro-F1 of Tables 2 to 4 as the harmonic mean of P and R, and each macro-F1 against that bound."""
    for average in ("micro", "macro"):
        for number in (2, 3, 4):
            cells = facts.cells(number)
            for row in dict.fromkeys(key[0] for key in cells):
                texts = [cells[row, average, metric] for metric in ("precision", "recall")]
                whole, text = harmonic(*map(printed, texts)), cells[row, average, "f1"]
                p, r = map(float, texts)
                point, place, title = 2 * p * r / (p + r), f"Table {number}", title_of(TABLES[number], row)
                if average == "micro":
                    yield check(place, f"micro-F1 of {title} from its P and R", text, whole, point=point)
                else:
                    what = f"macro-F1 of {title} is no more than its P and R allow"
                    found = AGREES if printed(text).low <= whole.high else ERROR
                    yield Check(place, what, text, point, Range(0, whole.high), found,
                                "the recomputed value is an upper bound")  # fmt: skip


def tables() -> list[Check]:
    """All checks inside the tables."""
    return [*macro_averages(), *from_precision_and_recall()]


def tally(checks: Sequence[Check]) -> dict[str, int]:
    """How many checks agree, differ by rounding only, or are errors."""
    count = Counter(one.verdict for one in checks)
    return {name: count[name] for name in (AGREES, ROUNDING, ERROR)}
