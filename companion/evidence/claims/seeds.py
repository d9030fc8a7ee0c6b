"""The experiment's runs as a side: several trainings of the paper's runs (`ours`), and what no table holds.

A seed is a training: validation studies for Tables 2 to 4, each hospital's own images and labels for Tables 5
(hospital B) and 6 (hospital C). A claim is judged on all seeds that have every run it asks for, as the chapters are.
The test worlds are scored on the nine findings that all conventions can state; averages over fourteen are refused.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.prompts import SFT_FORMATS
from chexreason.runs import Run, read_all
from companion.evidence import analysis
from companion.evidence.analysis import NotComparable
from companion.evidence.claims.ours import Ours, open_runs
from companion.evidence.claims.quantity import DRAWS, CannotTell, Floats, Quantity, Side, Studies
from companion.evidence.tables import TABLES, results_root
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
STABILISERS = tuple(name for name, arm in arms.ARMS.items() if arm.question == "collapse")


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
        made = {seed: {run.run_id: run for run in read_all(root / f"seed{seed}")} for seed in seeds}
        super().__init__({
            seed: {paper: runs[arm] for paper, arm in TRAINED.items() if arm in runs} | self._worlds(root, seed)
            for seed, runs in made.items()
        }, "experiment")  # fmt: skip
        self.missing = ()

    def _worlds(self, root: Path, seed: int) -> dict[str, Run]:
        """The runs of Tables 5 and 6 at a seed; the untrained model has one seed."""
        made: dict[str, Run] = {}
        for model, name in ASKED.items():
            own = seed if (name, seed) in self._answers.of else self._answers.seeds([name])[0]
            for dataset, hospital in HOSPITALS.items():
                run_id = f"04-generalization-{model}-{dataset}"
                rows = scores.asked(self._answers.of[name, own], scores.own(hospital))
                labels = self._answers.labels.query(
                    f"population == '{hospital}' and yardstick == '{scores.OWN[hospital]}'"
                )
                truth = labels.set_index("index")["positive"].reindex(rows["index"]).to_numpy()
                key = [f"{hospital}{index:05d}" for index in rows["index"]]
                info = {"run_id": run_id, "tier": "miniature", "stage": "generalization", "model": model,
                        "label_set": "nih9", "dataset": f"hospital {hospital}", "split": "worlds",
                        "n": len(rows)}  # fmt: skip
                folder = root / f"seed{own}" / f"{name}-answers"
                made[run_id] = WorldRun(folder, info, rows.assign(truth=truth, study_key=key, patient_key=key))
        return made

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        if table == 5:
            raise CannotTell("the experiment's worlds are scored on nine findings, and this is about fourteen")
        return super().score(table, row, average, metric)

    def _named(self, table: int, row: str) -> str:
        """What the experiment calls a row of the paper's tables."""
        if table >= 5:
            return ASKED[row]
        spec = TABLES[table]
        return "-".join([TRAINED[spec.run_id(row, row)], *([row.rpartition("_")[2]] if spec.checkpoint else [])])

    def _where(self, where: str, table: int, row: str) -> str:
        # The miniature's untouched model was pre-trained once, and no draw varies that.
        once = " (one untouched model)" if table >= 5 and ASKED.get(row) == analysis.UNTRAINED else ""
        return f"{where}, {len(self.using)} seeds{once}"

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What no table holds: a mean of contrasts, turned so that a loss to the labels is positive."""
        sft, grpo = ASKED["medgemma_sft"], ASKED["chexreason"]
        own = {there: scores.own(there) for there in "BC"}
        models, where, sign, contrasts = {
            "labels": (list(ASKED.values()), "A, B and C", -1,
                       [analysis.shares(grpo, sft, there)["labels"] for there in "BC"]),
            "stabilisers": ([f"{name}-last" for name in STABILISERS], "A", 1, []),
            "curriculum": ([CURRICULUM, grpo], "C", 1, [analysis.change(CURRICULUM, grpo, own["C"])]),
            "reward": ([REWARD, grpo], "B and C", 1, [analysis.change(REWARD, grpo, cell) for cell in own.values()]),
        }[what]  # fmt: skip
        # A model with one seed fits any, and so would one with none.
        if not {name for name, _ in self._answers.of} >= set(models) or not self._answers.seeds(models):
            raise CannotTell(otherwise)
        try:
            found = [analysis.contrast(self._answers, one) for one in contrasts]
        except NotComparable as reason:
            raise CannotTell(str(reason)) from reason
        values = sign * np.mean([one.values for one in found], axis=0) if found else self._collapsed()
        names = tuple(name for name in worlds.FINDINGS if any(name in one.findings for one in found))
        studies = frozenset({Studies(f"hospital {where}, patients of each", self._answers.patients)})
        runs = frozenset(f"seed{seed}/{name}-answers" for name, seed in self._answers.of if name in models)
        return Quantity(float(values[0]), values[1:], names, self.tier, studies, runs, len(self._answers.seeds(models)))

    def _collapsed(self) -> Floats:
        """Share of trainings that collapse, and draws: the most without a stabiliser, minus the most with all."""

        def share(name: str) -> float:
            return float(np.mean([one.collapsed for one in analysis.variety(self._answers, f"{name}-last", HOME)]))

        without, with_all = (max(map(share, names)) for names in (STABILISERS, ("grpo-hard", "grpo-nuanced")))
        if not without and not with_all:
            raise CannotTell("nothing collapsed, with the stabilisers or without, so there was nothing to eliminate")
        many, rng = len(self._answers.seeds([f"{name}-last" for name in STABILISERS])), np.random.default_rng(0)
        drawn = [
            rng.binomial(many, min(max(one, 0.5 / many), 1 - 0.5 / many), DRAWS) / many for one in (without, with_all)
        ]
        return np.append(without - with_all, drawn[0] - drawn[1])


def open_side(words: str, results: Path | None = None) -> Side:
    """The side of the experiment, or of other runs: a profile's name, a folder of runs or one run's folder.

    Raises UserError if there is no whole run at that place, or runs of several tiers.
    """
    folder = Path(words) if Path(words).is_dir() else results_root(results) / words
    return Seeds(folder) if any(folder.glob("seed*/*/run.json")) else open_runs(words, results)
