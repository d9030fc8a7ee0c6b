"""How figures are drawn: the style, one panel, estimates with their intervals, and the way into a page.

A panel is an SVG of its own, so that panels stand beside one another on a desk and below one another on a phone. It
takes the page's text colour, tells its series by marker as well as by a colour-blind-safe colour, and says its numbers
to who cannot see it. Type of 9 points in a panel of 4.4 inches stays above 9 pixels on a phone.
"""

import base64
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chexreason.runs import Run
from companion.evidence.stats import Interval
from companion.report.behind import runs_behind
from companion.report.theme import INK, SERIES, Html, block, escape, fresh_id, spoken

STYLE: Any = {
    "font.size": 9, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK,
    "grid.alpha": 0.15, "grid.linewidth": 0.6, "svg.fonttype": "none", "font.family": "sans-serif",
    "axes.titlesize": 10, "axes.titleweight": "bold", "svg.hashsalt": "chexreason", "path.simplify": True,
}  # fmt: skip
DASHES = {"solid": "", "dashed": "7 3", "dashdot": "8 3 2 3", "dotted": "2 3"}
#: Colour, dash and marker of each series of a drawing, no two alike.
LOOKS = [
    (colour, list(DASHES)[(k + turn) % len(DASHES)], marker)
    for turn in range(len(DASHES))
    for k, (colour, _, marker) in enumerate([*SERIES, (INK, "", "v")])
]

#: Series -> row -> a number, an estimate with its interval, or why there is none.
Values = Mapping[Any, Mapping[Any, Interval | float | str]]


def panel(
    title: str, draw: Callable[[Axes], object], said: str, size: tuple[float, float] = (4.4, 3.2), columns: int = 3,
    **labels: Any,
) -> str:  # fmt: skip
    """One panel as an SVG element: `draw` fills its axes, `said` is read out, the legend, if any, stands below."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=size, layout="constrained")
        axes = drawing.add_subplot()
        draw(axes)
        axes.set(**labels)
        drawing.suptitle(
            "\n".join(wrap(title, int(12 * size[0]))), x=0.01, horizontalalignment="left", fontsize=10, weight="bold"
        )
        handles, names = axes.get_legend_handles_labels()
        if (legend := axes.get_legend()) is not None:
            legend.remove()
        if handles:
            fit = 2 if max(map(len, names)) > 17 else 3
            drawing.legend(
                handles, names, loc="outside lower center", ncols=min(columns, fit), frameon=False, fontsize=8
            )
        return to_svg(drawing, f"{title}. {said}")


def intervals(
    title: str, values: Values, unit: str, *, line: float | None = 0.0,
    marks: Mapping[str, Sequence[float]] | None = None, points: Mapping[str, Sequence[float]] | None = None,
    **labels: Any,
) -> str:  # fmt: skip
    """Estimates with their intervals, rows one below the other and series side by side in a row; as an SVG element.

    `line` is marked across all rows: 0 for differences, else a level to compare with, if any. `marks` are more lines,
    by what they are; `points` single values by row (trainings, say). Where there is no estimate, the row says so.
    """
    rows = list(dict.fromkeys(row for one in values.values() for row in one))
    shown = [(k, rows.index(row), value) for k, one in enumerate(values.values()) for row, value in one.items()
             if value == value]  # fmt: skip
    beside = len(values) if len(shown) > len(rows) else 1  # series that share a row
    shift = (np.arange(len(values)) / max(1, len(values) - 1) - 0.5) * 0.7 * (1 - 1 / beside)

    def draw(axes: Axes) -> None:
        if line is not None:
            axes.axvline(line, color=INK, linewidth=0.8)
        for (name, places), dash in zip((marks or {}).items(), DASHES, strict=False):
            for k, place in enumerate(places):
                axes.axvline(place, color=INK, linestyle=dash, linewidth=1, alpha=0.7, label=None if k else name)
        for row, each in (points or {}).items():
            axes.plot(each, [rows.index(row)] * len(each), "o", color=LOOKS[0][0], alpha=0.55, markersize=5)
        for k, (series, (colour, _, marker)) in enumerate(zip(values, LOOKS, strict=False)):
            found = [
                (*_ends(value), row + shift[k]) for j, row, value in shown if j == k and not isinstance(value, str)
            ]
            low, middle, high, y = np.array(found).reshape(-1, 4).T
            axes.errorbar(middle, y, xerr=(middle - low, high - middle), fmt=marker, color=colour, markersize=5,
                          elinewidth=2, label=series if len(values) > 1 else None)  # fmt: skip
        rows_named(axes, rows)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        if all(isinstance(value, str) for _, _, value in shown):
            axes.set(xlim=(-1, 1), xticks=[])
        left, right = axes.get_xlim()
        side = 1 if right > -left else -1  # where there is more room
        for k, place, value in shown:
            if isinstance(value, str):
                axes.annotate("not compared", (0, place + shift[k]), (5 * side, 0), textcoords="offset points",
                              va="center", ha="left" if side > 0 else "right", style="italic")  # fmt: skip

    tall = (0.1 + 0.18 * min(beside, 3)) * len(rows) + 0.16 * sum(row.count("\n") for row in rows)
    legend = 0.2 * -(-(len(values) * (len(values) > 1) + len(marks or {})) // 3)
    labels = {"xlabel": unit, "ylabel": "", **labels}
    return panel(title, draw, f"{'; '.join(said(values, line != 0))}.", (4.4, 0.95 + legend + tall), **labels)


def rows_named(axes: Axes, names: Sequence[str]) -> None:
    """One row a name, the first on top."""
    axes.set_yticks(range(len(names)), [name.replace("Enlarged Cardio", "Enl. Cardio") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _ends(value: Interval | float) -> list[float]:
    return sorted((value.low, value.estimate, value.high)) if isinstance(value, Interval) else [value] * 3


def picture(
    title: str, head: str, panels: Mapping[str, Values], unit: str, says: str, *, runs: Iterable[Run] = (),
    columns: int = 2, line: float | None = 0.0, points: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    **labels: Any,
) -> Html:  # fmt: skip
    """A figure of `intervals`, a panel a title, with its caption, all its numbers and the runs behind them."""
    drawn = [
        intervals(name, values, unit, line=line, points=(points or {}).get(name), **labels)
        for name, values in panels.items()
    ]
    return framed(title, head, drawn, says, columns, behind=numbers(panels, line != 0) + runs_behind(runs))


def said(values: Values, level: bool = False) -> list[str]:
    """Each estimate in words: its row, its series where there are several, and the value with its interval; levels
    have no sign, differences have one."""

    def told(value: Interval | float | str) -> str:
        if isinstance(value, Interval) and level:
            return f"{short(value.estimate)} ({short(value.low)} to {short(value.high)})"
        return short(value) if isinstance(value, float | int) else spoken(value)

    return [
        f"{row}{f', {series}' if len(values) > 1 else ''}: {told(value)}".replace("\n", ", ")
        for series, one in values.items()
        for row, value in one.items()
        if value == value
    ]


def short(value: float) -> str:
    """A level with three digits.

    >>> short(0.25), short(1234.5)
    ('0.25', '1,234')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def numbers(panels: Mapping[str, Values], level: bool = False) -> str:
    """What some panels show as a list of numbers to unfold."""
    lines = [f"<li>{escape(f'{title}, {one}')}</li>" for title, values in panels.items() for one in said(values, level)]
    title = f"The numbers ({len(lines)})"
    return f'<details class="cxr-runs"><summary>{title}</summary><ul>{"".join(lines)}</ul></details>'


def framed(
    title: str, head: str, panels: Sequence[str], says: str = "", columns: int = 2, key: str = "", behind: str = "",
    anchor: str = "", data: pd.DataFrame | None = None,
) -> Html:  # fmt: skip
    """Panels under a title and a badge, with the caption that says what to see, the data to take along, and the runs
    behind them; a figure without a title stands below a heading that is one."""
    heads = [f"<strong>{escape(title)}</strong>"] * bool(title) + [head] * bool(head)
    above = "".join(f'<div class="cxr-head">{one}</div>' for one in heads)
    caption = f"<figcaption>{escape(says)}{behind}</figcaption>" if says or behind else ""
    taken = "" if data is None else take(data, anchor or "figure")
    return block(
        f'{above}{key}<div class="cxr-panels cxr-panels-{columns}">{"".join(panels)}</div>{taken}{caption}',
        "figure", anchor,
    )  # fmt: skip


def take(data: pd.DataFrame, name: str) -> str:
    """The way to a figure's data as a file; the page's script puts those to its drawing beside it."""
    held = base64.b64encode(data.to_csv(index=False, float_format="%.6g").encode()).decode()
    return f'<div class="cxr-take"><a download="{name}.csv" href="data:text/csv;base64,{held}">CSV</a></div>'


def key_of(names: Sequence[str]) -> str:
    """The legend of several series, each with its colour and dash."""
    entries = "".join(
        f'<li><svg viewBox="0 0 40 12" aria-hidden="true"><line x1="0" y1="6" x2="40" y2="6" '
        f'stroke="{colour.replace(INK, "currentColor")}" '
        f'stroke-width="3" stroke-dasharray="{DASHES[dash]}"/></svg>{escape(name)}</li>'
        for name, (colour, dash, _) in zip(names, LOOKS, strict=False)
    )
    return f'<ul class="cxr-key">{entries}</ul>'


def to_svg(drawing: Figure, alt: str) -> str:
    """A figure as an SVG element that takes the page's colour and font and is read out as `alt`."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # Ids repeat from figure to figure, and a page must not hold the same id twice.
    prefix = fresh_id("svg")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'xlink:href="#{prefix}-')
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r"font-family: [^;\"]+", "font-family: inherit", svg)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', svg, count=1)
