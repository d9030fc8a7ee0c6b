"""Pictures of what chance and counting may do: scores, findings, differences, power; possible scores, and labels.

Their captions are the chapter's own sentences, which stand below them.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chexreason.labels import FINDINGS
from companion.evidence import frames
from companion.evidence.audit import attainability, conventions, differences, facts, lines, power, validation
from companion.evidence.audit import uncertainty as sure
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS
from companion.report.audit_figures import curves, listed, picture
from companion.report.plots import intervals, panel, rows_named
from companion.report.theme import INK, ORANGE, Html, decimal

FEW, MANY = min(sure.NIH_SIZES), max(sure.NIH_SIZES)
#: Before a row's name, where two tables have rows of the same name.
PREFIX = {"Table 2": "MedGemma: ", "Table 3": "Qwen: "}


def validation_scores() -> Html:
    """Micro- and macro-F1 of every row of Tables 1 to 4 with intervals."""
    found, everything = frames.PARTS["validation"].frame, lines.reference_lines(1)[0]
    shown = found.set_index(row_names(found))[["macro-F1", "micro-F1"]]
    untouched = found["table"].eq("Table 1").to_numpy()
    marks = {"every label, macro-F1": [everything.macro], "every label, micro-F1": [everything.micro or 0.0]}
    panels = [
        intervals(title, shown[which].to_dict(), "F1", line=None, marks=marks, xlim=(0, 0.6))
        for title, which in (("Table 1: prompts, untouched", untouched), ("Tables 2 to 4: after training", ~untouched))
    ]
    return picture("How sure is the validation?", panels, "validation", f"n = {validation.size()}, assumed")


def row_names(found: pd.DataFrame) -> pd.Index:
    """Rows of Tables 1 to 4 by names that are short and differ."""
    short = found["row"].str.replace("Reasoning ", "").str.replace(" (baseline)", "")
    return pd.Index(found["table"].map(PREFIX).fillna("") + short)


def findings() -> Html:
    """F1 of each finding under each of the five models, with intervals; those with few positives are marked."""
    found, near = frames.PARTS["findings"].frame, facts.size("chexpert", "test")
    panels = []
    for title, table, n in (("CheXpert test", 5, near), *((f"NIH, if {n:,} studies", 6, n) for n in (FEW, MANY))):
        kept = found[(found["table"] == table) & (found["n"] == n)]
        names = kept["finding"] + np.where(kept["few"] == "yes", "†", "") + kept["positives"].map(" ({:.0f})".format)
        shown = kept.set_index(names)[list(MODELS.values())]
        panels.append(intervals(title, shown.to_dict(), "F1 (positives in brackets)", line=None, xlim=(-0.01, 1.01)))
    return picture("How sure is each finding?", panels, "findings", "intervals reconstructed from supports")


def leaned_on() -> Html:
    """The differences that the paper leans on, with intervals at three correlations of two models' answers."""
    found = frames.PARTS["differences"].frame
    names = found["change"].str.replace("MedGemma (SFT)", "SFT").str.replace(" to ", " → ").str.replace(" on ", "\n")
    names += np.where(found["table"] == 6, [f", n = {n:,}" for n in found["n"]], "")
    shown, far = found.set_index(names).iloc[:, 3:], (found["table"] == 6).to_numpy()
    panels = [
        intervals(title, shown[which].to_dict(), "difference of macro-F1")
        for title, which in (("Validation and CheXpert", ~far), (f"NIH, {FEW} or {MANY:,} studies", far))
    ]
    sizes = f"n = {facts.size('chexpert', 'test')}; NIH {FEW} or {MANY:,}, not in the text we have"
    return picture("Are the differences more than chance?", panels, "differences", sizes)


def power_curves() -> Html:
    """Power against the number of studies, and the number needed by whose prevalences."""
    asked, test, studies = power.questions(), facts.size("chexpert", "test"), np.geomspace(100, 300_000, 60)
    names = {one.name: f"{decimal(one.macros[0])} or {decimal(one.macros[1])}: {one.place}" for one in asked}
    panels = [
        curves(
            title, pd.DataFrame({names[q.name]: [q.power(int(n), r) for n in studies] for q in asked}, studies),
            "; ".join(f"{one.name} needs {one.needed(r):,} studies" for one in asked), 1, [power.POWER], [test],
            xscale="log", xlabel="studies", ylabel="chance of seeing it", ylim=(0, 1.03),
        )
        for title, r in ((f"Two models that err alike (r = {sure.PAIRED:g})", sure.PAIRED),
                         ("Two that err independently (r = 0)", 0.0))
    ]  # fmt: skip
    places = pd.DataFrame([one.at_hospitals() for one in asked], [name.replace(": ", "\n") for name in names.values()])
    panels.append(intervals("With whose prevalences", places.to_dict(), "studies needed", line=None, xscale="log"))
    return picture("How many studies would it take?", panels, "power", "two-sided, 5 %")


def rough(n: int) -> str:
    """Two leading digits, since more would promise too much.

    >>> rough(12_345)
    '12,000'
    """
    step = 10 ** max(0, len(str(n)) - 2)
    return f"{round(n / step) * step:,}"


def turned() -> str:
    """How many differences of Tables 5 and 6 are told apart otherwise, and which, for each way to name labels."""
    said = []
    for what, names in differences.turned().items():
        said.append(f"If models name {what}, {len(names) or 'none'}.")
        found: dict[str, list[str]] = {}
        for pair, _, place in (name.rpartition(" on ") for name in names):
            found.setdefault(place, []).append(pair)
        said += [f"On {place}: {listed(pairs)}." for place, pairs in found.items()]
    return " ".join(said)


def rulers() -> Html:
    """Every F1 that is possible for the rare findings, with the five that are printed, and what one hit is worth."""
    n, supports = facts.size("chexpert", "test"), facts.supports("chexpert", "test", FINDINGS)
    support = {name: round(supports[name]) for name in sorted(FINDINGS, key=lambda name: round(supports[name]))}
    possible = {name: attainability.values_near(support[name], n, 0.2) for name in list(support)[:6]}

    def ruler(axes: Axes) -> None:
        for row, (name, values) in enumerate(possible.items()):
            ticks = np.unique(np.round(values, 3))
            axes.plot(ticks, [row] * len(ticks), "|", color=INK, markersize=10, markeredgewidth=0.5, alpha=0.5)
            printed = [facts.value(5, name, model) for model in MODELS]
            axes.plot(printed, [row] * len(printed), "o", color=ORANGE, markersize=5, markerfacecolor="none", mew=1.6)
        rows_named(axes, [f"{name} ({support[name]})" for name in possible])

    said = "; ".join(f"{name} {len(values)}" for name, values in possible.items())
    worth = {"": {name: 1 / count for name, count in support.items()}}
    panels = [
        panel("Possible values, rarest findings", ruler, f"Number of possible values of F1: {said}.", xlabel="F1",
              ylabel="", xlim=(-0.02, 1.02)),
        intervals("What one more hit is worth", worth, "change of F1 (if P = R)", line=None),
    ]  # fmt: skip
    return picture("Which scores are possible at all?", panels, "attainable", f"{n} studies")


def label_conventions() -> Html:
    """How often each finding is recorded at each place, and in whose company."""
    recorded = {
        name: {finding: Interval(without, zeros, ones)
               for finding, (zeros, ones, without) in conventions.policies(dataset, split).items()}
        for name, (dataset, split, _) in conventions.PARTS.items()
    }  # fmt: skip
    pairs = {f"{one.given}\n→ {one.also}": one for one in conventions.together()}
    shares = {
        "mined from reports": {row: one.reports for row, one in pairs.items()},
        "radiologists": {row: one.radiologists for row, one in pairs.items()},
    }
    panels = [
        intervals("How often it is recorded", recorded, "share of studies", line=None),
        intervals("… and in whose company", shares, "share that carry the second label", line=None),
    ]
    return picture("Does the same label mean the same?", panels, "conventions", "public label counts")
