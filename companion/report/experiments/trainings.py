"""One training against several: the demo's single run among the experiment's, at each hospital.

The chapters of the demo have one training of each model, and so intervals over patients alone. The experiment trained
the same recipe several times, on more studies. One figure shows both, over the same nine findings, so that nobody
takes the one for the other. It reconciles two layers of the book and carries no conclusion: rare findings are
in the average, and a row in which a model lies below naming every label is marked.
"""

from dataclasses import dataclass

import numpy as np

from chexreason.runs import Run
from companion.evidence import analysis, stats
from companion.evidence import tables as evidence
from companion.evidence.analysis import FINDINGS, Key
from companion.evidence.outcomes import MACRO
from companion.evidence.stats import Interval
from companion.evidence.tables import read_runs
from companion.experiment import scores
from companion.report.experiments.answers import answers, asked, facts, have, missing
from companion.report.experiments.names import BELOW, HARD, SFT, model
from companion.report.paired import together
from companion.report.plots import picture
from companion.report.theme import Html, badge, signed

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
    below: bool  # whether a side lies below naming every label


def _experiment(hospital: str) -> Row:
    cell = scores.own(hospital)
    seeds = answers().seeds([model(HARD), model(SFT)])
    values = [
        answers().values(Key(model(HARD), cell), seed) - answers().values(Key(model(SFT), cell), seed) for seed in seeds
    ]
    off = any(analysis.unfit(answers(), Key(name, cell), seeds, MACRO, FINDINGS) for name in (model(HARD), model(SFT)))
    label = f"{hospital}, experiment ({len(seeds)} trainings){BELOW if off else ''}"
    patients, both = stats.percentiles(np.mean(values, axis=0)), stats.percentiles(stats.over_seeds(values))
    return Row(label, tuple(float(one[0]) for one in values), patients, both, off)


def _demo(hospital: str, have_runs: dict[str, Run]) -> Row:
    scored = together([have_runs[run_id] for run_id in PAIRS[hospital]])
    found = scored.difference(0, 1, FINDINGS)
    off = any(
        evidence.unfit(have_runs[run_id], "best" if have_runs[run_id].info["stage"] == "grpo" else None, FINDINGS)
        for run_id in PAIRS[hospital]
    )
    label = f"{hospital}, demo (1 training){BELOW if off else ''}"
    return Row(label, (found.estimate,), found, None, off)


def rows() -> list[Row]:
    """Both layers at each hospital; empty without the experiment or the demo."""
    demo = read_runs(DEMO)
    if not have(model(HARD), model(SFT)) or not all(one in demo for pair in PAIRS.values() for one in pair):
        return []
    return [row for hospital in "ABC" for row in (_experiment(hospital), _demo(hospital, demo))]


def figure() -> Html:
    """A dot a training at each hospital; one bar for patients alone, one for trainings and patients."""
    if not (found := rows()):
        return missing("the demo and the experiment")
    title, values = (
        "GRPO minus SFT",
        {
            "patients alone": {row.label: row.patients for row in found},
            "trainings and patients": {row.label: row.both for row in found if row.both},
        },
    )
    of = asked(model(HARD), model(SFT)) + [read_runs(DEMO)[one] for pair in PAIRS.values() for one in pair]
    head = facts(model(HARD), model(SFT), measure="macro-F1 over nine findings")
    return picture(
        "Train it again and the number changes"
        if any(min(row.trainings) < 0 < max(row.trainings) for row in found)
        else "The same change, trained again",
        head + f'</div><div class="cxr-head">{badge("miniature", DEMO, "1 training")}',
        {title: values}, "GRPO minus SFT, macro-F1",
        "From SFT to GRPO with the hard reward, best checkpoint (the demo at A on the studies that chose it, the "
        "experiment on others), each hospital with its own patients, images and labels. A pale dot is a training; one "
        "bar varies the patients alone, the other the trainings, too. The demo has one training, so its bar says "
        f"nothing about another training. {BELOW}: a side is below naming every label. Rare findings are in these "
        "averages, so they reconcile the two layers and carry no conclusion.",
        runs=of, columns=1, points={title: {row.label: row.trainings for row in found}},
    )  # fmt: skip


def ranges() -> str:
    """How far single trainings lie apart at each hospital, as the end of a sentence; empty without the runs."""
    found, parts = rows(), []
    for hospital, many, one in zip("ABC", found[::2], found[1::2], strict=False):
        low, also = (" (below naming every label)" if row.below else "" for row in (many, one))
        parts.append(
            f"at {hospital} from {signed(min(many.trainings))} to {signed(max(many.trainings))}{low}, and "
            f"{signed(one.trainings[0])} in the demo's single one{also}"
        )
    return "; ".join(parts)
