"""The argument in eight figures: the seven that are drawn; the eighth, an X-ray, is the laboratory's.

Each is one panel that is read at one look: labels stand in place of legends, and the chapter's heading above it says
what it shows. The data under a figure are those of the figure.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import analysis, frames
from companion.evidence.analysis import Key
from companion.evidence.audit import conventions, facts, lines, matched, power
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit.differences import lean
from companion.evidence.outcomes import MACRO
from companion.evidence.stats import Interval
from companion.experiment import scores
from companion.report.audit_figures import source
from companion.report.audit_sure import rough
from companion.report.experiments import answers as of
from companion.report.experiments import cells
from companion.report.experiments.names import HARD, NUANCED, SFT, model
from companion.report.plots import framed, panel, rows_named
from companion.report.theme import BLUE, INK, ORANGE, Html, badge, decimal, signed

#: Width and height in inches of a figure's panel; type of 9 points in it is 9 pixels on a phone or more.
WIDE = 4.4
GREY = "#777777"
#: Colour and marker of the untouched model, SFT and the two rewards.
LOOKS = (INK, "o"), (BLUE, "s"), (ORANGE, "^"), (ORANGE, "v")
TEST_SET = "n = 500 if Table 5 is on the official test set"


class Row(NamedTuple):
    """A line of a figure: an estimate with its interval, if it has one."""

    row: str
    estimate: float
    low: float = math.nan
    high: float = math.nan
    of: str = ""  # the hospital or the training, where a figure has several

    @classmethod
    def at(cls, name: str, value: Interval, of: str = "") -> "Row":
        return cls(name, value.estimate, value.low, value.high, of)


def _shown(number: int, data: Sequence[NamedTuple], svg: str, head: str) -> Html:
    frame = pd.DataFrame(data).dropna(axis="columns", how="all").loc[:, lambda held: ~held.eq("").all()]
    behind = source() if number < 6 else ""
    return framed("", head, [svg], columns=1, anchor=f"exhibit-{number}", data=frame, behind=behind)


def _dots(axes: Axes, rows: Sequence[Row], colours: Sequence[str], digits: int | None = None) -> None:
    """A line a row: its estimate, its interval where there is one, and the value above it."""
    for k, (one, colour) in enumerate(zip(rows, colours, strict=True)):
        axes.plot([one.low, one.high], [k, k], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(one.estimate, k, "o", color=colour, markersize=6)
        if digits is not None:
            above(axes, signed(one.estimate, digits), one.estimate, k)
    rows_named(axes, [one.row for one in rows])


def above(axes: Axes, text: str, x: float, y: float) -> None:
    """Write above a point."""
    axes.annotate(text, (x, y), (0, 6), textcoords="offset points", ha="center")


def beside(axes: Axes, text: str, x: float, y: float) -> None:
    """Write to the right of a point."""
    axes.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center")


def _said(rows: Sequence[Row], tell: Callable[[float], str] = decimal) -> str:
    """A figure's numbers as they are read out."""
    return "; ".join(", ".join(filter(None, [one.of, one.row, tell(one.estimate)])) for one in rows).replace("\n", " ")


def same_findings() -> Html:
    """SFT to ChexReason on CheXpert over fourteen, nine and the frequent findings, and on NIH over its nine."""
    few, many = min(sure.NIH_SIZES), max(sure.NIH_SIZES)
    near, far = (lean((table, "medgemma_sft"), (table, "chexreason")) for table in (5, 6))
    asked = {
        f"CheXpert, all {len(FINDINGS)}": (near, FINDINGS, sure.supports_of(5)),
        f"CheXpert, the {len(NIH_SHARED)}\nthat NIH records": (near, NIH_SHARED, sure.supports_of(5)),
        f"NIH, its {len(NIH_SHARED)},\nif {many:,} studies": (far, NIH_SHARED, sure.supports_of(6, many)),
        f"NIH, its {len(NIH_SHARED)},\nif {few} studies": (far, NIH_SHARED, sure.supports_of(6, few)),
    }
    rows = []
    for name, (one, findings, supports) in asked.items():
        before, after, counts = ({f: part[f] for f in findings} for part in (one.before, one.after, supports))
        rng = np.random.default_rng(0)
        rows.append(Row.at(name, sure.difference(before, after, counts, rng, sure.PAIRED, one.named)))

    def draw(axes: Axes) -> None:
        _dots(axes, rows, [GREY, BLUE, ORANGE, ORANGE], 3)
        axes.axvline(0, color=INK, linewidth=0.8)

    title = "From SFT to ChexReason: change of macro-F1"
    svg = panel(title, draw, _said(rows, signed), (WIDE, 2.6), xlabel="bars: 95 % intervals")
    return _shown(1, rows, svg, badge("published", f"intervals reconstructed, r = {sure.PAIRED:g}"))


def beside_radiologists() -> Html:
    """Macro-F1 on CheXpert: the five models with intervals, three radiologists, the report labeler, every label."""
    scored = frames.PARTS["averages"].frame.set_index("model").iloc[:, 0]
    every = lines.reference_lines(5)[0].macro
    people = sorted(one.macro for one in facts.readers("chexpert") if one.line == "radiologists")
    labeler = [one.macro for one in facts.readers("chexpert") if one.line == "report labeler"]
    held = [Row.at(str(name), one) for name, one in scored.items()]
    held += [
        Row("report labeler", float(np.mean(labeler)), min(labeler), max(labeler)),
        Row("every label for all", every),
    ]
    rows = sorted(held, key=lambda one: -one.estimate)

    def draw(axes: Axes) -> None:
        axes.axvspan(people[0], people[-1], color=INK, alpha=0.12, linewidth=0)
        for one in people:
            axes.axvline(one, color=INK, linewidth=1)
        _dots(axes, rows, [BLUE if one.row in scored else GREY for one in rows])
        beside(axes, "three\nradiologists", people[-1], len(rows) - 1)

    told = [*rows, *(Row(f"radiologist {k}", one) for k, one in enumerate(people, 1))]
    svg = panel("Macro-F1 on CheXpert's test set, fourteen findings", draw, _said(told), (WIDE, 2.7),
                xlabel="macro-F1", xlim=(0, 0.85))  # fmt: skip
    return _shown(2, told, svg, badge("published", TEST_SET))


def one_finding() -> Html:
    """The gain on CheXpert from SFT to ChexReason, finding by finding, largest first, with its positives."""
    gain, supports = matched.waterfall(5, "medgemma_sft", "chexreason"), sure.supports_of(5)
    rows = [Row(f"{one.finding} ({round(supports[one.finding])})", one.share) for one in gain.parts]

    def draw(axes: Axes) -> None:
        shares = np.array([one.estimate for one in rows])
        axes.barh(range(len(rows)), shares, left=np.cumsum(shares) - shares, height=0.7,
                  color=np.where(shares >= 0, BLUE, ORANGE), edgecolor=INK, linewidth=0.6,
                  hatch=[*np.where(shares >= 0, "", "////")])  # fmt: skip
        axes.plot([gain.change] * 2, [-0.5, len(rows) - 0.5], color=INK, linestyle="dashed", linewidth=1)
        beside(axes, f"all: {signed(gain.change)}", gain.change, 0)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.use_sticky_edges = False
        axes.margins(x=0.05)
        rows_named(axes, [one.row for one in rows])

    svg = panel("From SFT to ChexReason on CheXpert: macro-F1", draw, _said(rows, signed), (WIDE, 3.6),
                xlabel="part of the change (positives in brackets)")  # fmt: skip
    return _shown(3, rows, svg, badge("published", TEST_SET))


def same_word() -> Html:
    """How often one label comes with another: mined from reports, and by radiologists."""
    pairs = [one for one in conventions.together() if one.given != "No Finding"]

    def draw(axes: Axes) -> None:
        for k, one in enumerate(pairs):
            axes.plot([one.reports, one.radiologists], [k, k], color=GREY, linewidth=2)
            axes.plot(one.reports, k, "o", color=ORANGE, markersize=7)
            axes.plot(one.radiologists, k, "s", color=BLUE, markersize=7)
        beside(axes, " mined from reports", pairs[0].reports, -0.35)
        beside(axes, "radiologists", pairs[0].radiologists - 0.3, -0.35)
        names = (f"{one.given}\n→ {one.also}".replace("Cardiomediastinum", "Cardiomed.") for one in pairs)
        rows_named(axes, list(names))

    said = "; ".join(f"{one.given}, also {one.also}: {one.reports:.0%} in reports, {one.radiologists:.0%} by readers"
                     for one in pairs)  # fmt: skip
    title = "Studies with the first label that carry the second"
    svg = panel(title, draw, said, (WIDE, 3.4), xlabel="share of studies", xlim=(0, 1.04))
    return _shown(4, pairs, svg, badge("published", "public label counts"))


def patients_needed() -> Html:
    """Studies that four differences of the paper would take, each from strongly to independently erring models."""
    asked, test = power.questions(), facts.size("chexpert", "test")
    rows = [
        Row(f"{decimal(one.macros[0])} or {decimal(one.macros[1])}:\n{one.name}", one.needed(sure.PAIRED),
            one.needed(sure.ALIKE), one.needed(0.0))
        for one in sorted(asked, key=lambda one: one.needed(sure.PAIRED))
    ]  # fmt: skip

    def draw(axes: Axes) -> None:
        axes.axvline(test, color=INK, linestyle="dashed", linewidth=1)
        beside(axes, f"CheXpert's test\nset: {test}", test, len(rows) - 1)
        _dots(axes, rows, [BLUE] * len(rows))
        for k, one in enumerate(rows):
            above(axes, rough(int(one.estimate)), one.estimate, k)

    title = f"Studies for an {power.POWER:.0%} chance of seeing the difference"
    said = _said(rows, lambda value: rough(int(value)))
    svg = panel(title, draw, said, (WIDE, 2.7), xscale="log", xlabel="studies")
    return _shown(5, rows, svg, badge("published", "two-sided, 5 %"))


def trainings() -> Html:
    """GRPO minus SFT in macro-F1 at home and at the second hospital, a dot a training, with the interval of all."""
    models = model(HARD), model(SFT)
    if not of.have(*models):
        return of.missing("the hard reward")
    found = {f"hospital {h}": cells.home(HARD) if h == "A" else of.changed(*models, h) for h in "AB"}
    able = {name: one for name, one in found.items() if not isinstance(one, str)}
    rows = [Row.at(name, one, "all") for name, one in able.items()]
    single = {
        name: [Row(name, x, of=f"training {seed}") for seed, x in zip(one.seeds, one.per_seed, strict=True)]
        for name, one in able.items()
    }

    def draw(axes: Axes) -> None:
        _dots(axes, rows, [BLUE] * len(rows))
        for k, each in enumerate(single.values()):
            axes.plot([one.estimate for one in each], [k + 0.28] * len(each), "d", color=ORANGE, markersize=6)
        above(axes, "mean of all, with interval", rows[0].estimate, 0)
        above(axes, "a diamond a training", rows[0].estimate, 0.62)
        axes.axvline(0, color=INK, linewidth=0.8)

    told = [*rows, *(one for each in single.values() for one in each)]
    svg = panel(
        "GRPO with the hard reward minus SFT", draw, _said(told, signed), (WIDE, 2.1), xlabel="change of macro-F1"
    )
    return _shown(6, told, svg, of.facts(*models))


def untouched() -> Html:
    """Macro-F1 of the untouched model, SFT and GRPO at the three hospitals, beside naming every label."""
    models = {"untouched": model("base"), "SFT": model(SFT), "GRPO, hard": model(HARD), "GRPO, nuanced": model(NUANCED)}
    if not of.have(*models.values()):
        return of.missing("all four models")
    rows, every = list[Row](), {}
    for h in "ABC":
        cell = scores.own(h)
        rows += [
            Row.at(name, analysis.contrast(of.answers(), {Key(one, cell): 1.0}), h) for name, one in models.items()
        ]
        often = analysis.frequent(of.answers(), [cell])
        every[h] = analysis.floor(of.answers(), Key(models["SFT"], cell), MACRO, often)

    def draw(axes: Axes) -> None:
        places = [k + 0.7 * (k // len(models)) for k in range(len(rows))]
        for k, (one, place) in enumerate(zip(rows, places, strict=True)):
            colour, marker = LOOKS[k % len(models)]
            axes.plot([one.low, one.high], [place] * 2, color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot(one.estimate, place, marker, color=colour, markersize=6)
        for k, value in enumerate(every.values()):
            first = places[k * len(models)]
            axes.plot([value] * 2, [first - 0.5, first + len(models) - 0.5], color=INK, linestyle="dashed", linewidth=1)
        beside(axes, "every label", every["A"], -0.35)
        axes.grid(visible=False, axis="y")
        axes.set_yticks(places, [one.row if k % len(models) else f"{one.of}: {one.row}" for k, one in enumerate(rows)])
        axes.set_ylim(places[-1] + 0.6, -0.8)

    told = [*rows, *(Row("every label", value, of=h) for h, value in every.items())]
    svg = panel("Macro-F1 at three hospitals, by their own labels", draw, _said(told), (WIDE, 3.6), xlabel="macro-F1",
                xlim=(0, None))  # fmt: skip
    return _shown(7, told, svg, of.facts(*models.values()))
