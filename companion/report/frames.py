"""How a table is built and captioned: its title, the badge of what it rests on, notes below, and the runs behind it.

great_tables links headings to cells, as screen readers need; its own style sheet has fixed light colours and is left
out in favour of `theme.STYLE`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from great_tables import GT, html, loc, style

from chexreason.runs import Run
from companion.report.behind import runs_behind
from companion.report.theme import Html, block, escape, fresh_id, scrolling

#: Stands beside our runs that take part in no order.
UNFIT = "¶"


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, what stands over it, its cells as text, and which of them are bold."""

    head: Any
    cells: Sequence[str]
    over: str = ""
    tint: bool = False
    bold: Sequence[int] = ()


def framed(
    body: str, label: str, *, title: str = "", heads: Sequence[str] = (), notes: Sequence[str] = (),
    folded: Sequence[str] = (), runs: Iterable[Run] = (), dense: bool = False, anchor: str = "",
) -> Html:  # fmt: skip
    """A table with all that it carries; `label` is read out, `heads` are badges, `notes` are HTML, `folded` ones open
    on demand."""
    above = [f"<strong>{escape(title)}</strong>"] if title else []
    head = "".join(f'<div class="cxr-head">{one}</div>' for one in [*above, *heads])
    below = "".join(f'<p class="cxr-note">{one}</p>' for one in notes)
    if folded:
        lines = "".join(f"<li>{one}</li>" for one in folded)
        below += f'<details class="cxr-runs"><summary>How to read this table</summary><ul>{lines}</ul></details>'
    return block(head + scrolling(body, label, dense) + below + runs_behind(runs), anchor=anchor)


def frame_table(
    frame: pd.DataFrame, label: str, wrap: Sequence[str] = (), dense: bool = False, *, title: str = "", head: str = "",
    notes: Sequence[str] = (), runs: Iterable[Run] = (),
) -> Html:  # fmt: skip
    """A data frame as a table of the book: wide ones scroll by themselves, columns in `wrap` break their lines."""
    built = GT(frame.reset_index(drop=True), id=fresh_id("table")).cols_align("left")
    if "" in frame:
        built = built.cols_label({"": html('<span class="visually-hidden">row</span>')})
    if wrap:
        built = built.tab_style(style.css("white-space:normal;min-width:6.5em"), loc.body(columns=list(wrap)))
    raw = _bare(built).replace('class="gt_table"', 'class="gt_table cxr-wide"') if wrap else _bare(built)
    return framed(raw, label, title=title, heads=[head] if head else [], notes=notes, runs=runs, dense=dense)


def grid(
    stub: str, rows: Sequence[str], columns: Sequence[Column], *, groups: Sequence[str] | None = None,
    tinted: Sequence[int] = (), tight: bool = False, foot: int = 1,
) -> str:  # fmt: skip
    """A table with a heading a row, and groups of rows or columns; `tinted` rows are ours, `tight` fits ten columns.

    Below a line stand the last `foot` rows of a tight table, which keep their place when it is sorted.
    """
    cells = {f"column{k}": one for k, one in enumerate(columns)}
    frame = pd.DataFrame({"row": list(rows), **{name: one.cells for name, one in cells.items()}})
    built = GT(frame.assign(group=groups) if groups else frame, rowname_col="row", id=fresh_id("table"),
               groupname_col="group" if groups else None)  # fmt: skip
    built = built.tab_stubhead(stub).cols_align("right", columns=list(cells))
    built = built.cols_label({name: one.head for name, one in cells.items()})
    for over in dict.fromkeys(one.over for one in columns if one.over):
        built = built.tab_spanner(over, [name for name, one in cells.items() if one.over == over])
    looks: list[tuple[str, Any]] = [
        ("font-weight: bold;", loc.body(name, list(one.bold))) for name, one in cells.items() if one.bold
    ]
    tint, tints = "background:var(--cxr-tint);", [name for name, one in cells.items() if one.tint]
    looks += [(tint, place) for place in (loc.body(tints), loc.column_labels(tints)) if tints]
    looks += [(tint, place) for place in (loc.body(rows=list(tinted)), loc.stub(list(tinted))) if tinted]
    if tight:
        heads, last = loc.column_labels(list(cells)), [len(frame) - foot]
        close, line = "padding-left:.2em;padding-right:.2em;", "border-top:2px solid var(--cxr-line);"
        looks += [(close, loc.body(list(cells))), (close, heads), ("font-size:.82em;", heads)]
        looks += [(line, loc.body(rows=last)), (line, loc.stub(last))]
    for look, place in looks:
        built = built.tab_style(style.css(look), place)
    return _bare(built)


def runs_table(finished: Iterable[Run]) -> Html:
    """The runs that a stage has made: how many studies each was scored on, how long it took, and on what."""
    columns = ["run_id", "label_set", "n", "seconds", "device"]
    return frame_table(pd.DataFrame([run.info for run in finished])[columns], "The runs behind the tables below")


def _bare(built: GT) -> str:
    """The table's HTML without great_tables' style sheet and its outer box."""
    raw = re.sub(r"<style>.*?</style>", "", built.as_raw_html(), flags=re.DOTALL)
    found = re.search(r"<table.*</table>", raw, flags=re.DOTALL)
    assert found, "great_tables always writes a table element"
    return found[0]
