"""The audit as plain text, as wide as the terminal and no wider; the ledger is in `terminal_claims`."""

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from chexreason.settings import UNREAD
from companion.evidence.audit import (
    arithmetic,
    attainability,
    comparisons,
    contradictions,
    conventions,
    facts,
    lines,
    matched,
    power,
    statements,
    validation,
)
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit.differences import differences
from companion.evidence.audit.printed import AGREES, ALONE, DEPENDS, ERROR, ROUNDING, UNBORNE
from companion.evidence.tables import MODELS, TABLES, title_of
from companion.report.audit_lists import pair_text
from companion.report.theme import decimal, percent, signed

ABOUT = f"Recomputed from Tables 1 to 6 of {facts.PAPER} and public label counts; tier: published."
#: Narrower than this no table can be read, wider than that no line.
NARROWEST, WIDEST = 40, 110


def audit_text(width: int) -> str:
    """Every part of the audit, a section each."""
    parts = [
        _section("What the paper's own numbers support", width, _wrapped(ABOUT, width)),
        _section("Transcription", width, _transcription(width)),
        _section("Arithmetic", width, _arithmetic(width)),
        _section("Comparisons", width, _comparisons(width)),
        _section("The best of each column", width, _best(width)),
        _section("Contradictions", width, _contradictions(width)),
        _section("The same nine findings on both sides", width, _crossings(width)),
        _section("Changes of the average, and without the finding that moves most", width, _waterfalls(width)),
        _section("Reference lines", width, _lines(width)),
        _section("Possible scores", width, _possible(width)),
        _section("Intervals of the averages (95 %, over studies)", width, _intervals(width)),
        _section(f"Intervals of validation scores (95 %, if {validation.size()} studies)", width, _validation(width)),
        _section("Intervals of the changes that the paper leans on", width, _differences(width)),
        _section("Studies needed", width, _needed(width)),
        _section("Label conventions", width, _conventions(width)),
    ]  # fmt: skip
    return "\n\n".join(parts)


def _bounded(width: int) -> int:
    return max(NARROWEST, min(WIDEST, width))


def _section(title: str, width: int, body: str) -> str:
    width = _bounded(width)
    return f"{textwrap.fill(title, width)}\n{'=' * min(len(title), width)}\n{body}"


def _wrapped(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(text, _bounded(width), initial_indent=indent, subsequent_indent=indent + "  ")


def _arithmetic(width: int) -> str:
    out = []
    for title, checks in (("tables", arithmetic.tables()), ("text", statements.text_numbers())):
        count = arithmetic.tally(checks)
        alone = len(checks) - sum(count.values())
        out.append(_wrapped(
            f"{title}: {len(checks)} numbers; {count[AGREES]} agree, {count[ROUNDING]} differ by rounding only, "
            f"{count[ERROR]} are errors, {alone} have nothing to be held against.", width,
        ))  # fmt: skip
        for one in checks:
            if one.verdict != AGREES:
                tail = f" ({one.note})" if one.note else ""
                value = f"recomputed {one.recomputed:.4f}" if one.verdict in (ROUNDING, ERROR) else one.verdict
                out.append(_wrapped(f"- {one.place}: {one.what}: printed {one.printed}, {value}{tail}", width, "  "))
    return "\n".join(out)


def _transcription(width: int) -> str:
    rows = [
        (f"Table {number}", str(len(facts.cells(number))), digest[:16]) for number, digest in facts.digests().items()
    ]
    note = "Each file is read only if it has the digest that it had when it was held against the paper's text."
    return f"{_wrapped(note, width)}\n{_table(('table', 'numbers', 'SHA-256'), rows, width)}"


def _comparisons(width: int) -> str:
    said = comparisons.compared()
    count = {verdict: sum(one.verdict == verdict for one in said) for verdict in (AGREES, DEPENDS, UNBORNE, ALONE)}
    out = [_wrapped(
        f"{len(said)} in the text; {count[AGREES]} agree with the tables, {count[DEPENDS]} depend on the averaging, "
        f"the checkpoint or the findings, {count[UNBORNE]} are not borne out, {count[ALONE]} rest on nothing printed.",
        width,
    )]  # fmt: skip
    for one in said:
        if one.verdict != AGREES:
            pairs = "; ".join(pair_text(pair) for pair in one.pairs)
            tail = f" {pairs}" if pairs else ""
            note = f" ({one.note})" if one.note else ""
            out.append(_wrapped(f"- {one.place}: {one.says}: {one.verdict}.{tail}{note}", width, "  "))
    return "\n".join(out)


def _best(width: int) -> str:
    rows = [
        (f"Table {one.table}, {one.of}", " and ".join(one.names), decimal(one.value), signed(one.lead), one.verdict)
        for one in arithmetic.best()
        if one.stated
    ]
    return _table(("of", "best", "value", "ahead by", "the text"), rows, width)


def _contradictions(width: int) -> str:
    return "\n".join(
        _wrapped(f"{i}. {one.says} ({one.first}); and yet: {one.against} ({one.second}).", width)
        for i, one in enumerate((one for one in contradictions.CONTRADICTIONS if one.still), 1)
    )


def _crossings(width: int) -> str:
    head = ("model", "CheXpert, 14", "CheXpert, 9", "NIH, 9", "as stated", "matched")
    rows = [
        (MODELS[model], decimal(one.near_all), decimal(one.near), decimal(one.far), percent(one.stated),
         percent(one.matched))
        for model, one in matched.crossings().items()
    ]  # fmt: skip
    return _table(head, rows, width)


def _waterfalls(width: int) -> str:
    rows = []
    for one in matched.taken_apart():
        place = f"{MODELS[one.first]} to {MODELS[one.second]}, Table {one.table}"
        place = f"{MODELS[one.first]}, CheXpert to NIH" if one.crossing else place
        rows.append((place, signed(one.change), one.largest.finding, signed(one.without_largest())))
    return _table(("change", "average", "most by", "without it"), rows, width)


def _lines(width: int) -> str:
    found = [(table, line) for table in (1, 5, 6) for line in lines.reference_lines(table)]
    sources = list(dict.fromkeys(line.source for _, line in found))
    rows = [
        ("Tables 1 to 4" if table == 1 else f"Table {table}", line.reader, decimal(line.macro), decimal(line.micro),
         f"[{sources.index(line.source) + 1}]")
        for table, line in found
    ]  # fmt: skip
    told = "\n".join(_wrapped(f"[{i}] {source}", width) for i, source in enumerate(sources, 1))
    return f"{_table(('of', 'reader', 'macro-F1', 'micro-F1', 'source'), rows, width)}\n{told}"


def _possible(width: int) -> str:
    ways = attainability.chexpert_cells()
    impossible = sum(number == 0 for number in ways.values())
    rates = attainability.failure_rates()
    studies = facts.size("chexpert", "test")
    out = [f"{impossible} of {len(ways)} values of Table 5 cannot be reached with {studies} studies."]
    for name, n in attainability.candidates().items():
        cannot = attainability.fits(rates, n)
        said = f"cannot give {len(cannot)} of the printed rates" if cannot else "can give every printed rate"
        out.append(f"Validation set: {n} ({name}) {said}.")
    out.append(f"From {attainability.all_fit_from()} studies on, every number can. A fit is no proof.")
    return "\n".join(_wrapped(line, width) for line in out)


def _intervals(width: int) -> str:
    rng = np.random.default_rng(0)
    near = sure.table_intervals(5, rng)
    far = [sure.table_intervals(6, rng, n) for n in sure.NIH_SIZES]
    head = ("model", "CheXpert", *(f"NIH, if n = {n:,}" for n in sure.NIH_SIZES))
    return _table(head, [(MODELS[m], *(_interval(side[m]) for side in (near, *far))) for m in MODELS], width)


def _validation(width: int) -> str:
    rows = [
        (f"Table {table}, {title_of(TABLES[table], row)}", _interval(one["micro"]), _interval(one["macro"]))
        for (table, row), one in validation.intervals(np.random.default_rng(0)).items()
    ]
    return _table(("score of", "micro-F1", "macro-F1"), rows, width)


def _differences(width: int) -> str:
    rows = []
    for one in differences():
        n = f", n = {one.n:,}" if one.lean.table == 6 else ""
        spans = (f"{signed(at.low)} to {signed(at.high)}" for at in one.at.values())
        name = one.lean.name.replace("MedGemma (SFT)", "SFT")
        rows.append((f"{name}{n}", signed(next(iter(one.at.values())).estimate), *spans))
    note = f"r is how far two models' errors on the same studies correlate, which is {UNREAD}. NIH: two sizes tried."
    table = _table(("change", "macro-F1", *(f"r = {r:g}" for r in sure.CORRELATIONS)), rows, width)
    return f"{_wrapped(note, width)}\n{table}"


def _interval(one: sure.Interval) -> str:
    return f"{decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)})"


def _conventions(width: int) -> str:
    policies = [
        (f"{name} ({dataset})", *(f"{share:.1%}" for share in shares))
        for dataset in ("mimic", "chexpert")
        for name, shares in conventions.policies(dataset, "train").items()
        if shares[0] != shares[1]
    ]
    counted = _table(("uncertain, training labels, count as", "negative", "positive", "ignored"), policies, width)
    rows = [
        (f"{one.given} with {one.also}", f"{one.reports:.0%}", f"{one.radiologists:.0%}")
        for one in conventions.together()
    ]
    return f"{_table(('CheXpert studies with', 'mined labels', 'radiologists'), rows, width)}\n\n{counted}"


def _needed(width: int) -> str:
    rows = [
        (one.name, f"{decimal(one.macros[0])} or {decimal(one.macros[1])}",
         "not known" if one.used is None else str(one.used), f"{one.needed():,}")
        for one in power.questions()
    ]  # fmt: skip
    head = ("difference", "macro-F1", "studies used", f"needed ({power.POWER:.0%} power)")
    by_place = [
        (one.name, name, f"{needed:,}") for one in power.questions() for name, needed in power.at_hospitals(one).items()
    ]
    assumed = "\n".join(_wrapped(f"{one.name}: {one.assumed}.", width) for one in power.questions())
    places = _table(("difference", "with the prevalences of", "needed"), by_place, width)
    return f"{_table(head, rows, width)}\n{assumed}\n\n{places}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> str:
    """Columns if they fit; else a paragraph a row, each cell with its heading."""
    width, listed = _bounded(width), [tuple(row) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(head, *listed, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        every = [tuple(head), *listed]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in every)
    return "\n".join(
        _wrapped(
            f"{row[0]}: " + ", ".join(f"{name} {cell}" for name, cell in zip(head[1:], row[1:], strict=True)), width
        )
        for row in listed
    )
