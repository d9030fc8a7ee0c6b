"""The experiment's runs as a side: a score is a mean over trainings, and its draws draw trainings, too.

Each seed is a side of its own (`Ours`): validation studies for Tables 2 to 4, each hospital's own films and labels
for Tables 5 (hospital B) and 6 (hospital C). A draw picks seeds with replacement, the same ones for every quantity,
and patients within each. Only seeds that all arms have count, so that differences are paired. The test worlds are
scored on the nine findings that all conventions can state; averages over fourteen are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason import metrics
from chexreason.claims.ours import Ours, open_runs
from chexreason.claims.quantity import CannotTell, Quantity
from chexreason.claims.sides import DRAWS, MEASURED, Side
from chexreason.errors import UserError, unknown
from chexreason.evidence import results_root
from chexreason.experiments import analysis, arms, worlds
from chexreason.experiments.analysis import OWN, Answers, Cell
from chexreason.prompts import SFT_FORMATS
from chexreason.runs import Run, read_all

#: The paper's model -> the experiment's; the others were not asked.
ASKED = {"medgemma": "base-best", "medgemma_sft": f"{arms.SFT}-best", "chexreason": "grpo-hard-best"}
#: The paper's test set -> the hospital that stands for it.
HOSPITALS = {"chexpert": "B", "nih": "C"}
#: The name of a run of the paper's study -> the arm that is the same training.
TRAINED = {
    **{f"02-sft-{base}-{name}": f"sft-{base}-{name}" for base in ("medgemma", "qwen") for name in SFT_FORMATS},
    **{f"03-grpo-{reward}": f"grpo-{reward}" for reward in ("hard", "nuanced")},
}
#: Films of two hospitals, one after the other.
CURRICULUM = "cure-two-hospitals-best"
HOME = Cell("A", "A", OWN["A"])
STABILISERS = tuple(name for name, arm in arms.ARMS.items() if arm.question == "collapse")


@dataclass(frozen=True)
class WorldRun(Run):
    """Answers to one hospital's own films, in the form of a run of Tables 5 and 6."""

    rows: pd.DataFrame

    def predictions(self) -> pd.DataFrame:
        """A row a patient."""
        return self.rows

    def metrics(self) -> pd.DataFrame:
        """Scores over the nine findings."""
        true_NF, said_NF = (metrics.label_cells(self.rows[name], "nih9") for name in ("truth", "predicted"))
        failed = float(self.rows["failed"].astype(bool).mean())
        return metrics.scores(true_NF, said_NF, "nih9", failure_rate=failed).to_frame()


class Seeds:
    """The experiment below `root` as a side."""

    def __init__(self, root: Path) -> None:
        trained = {int(folder.name.removeprefix("seed")): read_all(folder) for folder in sorted(root.glob("seed*"))}
        runs = {seed: {run.run_id: run for run in found} for seed, found in trained.items()}
        self._answers = _with_labels(root)
        seeds = [seed for seed, found in runs.items() if set(TRAINED.values()) <= set(found)]
        if not seeds or not set(seeds) <= set(self._answers.seeds(list(ASKED.values()))):
            raise UserError("at least one seed with every arm", f"none in {root}", "run them: make experiments")
        self._sides = [Ours({**self._tables(runs[seed]), **self._worlds(root, seed)}, "experiment") for seed in seeds]
        self.name, self.tier = "experiment", self._sides[0].tier
        self._picked_RS = np.random.default_rng(0).integers(0, len(seeds), (DRAWS, len(seeds)))

    @staticmethod
    def _tables(found: Mapping[str, Run]) -> dict[str, Run]:
        return {paper: found[arm] for paper, arm in TRAINED.items()}

    def _worlds(self, root: Path, seed: int) -> dict[str, Run]:
        """The runs of Tables 5 and 6 at a seed; the untrained model has one seed."""
        made: dict[str, Run] = {}
        for model, name in ASKED.items():
            own = seed if (name, seed) in self._answers.of else self._answers.seeds([name])[0]
            for dataset, hospital in HOSPITALS.items():
                frame = self._answers.of[name, own]
                rows = frame[(frame["population"] == hospital) & (frame["film"] == hospital)].sort_values("index")
                labels = self._answers.labels
                kept = (labels["population"] == hospital) & (labels["yardstick"] == OWN[hospital])
                truth = labels[kept].set_index("index")["positive"].reindex(rows["index"]).to_numpy()
                key = [f"{hospital}{index:05d}" for index in rows["index"]]
                run_id = f"04-generalization-{model}-{dataset}"
                info = {"run_id": run_id, "tier": "miniature", "label_set": "nih9", "dataset": f"hospital {hospital}",
                        "split": "worlds", "n": len(rows)}  # fmt: skip
                folder = root / f"seed{own}" / f"{name}-answers"
                rows = rows.assign(truth=truth, study_key=key, patient_key=key)
                made[run_id] = WorldRun(folder, info, rows)
        return made

    def _over(self, ask: Callable[[Ours], Quantity]) -> Quantity:
        """The mean over seeds; each draw picks seeds, too."""
        found = [ask(side) for side in self._sides]
        draws = np.take_along_axis(np.stack([one.draws for one in found], axis=1), self._picked_RS, axis=1).mean(axis=1)
        value = float(np.mean([one.value for one in found]))
        sizes = frozenset((f"{where}, {len(found)} seeds", n) for where, n in found[0].n)
        # Each seed draws its own studies; the model's answers at one seed are never set against those at another.
        return replace(found[0], value=value, draws=draws, n=sizes, studies=frozenset())

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """An average over seeds."""
        if table == 5:
            raise CannotTell("the experiment's worlds are scored on nine findings, and this is about fourteen")
        return self._over(lambda side: side.score(table, row, average, metric))

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """One finding, over seeds."""
        return self._over(lambda side: side.finding(table, row, name))

    def failure(self, table: int, row: str) -> Quantity:
        """A failure rate over seeds."""
        return self._over(lambda side: side.failure(table, row))

    def prevalence(self, table: int) -> dict[str, float]:
        """Recorded labels of the table's studies, over seeds."""
        means = pd.DataFrame([side.prevalence(table) for side in self._sides]).mean()
        return {str(name): float(value) for name, value in means.items()}

    def accuracy(self, row: str) -> Quantity:
        """Token accuracy at the end, over seeds."""
        return self._over(lambda side: side.accuracy(row))

    def public(self, says: float, n: frozenset[tuple[str, int | None]]) -> Quantity:
        """As for any runs of ours."""
        return self._sides[0].public(says, n)

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What no table holds: see `MEASURED`."""
        if what not in MEASURED:
            raise unknown("measure", what, MEASURED, "chexreason/claims/sides.py")
        needed, measure = {
            "labels": (list(ASKED.values()), self._labels),
            "stabilisers": ([f"{name}-last" for name in STABILISERS], self._stabilisers),
            "curriculum": ([CURRICULUM, ASKED["chexreason"]], self._curriculum),
        }[what]
        if not self._answers.seeds(needed):
            raise CannotTell(otherwise)
        return measure()

    def _labels(self) -> Quantity:
        """The labels' part of the difference of changes, mean of B and C, turned so that a loss is positive."""
        parts = [analysis.shares(ASKED["chexreason"], ASKED["medgemma_sft"], there)["labels"] for there in "BC"]
        value, *draws = np.mean([analysis.replicates(self._answers, one) for one in parts], axis=0).tolist()
        return Quantity(-value, -np.array(draws), worlds.FINDINGS, self.tier, self._size("A, B and C"))

    def _curriculum(self) -> Quantity:
        """Two hospitals less one in training, mean of B and C, each with its own films and labels."""
        abroad = [Cell(there, there, OWN[there]) for there in "BC"]
        parts = [analysis.change(CURRICULUM, ASKED["chexreason"], cell) for cell in abroad]
        value, *draws = np.mean([analysis.replicates(self._answers, one) for one in parts], axis=0).tolist()
        return Quantity(value, np.array(draws), worlds.FINDINGS, self.tier, self._size("B and C"))

    def _stabilisers(self) -> Quantity:
        """Share of seeds that collapse: the most without a stabiliser, less the most with all."""

        def share(name: str) -> float:
            return float(np.mean([one.collapsed for one in analysis.variety(self._answers, f"{name}-last", HOME)]))

        value = max(map(share, STABILISERS)) - max(map(share, ("grpo-hard", "grpo-nuanced")))
        return Quantity(value, np.full(DRAWS, value), (), self.tier, self._size("A"))

    def _size(self, where: str) -> frozenset[tuple[str, int | None]]:
        frame = next(iter(self._answers.of.values()))
        return frozenset({(f"hospital {where}, patients of each", 1 + int(frame["index"].max()))})


def _with_labels(root: Path) -> Answers:
    read = analysis.read(root, pd.DataFrame())
    count = max((1 + int(frame["index"].max()) for frame in read.of.values()), default=0)
    return replace(read, labels=worlds.labels(count) if count else pd.DataFrame())


def open_side(words: str, results: Path | None = None) -> Side:
    """The side of the experiment, or of other runs: a profile's name, a folder of runs or one run's folder.

    Raises UserError if there is no whole run at that place, or runs of several tiers.
    """
    folder = Path(words) if Path(words).is_dir() else results_root(results) / words
    return Seeds(folder) if any(folder.glob("seed*/*/run.json")) else open_runs(words, results)
