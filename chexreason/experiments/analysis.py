"""What the kept answers say: the score of every cell, and contrasts of scores with intervals.

A *cell* is a population, the hospital that filmed it and the yardstick (a convention or the visible
truth). Everything the chapters state is a weighted sum of macro-F1 values of cells (`contrast`), the
split of a change by Shapley's rule included. Intervals resample the training seeds and, within each
population, the patients; a draw is shared by all models and cells, since they saw the same patients.
"""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.stats import Bootstrapped, Interval

LABEL_SET = "nih9"
Floats = npt.NDArray[np.float64]
#: Hospital -> the convention that its own labels follow.
OWN = {"A": "report", "B": "radiologist", "C": "text-mined"}


class Cell(NamedTuple):
    """Patients as at `population`, filmed at `film`, held against `yardstick`."""

    population: str
    film: str
    yardstick: str


class Key(NamedTuple):
    """One value: a model (arm and checkpoint, "grpo-hard-best" say) in a cell."""

    model: str
    cell: Cell


def counts(answers: pd.DataFrame, labels: pd.DataFrame, cell: Cell) -> Floats:
    """True positives, false positives, false negatives of each patient (N, 3 F), patients in order.

    Raises UserError if the cell was not asked about, or labels are missing for a patient.
    """
    asked = answers[(answers["population"] == cell.population) & (answers["film"] == cell.film)].sort_values("index")
    rows = labels[(labels["population"] == cell.population) & (labels["yardstick"] == cell.yardstick)]
    truth = rows.set_index("index")["positive"].reindex(asked["index"])
    if asked.empty or truth.isna().any():
        raise UserError("a cell that was asked about", str(tuple(cell)), "see chexreason/experiments/worlds.py")
    true_NF, pred_NF = (metrics.label_cells(names, LABEL_SET) for names in (truth, asked["predicted"]))
    return np.concatenate([true_NF & pred_NF, ~true_NF & pred_NF, true_NF & ~pred_NF], axis=1).astype(float)


def macro_f1(counts_R: Floats) -> Floats:
    """Macro-F1 from counts (R, 3 F) -> (R,)."""
    return metrics.f1(counts_R.reshape(len(counts_R), 3, -1).transpose(1, 0, 2)).mean(axis=1)


def cells(answers: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """All metrics of every cell, in tidy form (population, film, yardstick, finding, metric, value)."""
    parts = []
    for population, film in answers[["population", "film"]].drop_duplicates().itertuples(index=False):
        asked = answers[(answers["population"] == population) & (answers["film"] == film)].sort_values("index")
        for yardstick in labels["yardstick"].unique():
            truth = labels[(labels["population"] == population) & (labels["yardstick"] == yardstick)]
            named = truth.set_index("index")["positive"].reindex(asked["index"])
            scores = metrics.scores(
                metrics.label_cells(named, LABEL_SET),
                metrics.label_cells(asked["predicted"], LABEL_SET),
                LABEL_SET,
                failure_rate=float(asked["failed"].astype(bool).mean()),
            )
            parts.append(scores.to_frame().assign(population=population, film=film, yardstick=yardstick))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Answers:
    """The answers of all models and seeds, the labels they are held against, and the bootstrap's draws.

    The draws of patients are made once, so that all models and cells share them, and a model's value
    in a cell is computed for each draw only once.
    """

    of: Mapping[tuple[str, int], pd.DataFrame]  # (model, seed) -> answers
    labels: pd.DataFrame
    resamples: int = 10_000
    _known: dict[object, Floats] = field(default_factory=dict, repr=False)

    def seeds(self, models: Sequence[str]) -> list[int]:
        """The seeds that all of these models have; a model of one seed (the untrained one) fits any."""
        per_model = [{seed for model, seed in self.of if model == name} for name in models]
        several = [seeds for seeds in per_model if len(seeds) > 1] or per_model
        return sorted(set.intersection(*several))

    def counts(self, key: Key, seed: int) -> Floats:
        """Counts of each patient (N, 3 F) of a model at a seed; its only seed if it has one."""
        own = [s for model, s in self.of if model == key.model]
        at = ("counts", key, seed if seed in own else own[0])
        if at not in self._known:
            self._known[at] = counts(self.of[key.model, at[2]], self.labels, key.cell)
        return self._known[at]

    def values(self, key: Key, seed: int) -> Floats:
        """Macro-F1 of a model in a cell: as it is, then for each draw of patients (1 + R,)."""
        if (key, seed) not in self._known:
            own = self.counts(key, seed)
            self._known[key, seed] = macro_f1(self._sums(key.cell.population, own))
        return self._known[key, seed]

    def share(self, population: str, yes_N: Floats) -> Floats:
        """The share of patients of whom something is true: as it is, then for each draw (1 + R,)."""
        return self._sums(population, yes_N) / len(yes_N)

    def _sums(self, population: str, each: Floats) -> Floats:
        """Sums of whole numbers (N, ...) over the patients of each draw (1 + R, ...); in the first row, of all once."""
        if population not in self._known:
            rng = np.random.default_rng([ord(population)])
            drawn = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), size=self.resamples)
            once = np.ones((1, len(each)))
            self._known[population] = np.concatenate([once, drawn]).astype(np.float32)  # exact below 2^24
        summed: Floats = (self._known[population] @ each.astype(np.float32)).astype(float)
        return summed


def read(results: Path, labels: pd.DataFrame) -> Answers:
    """The answers below ``results/<profile>``."""
    found = {}
    for path in sorted(results.glob("seed*/*-answers/predictions.csv.gz")):
        model, seed = path.parent.name.removesuffix("-answers"), int(path.parents[1].name.removeprefix("seed"))
        if (path.parent / "run.json").is_file():
            found[model, seed] = pd.read_csv(path, keep_default_na=False)
    return Answers(found, labels)


def replicates(answers: Answers, weights: Mapping[Key, float]) -> Floats:
    """The weighted sum of macro-F1 values, averaged over seeds: as it is, then for each replicate (1 + R,).

    Each replicate draws seeds with replacement, and patients with replacement within each population.
    Raises UserError if the models have no seed in common.
    """
    models = sorted({key.model for key in weights})
    seeds = answers.seeds(models)
    if not seeds:
        raise UserError("models with a seed in common", ", ".join(models), "run the experiment's arms first")
    per_seed = [
        np.sum([weight * answers.values(key, seed) for key, weight in weights.items()], axis=0) for seed in seeds
    ]
    return over_seeds(per_seed)


def over_seeds(per_seed: Sequence[Floats]) -> Floats:
    """The mean over seeds of values (1 + R,): as they are, then with as many seeds drawn anew in each replicate."""
    all_RS = np.stack(per_seed, axis=1)
    picked_RS = np.random.default_rng(0).integers(0, len(per_seed), (len(all_RS) - 1, len(per_seed)))
    drawn = np.take_along_axis(all_RS[1:], picked_RS, axis=1).mean(axis=1)
    return np.concatenate([[all_RS[0].mean()], drawn])


def bounded(values: Floats, level: float = 0.95) -> Interval:
    """The first value with the percentile interval of the rest."""
    low, high = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[0]), float(low), float(high))


def contrast(answers: Answers, weights: Mapping[Key, float], level: float = 0.95) -> Bootstrapped:
    """The weighted sum of macro-F1 values, averaged over seeds, with a percentile bootstrap interval."""
    found = bounded(replicates(answers, weights), level)
    seed = answers.seeds(sorted({key.model for key in weights}))[0]
    patients = sum({key.cell.population: len(answers.counts(key, seed)) for key in weights}.values())
    return Bootstrapped(found.estimate, found.low, found.high, level, answers.resamples, patients)


def change(after: str, before: str, cell: Cell) -> dict[Key, float]:
    """The weights of score(after) - score(before) in a cell."""
    return {Key(after, cell): 1.0, Key(before, cell): -1.0}


#: What differs between two hospitals, in the order of `Cell`.
FACTORS = ("patients", "films", "labels")


def shares(after: str, before: str, there: str, here: str = "A") -> dict[str, dict[Key, float]]:
    """Which part of the difference between two hospitals' changes each factor accounts for.

    The change from `before` to `after` is measured at `here` and at `there`. Their difference is the
    sum of three Shapley values: each factor is switched from `here` to `there` in every order, and its
    effects are averaged. Factor, or "all", -> weights for `contrast`.
    """

    def weighted(switched: frozenset[str], weight: float, into: dict[Key, float]) -> None:
        population, film, owner = (there if factor in switched else here for factor in FACTORS)
        for key, sign in change(after, before, Cell(population, film, OWN[owner])).items():
            into[key] = into.get(key, 0.0) + weight * sign

    parts: dict[str, dict[Key, float]] = {factor: {} for factor in FACTORS}
    for order in itertools.permutations(FACTORS):
        for k, factor in enumerate(order):
            before_it = frozenset(order[:k])
            for switched, sign in ((before_it | {factor}, 1.0), (before_it, -1.0)):
                weighted(switched, sign / math.factorial(len(FACTORS)), parts[factor])
    whole: dict[Key, float] = {}
    weighted(frozenset(FACTORS), 1.0, whole)
    weighted(frozenset(), -1.0, whole)
    return {**parts, "all": whole}


#: Answers are called collapsed if one list of labels makes up more than this share of them.
COLLAPSED = 0.70


def commonest(answers: Answers, model: str, cell: Cell) -> Interval:
    """How large a share the commonest list of labels has among a model's answers, over seeds and patients.

    In each replicate the list is the one that is commonest in the answers as they are.
    """
    per_seed = []
    for seed in answers.seeds([model]):
        frame = answers.of[model, seed]
        said = frame[(frame["population"] == cell.population) & (frame["film"] == cell.film)].sort_values("index")
        top = said["predicted"].value_counts().index[0]
        per_seed.append(answers.share(cell.population, (said["predicted"] == top).to_numpy(dtype=float)))
    return bounded(over_seeds(per_seed))


class Variety(NamedTuple):
    """How varied a model's answers to a world's films are."""

    commonest: float  # share of the answers that give the commonest list of labels
    lists: int  # different lists
    failed: float  # share of the answers that could not be read

    @property
    def collapsed(self) -> bool:
        """Whether one list dominates."""
        return self.commonest > COLLAPSED


def variety(answers: Answers, model: str, cell: Cell) -> list[Variety]:
    """The variety of a model's answers in a cell, a seed each."""
    found = []
    for (name, _), frame in sorted(answers.of.items(), key=lambda item: item[0]):
        if name == model:
            asked = frame[(frame["population"] == cell.population) & (frame["film"] == cell.film)]
            count = Counter(asked["predicted"])
            failed = float(asked["failed"].astype(bool).mean())
            found.append(Variety(max(count.values()) / count.total(), len(count), failed))
    return found
