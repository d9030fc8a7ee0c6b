"""What the kept sampled answers say: outcomes of arms in cells, and changes over trainings with intervals.

A *cell* is a population, the hospital where it was imaged and a reference. Both sides of a change have the same
patients, draws of patients and seeds. Intervals vary the patients within their strata and the trainings
(`stats.over_seeds`).
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from chexreason.errors import UserError
from companion.evidence import instrument, stats
from companion.evidence.instrument import Sampled
from companion.evidence.stats import Floats
from companion.experiment import patients, sampling

#: Draws of patients.
RESAMPLES = 1000
#: An outcome of sampled answers in each draw of patients.
Outcome = Callable[[Sampled, Floats], Floats]
OUTCOMES: Mapping[str, Outcome] = {
    "seeing": instrument.auroc, "micro-F1": instrument.micro_f1, "macro-F1": instrument.macro_f1,
    "Jaccard": instrument.jaccard, "F1 at matched naming": functools.partial(instrument.vote_f1, ratio=1.0),
    "named per recorded": instrument.named_per_recorded, "false normals": instrument.false_normal,
    "unreadable": instrument.failed, "Brier score": instrument.brier,
}  # fmt: skip
#: Hospital -> the convention that its own labels follow.
OWN = {"A": "report", "B": "radiologist", "C": "text-mined"}
#: What differs between two hospitals, in the order of `Cell`.
FACTORS = ("patients", "images", "labels")


class Cell(NamedTuple):
    """Patients as at `population`, imaged at `image`, held against `reference`."""

    population: str
    image: str
    reference: str


def own(hospital: str) -> Cell:
    """A hospital's own patients and images, held against its own labels."""
    return Cell(hospital, hospital, OWN[hospital])


@dataclass(frozen=True)
class Change(stats.Interval):
    """A change over trainings, and what it rests on."""

    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    values: Floats  # the estimate, then the replicates (1 + R,)

    @property
    def p(self) -> float:
        """The two-sided share of the replicates beyond zero, at least one of them."""
        beyond = min((self.values[1:] <= 0).mean(), (self.values[1:] >= 0).mean())
        return float(max(2 * beyond, 1 / (len(self.values) - 1)))


class Trainings:
    """The kept answers below ``results/experiment/runs``."""

    def __init__(self, results: Path) -> None:
        self.places = {
            (path.parent.name.removesuffix("-answers"), int(path.parents[1].name.removeprefix("seed"))): path.parent
            for path in sorted(results.glob("seed*/*-answers/run.json"))
        }

    def seeds(self, arms: Sequence[str]) -> tuple[int, ...]:
        """The seeds that all of these arms have; the untouched base has one answer for all."""
        each = [{seed for name, seed in self.places if name == arm} for arm in arms if arm != "base"]
        return tuple(sorted(set.intersection(*each))) if each else (0,)

    @functools.cache  # noqa: B019  (lives as long as the page that reads them)
    def sampled(self, arm: str, seed: int, cell: Cell) -> Sampled:
        """An arm's answers in a cell. Raises UserError if it was not asked there."""
        rows = self._rows(arm, 0 if arm == "base" else seed)
        rows = rows[(rows["population"] == cell.population) & (rows["image"] == cell.image)].sort_values("index")
        if not len(rows):
            raise UserError(f"answers of {arm} in {cell.population}{cell.image}", "none", "see the plan's worlds")
        said_NKF, failed_NK = sampling.read(rows["answers"])
        return Sampled(said_NKF, failed_NK, patients.truth(cell.population, cell.reference), patients.SEEN)

    @functools.cache  # noqa: B019
    def _rows(self, arm: str, seed: int) -> pd.DataFrame:
        return pd.read_csv(self.places[arm, seed] / "predictions.csv.gz", dtype={"answers": str}, keep_default_na=False)

    @functools.cache  # noqa: B019
    def value(self, outcome: str, arm: str, seed: int, cell: Cell) -> Floats:
        """An outcome of one training in a cell, in each draw of patients (1 + R,)."""
        return OUTCOMES[outcome](self.sampled(arm, seed, cell), draws(cell.population))

    def level(self, outcome: str, arm: str, cell: Cell, beside: Sequence[str] = ()) -> Change:
        """An outcome of an arm in a cell over the trainings that it shares with the arms `beside`."""
        return self.weighted(outcome, {(arm, cell): 1.0}, beside)

    def change(self, outcome: str, after: str, before: str, cell: Cell) -> Change:
        """The change of an outcome from one arm to another in a cell."""
        return self.weighted(outcome, {(after, cell): 1.0, (before, cell): -1.0})

    def weighted(self, outcome: str, weights: Mapping[tuple[str, Cell], float], beside: Sequence[str] = ()) -> Change:
        """The weighted sum of an outcome over arms and cells. Raises UserError if the arms share no seed."""
        seeds = self._shared([*(arm for arm, _ in weights), *beside])
        each = [[w * self.value(outcome, arm, s, cell) for (arm, cell), w in weights.items()] for s in seeds]
        return over(seeds, [np.sum(one, axis=0) for one in each])

    def split(self, after: str, before: str, cell: Cell) -> dict[str, Change]:
        """The change of one answer's micro-F1 from one arm to another, and its four parts (`instrument.split`)."""
        seeds, draws_RN = self._shared([after, before]), draws(cell.population)
        each = [instrument.split(self.sampled(before, s, cell), self.sampled(after, s, cell), draws_RN) for s in seeds]
        return {part: over(seeds, [one[part] for one in each]) for part in each[0]}

    def shares(self, outcome: str, after: str, before: str, there: str, here: str = "A") -> dict[str, Change]:
        """How much patients, images and labels account for in the difference between two hospitals' changes.

        Each factor is switched from `here` to `there` in every order, and its effects are averaged (Shapley); "all" is
        their sum.
        """
        parts: dict[str, dict[tuple[str, Cell], float]] = {factor: {} for factor in (*FACTORS, "all")}
        for order in itertools.permutations(FACTORS):
            for k, factor in enumerate(order):
                for switched, sign in ((order[: k + 1], 1.0), (order[:k], -1.0)):
                    population, image, owner = (there if one in switched else here for one in FACTORS)
                    cell = Cell(population, image, OWN[owner])
                    for arm, side in ((after, 1.0), (before, -1.0)):
                        for name in (factor, "all"):
                            weight = side * sign / math.factorial(len(FACTORS))
                            parts[name][arm, cell] = parts[name].get((arm, cell), 0.0) + weight
        return {name: self.weighted(outcome, {k: w for k, w in of.items() if w}) for name, of in parts.items()}

    def _shared(self, arms: Sequence[str]) -> tuple[int, ...]:
        seeds = self.seeds(arms)
        if not seeds:
            raise UserError("arms with a seed in common", ", ".join(dict.fromkeys(arms)), "run them first")
        return seeds


@functools.cache
def draws(population: str) -> Floats:
    """What each patient of a population weighs in each draw; all arms and cells share them (1 + R, N)."""
    table = patients.sample(population)
    rng = np.random.default_rng([ord(population)])
    return instrument.draws(pd.factorize(table["stratum"])[0], table["weight"].to_numpy(), RESAMPLES, rng)


def over(seeds: Sequence[int], per_seed: Sequence[Floats]) -> Change:
    """The mean over trainings of values (1 + R,) of each, with its interval."""
    values = stats.over_seeds(per_seed)
    found = stats.percentiles(values)
    return Change(found.estimate, found.low, found.high, tuple(seeds), tuple(float(one[0]) for one in per_seed), values)


def holm(changes: Mapping[str, Change], level: float = 0.05) -> dict[str, bool]:
    """Which of several changes are not zero, all of them held against it together (Holm 1979)."""
    found, open_ = {}, True
    for k, (name, change) in enumerate(sorted(changes.items(), key=lambda item: item[1].p)):
        open_ = open_ and change.p <= level / (len(changes) - k)
        found[name] = open_
    return found
