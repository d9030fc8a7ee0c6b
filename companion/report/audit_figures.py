"""The pictures of *What the tables can and cannot say*: all drawn from the audit, nothing typed.

Every picture is made of panels that stand side by side on a desk and below one another on a phone, takes
the page's text colour, tells its series by shape as well as by colour, and has a caption, computed, that
says what to see. `rows` is the one drawing of estimates and intervals.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chexreason.runs import git_state
from companion.evidence import frames
from companion.evidence.audit import facts, lines, matched
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims.views import Change
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS
from companion.report.figures import STYLE, to_svg
from companion.report.theme import INK, SERIES, Html, badge, block, decimal, escape, percent, signed

WIDTH = 3.9  # inches of a panel
BLUE, ORANGE, GREEN, PINK = (colour for colour, _, _ in SERIES)
#: Colour and marker of each series.
LOOKS: tuple[tuple[str, str], ...] = (*((colour, marker) for colour, _, marker in SERIES), (INK, "v"))
SHORT = {"Enlarged Cardiomediastinum": "Enl. Cardiomediastinum"}
#: A panel as an SVG element, or one with the tier and facts of a badge of its own.
Panel = str | tuple[str, tuple[str, ...]]


def book_style() -> Any:
    """The book's style of drawing, for a `with`."""
    return mpl.rc_context(STYLE)


def panel(title: str, draw: Callable[[Axes], str], height: float = 3.2, columns: int = 2, **labels: Any) -> str:
    """A panel with its legend, if any; `draw` fills the axes and returns its content in words."""
    with book_style():
        drawing = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = drawing.add_subplot()
        said = draw(axes)
        axes.set(title=title, **labels)
        if axes.get_legend_handles_labels()[0]:
            drawing.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=7.5, handlelength=2.4)
        return to_svg(drawing, f"{title}. {said}")


def picture(title: str, panels: Sequence[Panel], caption: str, anchor: str, *notes: str) -> Html:
    """Panels with a heading, a badge and a caption; `anchor` is what the ledger's rows lead to."""
    shown = "".join(
        one if isinstance(one, str)
        else f'<div style="align-self:end"><div class="cxr-head">{badge(*one[1])}</div>{one[0]}</div>'
        for one in panels
    )  # fmt: skip
    whole = f'<div class="cxr-head">{badge("published", *provenance(), *notes)}</div>'
    return block(
        f'<div id="evidence-{anchor}" class="cxr-head"><strong>{escape(title)}</strong></div>'
        f"{whole if all(isinstance(one, str) for one in panels) else ''}"
        f'<div class="cxr-panels cxr-panels-2">{shown}</div><figcaption>{escape(caption)}</figcaption>',
        "figure",
    )


@functools.cache
def provenance() -> tuple[str, ...]:
    """What a published number leads back to: the paper's version, its tables' digest here, the code's revision."""
    code = git_state()
    revision = str(code["revision"] or "not noted")[:7] + (" with changes" if code["dirty"] else "")
    return facts.PAPER, f"tables {facts.tables_digest()[:12]}", f"code {revision}"


def rows(
    title: str, frame: pd.DataFrame, unit: str, *, height: float = 3.1, columns: int = 2, step: float = 0.0,
    hollow: Sequence[str] = (), looks: Mapping[str, tuple[str, str]] | None = None, inner: pd.DataFrame | None = None,
    joined: bool = False, marks: Sequence[tuple[str, str, str, float]] = (), size: float = 7.5,
    also: Callable[[Axes], object] | None = None, **labels: Any,
) -> str:  # fmt: skip
    """Estimates by row and series: a row a line of the frame, a series a column; a cell is a number or an `Interval`.

    Series stand `step` rows apart. `inner` holds other intervals for thick bars inside, `joined` links the numbers of a
    row, `marks` are vertical lines (label, dash, colour, value), `also` draws more.
    """

    def draw(axes: Axes) -> str:
        said = []
        thin = 1.1 if step < 0.2 else 1.8
        shifts = (np.arange(frame.shape[1]) - (frame.shape[1] - 1) / 2) * step
        for column, shift, look in zip(frame, shifts, LOOKS * 2, strict=False):
            colour, marker = (looks or {}).get(str(column), look)
            label: str | None = str(column) if frame.shape[1] > 1 else None
            for at, (name, cell) in enumerate(frame[column].items()):
                if isinstance(cell, Interval):
                    bars = [(cell, thin), *([(inner[column].iloc[at], 3.0)] if inner is not None else [])]
                    for one, width in bars:
                        axes.hlines(at + shift, one.low, one.high, color=colour, linewidth=width)
                elif pd.isna(cell):
                    continue
                value = cell.estimate if isinstance(cell, Interval) else cell
                axes.plot(value, at + shift, marker, color=colour, markersize=4.5, label=label,
                          markerfacecolor="none" if column in hollow else colour)  # fmt: skip
                label = None
                said.append(f"{name}, {column} {interval(cell)}".replace("\n", " "))
        if joined:
            for at, values in enumerate(frame.to_numpy(dtype=float)):
                ends = [np.nanmin(values), np.nanmax(values)]
                axes.plot(ends, [at, at], color=INK, linewidth=0.8, alpha=0.5, zorder=0)
        for label, dash, colour, value in marks:
            axes.axvline(value, color=colour, linestyle=dash, linewidth=1, alpha=0.7, label=label or None)
        rows_named(axes, list(frame.index), size)
        if also:
            also(axes)
        return "; ".join(said) + "."

    return panel(title, draw, height, columns, xlabel=unit, **labels)


def curves(
    title: str, frame: pd.DataFrame, said: str, columns: int = 1, marks: Sequence[tuple[str, float]] = (),
    height: float = 3.2, markers: bool = False, also: Callable[[Axes], object] | None = None, **labels: Any,
) -> str:  # fmt: skip
    """A line a column over the frame's index; `marks` are thin lines (x or y, value), `said` the content in words."""

    def draw(axes: Axes) -> str:
        for column, (colour, dash, marker) in zip(frame, (*SERIES, (INK, "solid", "v")), strict=False):
            axes.plot(frame.index, frame[column], color=colour, linestyle=dash, linewidth=2, label=str(column),
                      marker=marker if markers else None)  # fmt: skip
        for axis, value in marks:
            (axes.axvline if axis == "x" else axes.axhline)(value, color=INK, linewidth=0.8, alpha=0.7)
        if also:
            also(axes)
        return said

    return panel(title, draw, height, columns, **labels)


def rows_named(axes: Axes, names: Sequence[str], size: float = 9) -> None:
    """One row a name, the first on top."""
    axes.set_yticks(range(len(names)), [SHORT.get(name, name) for name in names], fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def interval(cell: Interval | float) -> str:
    """A score with its interval, if it has one."""
    if not isinstance(cell, Interval):
        return decimal(cell)
    show = signed if isinstance(cell.estimate, Change) else decimal
    return f"{show(cell.estimate)} ({show(cell.low)} to {show(cell.high)})"


def listed(names: Sequence[str], nothing: str = "none of the five") -> str:
    """Names in a sentence."""
    if not names:
        return nothing
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _reference(table: int) -> dict[str, list[float]]:
    found = lines.reference_lines(table)
    return {
        "every label": [found[0].macro],
        "report labeler": [line.macro for line in found if line.reader.startswith("report labeler")],
        "radiologists": [line.macro for line in found if line.reader.startswith("radiologists")],
    }


def forest() -> Html:
    """Macro-F1 of the five models with intervals, beside what readers score who look at no image."""
    found = frames.PARTS["averages"].frame.set_index("model")
    near, few = found.iloc[:, 0], found[f"NIH, n = {min(sure.NIH_SIZES):,}, if so"]
    panels = []
    for title, table, part in (
        ("CheXpert test, fourteen findings", 5, found.iloc[:, :1]),
        ("NIH, nine findings", 6, found.iloc[:, 1:].loc[:, ::-1]),
    ):
        marks = [
            (name if k == 0 else "", dash, INK, value)
            for (name, values), dash in zip(_reference(table).items(), ("solid", "dashed", "dotted"), strict=True)
            for k, value in enumerate(values)
        ]
        panels.append(rows(title, part, "macro-F1", step=0.28, marks=marks, size=9, xlim=(0, 0.85)))
    everything = {table: lines.reference_lines(table)[0].macro for table in (5, 6)}
    below = {
        table: [str(model) for model, one in column.items() if one.estimate < everything[table]]
        for table, column in ((5, near), (6, few))
    }
    lowest = min(_reference(5)["radiologists"])
    caption = (
        "Dots: the printed macro-F1. Bars: 95 % intervals over studies. Vertical lines: readers without a model. On "
        f"CheXpert the whole interval of {listed([str(model) for model, one in near.items() if one.high < lowest])} "
        f"lies below the lowest of three radiologists ({decimal(lowest)}). Below answering every label for every study "
        f"lie, on CheXpert ({decimal(everything[5])}), {listed(below[5])}; on NIH ({decimal(everything[6])}), "
        f"{listed(below[6])}. How many NIH studies were used is not in the text we have, so two sizes are shown; with "
        "few, most intervals overlap."
    )
    return picture("How sure are the averages?", panels, caption, "noise", "intervals reconstructed from supports")


def crossings() -> Html:
    """Each model from CheXpert to NIH: over the paper's averages, and over the nine findings that both have."""
    found = matched.crossings()
    panels = []
    for title, pairs in (
        ("As in the paper: fourteen against nine", {MODELS[m]: [one.near_all, one.far] for m, one in found.items()}),
        ("The same nine on both sides", {MODELS[m]: [one.near, one.far] for m, one in found.items()}),
    ):
        said = "; ".join(f"{name} from {decimal(a)} to {decimal(b)}" for name, (a, b) in pairs.items())
        panels.append(curves(title, pd.DataFrame(pairs), said, 3, markers=True, ylabel="macro-F1", xlim=(-0.12, 1.12),
                             ylim=(0, 0.8), xticks=[0, 1], xticklabels=["CheXpert", "NIH"]))  # fmt: skip
    changes = "; ".join(f"{MODELS[m]} {percent(one.stated)} becomes {percent(one.matched)}" for m, one in found.items())
    caption = (
        f"Macro-F1 on CheXpert (left end) and NIH (right end). Read the slopes: {changes}. Which of the untouched "
        "MedGemma and ChexReason falls more is in the ledger, with the interval of the difference."
    )
    return picture("The same findings on both sides", panels, caption, "matched", "macro-F1")


def waterfalls(*wanted: tuple[int, str, str], anchor: str = "") -> Html:
    """Changes of a macro average from one model to another, taken apart into findings, largest gain first.

    `anchor` is what the ledger's rows lead to; without one, that of the model that is arrived at.
    """
    falls = [matched.waterfall(*one) for one in wanted]
    return _falls(falls, "Which findings make the change?", f"waterfall-{anchor or wanted[0][2]}")


def crossing_waterfalls() -> Html:
    """The change of SFT and of ChexReason from CheXpert to NIH, over the nine findings that both have."""
    falls = [matched.crossing_waterfall(model) for model in matched.CROSSING]
    return _falls(falls, "From one hospital to the other, by finding", "waterfall-crossing")


def _falls(falls: Sequence[matched.Waterfall], title: str, anchor: str) -> Html:
    said = " ".join(
        f"{one.title}: the average moves by {signed(one.change)}; {one.largest.finding} alone gives "
        f"{signed(one.largest.share)}, and over the others it moves by {signed(one.without_largest())} "
        f"({one.rises} findings gain, {one.falls} lose)."
        for one in falls
    )
    caption = f"Each bar is what one finding adds to the change of the average; the bars run from top to bottom. {said}"
    caption += " Sums of printed findings; printed averages may differ from them by 0.001."
    return picture(title, [_fall(one) for one in falls], caption, anchor, "macro-F1")


def _fall(one: matched.Waterfall) -> str:
    rest = one.without_largest()

    def draw(axes: Axes) -> str:
        at = 0.0
        for row, part in enumerate(one.parts):
            colour, hatch = (BLUE, "") if part.share >= 0 else (ORANGE, "////")
            axes.barh(row, part.share, left=at, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, height=0.72)
            at += part.share
        axes.barh(len(one.parts), one.change, color=INK, height=0.72)
        axes.barh(len(one.parts) + 1, rest, color="none", edgecolor=INK, linewidth=1, height=0.72)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.use_sticky_edges = False
        axes.margins(x=0.04)
        rows_named(axes, [*(part.finding for part in one.parts), "change of the average", "without the largest"], 7.5)
        parts = "; ".join(f"{part.finding} {signed(part.share)}" for part in one.parts)
        return f"{parts}; together {signed(one.change)}; without {one.largest.finding} {signed(rest)}."

    return panel(one.title, draw, 0.9 + 0.2 * (len(one.parts) + 2), xlabel="change of macro-F1")
