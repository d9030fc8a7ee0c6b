"""The audit's tables in the book: the frames of `companion.evidence.frames`, each under its badge or folded away."""

from companion.evidence import frames
from companion.evidence.claims.views import Change
from companion.evidence.frames import PARTS, Percent
from companion.evidence.stats import Interval
from companion.report.audit_figures import provenance
from companion.report.frames import frame_table
from companion.report.theme import Html, badge, block, decimal, escape, percent, signed


def shown(cell: object) -> str:
    """A cell of a frame as text: scores with three decimals, differences with their sign, a dash for none."""
    if isinstance(cell, Interval):
        return f"{shown(cell.estimate)} ({shown(cell.low)} to {shown(cell.high)})"
    if isinstance(cell, Change | Percent):
        return signed(cell) if isinstance(cell, Change) else percent(cell)
    if isinstance(cell, float) or cell is None:
        return decimal(cell)
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def part(name: str, *notes: str, folded: bool = False, remarkable: bool = False) -> Html:
    """A part of the audit as a table; `evidence-<name>` is the anchor that the ledger's rows lead to.

    `folded` opens on demand and has no anchor; `remarkable` leaves out what simply agrees.
    """
    one = PARTS[name]
    frame = frames.remarkable(one.frame) if remarkable else one.frame
    if "verdict" in frame:
        notes = (*notes, frames.counted(one.frame))
    wide = tuple(str(column) for column in frame if frame[column].map(lambda cell: len(shown(cell))).max() > 18)
    table = frame_table(frame.map(shown), one.title, wrap=wide)
    if folded:
        inner = table.text + (f'<p class="cxr-note">{escape(one.note)}</p>' if one.note else "")
        return block(f'<details class="cxr-card"><summary>{escape(one.title)}</summary>{inner}</details>')
    head = f'<div id="evidence-{name}" class="cxr-head">{badge("published", *provenance(), *notes)}</div>'
    return Html(block(head).text) + table
