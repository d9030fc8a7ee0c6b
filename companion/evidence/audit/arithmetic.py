"""Does the paper's arithmetic hold: averages from their rows, F1 from P and R, and the best of each column.

Tables 2 to 4 print precision and recall beside F1. For the micro average F1 must be their harmonic mean.
For the macro average it cannot be more than that (the harmonic mean is concave, so the mean of the
findings' F1 lies below the F1 of the mean P and R); it would be equal only if the paper had averaged P
and R first. Tables 5 and 6 print every finding, so their macro rows can be recomputed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from companion.evidence.audit import facts
from companion.evidence.audit.printed import AGREES, DEPENDS, ERROR, ROUNDING, Range, harmonic, mean, printed, verdict
from companion.evidence.tables import MODELS, TABLES, title_of


@dataclass(frozen=True)
class Check:
    """One printed number, recomputed."""

    kind: str  # what sort of check
    place: str  # where the number is printed
    what: str
    printed: str
    recomputed: float
    possible: Range  # what the recomputed value may be, given that its operands are rounded
    verdict: str  # agrees, rounding or error
    note: str = ""


def check(kind: str, place: str, what: str, text: str, possible: Range, note: str = "") -> Check:
    """Hold a printed number against what its operands allow."""
    return Check(kind, place, what, text, possible.middle, possible, verdict(text, possible.middle, possible), note)


def macro_averages() -> Iterator[Check]:
    """Each macro average of Tables 5 and 6 from the findings above it."""
    for number in (5, 6):
        cells = facts.cells(number)
        for model, title in MODELS.items():
            rows = [printed(text) for (row, name, _), text in cells.items() if name == model and row != "macro"]
            what = f"macro-F1 of {title} from its {len(rows)} findings"
            yield check("macro average", f"Table {number}", what, cells["macro", model, "f1"], mean(rows))


def micro_f1() -> Iterator[Check]:
    """Each micro-F1 of Tables 2 to 4 as the harmonic mean of micro precision and recall."""
    for number in (2, 3, 4):
        cells = facts.cells(number)
        for row in dict.fromkeys(key[0] for key in cells):
            whole = harmonic(printed(cells[row, "micro", "precision"]), printed(cells[row, "micro", "recall"]))
            point = _f1(number, row, "micro")
            text = cells[row, "micro", "f1"]
            what = f"micro-F1 of {title_of(TABLES[number], row)} from its P and R"
            yield Check("F1 from P and R", f"Table {number}", what, text, point, whole, verdict(text, point, whole))


def macro_f1_bounds() -> Iterator[Check]:
    """Each macro-F1 of Tables 2 to 4 against the most that its macro P and R allow."""
    for number in (2, 3, 4):
        cells = facts.cells(number)
        for row in dict.fromkeys(key[0] for key in cells):
            text = cells[row, "macro", "f1"]
            most = harmonic(printed(cells[row, "macro", "precision"]), printed(cells[row, "macro", "recall"])).high
            holds = printed(text).low <= most
            what = f"macro-F1 of {title_of(TABLES[number], row)} is no more than its P and R allow"
            point = _f1(number, row, "macro")
            yield Check("bound from P and R", f"Table {number}", what, text, point, Range(0, most),
                        AGREES if holds else ERROR, "the recomputed value is an upper bound")  # fmt: skip


def _f1(number: int, row: str, average: str) -> float:
    p, r = (facts.value(number, row, average, metric) for metric in ("precision", "recall"))
    return 2 * p * r / (p + r)


def tables() -> list[Check]:
    """All checks inside the tables."""
    return [*macro_averages(), *micro_f1(), *macro_f1_bounds()]


@dataclass(frozen=True)
class Best:
    """The best of a column (Tables 1 to 4) or row (Tables 5 and 6), how far ahead it is, and what the text says."""

    table: int
    of: str  # "micro-F1", or a finding
    names: tuple[str, ...]  # all that share the printed best
    value: float
    lead: float  # over the next distinct value; 0 if there is none
    stated: tuple[tuple[str, str], ...] = ()  # (where the text names a best, whom it names)

    @property
    def verdict(self) -> str:
        """Whether the text names the same: agrees, error, depends where it names two, or nothing to check against."""
        right = sum(name in self.names for _, name in self.stated)
        if not self.stated:
            return UNSTATED
        return AGREES if right == len(self.stated) else DEPENDS if right else ERROR


#: Of a column whose best the text leaves to the print (bold type, which the text that we have does not carry).
UNSTATED = "not stated in the text"
#: (table, column) -> where the text names a best, and whom.
STATED_BEST: Mapping[tuple[int, str], tuple[tuple[str, str], ...]] = {
    (1, "micro-F1"): (("section 4.1", "Reasoning Narrative"),),
    (1, "macro-F1"): (("section 4.1", "Reasoning Narrative"),),
    (2, "micro-F1"): (("section 4.2", "Only Label"), ("section 5", "Only Label")),
    (2, "macro-F1"): (("section 4.2", "Free Reasoning"), ("section 5", "Only Label")),
    (3, "micro-F1"): (("section 4.2", "Reasoning A"), ("section 5", "Reasoning A")),
    (3, "macro-F1"): (("section 4.2", "Reasoning A"), ("section 5", "Reasoning A")),
    (4, "micro-F1"): (("section 4.3", "Hard, best F1-score"),),
    (4, "macro-F1"): (("section 4.3", "Hard, best F1-score"),),
    (5, "macro average"): (("section 5", "NV-Reason"),),
    (6, "macro average"): (("section 4.3", "MedGemma (SFT)"),),
}


def best() -> list[Best]:
    """Who is best in each column of F1 (Tables 1 to 4) or row (Tables 5 and 6), and whom the text names."""
    found = []
    for number, spec in TABLES.items():
        cells = facts.cells(number)
        groups: dict[str, dict[str, str]] = {}
        for (row, name, metric), text in cells.items():
            if metric == "f1":
                of, who = (row, MODELS[name]) if number >= 5 else (f"{name}-F1", title_of(spec, row))
                groups.setdefault("macro average" if of == "macro" else of, {})[who] = text
        for of, values in groups.items():
            ranked = sorted({float(text) for text in values.values()}, reverse=True)
            names = tuple(who for who, text in values.items() if float(text) == ranked[0])
            lead = ranked[0] - ranked[1] if len(ranked) > 1 else 0.0
            found.append(Best(number, of, names, ranked[0], lead, STATED_BEST.get((number, of), ())))
    return found


def tally(checks: list[Check]) -> dict[str, int]:
    """How many checks agree, differ by rounding only, or are errors."""
    return {name: sum(one.verdict == name for one in checks) for name in (AGREES, ROUNDING, ERROR)}
