"""The experiment's runs as a side: a score is a mean over trainings, and its draws vary trainings, too.

Each seed is a side of its own (`Ours`): validation studies for Tables 2 to 4, each hospital's own images and labels
for Tables 5 (hospital B) and 6 (hospital C). A claim is judged on all seeds that have every run it asks for (`settle`),
as the chapters are, and both sides of a difference on the same ones; the draws vary patients and, by
`stats.over_seeds`, trainings. A mean over trainings below naming every label, or a constant training, is in no
comparison. The test worlds are scored on the nine findings that all conventions can state; averages over fourteen are
refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.prompts import SFT_FORMATS
from chexreason.runs import Run, read_all
from companion.evidence import analysis, stats
from companion.evidence.analysis import OWN, Answers, NotComparable
from companion.evidence.claims.ours import Ours, open_runs
from companion.evidence.claims.quantity import CannotTell, Floats, NotRun, Quantity, Studies
from companion.evidence.claims.sides import DRAWS, Side
from companion.evidence.comparable import unfit_over
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
#: Value, draws, findings and hospitals of what only the experiment measures.
Measure = tuple[float, Floats, tuple[str, ...], str]
#: Trained on two hospitals, one after the other; and rewarded for what can be seen, whatever is recorded.
CURRICULUM, REWARD = "cure-two-hospitals-best", "cure-visible-best"
STABILISERS = tuple(name for name, arm in arms.ARMS.items() if arm.question == "collapse")


T = TypeVar("T")


class _Lacks(NotRun):
    """A run is not there at one seed."""

    def __init__(self, run_id: str, seed: int) -> None:
        super().__init__(run_id)
        self.seed = seed


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


class Seeds(Side):
    """The experiment below `root` as a side."""

    def __init__(self, root: Path) -> None:
        trained = {int(folder.name.removeprefix("seed")): read_all(folder) for folder in sorted(root.glob("seed*"))}
        runs = {seed: {run.run_id: run for run in found} for seed, found in trained.items()}
        self._answers = _with_labels(root)
        seeds = self._answers.seeds([ASKED["medgemma_sft"], ASKED["chexreason"]])
        if not seeds or not set(seeds) <= set(runs):
            raise UserError("at least one seed of SFT and GRPO", f"none in {root}", "run them: make experiments")
        self._sides = {
            seed: Ours(
                {paper: runs[seed][arm] for paper, arm in TRAINED.items() if arm in runs[seed]}
                | self._worlds(root, seed), "experiment", alone=False,
            )
            for seed in seeds
        }  # fmt: skip
        self.name, self.tier = "experiment", "miniature"
        self._using = tuple(seeds)

    def settle(self, check: Callable[[Side], Quantity]) -> Quantity:
        """What a check computes from the seeds that have every run it asks for. Raises NotRun if none has."""
        self._using, lacking = tuple(self._sides), None
        while self._using:
            for side in self._sides.values():
                side.carried = {}
            try:
                return check(self)
            except _Lacks as gone:
                lacking, self._using = gone, tuple(seed for seed in self._using if seed != gone.seed)
        assert lacking is not None, "a side has a seed"
        raise NotRun(lacking.run_id)

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """The findings with enough positives among the studies of every seed in use."""
        found = [set(self._ask(seed, lambda side: side.carrying(table, findings))) for seed in self._using]
        return tuple(name for name in findings if all(name in one for one in found))

    def _ask(self, seed: int, ask: Callable[[Ours], T]) -> T:
        try:
            return ask(self._sides[seed])
        except NotRun as gone:
            raise _Lacks(gone.run_id, seed) from gone

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
                info = {"run_id": run_id, "tier": "miniature", "stage": "generalization", "model": model,
                        "label_set": "nih9", "dataset": f"hospital {hospital}", "split": "worlds",
                        "n": len(rows)}  # fmt: skip
                folder = root / f"seed{own}" / f"{name}-answers"
                rows = rows.assign(truth=truth, study_key=key, patient_key=key)
                made[run_id] = WorldRun(folder, info, rows)
        return made

    def _over(self, ask: Callable[[Ours], Quantity], table: int, row: str = "") -> Quantity:
        """The mean over the seeds in use of a row's number; the draws vary trainings, too.

        Raises CannotTell if a training is constant or below naming every label. All seeds average the same findings.
        """
        if row:
            names = self.carrying(table, FINDINGS)
            for seed in self._using:
                self._sides[seed].carried[table] = names
            against = [self._ask(seed, lambda side: side.held_against_floor(table, row)) for seed in self._using]
            if reason := unfit_over(*zip(*against, strict=True)):
                raise CannotTell(f"{_named(table, row)} {reason}")
        found = [self._ask(seed, ask) for seed in self._using]
        value, *draws = stats.over_seeds([np.concatenate([[one.value], one.draws]) for one in found])
        # The miniature's untouched model was pre-trained once, and no draw varies that.
        once = " (one untouched model)" if table >= 5 and ASKED.get(row) == analysis.UNTRAINED else ""
        sizes = frozenset(replace(one, where=f"{one.where}, {len(found)} seeds{once}") for one in found[0].n)
        runs = frozenset[str]().union(*(one.runs for one in found))
        trained = None if found[0].trainings is None else len(found)
        return replace(found[0], value=float(value), draws=np.array(draws), n=sizes, runs=runs, trainings=trained)

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """An average over seeds."""
        if table == 5:
            raise CannotTell("the experiment's worlds are scored on nine findings, and this is about fourteen")
        return self._over(lambda side: side.score(table, row, average, metric), table, row)

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """One finding, over seeds."""
        return self._over(lambda side: side.finding(table, row, name), table, row)

    def failure(self, table: int, row: str) -> Quantity:
        """A failure rate over seeds."""
        return self._over(lambda side: side.failure(table, row), table, row)

    def prevalence(self, table: int) -> dict[str, float]:
        """Recorded labels of the table's studies, over seeds."""
        shares = [self._ask(seed, lambda side: side.prevalence(table)) for seed in self._using]
        return {str(name): float(value) for name, value in pd.DataFrame(shares).mean().items()}

    def frequency(self, table: int, name: str) -> Quantity:
        """Recorded labels of one finding, over seeds."""
        return self._over(lambda side: side.frequency(table, name), table)

    def accuracy(self, row: str) -> Quantity:
        """Token accuracy at the end, over seeds."""
        return self._over(lambda side: side.accuracy(row), 2, row)

    def pace(self, row: str) -> Quantity:
        """How soon token accuracy has risen, over seeds."""
        return self._over(lambda side: side.pace(row), 2, row)

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What no table holds."""
        grpo = ASKED["chexreason"]
        arms_of, ask = {
            "labels": (list(ASKED.values()), self._labels),
            "stabilisers": ([f"{name}-last" for name in STABILISERS], self._stabilisers),
            "curriculum": ([CURRICULUM, grpo], lambda: self._gain(CURRICULUM, "C")),
            "reward": ([REWARD, grpo], lambda: self._gain(REWARD, "BC")),
        }[what]
        # A model with one seed fits any, and so would one with none.
        if not {name for name, _ in self._answers.of} >= set(arms_of) or not self._answers.seeds(arms_of):
            raise CannotTell(otherwise)
        runs = frozenset(f"seed{seed}/{name}-answers" for name, seed in self._answers.of if name in arms_of)
        try:
            value, draws, findings, where = ask()
        except NotComparable as reason:
            raise CannotTell(str(reason)) from reason
        size = 1 + max(int(frame["index"].max()) for frame in self._answers.of.values())
        studies = frozenset({Studies(f"hospital {where}, patients of each", size)})
        return Quantity(value, draws, findings, self.tier, studies, runs, len(self._answers.seeds(arms_of)))

    def _labels(self) -> Measure:
        """The labels' part of the difference of changes, mean of B and C, turned so that a loss is positive."""
        parts = [analysis.shares(ASKED["chexreason"], ASKED["medgemma_sft"], there)["labels"] for there in "BC"]
        value, *draws = np.mean([analysis.contrast(self._answers, one).values for one in parts], axis=0).tolist()
        return -value, -np.array(draws), self._frequent(*parts), "A, B and C"

    def _stabilisers(self) -> Measure:
        """Share of trainings that collapse: the most without a stabiliser, minus the most with all."""

        def share(name: str) -> float:
            return float(np.mean([one.collapsed for one in analysis.variety(self._answers, f"{name}-last", HOME)]))

        without, with_all = (max(map(share, names)) for names in (STABILISERS, ("grpo-hard", "grpo-nuanced")))
        if not without and not with_all:
            raise CannotTell("nothing collapsed, with the stabilisers or without, so there was nothing to eliminate")
        many, rng = len(self._answers.seeds([f"{name}-last" for name in STABILISERS])), np.random.default_rng(0)
        drawn = [
            rng.binomial(many, min(max(one, 0.5 / many), 1 - 0.5 / many), DRAWS) / many for one in (without, with_all)
        ]
        return without - with_all, drawn[0] - drawn[1], (), "A"

    def _gain(self, model: str, hospitals: str) -> Measure:
        """A cure minus plain GRPO with the hard reward, the mean over hospitals with their own images and labels."""
        changes = [analysis.change(model, ASKED["chexreason"], scores.own(there)) for there in hospitals]
        value, *draws = np.mean([analysis.contrast(self._answers, one).values for one in changes], axis=0).tolist()
        return value, np.array(draws), self._frequent(*changes), " and ".join(hospitals)

    def _frequent(self, *contrasts: Mapping[analysis.Key, float]) -> tuple[str, ...]:
        """The findings that any of these contrasts averages."""
        found = {name for one in contrasts for name in analysis.frequent(self._answers, [key.cell for key in one])}
        return tuple(name for name in worlds.FINDINGS if name in found)


def _named(table: int, row: str) -> str:
    """What the experiment calls a row of the paper's tables."""
    if table >= 5:
        return ASKED[row]
    spec = TABLES[table]
    return "-".join([TRAINED[spec.run_id(row, row)], *([row.rpartition("_")[2]] if spec.checkpoint else [])])


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
