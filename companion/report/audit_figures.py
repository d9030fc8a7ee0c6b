"""The pictures of *What the tables can and cannot say*: all drawn from the audit, nothing typed.

Their captions are the chapter's own sentences, which stand below them. Every picture is made of panels that take the
page's text colour, and tells its series by shape as well as by colour.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chexreason.runs import git_state
from companion.evidence import frames
from companion.evidence.audit import facts, lines, matched
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims import CHANCE, CLAIMS, FAILS, HOLDS, NOT_RUN, OTHERWISE, REFUSED, RESTS, Outcome
from companion.evidence.tables import MODELS, beside
from companion.evidence.tables import profile as shown_profile
from companion.report import verdict_table
from companion.report.plots import LOOKS, framed, intervals, panel, rows_named
from companion.report.theme import BLUE, GREEN, INK, ORANGE, Html, badge, signed

#: A standing's colour and hatch; a reader without colours has the hatch and the sign.
BARS = {
    HOLDS: (BLUE, ""), RESTS: (GREEN, "||||"), CHANCE: ("none", ""), FAILS: (ORANGE, "////"),
    OTHERWISE: ("none", "\\\\\\\\"), REFUSED: ("none", "xx"), NOT_RUN: ("none", ".."),
}  # fmt: skip


def picture(title: str, panels: Sequence[str], anchor: str, *notes: str) -> Html:
    """Panels with a heading and a badge; `anchor` is what the ledger's rows lead to."""
    head = badge("published", *notes)
    return framed(title, head, panels, behind=source(), anchor=f"evidence-{anchor}")


@functools.cache
def provenance() -> tuple[str, ...]:
    """What a published number leads back to: the paper's version, its tables' digest here, the code's revision."""
    code = git_state()
    revision = str(code["revision"] or "not noted")[:7] + (" with changes" if code["dirty"] else "")
    return facts.PAPER, f"tables {facts.tables_digest()[:12]}", f"code {revision}"


def source() -> str:
    """Where a published number comes from, to unfold."""
    return f'<details class="cxr-runs"><summary>Source</summary>{", ".join(provenance())}</details>'


def with_badge(drawn: str, tier: str, *notes: str) -> str:
    """A panel under a badge of its own, in a picture that holds several tiers."""
    return f'<div style="align-self:end"><div class="cxr-head">{badge(tier, *notes)}</div>{drawn}</div>'


def listed(names: Sequence[str], nothing: str = "none of the five") -> str:
    """Names in a sentence.

    >>> listed(["Edema", "Fracture", "Pneumonia"])
    'Edema, Fracture and Pneumonia'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or nothing


def overview() -> Html:
    """Where the claims stand by topic, on the paper and on the runs that the book shows."""
    sides = [("the paper's tables", verdict_table.judged(None), ("published", *provenance()))]
    for name in (*beside(shown_profile()), verdict_table.EXPERIMENT):
        if ours := verdict_table.judged(name):
            tier = next(iter(ours.values())).tier
            sides.append((f"our runs ({name}, {tier})", ours, (tier, name)))
    panels = [
        with_badge(_standings(title, verdict_table.stated(found)), *tier, f"each at {sure.LEVEL:.0%}")
        for title, found, tier in sides
    ]
    return framed("Every claim, judged", "", panels, anchor="evidence-verdicts")


def _standings(title: str, found: Mapping[str, Outcome]) -> str:
    """Bars by topic, and the same in words."""
    topics = [CLAIMS[name].topic for name in found]
    count = pd.crosstab(pd.Series(topics), pd.Series([one.standing for one in found.values()]))
    count = count.reindex(index=list(dict.fromkeys(topics))[::-1], columns=list(BARS), fill_value=0)
    count.columns = [f"{verdict_table.SIGNS[where]} {where}" for where in BARS]

    def draw(axes: Axes) -> None:
        count.plot.barh(stacked=True, ax=axes, width=0.8, edgecolor=INK, color=[colour for colour, _ in BARS.values()])
        for bars, (_, hatch) in zip(axes.containers, BARS.values(), strict=True):
            for bar in bars:
                bar.set_hatch(hatch)

    said = ", ".join(f"{where} {n}" for where, n in verdict_table.standings(found).items())
    return panel(f"On {title}", draw, f"Where the claims stand: {said}.", xlabel="claims", ylabel="")


def forest() -> Html:
    """Macro-F1 of the five models with intervals, beside what readers score who look at no image."""
    found = frames.PARTS["averages"].frame.set_index("model")
    near, far = found.iloc[:, :1], found.iloc[:, :0:-1]
    panels = [
        intervals(title, part.to_dict(), "macro-F1", line=None, marks=reference(table), xlim=(0, 0.85))
        for title, table, part in (("CheXpert test, fourteen findings", 5, near), ("NIH, nine findings", 6, far))
    ]
    return picture("How sure are the averages?", panels, "noise", "intervals reconstructed from supports")


def reference(table: int) -> dict[str, list[float]]:
    """Macro-F1 of the readers without a model, by kind."""
    every, *others = lines.reference_lines(table)
    kinds = ("report labeler", "radiologists")
    return {"every label": [every.macro]} | {
        kind: [line.macro for line in others if line.reader.startswith(kind)] for kind in kinds
    }


def crossings() -> Html:
    """Each model from CheXpert to NIH: over the paper's averages, and over the nine findings that both have."""
    found = matched.crossings().items()
    sides = {
        "As in the paper: fourteen against nine": {MODELS[m]: [one.near_all, one.far] for m, one in found},
        "The same nine on both sides": {MODELS[m]: [one.near, one.far] for m, one in found},
    }
    panels = [
        curves(title, pd.DataFrame(pairs, ["CheXpert", "NIH"]),
               "; ".join(f"{name} from {a:.3f} to {b:.3f}" for name, (a, b) in pairs.items()),
               ylabel="macro-F1", ylim=(0, 0.8))
        for title, pairs in sides.items()
    ]  # fmt: skip
    return picture("From CheXpert to NIH, model by model", panels, "matched", "macro-F1")


def curves(title: str, frame: pd.DataFrame, said: str, columns: int = 3, across: Sequence[float] = (),
            down: Sequence[float] = (), **labels: Any) -> str:  # fmt: skip
    """A line a column over the frame's index; `across` and `down` are thin lines to compare with."""

    def draw(axes: Axes) -> None:
        for (name, values), (colour, dash, marker) in zip(frame.items(), LOOKS, strict=False):
            axes.plot(values, color=colour, linestyle=dash, linewidth=2, label=name,
                      marker=marker if len(frame) < 5 else None)  # fmt: skip
        for place in across:
            axes.axhline(place, color=INK, linewidth=0.8, alpha=0.7)
        for place in down:
            axes.axvline(place, color=INK, linewidth=0.8, alpha=0.7)

    return panel(title, draw, f"{said}.", columns=columns, **labels)


def waterfalls(*wanted: tuple[int, str, str], anchor: str = "") -> Html:
    """Changes of a macro average from one model to another, taken apart into findings, largest gain first.

    `anchor` is what the ledger's rows lead to; without one, that of the model that is arrived at.
    """
    panels = [_fall(matched.waterfall(*one)) for one in wanted]
    return picture("Which findings make the change?", panels, f"waterfall-{anchor or wanted[0][2]}", "macro-F1")


def crossing_waterfalls() -> Html:
    """The change of SFT and of ChexReason from CheXpert to NIH, over the nine findings that both have."""
    panels = [_fall(matched.crossing_waterfall(model)) for model in matched.CROSSING]
    return picture("From one hospital to the other, by finding", panels, "waterfall-crossing", "macro-F1")


def _fall(one: matched.Waterfall) -> str:
    shares, rest = np.array([part.share for part in one.parts]), one.without_largest()
    names = [*(part.finding for part in one.parts), "change of the average", "without the largest"]

    def draw(axes: Axes) -> None:
        colours = [*np.where(shares >= 0, BLUE, ORANGE), INK, "none"]
        hatches = [*np.where(shares >= 0, "", "////"), "", ""]
        axes.barh(range(len(names)), [*shares, one.change, rest], left=[*(np.cumsum(shares) - shares), 0, 0],
                  color=colours, hatch=hatches, edgecolor=INK, linewidth=0.6, height=0.72)  # fmt: skip
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.use_sticky_edges = False
        axes.margins(x=0.04)
        rows_named(axes, names)

    said = "; ".join(f"{part.finding} {signed(part.share)}" for part in one.parts)
    said += f"; together {signed(one.change)}; without {one.largest.finding} {signed(rest)}."
    return panel(one.title, draw, said, (4.4, 0.9 + 0.22 * len(names)), xlabel="change of macro-F1")


def fall_said(*falls: matched.Waterfall) -> str:
    """The same in a sentence a change."""
    return " ".join(
        f"{one.title}: the average moves by {signed(one.change)}; {one.largest.finding} alone gives "
        f"{signed(one.largest.share)}, and over the others it moves by {signed(one.without_largest())} "
        f"({one.rises} findings gain, {one.falls} lose)."
        for one in falls
    )
