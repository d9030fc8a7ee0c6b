"""Pictures of what chance may do: validation scores, single findings, the differences leaned on, and power."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from companion.evidence import frames
from companion.evidence.audit import differences, facts, lines, operating, power, validation
from companion.evidence.audit import uncertainty as sure
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import MODELS
from companion.report.audit_figures import BLUE, GREEN, INK, ORANGE, SHORT, curves, interval, listed, picture, rows
from companion.report.theme import Html, decimal

FEW, MANY = min(sure.NIH_SIZES), max(sure.NIH_SIZES)
PREFIX = {"Table 2": "MedGemma: ", "Table 3": "Qwen: "}


def validation_scores() -> Html:
    """Micro- and macro-F1 of every row of Tables 1 to 4 with intervals."""
    found = frames.PARTS["validation"].frame
    everything = lines.reference_lines(1)[0]
    marks = [("", "dotted", BLUE, everything.macro), ("", "dotted", ORANGE, everything.micro or 0.0)]
    names = found["table"].map(PREFIX).fillna("") + found["row"].str.replace("Reasoning ", "")
    shown, untouched = found.set_index(names)[["macro-F1", "micro-F1"]], (found["table"] == "Table 1").to_numpy()
    panels = [
        rows(title, shown[which], "F1", height=4.2, step=0.3, hollow=("micro-F1",), marks=marks, xlim=(0, 0.6))
        for title, which in (("Table 1: prompts, untouched", untouched), ("Tables 2 to 4: after training", ~untouched))
    ]
    start, tuned = (
        found.loc[found["row"] == row, "micro-F1"].iloc[0] for row in ("Reasoning Narrative", "Hard, best F1-score")
    )
    how = "clearly above" if start.low > tuned.high else "no further than chance from"
    caption = (
        f"Filled: macro-F1, hollow: micro-F1, as printed. Bars: 95 % intervals if there were {validation.size()} "
        "studies with the prevalences of MIMIC-CXR-JPG and findings score in the pattern of Table 5; how many labels a "
        f"row names follows from its printed precision and recall, and {operating.unknown_rows()} prompts without them "
        "are taken to name as many as are recorded. Vertical lines: what answering every label would score then "
        f"({decimal(everything.macro)} and {decimal(everything.micro)}). By macro-F1 {_neighbours(found)}. By micro-F1 "
        f"the best prompt of the untouched model, {interval(start)}, is {how} the best that GRPO reaches, "
        f"{interval(tuned)}."
    )
    return picture("How sure is the validation?", panels, caption, "validation", f"n = {validation.size()}, assumed")


def _neighbours(found: pd.DataFrame) -> str:
    """Of the rows of each table, how many overlap with the next best, in words."""
    ranked = [sorted(part, key=lambda one: -one.estimate) for _, part in found.groupby("table")["macro-F1"]]
    pairs = [pair for part in ranked for pair in itertools.pairwise(part)]
    return f"{sum(worse.high >= better.low for better, worse in pairs)} of {len(pairs)} neighbours in rank overlap"


def findings() -> Html:
    """F1 of each finding under each of the five models, with intervals; those with few positives are marked."""
    found = frames.PARTS["findings"].frame

    def part(table: int, n: int) -> pd.DataFrame:
        kept = found[(found["table"] == table) & (found["n"] == n)]
        names = [
            f"{SHORT.get(name, name)}{'†' if few else ''} ({positives:.0f})"
            for name, few, positives in zip(kept["finding"], kept["few"], kept["positives"], strict=True)
        ]
        return kept.set_index(pd.Index(names))[list(MODELS.values())]

    near, far = part(5, facts.size("chexpert", "test")), part(6, FEW)
    panels = [
        rows(title, shown, "F1 (positives in brackets)", height=0.9 + 0.44 * len(shown), columns=3, step=0.16,
             inner=inner, xlim=(-0.01, 1.01))
        for title, shown, inner in (("CheXpert test", near, None),
                                    (f"NIH, bars: {FEW} studies, inner: {MANY:,}", far, part(6, MANY)))
    ]  # fmt: skip
    chex = found[found["table"] == 5].set_index("finding")["ChexReason"]
    widest = max(chex.index, key=lambda name: chex[name].high - chex[name].low)
    rare, rare_far = (
        list(found[(found["table"] == table) & (found["n"] == n) & (found["few"] == "yes")]["finding"])
        for table, n in ((5, facts.size("chexpert", "test")), (6, FEW))
    )
    caption = (
        "Marks: the printed F1; bars: 95 % intervals over studies, if a model names a label as often as it is "
        "recorded (Tables 5 and 6 print no precision or recall). "
        f"A dagger marks findings with fewer than {ENOUGH} positives: on CheXpert {listed(rare)}; on NIH, if "
        f"{FEW} studies were used, {listed(rare_far, 'none')}. For ChexReason the least certain is {widest}, "
        f"{interval(chex[widest])}. Each counts in the macro average as much as any other finding."
    )
    return picture("How sure is each finding?", panels, caption, "findings", "intervals reconstructed from supports")


def leaned_on() -> Html:
    """The differences that the paper leans on, with intervals at three correlations of two models' answers."""
    found = frames.PARTS["differences"].frame
    names = found["change"].str.replace("MedGemma (SFT)", "SFT").str.replace(" to ", " → ").str.replace(" on ", "\n")
    names += np.where(found["table"] == 6, [f", n = {n:,}" for n in found["n"]], "")
    shown, far = found.set_index(names).iloc[:, 3:], (found["table"] == 6).to_numpy()
    looks = dict(zip(map(str, shown), ((GREEN, "^"), (BLUE, "o"), (ORANGE, "s")), strict=True))
    panels = [
        rows(title, shown[which], "difference of macro-F1", height=1.2 + 0.42 * which.sum(), columns=3, step=0.22,
             looks=looks, marks=[("", "solid", INK, 0.0)], size=7)
        for title, which in (("Validation and CheXpert", ~far), (f"NIH, {FEW} or {MANY:,} studies", far))
    ]  # fmt: skip
    sizes = f"n = {facts.size('chexpert', 'test')}; NIH {FEW} or {MANY:,}, not in the text we have"
    return picture("Are the differences more than chance?", panels, _said_of(differences.differences()), "differences",
                   sizes)  # fmt: skip


def _said_of(found: Sequence[differences.Difference]) -> str:
    """Which differences are told apart whatever the correlation, which never, and which hang on it."""
    known = [one for one in found if one.lean.table != 6]
    kinds: dict[str, Callable[[int, int], bool]] = {
        "more than chance at every correlation": lambda apart, tried: apart == tried,
        "within chance at every correlation": lambda apart, tried: apart == 0,
        "undecided, since it hangs on the correlation": lambda apart, tried: 0 < apart < tried,
    }
    told = "; ".join(
        f"{kind}: {listed(some)}"
        for kind, fits in kinds.items()
        if (some := [one.lean.name for one in known if fits(len(one.told_apart), len(one.at))])
    )
    small = [one for one in found if one.lean.table == 6 and one.n == FEW]
    lost = [one.lean.name for one in small if sure.CORRELATIONS[0] not in one.told_apart]
    tried = ", ".join(f"{r:g}" for r in sure.CORRELATIONS)
    return (
        "Differences of macro-F1 with 95 % intervals. Two models read the same images, and how alike they err is not "
        f"printed, so r = {tried} are all shown. {told[0].upper()}{told[1:]}. On NIH with {FEW} "
        f"studies and independent errors (r = 0), {len(lost)} of {len(small)} intervals reach over zero. Another "
        "training of the same model is no part of any of them."
    )


def power_curves() -> Html:
    """Power against the number of studies, and the number needed against prevalence and by whose prevalences."""
    asked, test = power.questions(), facts.size("chexpert", "test")
    names = {one.name: f"{decimal(one.macros[0])} or {decimal(one.macros[1])}: {one.place}" for one in asked}
    studies, shares = np.geomspace(100, 300_000, 60), np.geomspace(power.PREVALENCES[0], power.PREVALENCES[-1], 30)
    panels = [
        curves(
            title, pd.DataFrame({names[q.name]: [q.power(int(n), r) for n in studies] for q in asked}, studies),
            "; ".join(f"{one.name} needs {one.needed(r):,} studies" for one in asked),
            marks=(("x", test), ("y", power.POWER)), xscale="log", xlabel="studies", ylabel="chance of seeing it",
            ylim=(0, 1.03),
        )
        for title, r in ((f"Two models that err alike (r = {sure.PAIRED:g})", sure.PAIRED),
                         ("Two that err independently (r = 0)", 0.0))
    ]  # fmt: skip
    needed = {names[one.name]: [one.at_prevalence(float(share)) for share in shares] for one in asked}
    said = "; ".join(
        f"{q.name}: " + ", ".join(f"{q.at_prevalence(p):,} at {p:.0%}" for p in power.PREVALENCES) for q in asked
    )
    panels.append(curves(
        "If every finding were as common", pd.DataFrame(needed, shares), said,
        marks=(("y", test),), xscale="log", yscale="log", xlabel="share of studies", ylabel="studies needed",
        also=_in_percent,
    ))  # fmt: skip
    places = pd.DataFrame([one.at_hospitals() for one in asked], [name.replace(": ", "\n") for name in names.values()])
    panels.append(rows("With whose prevalences", places, "studies needed", height=3.2, joined=True, xscale="log"))
    first, *_, last = asked
    grounds: dict[str, list[str]] = {}
    for one in asked:
        grounds.setdefault(one.assumed, []).append(one.place)
    assumed = "; ".join(f"{listed(where)}: {what}" for what, where in grounds.items())
    pair = {one.name: f"{decimal(one.macros[0])} against {decimal(one.macros[1])}" for one in (first, last)}
    caption = (
        "Above: the chance that a test at 5 % sees a difference, by number of studies; the thin lines are "
        f"{power.POWER:.0%} and {test} studies. {pair[first.name]} on validation would take about "
        f"{rough(first.needed())} studies ({rough(first.needed(sure.ALIKE))} if the two models' errors correlated "
        f"by {sure.ALIKE:g}), {pair[last.name]} on NIH about {rough(last.needed())}. Below: the number of studies for "
        f"that power, by how common the findings are. Were every finding in 2 % of the studies, {pair[first.name]} "
        f"would take {rough(first.at_prevalence(0.02))}; in 20 %, {rough(first.at_prevalence(0.2))}. "
        f"Right: with the prevalences of each public set. What is assumed: {assumed}."
    )
    return picture("How many studies would it take?", panels, caption, "power", "two-sided, 5 %")


def _in_percent(axes: Axes) -> None:
    axes.set_xticks(power.PREVALENCES, [f"{share:.0%}" for share in power.PREVALENCES])
    axes.minorticks_off()


def rough(n: int) -> str:
    """Two leading digits, since more would promise too much."""
    step = 10 ** max(0, len(str(n)) - 2)
    return f"{round(n / step) * step:,}"
