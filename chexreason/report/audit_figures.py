"""The pictures of *What the tables can and cannot say*: all drawn from `chexreason.audit`, nothing typed.

Every picture is made of panels that stand side by side on a desk and below one another on a phone, takes
the page's text colour, tells its series by shape as well as by colour, and has a caption, computed, that
says what to see.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chexreason.audit import facts, lines, matched, power
from chexreason.audit import uncertainty as sure
from chexreason.claims.published import VALIDATION, Published
from chexreason.evidence import MODELS, TABLES, title_of
from chexreason.report.figures import STYLE, to_svg
from chexreason.report.theme import INK, SERIES, Html, badge, block, decimal, escape, percent, signed

WIDTH = 3.9  # inches of a panel
BLUE, ORANGE, GREEN, PINK = (colour for colour, _, _ in SERIES)
SHORT = {"Enlarged Cardiomediastinum": "Enl. Cardiomediastinum"}


def panel(height: float) -> tuple[Figure, Axes]:
    """An empty panel in the book's style."""
    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    return drawing, drawing.add_subplot()


def picture(title: str, drawings: Sequence[tuple[Figure, str]], caption: str, anchor: str, *notes: str) -> Html:
    """Panels with a heading, a badge and a caption; `anchor` is what the ledger's rows lead to."""
    shown = "".join(to_svg(drawing, alt) for drawing, alt in drawings)
    head = badge("published", "arXiv 2512.23090", *notes)
    return block(
        f'<div id="evidence-{anchor}" class="cxr-head"><strong>{escape(title)}</strong></div>'
        f'<div class="cxr-head">{head}</div><div class="cxr-panels cxr-panels-2">{shown}</div>'
        f"<figcaption>{escape(caption)}</figcaption>",
        "figure",
    )


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
    caption = (
        "Dots: the printed macro-F1. Bars: 95 % intervals over studies. Vertical lines: readers without a model. "
        f"Below answering every label for every study lie, on CheXpert ({decimal(everything[5])}), "
        f"{_listed(below[5])}; "
        f"on NIH ({decimal(everything[6])}), {_listed(below[6])}. The paper does not "
        "state how many NIH studies it used, so two sizes are shown; with few, most intervals overlap."
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


def validation() -> Html:
    """Macro-F1 of every row of Tables 1 to 4 with intervals for the validation set's size."""
    side = Published(max(sure.NIH_SIZES))
    groups = {"Table 1: prompts, untouched": (1,), "Tables 2 to 4: after training": (2, 3, 4)}
    with book_style():
        drawings = [_validation(title, tables, side) for title, tables in groups.items()]
    caption = (
        f"Dots: the printed macro-F1. Bars: 95 % intervals if the validation set has {VALIDATION} studies with the "
        "prevalences of MIMIC-CXR-JPG, and findings score in the pattern of Table 5. Vertical line: what answering "
        f"every label would score then ({decimal(lines.reference_lines(1)[0].macro)}). Most neighbours overlap."
    )
    return picture("How sure is the validation?", drawings, caption, "validation", f"n = {VALIDATION}")


def _validation(title: str, tables: Sequence[int], side: Published) -> tuple[Figure, str]:
    rows = [(table, row) for table in tables for row in dict.fromkeys(key[0] for key in facts.cells(table))]
    drawing, axes = panel(3.6)
    said, names = [], []
    for i, (table, row) in enumerate(rows):
        found = side.score(table, row)
        one = sure.quantiles(found.draws, found.value)
        colour, _, marker = SERIES[(table - 1) % len(SERIES)]
        axes.plot([one.low, one.high], [i, i], color=colour, linewidth=2)
        axes.plot(one.estimate, i, marker, color=colour, markersize=5)
        prefix = {2: "MedGemma: ", 3: "Qwen: "}.get(table, "")
        names.append(f"{prefix}{title_of(TABLES[table], row).replace('Reasoning ', '')}")
        said.append(f"{names[-1]} {decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)})")
    everything = lines.reference_lines(tables[0])[0].macro
    axes.axvline(everything, color=INK, linewidth=1, alpha=0.7)
    rows_named(axes, names)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set(title=title, xlabel="macro-F1", xlim=(0, 0.36))
    return drawing, f"{title}. {'; '.join(said)}."


def crossings() -> Html:
    """Each model from CheXpert to NIH: over the paper's averages, and over the nine findings that both have."""
    found = matched.crossings()
    with book_style():
        drawings = [
            _slope("As in the paper: fourteen against nine", {m: (one.near_all, one.far) for m, one in found.items()}),
            _slope("The same nine on both sides", {m: (one.near, one.far) for m, one in found.items()}),
        ]
    changes = "; ".join(f"{MODELS[m]} {percent(one.stated)} becomes {percent(one.matched)}" for m, one in found.items())
    base, tuned = found["medgemma"], found["chexreason"]
    order = "more" if -base.matched > -tuned.matched else "less"
    caption = (
        f"Macro-F1 on CheXpert (left end) and NIH (right end). Read the slopes: {changes}. "
        f"On the nine, the untouched MedGemma loses {order} than ChexReason, which GRPO had optimised."
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


def waterfalls(*wanted: tuple[int, str, str]) -> Html:
    """Changes of a macro average taken apart into findings, largest gain first."""
    falls = [matched.waterfall(*one) for one in wanted]
    with book_style():
        drawings = [_fall(one) for one in falls]
    said = " ".join(
        f"{_where(one)}: the average moves by {signed(one.change)}; {one.largest.finding} alone gives "
        f"{signed(one.largest.share)}, and over the others it moves by {signed(one.without_largest())} "
        f"({one.rises} findings gain, {one.falls} lose)."
        for one in falls
    )
    caption = f"Each bar is what one finding adds to the change of the average; the bars run from top to bottom. {said}"
    return picture("Which findings make the change?", drawings, caption, f"waterfall-{wanted[0][2]}", "macro-F1")


def _where(one: matched.Waterfall) -> str:
    place = {5: "CheXpert", 6: "NIH"}[one.table]
    short = {"medgemma_sft": "SFT"}
    first, second = (short.get(model, MODELS[model]) for model in (one.first, one.second))
    return f"{first} to {second} on {place}"


def _fall(one: matched.Waterfall) -> tuple[Figure, str]:
    drawing, axes = panel(0.9 + 0.2 * (len(one.parts) + 1))
    at = 0.0
    for row, part in enumerate(one.parts):
        colour, hatch = (BLUE, "") if part.share >= 0 else (ORANGE, "////")
        axes.barh(row, part.share, left=at, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, height=0.72)
        at += part.share
    axes.barh(len(one.parts), one.change, color=INK, height=0.72)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.use_sticky_edges = False
    axes.margins(x=0.04)
    rows_named(axes, [*(part.finding for part in one.parts), "change of the average"])
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set_title(_where(one), fontsize=9)
    axes.set_xlabel("change of macro-F1")
    parts = "; ".join(f"{part.finding} {signed(part.share)}" for part in one.parts)
    return drawing, f"{_where(one)}: {parts}; together {signed(one.change)}."


def power_curves() -> Html:
    """Power against the number of studies, for the differences that the paper leans on."""
    asked = power.questions()
    sizes = np.geomspace(100, 300_000, 60)
    with book_style():
        drawings = []
        for title, correlation in (("Two models that err alike (r = 0.5)", 0.5), ("Two that err independently", 0.0)):
            drawing, axes = panel(3.2)
            for one, (colour, dash, _) in zip(asked, SERIES, strict=True):
                chance = [power.power(int(n), one.first, one.second, one.prevalence, correlation) for n in sizes]
                a, b = one.macros
                label = f"{decimal(a)} or {decimal(b)}: {one.place}"
                axes.plot(sizes, chance, color=colour, linestyle=dash, linewidth=2, label=label)
            axes.axvline(facts.size("chexpert", "test"), color=INK, linewidth=1, alpha=0.7)
            axes.axhline(power.POWER, color=INK, linewidth=0.6, alpha=0.7)
            axes.set(xscale="log", title=title, xlabel="studies", ylabel="chance of seeing it", ylim=(0, 1.03))
            drawing.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=7.5, handlelength=2.8)
            alt = "; ".join(f"{one.name} needs {one.needed(correlation):,} studies" for one in asked)
            drawings.append((drawing, f"{title}. {alt}."))
    first, *_, last = asked
    caption = (
        f"The chance that a test at 5 % sees a difference, by number of studies; the thin lines are {power.POWER:.0%} "
        f"and {facts.size('chexpert', 'test')} studies. {decimal(first.macros[0])} against "
        f"{decimal(first.macros[1])} on "
        f"validation would take about {rough(first.needed())} studies, {decimal(last.macros[0])} against "
        f"{decimal(last.macros[1])} on NIH about {rough(last.needed())}."
    )
    return picture("How many studies would it take?", drawings, caption, "power", "two-sided, 5 %")


def rough(n: int) -> str:
    """Two leading digits, since more would promise too much."""
    step = 10 ** max(0, len(str(n)) - 2)
    return f"{round(n / step) * step:,}"


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "none of the five"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
