"""The audit's tables: recomputed numbers, comparisons, contradictions, reference lines, and what was transcribed."""

import pandas as pd

from chexreason.labels import FINDINGS
from companion.evidence.audit import arithmetic, comparisons, contradictions, conventions, facts, lines, statements
from companion.evidence.audit.arithmetic import Check
from companion.evidence.audit.comparison import Compared, Pair
from companion.evidence.audit.printed import AGREES, ALONE
from companion.evidence.claims import CLAIMS, REFUSED
from companion.evidence.tables import TABLES
from companion.report import verdict_table
from companion.report.audit_figures import provenance
from companion.report.tables import frame_table
from companion.report.theme import Html, badge, block, decimal, escape, signed


def headed(anchor: str, table: Html, *notes: str) -> Html:
    """A table under its badges; `anchor` is what the ledger's rows lead to."""
    named = f' id="evidence-{anchor}"' if anchor else ""
    return Html(block(f'<div{named} class="cxr-head">{badge("published", *provenance(), *notes)}</div>').text) + table


def folded(title: str, inner: Html) -> Html:
    """Something long that opens on demand."""
    return block(f'<details class="cxr-card"><summary>{escape(title)}</summary>{inner.text}</details>')


def transcription() -> Html:
    """The six tables as they were written from the paper, with the digests that guard them."""
    rows = [
        {"table": f"Table {number}", "what": TABLES[number].title, "numbers": str(len(facts.cells(number))),
         "SHA-256": digest[:16] + "…"}
        for number, digest in facts.digests().items()
    ]  # fmt: skip
    return headed("", frame_table(pd.DataFrame(rows), "Transcribed tables", wrap=("what",)), "results/published")


def _number(one: Check) -> dict[str, str]:
    alone = one.verdict == ALONE
    return {"where": one.place, "what": one.what, "printed": one.printed,
            "recomputed": "–" if alone else f"{one.recomputed:.4f}".replace("-", "−"),
            "verdict": one.verdict, "note": one.note}  # fmt: skip


def pair_text(one: Pair) -> str:
    """A pair of a comparison in words; whole numbers stay whole."""
    values = [
        f"{value:.0f}" if abs(value) >= 1 else decimal(value).replace("-", "−") for value in (one.first, one.second)
    ]
    return f"{'✓' if one.holds else '✗'} {one.of}: {values[0]} against {values[1]}"


def _comparison(one: Compared) -> dict[str, str]:
    return {"where": one.place, "what": one.says, "the tables": "; ".join(map(pair_text, one.pairs)) or "–",
            "verdict": one.verdict, "note": one.note}  # fmt: skip


def checks(which: str = "remarkable") -> Html:
    """Recomputed numbers and comparisons that do not simply agree, or all "tables", "text" or "comparisons"."""
    every = {"tables": arithmetic.tables(), "text": statements.text_numbers()}
    said = comparisons.compared()
    if which == "remarkable":
        numbers = [one for group in every.values() for one in group if one.verdict != AGREES]
        shown = [one for one in said if one.verdict != AGREES]
        return headed("arithmetic", _numbers(numbers) + _comparisons(shown),
                      f"{len(numbers)} numbers, {len(shown)} comparisons")  # fmt: skip
    return _comparisons(said) if which == "comparisons" else _numbers(every[which])


def _numbers(shown: list[Check]) -> Html:
    return frame_table(pd.DataFrame([_number(one) for one in shown]), "Recomputed numbers", wrap=("what", "note"))


def _comparisons(shown: list[Compared]) -> Html:
    frame = pd.DataFrame([_comparison(one) for one in shown])
    return frame_table(frame, "Comparisons in the text", wrap=("where", "what", "the tables", "verdict", "note"))


def all_checks() -> Html:
    """Every recomputed number and every comparison, folded away."""
    titles = {"tables": "Every recomputed number of the tables", "text": "Every number of the text",
              "comparisons": "Every comparison in the text"}  # fmt: skip
    found = [folded(title, checks(which)) for which, title in titles.items()]
    return found[0] + found[1] + found[2]


def best_of() -> Html:
    """Who is best in each column, by how much, and whom the text names."""
    rows = [
        {"table": f"Table {one.table}", "of": one.of, "best": " and ".join(one.names), "value": decimal(one.value),
         "ahead by": signed(one.lead),
         "the text says": "; ".join(f"{name} ({place})" for place, name in one.stated) or "–", "verdict": one.verdict}
        for one in arithmetic.best()
    ]  # fmt: skip
    frame = frame_table(pd.DataFrame(rows), "The best of each column", wrap=("best", "the text says", "verdict"))
    return folded("Who is best in each column, by how much, and whom the text names", frame)


def contradicted() -> Html:
    """Where the paper says two things, with both places."""
    rows = [
        {"the paper says": f"{one.says} ({one.first})", "and yet": f"{one.against} ({one.second})",
         "why it matters": one.matters}
        for one in contradictions.CONTRADICTIONS
        if one.still
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    table = frame_table(frame, "Contradictions", wrap=tuple(frame.columns))
    return headed("contradictions", table, f"{len(rows)} places, from slips to contradictions")


def reference_lines() -> Html:
    """What readers without a film, the report labeler and radiologists score on each table's studies, with sources."""
    rows = [
        {"studies of": "Tables 1 to 4" if number == 1 else f"Table {number}", "reader": line.reader,
         "macro-F1": decimal(line.macro), "micro-F1": decimal(line.micro), "source": line.source}
        for number in (1, 5, 6)
        for line in lines.reference_lines(number)
    ]  # fmt: skip
    frame = frame_table(pd.DataFrame(rows), "Reference lines", wrap=("reader", "source"))
    return headed("lines", frame, "a dash: not published")


def prevalences() -> Html:
    """How frequent each finding is at each place, under each way to count uncertain labels."""
    columns = {
        name: {finding: " / ".join(f"{share:.1%}" for share in (shares if shares[0] < shares[1] else shares[:1]))
               for finding, shares in conventions.policies(dataset, split).items()}
        for name, (dataset, split, _) in conventions.PARTS.items()
    }  # fmt: skip
    rows = [{"finding": name, **{place: found.get(name, "–") for place, found in columns.items()}} for name in FINDINGS]
    return folded(
        "How frequent each finding is, uncertain labels as negative / as positive / ignored; one value where none is",
        frame_table(pd.DataFrame(rows), "Prevalence under each policy", wrap=tuple(columns)),
    )


def untold() -> Html:
    """The claims that no number at hand can judge, with the reason."""
    found = verdict_table.judged(None)
    rows = [
        {"claim": claim.says, "why it cannot be tested": found[name].reason}
        for name, claim in CLAIMS.items()
        if claim.stated and found[name].standing == REFUSED
    ]
    table = frame_table(pd.DataFrame(rows), "Claims without a verdict", wrap=("claim", "why it cannot be tested"))
    return headed("untold", table, f"{len(rows)} claims")
