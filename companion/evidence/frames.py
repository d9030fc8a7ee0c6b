"""Every part of the audit as a table: one set of data frames for the page, the terminal and programs.

Cells are text, numbers, `Interval`, or a number that is shown in its own way (`Change` with a sign, `Percent`).
What the text claims by comparing is in the ledger (`claims`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from chexreason.labels import FINDINGS
from companion.evidence import contradictions, sealed
from companion.evidence.audit import (
    arithmetic,
    attainability,
    conventions,
    differences,
    facts,
    lines,
    matched,
    operating,
    power,
    validation,
)
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit.arithmetic import AGREES, ALONE, ERROR, ROUNDING
from companion.evidence.claims import views
from companion.evidence.claims.views import Change
from companion.evidence.comparable import ENOUGH
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS, TABLES, title_of

#: The rows of a part: its columns by name.
Rows = Iterable[dict[str, Any]]


class Percent(float):
    """A share, shown in percent."""


@dataclass(frozen=True)
class Part:
    """One part of the audit: its title, its table, and what is said above it."""

    title: str
    make: Callable[[], pd.DataFrame | Rows]
    note: str = ""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table; made once."""
        return pd.DataFrame(self.make())


def _numbers(checks: Iterable[arithmetic.Check]) -> Rows:
    for one in checks:
        recomputed = "–" if one.verdict == ALONE else f"{one.recomputed:.4f}".replace("-", "−")
        yield one._asdict() | {"recomputed": recomputed}


def _averages() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns = {f"CheXpert, n = {facts.size('chexpert', 'test')}": sure.table_intervals(5, rng)}
    columns |= {f"NIH, n = {n:,}, if so": sure.table_intervals(6, rng, n) for n in sure.NIH_SIZES}
    return pd.DataFrame({"model": MODELS} | {name: pd.Series(found) for name, found in columns.items()})


def _findings() -> Rows:
    for table, n in ((5, facts.size("chexpert", "test")), *((6, n) for n in sure.NIH_SIZES)):
        for name, support in sure.supports_of(table, n).items():
            scores = {title: sure.interval(facts.value(table, name, model), support) for model, title in MODELS.items()}
            yield {"table": table, "n": n, "finding": name, "positives": round(support, 1),
                   "few": "yes" if support < ENOUGH else "", **scores}  # fmt: skip


def _prevalences() -> Rows:
    """Uncertain labels as negative / as positive / ignored."""
    places = {place: conventions.policies(dataset, split) for place, (dataset, split, _) in conventions.PARTS.items()}
    for name in FINDINGS:
        found = {place: shares.get(name, ()) for place, shares in places.items()}
        yield {"finding": name} | {
            place: " / ".join(f"{share:.1%}" for share in (some if some[0] < some[1] else some[:1])) if some else "–"
            for place, some in found.items()
        }


PARTS: Mapping[str, Part] = {
    "transcription": Part("Transcription", lambda: [
        {"table": f"Table {number}", "what": TABLES[number].title, "numbers": len(facts.cells(number)),
         "SHA-256": digest[:16]}
        for number, digest in facts.digests().items()
    ], "Each file is read only if it has the digest that it had when it was held against the paper's text."),
    "arithmetic": Part("Numbers of the tables", lambda: _numbers(arithmetic.tables())),
    "text": Part("Numbers of the text", lambda: _numbers(arithmetic.text_numbers())),
    "contradictions": Part("Contradictions", lambda: [
        {"the paper says": f"{one.says} ({one.first})", "and yet": f"{one.against} ({one.second})",
         "why it matters": one.matters}
        for one in contradictions.found()
    ]),
    "untold": Part("Claims without a verdict", views.untold),
    "crossings": Part("The same nine findings on both sides", lambda: [
        {"model": MODELS[model], "CheXpert, 14": one.near_all, "CheXpert, 9": one.near, "NIH, 9": one.far,
         "as stated": Percent(one.stated), "matched": Percent(one.matched)}
        for model, one in matched.crossings().items()
    ]),
    "waterfalls": Part("Changes of the average, and without the finding that moves most", lambda: [
        {"change": one.title, "average": Change(one.change), "most by": one.largest.finding,
         "without it": Change(one.without_largest()), "gain": one.rises, "lose": one.falls}
        for one in (*(matched.waterfall(*one) for one in matched.LEANS_ON),
                    *map(matched.crossing_waterfall, matched.CROSSING))
    ]),
    "lines": Part("Reference lines", lambda: [
        {"studies of": "Tables 1 to 4" if number == 1 else f"Table {number}", "reader": line.reader,
         "macro-F1": line.macro, "micro-F1": line.micro, "source": line.source}
        for number in (1, 5, 6)
        for line in lines.reference_lines(number)
    ]),
    "sizes": Part("Possible sizes of the validation set", lambda: [
        {"validation set": name, "size": n,
         "printed rates it cannot give": len(attainability.fits(attainability.failure_rates(), n))}
        for name, n in attainability.candidates().items()
    ], "A fit is no proof."),
    "averages": Part("Intervals of the averages (95 %, over studies)", _averages),
    "validation": Part("Intervals of validation scores (95 %, if as many studies as the CheXpert test set has)",
                       lambda: [
        {"table": f"Table {table}", "row": title_of(TABLES[table], row), "micro-F1": one["micro"],
         "macro-F1": one["macro"]}
        for (table, row), one in validation.intervals(np.random.default_rng(0)).items()
    ]),
    "findings": Part("Intervals of the findings (95 %, over studies)", _findings),
    "differences": Part("Intervals of the changes that the paper leans on", lambda: [
        {"change": one.lean.name, "table": one.lean.table, "n": one.n,
         **{f"r = {r:g}": Interval(*map(Change, (at.estimate, at.low, at.high))) for r, at in one.at.items()}}
        for one in differences.differences()
    ], "r is how far two models' errors on the same studies correlate, which is not in the text we have."),
    "power": Part(f"Studies needed ({power.POWER:.0%} power)", lambda: pd.DataFrame([
        {"difference": one.name, "macro-F1": f"{one.macros[0]:.3f} or {one.macros[1]:.3f}", "studies used": one.used,
         "needed": one.needed(), "assumed": one.assumed,
         **{f"prevalences of {name}": one.at_hospitals().get(name) for name in conventions.PARTS}}
        for one in power.questions()
    ], dtype=object)),
    "named": Part("Labels named per label recorded", lambda: [
        {"table": f"Table {one.table}", "row": title_of(TABLES[one.table], one.row),
         "stage": operating.STAGES[one.table], "labels named per label recorded": one.ratio}
        for one in operating.all_named()
    ]),
    "company": Part("Who occurs with whom", lambda: [
        {"CheXpert studies with": f"{one.given} with {one.also}", "mined labels": f"{one.reports:.0%}",
         "radiologists": f"{one.radiologists:.0%}"}
        for one in conventions.together()
    ]),
    "prevalences": Part("Prevalence under each policy", _prevalences),
}  # fmt: skip


def counted(frame: pd.DataFrame) -> str:
    """How many rows have each verdict, in words."""
    count = frame["verdict"].value_counts()
    return ", ".join(f"{verdict} {count[verdict]}" for verdict in (AGREES, ROUNDING, ERROR, ALONE) if verdict in count)


def remarkable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that do not simply agree."""
    return frame[frame["verdict"] != AGREES]


def data() -> dict[str, Any]:
    """Every part for a program: its title, its note and its rows."""

    def plain(value: object) -> object:
        if isinstance(value, Interval):
            return asdict(value)
        return value.item() if isinstance(value, np.generic) else None if value != value else value

    return {"tier": "published", "paper": facts.PAPER, "altered": sealed.altered(), **{
        name: {"title": one.title, "note": one.note,
               "rows": [{str(key): plain(cell) for key, cell in row.items()} for row in one.frame.to_dict("records")]}
        for name, one in PARTS.items()
    }}  # fmt: skip
