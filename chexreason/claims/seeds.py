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
from chexreason.claims.quantity import CannotTell, Floats, Quantity, Studies
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
HOME = Cell("A", "A", OWN["A"])
#: Value, draws, findings and hospitals of what only the experiment measures.
Measure = tuple[float, Floats, tuple[str, ...], str]
#: Trained on two hospitals, one after the other; and rewarded for what can be seen, whatever is recorded.
CURRICULUM, REWARD = "cure-two-hospitals-best", "cure-visible-best"
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
        self.missing: tuple[str, ...] = ()  # what the experiment does not ask, no folder of it has
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
        sizes = frozenset(replace(one, where=f"{one.where}, {len(found)} seeds") for one in found[0].n)
        runs = frozenset[str]().union(*(one.runs for one in found))
        return replace(found[0], value=value, draws=draws, n=sizes, runs=runs)

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

    def frequency(self, table: int, name: str) -> Quantity:
        """Recorded labels of one finding, over seeds."""
        return self._over(lambda side: side.frequency(table, name))

    def accuracy(self, row: str) -> Quantity:
        """Token accuracy at the end, over seeds."""
        return self._over(lambda side: side.accuracy(row))

    def pace(self, row: str) -> Quantity:
        """How soon token accuracy has risen, over seeds."""
        return self._over(lambda side: side.pace(row))

    def public(self, says: float, n: frozenset[Studies]) -> Quantity:
        """As for any runs of ours."""
        return self._sides[0].public(says, n)

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What no table holds: see `MEASURED`."""
        if what not in MEASURED:
            raise unknown("measure", what, MEASURED, "chexreason/claims/sides.py")
        grpo = ASKED["chexreason"]
        arms_of = {"labels": list(ASKED.values()), "stabilisers": [f"{name}-last" for name in STABILISERS],
                   "curriculum": [CURRICULUM, grpo], "reward": [REWARD, grpo]}  # fmt: skip
        # A model with one seed fits any, and so would one with none.
        if not {name for name, _ in self._answers.of} >= set(arms_of[what]) or not self._answers.seeds(arms_of[what]):
            raise CannotTell(otherwise)
        runs = frozenset(f"seed{seed}/{name}-answers" for name, seed in self._answers.of if name in arms_of[what])
        value, draws, findings, where = {
            "labels": self._labels, "stabilisers": self._stabilisers,
            "curriculum": lambda: self._gain(CURRICULUM, "C"), "reward": lambda: self._gain(REWARD, "BC"),
        }[what]()  # fmt: skip
        size = 1 + max(int(frame["index"].max()) for frame in self._answers.of.values())
        studies = frozenset({Studies(f"hospital {where}, patients of each", size)})
        return Quantity(value, draws, findings, self.tier, studies, runs)

    def _labels(self) -> Measure:
        """The labels' part of the difference of changes, mean of B and C, turned so that a loss is positive."""
        parts = [analysis.shares(ASKED["chexreason"], ASKED["medgemma_sft"], there)["labels"] for there in "BC"]
        value, *draws = np.mean([analysis.replicates(self._answers, one) for one in parts], axis=0).tolist()
        return -value, -np.array(draws), worlds.FINDINGS, "A, B and C"

    def _stabilisers(self) -> Measure:
        """Share of seeds that collapse: the most without a stabiliser, less the most with all."""

        def share(name: str) -> float:
            return float(np.mean([one.collapsed for one in analysis.variety(self._answers, f"{name}-last", HOME)]))

        value = max(map(share, STABILISERS)) - max(map(share, ("grpo-hard", "grpo-nuanced")))
        return value, np.full(DRAWS, value), (), "A"

    def _gain(self, model: str, hospitals: str) -> Measure:
        """A cure less plain GRPO with the hard reward, the mean over hospitals with their own films and labels."""
        changes = [analysis.change(model, ASKED["chexreason"], Cell(there, there, OWN[there])) for there in hospitals]
        value, *draws = np.mean([analysis.replicates(self._answers, one) for one in changes], axis=0).tolist()
        return value, np.array(draws), worlds.FINDINGS, " and ".join(hospitals)


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
