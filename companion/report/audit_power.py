"""The power calculator as a picture: how many studies, with which prevalences, it would take to see a difference."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from companion.evidence.audit import facts, power
from companion.evidence.audit.uncertainty import ALIKE, PAIRED
from companion.report.audit_figures import book_style, listed, panel, picture, rows_named
from companion.report.theme import INK, SERIES, Html, decimal


def power_curves() -> Html:
    """Power against the number of studies, and the number needed against prevalence and by whose prevalences."""
    asked = power.questions()
    with book_style():
        drawings = [
            _chances(asked, f"Two models that err alike (r = {PAIRED:g})", PAIRED),
            _chances(asked, "Two that err independently (r = 0)", 0.0),
            _prevalences(asked),
            _hospitals(asked),
        ]
    first, *_, last = asked
    near, far = power.at_prevalence(first, 0.02), power.at_prevalence(first, 0.2)
    grounds: dict[str, list[str]] = {}
    for one in asked:
        grounds.setdefault(one.assumed, []).append(one.place)
    assumed = "; ".join(f"{listed(places)}: {what}" for what, places in grounds.items())
    caption = (
        "Above: the chance that a test at 5 % sees a difference, by number of studies; the thin lines are "
        f"{power.POWER:.0%} and {facts.size('chexpert', 'test')} studies. {_pair(first)} on validation would take "
        f"about {rough(first.needed())} studies ({rough(first.needed(ALIKE))} if the two models' errors correlated by "
        f"{ALIKE:g}), {_pair(last)} on NIH about {rough(last.needed())}. Below: the number of studies for that power, "
        f"by how common the findings are. Were every finding in 2 % of the studies, {_pair(first)} would take "
        f"{rough(near)}; in 20 %, {rough(far)}. Right: with the prevalences of each public set. "
        f"What is assumed: {assumed}."
    )
    return picture("How many studies would it take?", drawings, caption, "power", "two-sided, 5 %")


def _pair(one: power.Question) -> str:
    return f"{decimal(one.macros[0])} against {decimal(one.macros[1])}"


def _label(one: power.Question) -> str:
    a, b = one.macros
    return f"{decimal(a)} or {decimal(b)}: {one.place}"


def _chances(asked: Sequence[power.Question], title: str, correlation: float) -> tuple[Figure, str]:
    drawing, axes = panel(3.2)
    sizes = np.geomspace(100, 300_000, 60)
    for one, (colour, dash, _) in zip(asked, SERIES, strict=True):
        chance = [one.power(int(n), correlation) for n in sizes]
        axes.plot(sizes, chance, color=colour, linestyle=dash, linewidth=2, label=_label(one))
    axes.axvline(facts.size("chexpert", "test"), color=INK, linewidth=1, alpha=0.7)
    axes.axhline(power.POWER, color=INK, linewidth=0.6, alpha=0.7)
    axes.set(xscale="log", title=title, xlabel="studies", ylabel="chance of seeing it", ylim=(0, 1.03))
    drawing.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=7.5, handlelength=2.8)
    return drawing, f"{title}. " + "; ".join(f"{one.name} needs {one.needed(correlation):,} studies" for one in asked)


def _prevalences(asked: Sequence[power.Question]) -> tuple[Figure, str]:
    drawing, axes = panel(3.2)
    shares = np.geomspace(power.PREVALENCES[0], power.PREVALENCES[-1], 30)
    for one, (colour, dash, _) in zip(asked, SERIES, strict=True):
        needed = [power.at_prevalence(one, float(share)) for share in shares]
        axes.plot(shares, needed, color=colour, linestyle=dash, linewidth=2, label=_label(one))
    axes.axhline(facts.size("chexpert", "test"), color=INK, linewidth=1, alpha=0.7)
    title = "If every finding were as common"
    axes.set(xscale="log", yscale="log", title=title, xlabel="share of studies", ylabel="studies needed")
    ticks = list(power.PREVALENCES)
    axes.set_xticks(ticks, [f"{share:.0%}" for share in ticks])
    axes.minorticks_off()
    drawing.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=7.5, handlelength=2.8)
    return drawing, f"{title}. " + "; ".join(
        f"{one.name}: " + ", ".join(f"{power.at_prevalence(one, share):,} at {share:.0%}" for share in ticks)
        for one in asked
    )


def _hospitals(asked: Sequence[power.Question]) -> tuple[Figure, str]:
    drawing, axes = panel(3.2)
    found = [power.at_hospitals(one) for one in asked]
    names = list(dict.fromkeys(name for one in found for name in one))
    for row, one in enumerate(found):
        axes.plot([min(one.values()), max(one.values())], [row, row], color=INK, linewidth=0.8, alpha=0.5)
        for name, (colour, _, marker) in zip(names, SERIES, strict=True):
            if name in one:
                axes.plot(one[name], row, marker, color=colour, markersize=6)
    for name, (colour, _, marker) in zip(names, SERIES, strict=True):
        axes.plot([], [], marker, color=colour, label=name)
    rows_named(axes, [f"{decimal(q.macros[0])} or {decimal(q.macros[1])}\n{q.place}" for q in asked])
    axes.tick_params(axis="y", labelsize=7.5)
    title = "With whose prevalences"
    axes.set(xscale="log", title=title, xlabel="studies needed")
    drawing.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7, handlelength=1.2)
    return drawing, f"{title}. " + "; ".join(
        f"{question.name}: " + ", ".join(f"{name} {needed:,}" for name, needed in one.items())
        for question, one in zip(asked, found, strict=True)
    )


def rough(n: int) -> str:
    """Two leading digits, since more would promise too much."""
    step = 10 ** max(0, len(str(n)) - 2)
    return f"{round(n / step) * step:,}"
