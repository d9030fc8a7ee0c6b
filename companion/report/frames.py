"""How a table is built and captioned: its title, the badge of what it rests on, notes below, and the runs behind it.

great_tables links headings to cells, as screen readers need; its own style sheet has fixed light colours and is left
out in favour of `theme.STYLE`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from great_tables import GT, loc, style

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
    runs: Iterable[Run] = (), dense: bool = False,
) -> Html:  # fmt: skip
    """A table with all that it carries; `label` is read out, `heads` are badges, `notes` are HTML."""
    above = [f"<strong>{escape(title)}</strong>"] if title else []
    head = "".join(f'<div class="cxr-head">{one}</div>' for one in [*above, *heads])
    below = "".join(f'<p class="cxr-note">{one}</p>' for one in notes)
    return block(head + scrolling(body, label, dense) + below + runs_behind(runs))


def frame_table(
    frame: pd.DataFrame, label: str, wrap: Sequence[str] = (), dense: bool = False, *, title: str = "", head: str = "",
    notes: Sequence[str] = (), runs: Iterable[Run] = (),
) -> Html:  # fmt: skip
    """A data frame as a table of the book: wide ones scroll by themselves, columns in `wrap` break their lines."""
    built = GT(frame.reset_index(drop=True), id=fresh_id("table")).cols_align("left")
    if wrap:
        built = built.tab_style(style.css("white-space:normal;min-width:6.5em"), loc.body(columns=list(wrap)))
    raw = _bare(built).replace('class="gt_table"', 'class="gt_table cxr-wide"') if wrap else _bare(built)
    return framed(raw, label, title=title, heads=[head] if head else [], notes=notes, runs=runs, dense=dense)


def grid(
    stub: str, rows: Sequence[str], columns: Sequence[Column], *, groups: Sequence[str] | None = None,
    tinted: Sequence[int] = (), tight: bool = False,
) -> str:  # fmt: skip
    """A table with a heading a row, and groups of rows or columns; `tinted` rows are ours, `tight` fits ten columns."""
    names = [f"column{k}" for k in range(len(columns))]
    cells = dict(zip(names, (one.cells for one in columns), strict=True))
    frame = pd.DataFrame({"row": list(rows), "group": list(groups or [""] * len(rows)), **cells})
    built = GT(frame if groups else frame.drop(columns="group"), rowname_col="row", id=fresh_id("table"),
               groupname_col="group" if groups else None)  # fmt: skip
    built = built.tab_stubhead(stub).cols_align("right", columns=names)
    built = built.cols_label(dict(zip(names, (one.head for one in columns), strict=True)))
    for over in dict.fromkeys(one.over for one in columns if one.over):
        built = built.tab_spanner(over, [name for name, one in zip(names, columns, strict=True) if one.over == over])
    bold = [loc.body(columns=[name], rows=list(one.bold)) for name, one in zip(names, columns, strict=True) if one.bold]
    tints = [name for name, one in zip(names, columns, strict=True) if one.tint]
    tint = [loc.body(columns=tints), loc.column_labels(columns=tints)] if tints else []
    tint += [loc.body(rows=list(tinted)), loc.stub(rows=list(tinted))] if tinted else []
    looks: list[tuple[Any, list[Any]]] = [
        (style.text(weight="bold"), bold),
        (style.css("background:var(--cxr-tint);"), tint),
    ]
    if tight:
        heads, last = loc.column_labels(columns=names), [len(frame) - 1]
        looks += [
            (style.css("padding-left:.2em;padding-right:.2em;"), [loc.body(columns=names), heads]),
            (style.css("font-size:.82em;"), [heads]),
            (style.css("border-top:2px solid var(--cxr-line);"), [loc.body(rows=last), loc.stub(rows=last)]),
        ]
    for look, places in looks:
        built = built.tab_style(look, places) if places else built
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
