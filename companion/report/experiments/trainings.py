"""One training against several: the demo's single run among the experiment's, at each hospital.

The chapters of the demo have one training of each model, and so intervals over patients alone. The experiment trained
the same recipe several times, on more studies. One figure shows both, over the same nine findings, so that nobody
takes the one for the other. It reconciles two layers of the book and carries no conclusion: rare findings are
in the average, and where a model lies below naming every label its points are hollow.
"""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chexreason.runs import Run
from companion.evidence import analysis, stats
from companion.evidence import tables as evidence
from companion.evidence.analysis import FINDINGS, Key
from companion.evidence.outcomes import MACRO
from companion.evidence.stats import Interval
from companion.evidence.tables import read_runs
from companion.experiment import scores
from companion.report.behind import runs_behind
from companion.report.experiments.answers import HARD, SFT, answers, facts, have, missing, model, runs_of
from companion.report.experiments.intervals import framed
from companion.report.figures import STYLE, to_svg
from companion.report.paired import together
from companion.report.theme import INK, SERIES, Html, Prose, badge, signed, spoken

#: Hospital -> the demo's runs after SFT and after GRPO on it.
DEMO = "demo"
PAIRS = {
    "A": ("02-sft-medgemma-free_reasoning", "03-grpo-hard"),
    "B": ("04-generalization-medgemma_sft-chexpert", "04-generalization-chexreason-chexpert"),
    "C": ("04-generalization-medgemma_sft-nih", "04-generalization-chexreason-nih"),
}


@dataclass(frozen=True)
class Row:
    """The change from SFT to GRPO with the hard reward at a hospital, by some trainings."""

    label: str
    trainings: tuple[float, ...]
    patients: Interval  # over patients alone
    both: Interval | None  # over trainings and patients; None for one training
    hollow: bool  # whether a side lies below naming every label


def _experiment(hospital: str) -> Row:
    cell = scores.own(hospital)
    seeds = answers().seeds([model(HARD), model(SFT)])
    values = [
        answers().values(Key(model(HARD), cell), seed) - answers().values(Key(model(SFT), cell), seed) for seed in seeds
    ]
    off = any(analysis.unfit(answers(), Key(name, cell), seeds, MACRO, FINDINGS) for name in (model(HARD), model(SFT)))
    label = f"{hospital}, experiment ({len(seeds)} trainings)"
    patients, both = stats.percentiles(np.mean(values, axis=0)), stats.percentiles(stats.over_seeds(values))
    return Row(label, tuple(float(one[0]) for one in values), patients, both, off)


def _demo(hospital: str, have_runs: dict[str, Run]) -> Row:
    scored = together([have_runs[run_id] for run_id in PAIRS[hospital]])
    found = scored.difference(0, 1, FINDINGS)
    off = any(
        evidence.unfit(have_runs[run_id], "best" if have_runs[run_id].info["stage"] == "grpo" else None, FINDINGS)
        for run_id in PAIRS[hospital]
    )
    return Row(f"{hospital}, demo (1 training)", (found.estimate,), found, None, off)


def rows() -> list[Row]:
    """Both layers at each hospital; empty without the experiment or the demo."""
    demo = read_runs(DEMO)
    if not have(model(HARD), model(SFT)) or not all(one in demo for pair in PAIRS.values() for one in pair):
        return []
    return [row for hospital in "ABC" for row in (_experiment(hospital), _demo(hospital, demo))]


def figure() -> Html:
    """A dot a training at each hospital; thin: patients alone; thick: trainings and patients."""
    found = rows()
    if not found:
        return missing("the demo and the experiment")
    of = [run for name in (model(HARD), model(SFT)) for run in runs_of()[name]]
    of += [read_runs(DEMO)[one] for pair in PAIRS.values() for one in pair]
    head = facts(model(HARD), model(SFT), measure="macro-F1 over nine findings")
    return framed(
        "Train it again and the number changes"
        if any(_turns(row) for row in found)
        else "The same change, trained again",
        head + f'</div><div class="cxr-head">{badge("miniature", DEMO, "1 training")}',
        [_panel(found)],
        "From SFT to GRPO with the hard reward, best checkpoint (the demo at A on the studies that chose it, the "
        "experiment on others), each hospital with its own patients, images and "
        "labels. A dot is a training; thin bars vary the patients alone, thick ones the trainings, too. The demo has "
        "one training, and so no thick bar: its thin bar says nothing about another training. Hollow: a side is below "
        "naming every label. Rare findings are in these averages, so they reconcile the two layers and carry no "
        "conclusion.",
        columns=1,
        behind=runs_behind(of),
    )


def _panel(found: list[Row]) -> str:
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(4.4, 0.8 + 0.36 * len(found)), layout="constrained")
        axes = drawing.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, row in enumerate(found):
            colour, _, marker = SERIES[0 if row.both else 1]
            axes.plot([row.patients.low, row.patients.high], [place] * 2, color=colour, linewidth=1,
                      solid_capstyle="butt")  # fmt: skip
            if row.both:
                axes.plot([row.both.low, row.both.high], [place] * 2, color=colour, linewidth=4, alpha=0.45,
                          solid_capstyle="butt")  # fmt: skip
            axes.plot(row.trainings, [place] * len(row.trainings), marker, color=colour, markersize=5,
                      markerfacecolor="none" if row.hollow else colour)  # fmt: skip
        axes.set_yticks(range(len(found)), [row.label for row in found])
        axes.set(xlabel="GRPO minus SFT, macro-F1", ylim=(len(found) - 0.4, -0.6))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.grid(visible=False, axis="y")
        said = "; ".join(f"{row.label}: {spoken(row.both or row.patients)}" for row in found)
        return to_svg(drawing, f"GRPO minus SFT. {said}.")


def _turns(row: Row) -> bool:
    """Whether trainings disagree on the sign of the change."""
    return min(row.trainings) < 0 < max(row.trainings)


def finding() -> Prose:
    """How far single trainings lie apart, in a sentence."""
    found = {row.label.split(",")[0] + (" demo" if row.both is None else ""): row for row in rows()}
    if not found:
        return Prose("*Not run yet.*")
    parts = []
    for hospital in "ABC":
        many, one = found[hospital], found[f"{hospital} demo"]
        parts.append(
            f"at {hospital} from {signed(min(many.trainings))} to {signed(max(many.trainings))}"
            f"{' (below naming every label)' if many.hollow else ''}, and {signed(one.trainings[0])} in the demo's "
            f"single one{' (below naming every label)' if one.hollow else ''}"
        )
    return Prose(
        f"The same change by another training, macro-F1 over nine findings: {'; '.join(parts)}. The demo trained on "
        "fewer studies and was tested on other patients, so the experiment's dots alone show what another training "
        "does. One training cannot say which of these is typical."
    )
