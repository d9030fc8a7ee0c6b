"""Every part of the audit as a table: one set of data frames for the page, the terminal and programs.

Cells are text, numbers, `Interval`, or a number that is shown in its own way (`Change` with a sign, `Percent`).
The comparisons that the text makes and the best that it names are views of the ledger (`claims`).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from chexreason.labels import FINDINGS
from companion.evidence import contradictions, sealed
from companion.evidence.audit import (
    arithmetic,
    attainability,
    conventions,
    facts,
    lines,
    matched,
    operating,
    power,
    statements,
    validation,
)
from companion.evidence.audit import differences as leaned
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit.printed import AGREES, ALONE, DEPENDS, ERROR, ROUNDING, UNBORNE
from companion.evidence.claims import views
from companion.evidence.claims.views import Change
from companion.evidence.comparable import ENOUGH
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS, TABLES, title_of

SEED = 0


class Percent(float):
    """A share, shown in percent."""


@dataclass(frozen=True)
class Part:
    """One part of the audit: its title, its table, and what is said above it."""

    title: str
    make: Callable[[], pd.DataFrame]
    note: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """The table; made once."""
        return _made(self.make)


@functools.cache
def _made(make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return make()


def transcription() -> pd.DataFrame:
    """The six tables as they were written from the paper, with the digests that guard them."""
    return pd.DataFrame(
        {"table": f"Table {number}", "what": TABLES[number].title, "numbers": len(facts.cells(number)),
         "SHA-256": digest[:16]}
        for number, digest in facts.digests().items()
    )  # fmt: skip


def _numbers(checks: Sequence[arithmetic.Check]) -> pd.DataFrame:
    return pd.DataFrame(
        {"where": one.place, "what": one.what, "printed": one.printed,
         "recomputed": "–" if one.verdict == ALONE else f"{one.recomputed:.4f}".replace("-", "−"),
         "verdict": one.verdict, "note": one.note}
        for one in checks
    )  # fmt: skip


def table_numbers() -> pd.DataFrame:
    """Every number of the tables that others of them give."""
    return _numbers(arithmetic.tables())


def text_numbers() -> pd.DataFrame:
    """Every number of the text."""
    return _numbers(statements.text_numbers())


def contradicted() -> pd.DataFrame:
    """Where the paper says two things, with both places."""
    return pd.DataFrame(
        {"the paper says": f"{one.says} ({one.first})", "and yet": f"{one.against} ({one.second})",
         "why it matters": one.matters}
        for one in contradictions.found()
    )  # fmt: skip


def crossings() -> pd.DataFrame:
    """Each model from CheXpert to NIH."""
    return pd.DataFrame(
        {"model": MODELS[model], "CheXpert, 14": one.near_all, "CheXpert, 9": one.near, "NIH, 9": one.far,
         "as stated": Percent(one.stated), "matched": Percent(one.matched)}
        for model, one in matched.crossings().items()
    )  # fmt: skip


def waterfalls() -> pd.DataFrame:
    """Every change that the argument leans on, and without the finding that moves most."""
    return pd.DataFrame(
        {"change": one.title, "average": Change(one.change), "most by": one.largest.finding,
         "without it": Change(one.without_largest()), "gain": one.rises, "lose": one.falls}
        for one in matched.taken_apart()
    )  # fmt: skip


def reference_lines() -> pd.DataFrame:
    """What readers without an image, the report labeler and radiologists score on each table's studies."""
    return pd.DataFrame(
        {"studies of": "Tables 1 to 4" if number == 1 else f"Table {number}", "reader": line.reader,
         "macro-F1": line.macro, "micro-F1": line.micro, "source": line.source}
        for number in (1, 5, 6)
        for line in lines.reference_lines(number)
    )  # fmt: skip


def sizes() -> pd.DataFrame:
    """Sizes that the validation set may have had, and how many of the printed failure rates each cannot give."""
    rates = attainability.failure_rates()
    return pd.DataFrame(
        {"validation set": name, "size": n, "printed rates it cannot give": len(attainability.fits(rates, n))}
        for name, n in attainability.candidates().items()
    )


def averages() -> pd.DataFrame:
    """Macro-F1 of the five models with intervals over studies."""
    rng = np.random.default_rng(SEED)
    columns = {f"CheXpert, n = {facts.size('chexpert', 'test')}": sure.table_intervals(5, rng)}
    columns |= {f"NIH, n = {n:,}, if so": sure.table_intervals(6, rng, n) for n in sure.NIH_SIZES}
    return pd.DataFrame({"model": MODELS} | {name: pd.Series(found) for name, found in columns.items()})


def scores_on_validation() -> pd.DataFrame:
    """Micro- and macro-F1 of every row of Tables 1 to 4 with intervals."""
    return pd.DataFrame(
        {"table": f"Table {table}", "row": title_of(TABLES[table], row), "micro-F1": one["micro"],
         "macro-F1": one["macro"]}
        for (table, row), one in validation.intervals(np.random.default_rng(SEED)).items()
    )  # fmt: skip


def findings() -> pd.DataFrame:
    """F1 of each finding under each of the five models with intervals, and its positives."""
    rows = []
    for table, n in ((5, None), *((6, n) for n in sure.NIH_SIZES)):
        found = sure.finding_intervals(table, n)
        for name in dict.fromkeys(name for name, _ in found):
            positives = found[name, "chexreason"][1]
            rows.append({"table": table, "n": n or facts.size("chexpert", "test"), "finding": name,
                         "positives": round(positives, 1), "few": "yes" if positives < ENOUGH else "",
                         **{title: found[name, model][0] for model, title in MODELS.items()}})  # fmt: skip
    return pd.DataFrame(rows)


def differences() -> pd.DataFrame:
    """The differences that the paper leans on, at each correlation of two models' errors that is tried."""
    return pd.DataFrame(
        {"change": one.lean.name, "table": one.lean.table, "n": one.n,
         **{f"r = {r:g}": Interval(*map(Change, (at.estimate, at.low, at.high))) for r, at in one.at.items()}}
        for one in leaned.differences()
    )  # fmt: skip


def studies_needed() -> pd.DataFrame:
    """How many studies each difference takes, and with whose prevalences."""
    rows = [
        {"difference": one.name, "macro-F1": f"{one.macros[0]:.3f} or {one.macros[1]:.3f}",
         "studies used": one.used, "needed": one.needed(), "assumed": one.assumed,
         **{f"prevalences of {name}": one.at_hospitals().get(name) for name in conventions.PARTS}}
        for one in power.questions()
    ]  # fmt: skip
    return pd.DataFrame(rows, dtype=object)


def labels_named() -> pd.DataFrame:
    """Labels named per label recorded, of each row where P and R can be had."""
    return pd.DataFrame(
        {"table": f"Table {one.table}", "row": title_of(TABLES[one.table], one.row), "stage": one.stage,
         "labels named per label recorded": one.ratio} for one in operating.all_named()
    )  # fmt: skip


def company() -> pd.DataFrame:
    """How often a label comes with another, by mined labels and by radiologists."""
    return pd.DataFrame(
        {"CheXpert studies with": f"{one.given} with {one.also}", "mined labels": f"{one.reports:.0%}",
         "radiologists": f"{one.radiologists:.0%}"}
        for one in conventions.together()
    )  # fmt: skip


def prevalences() -> pd.DataFrame:
    """How frequent each finding is at each place: uncertain labels as negative / as positive / ignored."""
    columns = {
        name: {finding: " / ".join(f"{share:.1%}" for share in (shares if shares[0] < shares[1] else shares[:1]))
               for finding, shares in conventions.policies(dataset, split).items()}
        for name, (dataset, split, _) in conventions.PARTS.items()
    }  # fmt: skip
    return pd.DataFrame({"finding": name, **{place: found.get(name, "–") for place, found in columns.items()}}
                        for name in FINDINGS)  # fmt: skip


PARTS: Mapping[str, Part] = {
    "transcription": Part("Transcription", transcription, "Each file is read only if it has the digest that it had "
                          "when it was held against the paper's text."),
    "arithmetic": Part("Numbers of the tables", table_numbers),
    "text": Part("Numbers of the text", text_numbers),
    "comparisons": Part("Comparisons in the text", views.comparisons),
    "best": Part("The best of each column", views.best),
    "contradictions": Part("Contradictions", contradicted),
    "untold": Part("Claims without a verdict", views.untold),
    "crossings": Part("The same nine findings on both sides", crossings),
    "waterfalls": Part("Changes of the average, and without the finding that moves most", waterfalls),
    "lines": Part("Reference lines", reference_lines),
    "sizes": Part("Possible sizes of the validation set", sizes, "A fit is no proof."),
    "averages": Part("Intervals of the averages (95 %, over studies)", averages),
    "validation": Part("Intervals of validation scores (95 %, if as many studies as the CheXpert test set has)",
                       scores_on_validation),
    "findings": Part("Intervals of the findings (95 %, over studies)", findings),
    "differences": Part("Intervals of the changes that the paper leans on", differences, "r is how far two models' "
                        "errors on the same studies correlate, which is not in the text we have."),
    "power": Part(f"Studies needed ({power.POWER:.0%} power)", studies_needed),
    "named": Part("Labels named per label recorded", labels_named),
    "company": Part("Who occurs with whom", company),
    "prevalences": Part("Prevalence under each policy", prevalences),
}  # fmt: skip


def counted(frame: pd.DataFrame) -> str:
    """How many rows have each verdict, in words."""
    order = (AGREES, ROUNDING, DEPENDS, UNBORNE, ERROR, ALONE)
    count = frame["verdict"].value_counts()
    return ", ".join(f"{verdict} {count[verdict]}" for verdict in order if verdict in count)


def remarkable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that do not simply agree."""
    return frame[~frame["verdict"].isin([AGREES, views.UNSTATED])]


def data() -> dict[str, Any]:
    """Every part for a program: its title, its note and its rows."""

    def plain(value: object) -> object:
        if isinstance(value, Interval):
            return asdict(value)
        return value.item() if isinstance(value, np.generic) else None if value != value else value

    return {"tier": "published", "paper": facts.PAPER, "altered": sealed.altered(), **{
        name: {"title": part.title, "note": part.note,
               "rows": [{str(key): plain(cell) for key, cell in row.items()} for row in part.frame.to_dict("records")]}
        for name, part in PARTS.items()
    }}  # fmt: skip
