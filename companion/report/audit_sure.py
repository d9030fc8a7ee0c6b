"""Pictures of what chance may do: validation scores, single findings, and the differences that the paper leans on."""

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from companion.evidence.audit import differences, facts, lines, operating, validation
from companion.evidence.audit import uncertainty as sure
from companion.evidence.comparable import ENOUGH
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS, TABLES, title_of
from companion.report.audit_figures import BLUE, GREEN, ORANGE, SHORT, book_style, listed, panel, picture, rows_named
from companion.report.theme import INK, SERIES, Html, decimal, signed

#: Colour and marker of each of the five models.
LOOKS: tuple[tuple[str, str], ...] = (*((colour, marker) for colour, _, marker in SERIES), (INK, "v"))


def validation_scores() -> Html:
    """Micro- and macro-F1 of every row of Tables 1 to 4 with intervals."""
    found = validation.intervals(np.random.default_rng(0))
    groups = {"Table 1: prompts, untouched": (1,), "Tables 2 to 4: after training": (2, 3, 4)}
    with book_style():
        drawings = [
            _validation(title, {cell: one for cell, one in found.items() if cell[0] in tables})
            for title, tables in groups.items()
        ]
    macro, micro = lines.reference_lines(1)[0].macro, lines.reference_lines(1)[0].micro
    start, tuned = found[1, "reasoning_narrative"]["micro"], found[4, "hard_best"]["micro"]
    how = "clearly above" if start.low > tuned.high else "no further than chance from"
    caption = (
        f"Filled: macro-F1, hollow: micro-F1, as printed. Bars: 95 % intervals if there were {validation.size()} "
        "studies with the prevalences of MIMIC-CXR-JPG and findings score in the pattern of Table 5; how many labels a "
        f"row names follows from its printed precision and recall, and {operating.unknown_rows()} prompts without them "
        "are taken to name as many as are recorded. Vertical lines: "
        f"what answering every label would score then ({decimal(macro)} and {decimal(micro)}). By macro-F1 "
        f"{_neighbours(found)}. By micro-F1 the best prompt of the untouched model, {_said(start)}, is {how} the best "
        f"that GRPO reaches, {_said(tuned)}."
    )
    return picture("How sure is the validation?", drawings, caption, "validation", f"n = {validation.size()}, assumed")


def _neighbours(found: Mapping[tuple[int, str], Mapping[str, Interval]]) -> str:
    """Of the rows of each table, how many overlap with the next best, in words."""
    close = every = 0
    for table in {table for table, _ in found}:
        ranked = sorted((one["macro"] for (t, _), one in found.items() if t == table), key=lambda one: -one.estimate)
        pairs = list(itertools.pairwise(ranked))
        every, close = every + len(pairs), close + sum(worse.high >= better.low for better, worse in pairs)
    return f"{close} of {every} neighbours in rank overlap"


def _validation(title: str, found: Mapping[tuple[int, str], Mapping[str, Interval]]) -> tuple[Figure, str]:
    drawing, axes = panel(4.2)
    said, names = [], []
    for i, ((table, row), one) in enumerate(found.items()):
        for average, colour, marker, fill, shift in (
            ("macro", BLUE, "o", BLUE, -0.15), ("micro", ORANGE, "s", "none", 0.15),
        ):  # fmt: skip
            interval = one[average]
            axes.plot([interval.low, interval.high], [i + shift] * 2, color=colour, linewidth=1.8)
            axes.plot(interval.estimate, i + shift, marker, color=colour, markersize=4.5, markerfacecolor=fill,
                      label=f"{average}-F1" if i == 0 else None)  # fmt: skip
        prefix = {2: "MedGemma: ", 3: "Qwen: "}.get(table, "")
        names.append(f"{prefix}{title_of(TABLES[table], row).replace('Reasoning ', '')}")
        said.append(f"{names[-1]} macro {_said(one['macro'])}, micro {_said(one['micro'])}")
    everything = lines.reference_lines(1)[0]
    for value, colour in ((everything.macro, BLUE), (everything.micro, ORANGE)):
        axes.axvline(value or 0.0, color=colour, linewidth=1, linestyle="dotted")
    rows_named(axes, names)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set(title=title, xlabel="F1", xlim=(0, 0.6))
    drawing.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7.5)
    return drawing, f"{title}. {'; '.join(said)}."


def findings() -> Html:
    """F1 of each finding under each of the five models, with intervals; those with few positives are marked."""
    few, many = min(sure.NIH_SIZES), max(sure.NIH_SIZES)
    with book_style():
        drawings = [
            _findings("CheXpert test", 5, facts.size("chexpert", "test"), None),
            _findings(f"NIH, bars: {few} studies, inner: {many:,}", 6, few, many),
        ]
    rare = [name for name, support in sure.supports_of(5).items() if support < ENOUGH]
    rare_far = [name for name, support in sure.supports_of(6, few).items() if support < ENOUGH]
    widest = {name: sure.interval(facts.value(5, name, "chexreason"), support) for name, support in
              sure.supports_of(5).items()}  # fmt: skip
    name = max(widest, key=lambda finding: widest[finding].high - widest[finding].low)
    caption = (
        "Marks: the printed F1; bars: 95 % intervals over studies, if a model names a label as often as it is "
        "recorded (Tables 5 and 6 print no precision or recall). "
        f"A dagger marks findings with fewer than {ENOUGH} positives: on CheXpert {listed(rare)}; on NIH, if "
        f"{few} studies were used, {listed(rare_far, 'none')}. For ChexReason the least certain is {name}, "
        f"{_said(widest[name])}. Each counts in the macro average as much as any other finding."
    )
    return picture("How sure is each finding?", drawings, caption, "findings", "intervals reconstructed from supports")


def _findings(title: str, table: int, n: int, inner: int | None) -> tuple[Figure, str]:
    wide = sure.finding_intervals(table, n)
    close = sure.finding_intervals(table, inner) if inner else {}
    names = list(dict.fromkeys(name for name, _ in wide))
    drawing, axes = panel(0.9 + 0.44 * len(names))
    said = []
    for row, name in enumerate(names):
        for k, ((model, shown), (colour, marker)) in enumerate(zip(MODELS.items(), LOOKS, strict=True)):
            one, at = wide[name, model][0], row + (k - 2) * 0.16
            axes.plot([one.low, one.high], [at, at], color=colour, linewidth=1.1, alpha=0.9)
            if close:
                core = close[name, model][0]
                axes.plot([core.low, core.high], [at, at], color=colour, linewidth=3)
            axes.plot(one.estimate, at, marker, color=colour, markersize=3.4, label=shown if row == 0 else None)
            said.append(f"{name}, {shown} {_said(one)}")
    supports = {name: support for (name, _), (_, support) in wide.items()}
    rows_named(axes, [f"{SHORT.get(name, name)}{'†' if supports[name] < ENOUGH else ''} ({supports[name]:.0f})"
                      for name in names])  # fmt: skip
    for row in range(len(names) - 1):
        axes.axhline(row + 0.5, color=INK, linewidth=0.4, alpha=0.25)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set_title(title, fontsize=9)
    axes.set(xlabel="F1 (positives in brackets)", xlim=(-0.01, 1.01))
    drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7.5)
    return drawing, f"{title}. {'; '.join(said)}."


@functools.cache
def _differences() -> list[differences.Difference]:
    return differences.differences()


def leaned_on() -> Html:
    """The differences that the paper leans on, with intervals at three correlations of two models' answers."""
    found = _differences()
    few, many = min(sure.NIH_SIZES), max(sure.NIH_SIZES)
    with book_style():
        drawings = [
            _leans("Validation and CheXpert", [one for one in found if one.lean.table != 6]),
            _leans(f"NIH, {few} or {many:,} studies", [one for one in found if one.lean.table == 6]),
        ]
    sizes = f"n = {facts.size('chexpert', 'test')}; NIH {few} or {many:,}, not in the text we have"
    return picture("Are the differences more than chance?", drawings, _said_of(found), "differences", sizes)


def _said_of(found: Sequence[differences.Difference]) -> str:
    """Which differences are told apart whatever the correlation, which never, and which hang on it."""
    known = [one for one in found if one.lean.table != 6]
    kinds = {
        "more than chance at every correlation": [one for one in known if len(one.told_apart) == len(one.at)],
        "within chance at every correlation": [one for one in known if not one.told_apart],
        "undecided, since it hangs on the correlation": [
            one for one in known if 0 < len(one.told_apart) < len(one.at)
        ],
    }  # fmt: skip
    told = "; ".join(f"{kind}: {listed([one.lean.name for one in some])}" for kind, some in kinds.items() if some)
    small = [one for one in found if one.lean.table == 6 and one.n == min(sure.NIH_SIZES)]
    lost = [one.lean.name for one in small if sure.CORRELATIONS[0] not in one.told_apart]
    tried = ", ".join(f"{r:g}" for r in sure.CORRELATIONS)
    return (
        "Differences of macro-F1 with 95 % intervals. Two models read the same films, and how alike they err is not "
        f"printed, so r = {tried} are all shown. {told[0].upper()}{told[1:]}. On NIH with {min(sure.NIH_SIZES)} "
        f"studies and independent errors (r = 0), {len(lost)} of {len(small)} intervals reach over zero. Another "
        "training of the same model is no part of any of them."
    )


def _leans(title: str, found: Sequence[differences.Difference]) -> tuple[Figure, str]:
    drawing, axes = panel(1.2 + 0.42 * len(found))
    said = []
    for row, one in enumerate(found):
        for (r, interval), colour, marker, shift in zip(
            one.at.items(), (GREEN, BLUE, ORANGE), "^os", (-0.22, 0.0, 0.22), strict=True
        ):
            axes.plot([interval.low, interval.high], [row + shift] * 2, color=colour, linewidth=1.8)
            axes.plot(interval.estimate, row + shift, marker, color=colour, markersize=4,
                      label=f"r = {r:g}" if row == 0 else None)  # fmt: skip
            said.append(f"{one.lean.name}, n = {one.n:,}, r = {r:g}: {signed(interval.estimate)} "
                        f"({signed(interval.low)} to {signed(interval.high)})")  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.8)
    rows_named(axes, [_short(one) for one in found])
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("difference of macro-F1")
    drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7.5)
    return drawing, f"{title}. {'; '.join(said)}."


def _short(one: differences.Difference) -> str:
    name = one.lean.name.replace("MedGemma (SFT)", "SFT").replace(" to ", " → ").replace(" on ", "\n")
    return name + (f", n = {one.n:,}" if one.lean.table == 6 else "")


def _said(one: Interval) -> str:
    return f"{decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)})"
