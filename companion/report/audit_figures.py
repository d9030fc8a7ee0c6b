"""The pictures of *What the tables can and cannot say*: all drawn from `companion.evidence.audit`, nothing typed.

Every picture is made of panels that stand side by side on a desk and below one another on a phone, takes
the page's text colour, tells its series by shape as well as by colour, and has a caption, computed, that
says what to see.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chexreason.runs import git_state
from companion.evidence.audit import facts, lines, matched
from companion.evidence.audit import uncertainty as sure
from companion.evidence.tables import MODELS
from companion.report.figures import STYLE, to_svg
from companion.report.theme import INK, SERIES, Html, badge, block, decimal, escape, percent, signed

WIDTH = 3.9  # inches of a panel
BLUE, ORANGE, GREEN, PINK = (colour for colour, _, _ in SERIES)
PLACES = {5: "CheXpert", 6: "NIH"}
SHORT = {"Enlarged Cardiomediastinum": "Enl. Cardiomediastinum"}


def panel(height: float) -> tuple[Figure, Axes]:
    """An empty panel in the book's style."""
    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    return drawing, drawing.add_subplot()


def picture(title: str, drawings: Sequence[tuple[Figure, str]], caption: str, anchor: str, *notes: str) -> Html:
    """Panels with a heading, a badge and a caption; `anchor` is what the ledger's rows lead to."""
    shown = "".join(to_svg(drawing, alt) for drawing, alt in drawings)
    return _picture(
        title, f'<div class="cxr-head">{badge("published", *provenance(), *notes)}</div>', shown, caption, anchor
    )


def mixed_picture(
    title: str, drawings: Sequence[tuple[Figure, str, tuple[str, ...]]], caption: str, anchor: str
) -> Html:
    """The same for panels of different tiers: each has a badge of its own, its tier and facts."""
    shown = "".join(
        f'<div style="align-self:end"><div class="cxr-head">{badge(*tier)}</div>{to_svg(drawing, alt)}</div>'
        for drawing, alt, tier in drawings
    )
    return _picture(title, "", shown, caption, anchor)


def _picture(title: str, head: str, shown: str, caption: str, anchor: str) -> Html:
    return block(
        f'<div id="evidence-{anchor}" class="cxr-head"><strong>{escape(title)}</strong></div>'
        f'{head}<div class="cxr-panels cxr-panels-2">{shown}</div><figcaption>{escape(caption)}</figcaption>',
        "figure",
    )


@functools.cache
def provenance() -> tuple[str, ...]:
    """What a published number leads back to: the paper's version, its tables' digest here, the code's revision."""
    code = git_state()
    revision = str(code["revision"] or "not noted")[:7] + (" with changes" if code["dirty"] else "")
    return facts.PAPER, f"tables {facts.tables_digest()[:12]}", f"code {revision}"


def book_style() -> Any:
    """The book's style of drawing, for a `with`."""
    return mpl.rc_context(STYLE)


def rows_named(axes: Axes, names: Sequence[str]) -> None:
    """One row a name, the first on top."""
    axes.set_yticks(range(len(names)), [SHORT.get(name, name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def forest() -> Html:
    """Macro-F1 of the five models with intervals, beside what readers score who look at no film."""
    rng = np.random.default_rng(0)
    small, large = min(sure.NIH_SIZES), max(sure.NIH_SIZES)
    near = sure.table_intervals(5, rng)
    far = {n: sure.table_intervals(6, rng, n) for n in (small, large)}
    with book_style():
        drawings = [
            _forest("CheXpert test, fourteen findings", 5, {f"n = {facts.size('chexpert', 'test')}": near}),
            _forest("NIH, nine findings", 6, {f"n = {n:,}, if so": far[n] for n in (small, large)}),
        ]
    everything = {table: lines.reference_lines(table)[0].macro for table in (5, 6)}
    below = {
        table: [MODELS[m] for m, one in found.items() if one.estimate < everything[table]]
        for table, found in ((5, near), (6, far[small]))
    }
    radiologists = _reference(5)[2]
    short = [MODELS[model] for model, one in near.items() if one.high < min(radiologists)]
    caption = (
        "Dots: the printed macro-F1. Bars: 95 % intervals over studies. Vertical lines: readers without a model. "
        f"On CheXpert the whole interval of {listed(short)} lies below the lowest of three radiologists "
        f"({decimal(min(radiologists))}). "
        f"Below answering every label for every study lie, on CheXpert ({decimal(everything[5])}), "
        f"{listed(below[5])}; "
        f"on NIH ({decimal(everything[6])}), {listed(below[6])}. How many "
        "NIH studies were used is not in the text we have, so two sizes are shown; with few, most intervals overlap."
    )
    return picture("How sure are the averages?", drawings, caption, "noise", "intervals reconstructed from supports")


def _forest(title: str, table: int, sets: Mapping[str, Mapping[str, sure.Interval]]) -> tuple[Figure, str]:
    drawing, axes = panel(3.1)
    for shift, (name, found), colour, marker in zip((-0.14, 0.14), sets.items(), (BLUE, ORANGE), "os", strict=False):
        shift = 0.0 if len(sets) == 1 else shift
        for row, one in enumerate(found.values()):
            label = name if row == 0 else None
            axes.plot([one.low, one.high], [row + shift] * 2, color=colour, linewidth=2)
            axes.plot(one.estimate, row + shift, marker, color=colour, markersize=5, label=label)
    rows_named(axes, list(MODELS.values()))
    styles = [("solid", "every label"), ("dashed", "report labeler"), ("dotted", "radiologists")]
    for (dash, label), values in zip(styles, _reference(table), strict=True):
        for i, value in enumerate(values):
            axes.axvline(value, color=INK, linestyle=dash, linewidth=1, alpha=0.7, label=label if i == 0 else None)
    axes.set(title=title, xlabel="macro-F1", xlim=(0, 0.85))
    drawing.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7.5, handlelength=2.4)
    said = "; ".join(
        f"{MODELS[model]} {decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)})"
        for found in sets.values()
        for model, one in found.items()
    )
    return drawing, f"{title}. {said}."


def _reference(table: int) -> list[list[float]]:
    found = lines.reference_lines(table)
    return [
        [found[0].macro],
        [line.macro for line in found if line.reader.startswith("report labeler")],
        [line.macro for line in found if line.reader.startswith("radiologists")],
    ]


def crossings() -> Html:
    """Each model from CheXpert to NIH: over the paper's averages, and over the nine findings that both have."""
    found = matched.crossings()
    with book_style():
        drawings = [
            _slope("As in the paper: fourteen against nine", {m: (one.near_all, one.far) for m, one in found.items()}),
            _slope("The same nine on both sides", {m: (one.near, one.far) for m, one in found.items()}),
        ]
    changes = "; ".join(f"{MODELS[m]} {percent(one.stated)} becomes {percent(one.matched)}" for m, one in found.items())
    caption = (
        f"Macro-F1 on CheXpert (left end) and NIH (right end). Read the slopes: {changes}. Which of the untouched "
        "MedGemma and ChexReason falls more is in the ledger, with the interval of the difference."
    )
    return picture("The same findings on both sides", drawings, caption, "matched", "macro-F1")


def _slope(title: str, pairs: Mapping[str, tuple[float, float]]) -> tuple[Figure, str]:
    drawing, axes = panel(3.2)
    styles = [*SERIES, (INK, "solid", "v")]
    for (model, ends), (colour, dash, marker) in zip(pairs.items(), styles, strict=True):
        axes.plot([0, 1], ends, color=colour, linestyle=dash, marker=marker, linewidth=2, label=MODELS[model])
    axes.set(title=title, ylabel="macro-F1", xlim=(-0.12, 1.12), ylim=(0, 0.8))
    axes.set_xticks([0, 1], ["CheXpert", "NIH"])
    drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7.5, handlelength=2.8)
    return drawing, f"{title}. " + "; ".join(
        f"{MODELS[m]} from {decimal(a)} to {decimal(b)}" for m, (a, b) in pairs.items()
    )


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
    with book_style():
        drawings = [_fall(one) for one in falls]
    said = " ".join(
        f"{_where(one)}: the average moves by {signed(one.change)}; {one.largest.finding} alone gives "
        f"{signed(one.largest.share)}, and over the others it moves by {signed(one.without_largest())} "
        f"({one.rises} findings gain, {one.falls} lose)."
        for one in falls
    )
    caption = f"Each bar is what one finding adds to the change of the average; the bars run from top to bottom. {said}"
    caption += " Sums of printed findings; printed averages may differ from them by 0.001."
    return picture(title, drawings, caption, anchor, "macro-F1")


def _where(one: matched.Waterfall) -> str:
    short = {"medgemma_sft": "SFT"}
    first, second = (short.get(model, MODELS[model]) for model in (one.first, one.second))
    if one.crossing:
        return f"{first}, CheXpert to NIH"
    return f"{first} to {second} on {PLACES[one.table]}"


def _fall(one: matched.Waterfall) -> tuple[Figure, str]:
    drawing, axes = panel(0.9 + 0.2 * (len(one.parts) + 2))
    at = 0.0
    for row, part in enumerate(one.parts):
        colour, hatch = (BLUE, "") if part.share >= 0 else (ORANGE, "////")
        axes.barh(row, part.share, left=at, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, height=0.72)
        at += part.share
    axes.barh(len(one.parts), one.change, color=INK, height=0.72)
    rest = one.without_largest()
    axes.barh(len(one.parts) + 1, rest, color="none", edgecolor=INK, linewidth=1, height=0.72)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.use_sticky_edges = False
    axes.margins(x=0.04)
    rows_named(axes, [*(part.finding for part in one.parts), "change of the average", "without the largest"])
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set_title(_where(one), fontsize=9)
    axes.set_xlabel("change of macro-F1")
    parts = "; ".join(f"{part.finding} {signed(part.share)}" for part in one.parts)
    return (
        drawing,
        f"{_where(one)}: {parts}; together {signed(one.change)}; without {one.largest.finding} {signed(rest)}.",
    )


def listed(names: Sequence[str], nothing: str = "none of the five") -> str:
    """Names in a sentence."""
    if not names:
        return nothing
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
