"""Estimates with their intervals, drawn side by side: the one kind of figure that all questions share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from companion.evidence.stats import Interval
from companion.report.figures import STYLE, to_svg
from companion.report.theme import INK, SERIES, Html, block, decimal, escape, spoken

#: Mark of a score below naming every label.
BELOW = "▽"


@dataclass(frozen=True)
class Line:
    """One estimate: its label, its interval, and the series (0 to 3) whose colour and marker it takes."""

    label: str
    value: Interval | str  # a text: why there is none
    series: int = 0
    beside: float | None = None  # another estimate, without an interval, as a hollow square


def panel(title: str, lines: Sequence[Line], unit: str, width: float = 4.4) -> str:
    """Estimates one below the other, a bar for the interval, a line at zero; as an SVG element."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(width, 0.75 + 0.27 * len(lines)), layout="constrained")
        axes = drawing.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, line in enumerate(lines):
            colour, _, marker = SERIES[line.series]
            if isinstance(line.value, str):
                continue
            axes.plot([line.value.low, line.value.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([line.value.estimate], [row], marker=marker, color=colour, markersize=6)
            if line.beside is not None:
                axes.plot([line.beside], [row], marker="s", color=SERIES[1][0], markersize=6, fillstyle="none")
        axes.set_yticks(range(len(lines)), [line.label for line in lines])
        axes.set(title=title, xlabel=unit, ylim=(len(lines) - 0.4, -0.6))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.grid(visible=False, axis="y")
        if all(isinstance(line.value, str) for line in lines):
            axes.set(xlim=(-1, 1), xticks=[])
        left, right = axes.get_xlim()
        side = 1 if right > -left else -1  # where there is more room
        for row in (row for row, line in enumerate(lines) if isinstance(line.value, str)):
            axes.annotate("not compared", (0, row), (5 * side, 0), textcoords="offset points", va="center",
                          ha="left" if side > 0 else "right", fontsize=8.5, style="italic")  # fmt: skip
        text = "; ".join(f"{line.label} {spoken(line.value)}" for line in lines)
        return to_svg(drawing, f"{title}. {text}.")


def dots(
    title: str, rows: Mapping[str, Sequence[float]], means: Mapping[str, Interval], unit: str, series: int = 0,
    width: float = 4.2, line: float | None = None, span: tuple[float, float] | None = None,
) -> str:  # fmt: skip
    """A point a seed, and their mean with its interval, rows one below the other; as an SVG element.

    `line` is a value that a dashed line marks, `span` the range of the axis.
    """
    colour, _, marker = SERIES[series]
    tall = 0.42 if any("\n" in name for name in rows) else 0.3
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(width, 0.95 + tall * len(rows)), layout="constrained")
        axes = drawing.add_subplot()
        for row, values in enumerate(rows.values()):
            axes.plot(values, [row] * len(values), marker, color=colour, alpha=0.55)
        for row, mean in enumerate(means[name] for name in rows):
            axes.plot([mean.estimate] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2)
            axes.plot([mean.low, mean.high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt")
        if line is not None:
            axes.axvline(line, color=INK, linewidth=1, linestyle="dashed")
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set(title=title, xlabel=unit, ylim=(len(rows) - 0.5, -0.5), **({"xlim": span} if span else {}))
        axes.grid(visible=False, axis="y")
        said = "; ".join(
            f"{name} {decimal(means[name].estimate)} ({decimal(means[name].low)} to {decimal(means[name].high)})"
            for name in rows
        )
        return to_svg(drawing, f"{title}. Means with intervals: {said}.".replace("\n", ", "))


def counted(number: int) -> str:
    """How many intervals a figure shows and what that means, as the end of its caption."""
    return f" {number} intervals at 95 % over trainings (t) and patients, not corrected for their number."


def framed(
    title: str, head: str, panels: Sequence[str], says: str, columns: int = 2, key: str = "", behind: str = ""
) -> Html:
    """Panels under a title and a badge, with the caption that says what to see, and the runs behind them."""
    return block(
        f'<div class="cxr-head"><strong>{escape(title)}</strong></div><div class="cxr-head">{head}</div>{key}'
        f'<div class="cxr-panels cxr-panels-{columns}">{"".join(panels)}</div>'
        f"<figcaption>{escape(says)}{behind}</figcaption>",
        "figure",
    )
