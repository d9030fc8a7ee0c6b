"""The experiment's runs as a side: several trainings of the paper's runs (`ours`), and what no table holds.

A seed is a training: validation studies for Tables 2 to 4, each hospital's own images and labels for Tables 5
(hospital B) and 6 (hospital C). A claim is judged on all seeds that have every run it asks for, as the chapters are.
The test worlds are scored on the nine findings that all conventions can state; averages over fourteen are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason import metrics, written
from chexreason.errors import UserError
from chexreason.prompts import SFT_FORMATS
from chexreason.runs import Run, read_all
from companion.evidence import analysis
from companion.evidence.claims.ours import Ours, Scored, open_runs
from companion.evidence.claims.quantity import DRAWS, CannotTell, Floats, Quantity, Side, Studies
from companion.evidence.tables import results_root
from companion.experiment import arms, scores, worlds

#: The paper's model -> the experiment's; the others were not asked.
ASKED = {"medgemma": "base-best", "medgemma_sft": f"{arms.SFT}-best", "chexreason": "grpo-hard-best"}
#: The paper's test set -> the hospital that stands for it.
HOSPITALS = {"chexpert": "B", "nih": "C"}
#: The name of a run of the paper's study -> the arm that is the same training.
TRAINED = {
    **{f"02-sft-{base}-{name}": f"sft-{base}-{name}" for base in ("medgemma", "qwen") for name in SFT_FORMATS},
    **{f"03-grpo-{reward}": f"grpo-{reward}" for reward in ("hard", "nuanced")},
}
HOME = scores.own("A")
#: Trained on two hospitals, one after the other; and rewarded for what can be seen, whatever is recorded.
CURRICULUM, REWARD = "cure-two-hospitals-best", "cure-visible-best"
STABILISERS = tuple(f"{name}-last" for name, arm in arms.ARMS.items() if arm.question == "collapse")


@dataclass(frozen=True)
class WorldRun(Run):
    """Answers to one hospital's own images, in the form of a run of Tables 5 and 6."""

    rows: pd.DataFrame

    def predictions(self) -> pd.DataFrame:
        """A row a patient."""
        return self.rows

    def metrics(self) -> pd.DataFrame:
        """Scores over the nine findings."""
        true_NF, said_NF = (metrics.label_cells(self.rows[name], "nih9") for name in ("truth", "predicted"))
        failed = float(self.rows["failed"].astype(bool).mean())
        return metrics.scores(true_NF, said_NF, "nih9", failure_rate=failed).to_frame()


class Seeds(Ours):
    """The experiment below `root` as a side."""

    def __init__(self, root: Path) -> None:
        self._answers = analysis.read(root)
        seeds = self._answers.seeds([ASKED["medgemma_sft"], ASKED["chexreason"]])
        if not seeds:
            raise UserError("at least one seed of SFT and GRPO", f"none in {root}", "run them: make experiments")
        trainings: dict[int, dict[str, Run]] = {}
        for seed in seeds:
            made = {run.run_id: run for run in read_all(root / f"seed{seed}")}
            trainings[seed] = {paper: made[arm] for paper, arm in TRAINED.items() if arm in made}
            for model in ASKED:
                for dataset in HOSPITALS:
                    run_id = f"04-generalization-{model}-{dataset}"
                    trainings[seed][run_id] = self._world(root, seed, run_id, model, HOSPITALS[dataset])
        super().__init__(trainings, "experiment")
        self.missing = ()

    def _world(self, root: Path, seed: int, run_id: str, model: str, hospital: str) -> WorldRun:
        """A run of Table 5 or 6 at a seed; the untrained model has one seed."""
        name, answers, cell = ASKED[model], self._answers, scores.own(hospital)
        own = seed if (name, seed) in answers.of else answers.seeds([name])[0]
        rows = scores.asked(answers.of[name, own], cell)
        labels = answers.labels.query(f"population == '{hospital}' and reference == '{cell.reference}'")
        truth = labels.set_index("index")["positive"].reindex(rows["index"]).to_numpy()
        key = [f"{hospital}{index:05d}" for index in rows["index"]]
        info = {"run_id": run_id, "tier": "miniature", "stage": "generalization", "model": model, "label_set": "nih9",
                "dataset": f"hospital {hospital}", "split": "worlds", "n": len(rows)}  # fmt: skip
        folder = root / f"seed{own}" / f"{name}-answers"
        return WorldRun(folder, info, rows.assign(truth=truth, study_key=key, patient_key=key))

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        if table == 5:
            raise CannotTell("the experiment's worlds are scored on nine findings, and this is about fourteen")
        return super().score(table, row, average, metric)

    def _over(self, ask: Callable[[Scored], Quantity], table: int, row: str) -> Quantity:
        found = super()._over(ask, table, row)
        # The miniature's untouched model was pre-trained once, and no draw varies that.
        once = " (one untouched model)" if table >= 5 and ASKED.get(row) == analysis.UNTRAINED else ""
        seeds = f", {len(self.using)} seeds{once}"
        return replace(found, n=frozenset(replace(one, where=one.where + seeds) for one in found.n))

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What no table holds: a mean of contrasts, turned so that a loss to the labels is positive."""
        sft, grpo = ASKED["medgemma_sft"], ASKED["chexreason"]
        models, where, sign, contrasts = {
            "labels": (list(ASKED.values()), "A, B and C", -1,
                       [analysis.shares(grpo, sft, there)["labels"] for there in "BC"]),
            "stabilisers": (list(STABILISERS), "A", 1, []),
            "curriculum": ([CURRICULUM, grpo], "C", 1, [analysis.change(CURRICULUM, grpo, scores.own("C"))]),
            "reward": ([REWARD, grpo], "B and C", 1, [analysis.change(REWARD, grpo, scores.own(h)) for h in "BC"]),
        }[what]  # fmt: skip
        seeds = self._answers.seeds(models)
        # A model with one seed fits any, and so would one with none.
        if not seeds or not {name for name, _ in self._answers.of} >= set(models):
            raise CannotTell(otherwise)
        try:
            found = [analysis.contrast(self._answers, one) for one in contrasts]
        except analysis.NotComparable as reason:
            raise CannotTell(str(reason)) from reason
        values = sign * np.mean([one.values for one in found], axis=0) if found else self._collapsed(len(seeds))
        names = tuple(name for name in worlds.FINDINGS if any(name in one.findings for one in found))
        studies = frozenset({Studies(f"hospital {where}, patients of each", self._answers.patients)})
        runs = frozenset(f"seed{seed}/{name}-answers" for name, seed in self._answers.of if name in models)
        return Quantity(float(values[0]), values[1:], names, self.tier, studies, runs, len(seeds))

    def _collapsed(self, trainings: int) -> Floats:
        """Share of trainings that collapse, and draws: the most without a stabiliser, minus the most with all."""
        most = []
        for names in (STABILISERS, ("grpo-hard-last", "grpo-nuanced-last")):
            shares = (analysis.commonest(self._answers, name, HOME).per_seed for name in names)
            most.append(max(float(np.mean(np.array(one) > analysis.COLLAPSED)) for one in shares))
        if not any(most):
            raise CannotTell("nothing collapsed, with the stabilisers or without, so there was nothing to eliminate")
        # None of them seen, or all, is no certainty: half a training is the least that is drawn with.
        chances, rng = np.clip(most, 0.5 / trainings, 1 - 0.5 / trainings), np.random.default_rng(0)
        without, with_all = (rng.binomial(trainings, chance, DRAWS) / trainings for chance in chances)
        return np.append(most[0] - most[1], without - with_all)


def open_side(words: str, results: Path | None = None) -> Side:
    """The side of the experiment, or of other runs: a profile's name, a folder of runs or one run's folder.

    Raises UserError if there is no whole run at that place, or runs of several tiers.
    """
    folder = written.folder(words) if written.folder(words).is_dir() else results_root(results) / words
    return Seeds(folder) if any(folder.glob("seed*/*/run.json")) else open_runs(words, results)
