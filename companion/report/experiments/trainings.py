"""One training against several: the demo's single run among the experiment's, at each hospital.

The chapters of the demo have one training of each model, and so intervals over patients alone. The experiment trained
the same recipe several times, on more studies. One figure shows both, over the same nine findings, so that nobody
takes the one for the other. It reconciles two layers of the book and carries no conclusion: rare findings are
in the average, and a row in which a model lies below naming every label is marked.
"""

import numpy as np

from companion.evidence import analysis, stats
from companion.evidence import tables as evidence
from companion.evidence.analysis import FINDINGS, Key
from companion.evidence.outcomes import MACRO
from companion.evidence.tables import read_runs
from companion.experiment import scores
from companion.report.experiments.answers import answers, asked, facts, have, missing
from companion.report.experiments.names import BELOW, HARD, SFT, model
from companion.report.paired import together
from companion.report.plots import picture
from companion.report.theme import Html, badge

#: Hospital -> the demo's runs after SFT and after GRPO on it.
DEMO = "demo"
PAIRS = {
    "A": ("02-sft-medgemma-free_reasoning", "03-grpo-hard"),
    "B": ("04-generalization-medgemma_sft-chexpert", "04-generalization-chexreason-chexpert"),
    "C": ("04-generalization-medgemma_sft-nih", "04-generalization-chexreason-nih"),
}


def rows(hospital: str) -> dict[str, np.ndarray]:
    """Row of the figure -> the change from SFT to GRPO with the hard reward at a hospital, a training and its draws of
    patients each (T, 1 + R); a row in which a side lies below naming every label is marked."""
    cell, pair = scores.own(hospital), (model(SFT), model(HARD))
    seeds = answers().seeds(pair)
    many = [np.subtract(*(answers().values(Key(name, cell), seed) for name in pair[::-1])) for seed in seeds]
    off = any(analysis.unfit(answers(), Key(name, cell), seeds, MACRO, FINDINGS) for name in pair)
    runs = [read_runs(DEMO)[run_id] for run_id in PAIRS[hospital]]
    macro_RM = together(runs).macro(FINDINGS)
    below = any(evidence.unfit(run, "best" if run.info["stage"] == "grpo" else None, FINDINGS) for run in runs)
    return {
        f"{hospital}, experiment ({len(seeds)} trainings){BELOW * off}": np.array(many),
        f"{hospital}, demo (1 training){BELOW * below}": (macro_RM[:, 1] - macro_RM[:, 0])[None],
    }


def whole() -> bool:
    """Whether both the experiment and the demo are there."""
    return have(model(HARD), model(SFT)) and {one for pair in PAIRS.values() for one in pair} <= set(read_runs(DEMO))


def figure() -> Html:
    """A dot a training at each hospital; one bar for patients alone, one for trainings and patients."""
    if not whole():
        return missing("the demo and the experiment")
    found, title = {row: each for hospital in PAIRS for row, each in rows(hospital).items()}, "GRPO minus SFT"
    shown = {
        "patients alone": {row: stats.percentiles(each.mean(axis=0)) for row, each in found.items()},
        "trainings and patients": {
            row: stats.percentiles(stats.over_seeds(list(each))) for row, each in found.items() if len(each) > 1
        },
    }
    of = asked(model(HARD), model(SFT)) + [read_runs(DEMO)[one] for pair in PAIRS.values() for one in pair]
    head = facts(model(HARD), model(SFT), measure="macro-F1 over nine findings")
    return picture(
        "Train it again and the number changes"
        if any(each[:, 0].min() < 0 < each[:, 0].max() for each in found.values())
        else "The same change, trained again",
        head + f'</div><div class="cxr-head">{badge("miniature", DEMO, "1 training")}',
        {title: shown}, "GRPO minus SFT, macro-F1",
        "From SFT to GRPO with the hard reward, best checkpoint (the demo at A on the studies that chose it, the "
        "experiment on others), each hospital with its own patients, images and labels. A pale dot is a training; one "
        "bar varies the patients alone, the other the trainings, too. The demo has one training, so its bar says "
        f"nothing about another training. {BELOW}: a side is below naming every label. Rare findings are in these "
        "averages, so they reconcile the two layers and carry no conclusion.",
        runs=of, columns=1, points={title: {row: each[:, 0].tolist() for row, each in found.items()}},
    )  # fmt: skip
