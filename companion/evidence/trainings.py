"""What the kept sampled answers say: outcomes of arms in cells, and changes over trainings with intervals.

A *cell* is a population, the hospital where it was imaged and a reference. All sides of a comparison have the same
patients, draws of patients, seeds and number of answers: the first of each, as many as the side with fewest has,
because a vote of more ranks better and is better calibrated. Intervals vary the patients within their strata and the
trainings (`over`), those of a single training or of the untouched base the patients alone (`Change.patients_only`).
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from chexreason.errors import UserError
from companion.evidence import instrument, stats
from companion.evidence.instrument import Sampled
from companion.evidence.stats import Floats
from companion.experiment import patients, words
from companion.experiment.scores import OWN, Cell

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
#: What differs between two hospitals, in the order of `Cell`.
FACTORS = ("patients", "images", "labels")


@dataclass(frozen=True)
class Change(stats.Interval):
    """A level or a change over trainings with its 95 % interval, and what it rests on."""

    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    error: float  # the standard error
    freedom: float  # the degrees of freedom of its t
    answers: int = 0  # how many answers of each side were used; 0 if they do not count

    @property
    def p(self) -> float:
        """Student's two-sided p of no change."""
        if not self.error:
            return float(self.estimate == 0)
        return float(2 * student.sf(abs(self.estimate) / self.error, self.freedom))

    @property
    def patients_only(self) -> bool:
        """Whether the interval varies patients alone: of one training, or of an arm that is not trained."""
        return len(set(self.per_seed)) == 1

    def interval(self, level: float) -> stats.Interval:
        """The interval at another level."""
        reach = float(student.ppf((1 + level) / 2, self.freedom)) * self.error
        return stats.Interval(self.estimate, self.estimate - reach, self.estimate + reach)


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

    def answers(self, sides: Iterable[tuple[str, Cell]], seeds: Sequence[int]) -> int:
        """How many answers a comparison uses: as many as the arm in the cell with fewest has."""
        return min(self._all(arm, seed, cell).answers for arm, cell in sides for seed in seeds)

    @functools.cache  # noqa: B019  (lives as long as the page that reads them)
    def sampled(self, arm: str, seed: int, cell: Cell, answers: int | None = None) -> Sampled:
        """An arm's answers in a cell, the first so many or all. Raises UserError if it was not asked there."""
        every = self._all(arm, seed, cell)
        said_NKF, failed_NK = every.said_NKF[:, :answers], every.failed_NK[:, :answers]
        return Sampled(said_NKF, failed_NK, every.true_NF, patients.SEEN)

    @functools.cache  # noqa: B019
    def _all(self, arm: str, seed: int, cell: Cell) -> Sampled:
        rows, where = self._rows(arm, 0 if arm == "base" else seed), f"{cell.population}{cell.image}"
        rows = rows[(rows["population"] == cell.population) & (rows["image"] == cell.image)].sort_values("index")
        if not len(rows):
            raise UserError(f"answers of {arm} in {where}", "none", "see the plan's worlds")
        if rows["index"].tolist() != patients.sample(cell.population)["index"].tolist():
            raise UserError(f"answers of {arm} to the sample's patients in {where}", "others", "ask the arm again")
        said_NKF, failed_NK = words.read(rows["answers"])
        return Sampled(said_NKF, failed_NK, patients.truth(cell.population, cell.reference), patients.SEEN)

    @functools.cache  # noqa: B019
    def _rows(self, arm: str, seed: int) -> pd.DataFrame:
        rows = pd.read_csv(self.places[arm, seed] / "predictions.csv.gz", dtype=str, keep_default_na=False)
        return rows[rows["checkpoint"] == "last"].astype({"index": int})  # the best stands beside it, where it differs

    def divergence(self, arm: str, seed: int) -> float:
        """How far a training's last checkpoint lies from its start, in nats a token of its own answers."""
        metrics = pd.read_csv(self.places[arm, seed] / "metrics.csv").set_index("metric")["value"]
        return float(metrics["divergence"])

    @functools.cache  # noqa: B019
    def value(self, outcome: str, arm: str, seed: int, cell: Cell, answers: int | None = None) -> Floats:
        """An outcome of one training in a cell, in each draw of patients (1 + R,), of the first so many answers."""
        return OUTCOMES[outcome](self.sampled(arm, seed, cell, answers), draws(cell.population))

    def level(self, outcome: str, arm: str, cell: Cell, beside: Sequence[str] = ()) -> Change:
        """An outcome of an arm in a cell, over the trainings and of the answers that it shares with the arms `beside`.

        `Change.answers` says how many answers to an image it used.
        """
        sides, seeds = [(name, cell) for name in (arm, *beside)], self._shared([arm, *beside])
        values = [self.value(outcome, arm, s, cell, self.answers(sides, seeds)) for s in seeds]
        return over(seeds, values, self.answers(sides, seeds))

    def change(self, outcome: str, after: str, before: str, cell: Cell) -> Change:
        """The change of an outcome from one arm to another in a cell."""
        return self.weighted(outcome, {(after, cell): 1.0, (before, cell): -1.0})

    def weighted(
        self, outcome: str, weights: Mapping[tuple[str, Cell], float], beside: Iterable[tuple[str, Cell]] = ()
    ) -> Change:
        """The weighted sum of an outcome over arms and cells. Raises UserError if the arms share no seed.

        All use as many answers as the arm in the cell with fewest has, those `beside` among them.
        """
        sides = [*weights, *beside]
        seeds = self._shared([arm for arm, _ in sides])
        k = self.answers(sides, seeds)
        each = [[w * self.value(outcome, arm, s, cell, k) for (arm, cell), w in weights.items()] for s in seeds]
        return over(seeds, [np.sum(one, axis=0) for one in each], k)

    def split(self, after: str, before: str, cell: Cell, beside: Sequence[str] = ()) -> dict[str, Change]:
        """The change of one answer's micro-F1 from one arm to another, and its four parts (`instrument.split`).

        Of the trainings, and of as many answers, as the arms `beside` have, too.
        """
        seeds = self._shared([after, before, *beside])
        k = self.answers([(arm, cell) for arm in (after, before, *beside)], seeds)
        each = [self._split(after, before, s, cell, k) for s in seeds]
        return {part: over(seeds, [one[part] for one in each], k) for part in each[0]}

    def part(self, name: str, weights: Mapping[tuple[str, Cell], float], before: str) -> Change:
        """The weighted sum of one part of several arms' changes from another arm (`split`)."""
        seeds = self._shared([before, *(arm for arm, _ in weights)])
        k = self.answers([*weights, *((before, cell) for _, cell in weights)], seeds)
        each = [[w * self._split(a, before, s, cell, k)[name] for (a, cell), w in weights.items()] for s in seeds]
        return over(seeds, [np.sum(one, axis=0) for one in each], k)

    @functools.cache  # noqa: B019
    def _split(self, after: str, before: str, seed: int, cell: Cell, k: int) -> dict[str, Floats]:
        pair = self.sampled(before, seed, cell, k), self.sampled(after, seed, cell, k)
        return instrument.split(*pair, draws(cell.population))

    def nearness(self, weights: Mapping[str, float], to: str, cell: Cell) -> Change:
        """The weighted sum over arms of how near their answers are to another arm's (`instrument.nearness`)."""
        seeds, draws_RN = self._shared([*weights, to]), draws(cell.population)
        each = [
            sum(w * instrument.nearness(self._all(arm, s, cell), self._all(to, s, cell), draws_RN)
                for arm, w in weights.items())
            for s in seeds
        ]  # fmt: skip
        return over(seeds, [np.asarray(one) for one in each])

    def shares(self, outcome: str, after: str, before: str, there: str, here: str = "A") -> dict[str, Change]:
        """How much patients, images and labels account for in the difference between two hospitals' changes.

        Each factor is switched from `here` to `there` in every order, and its effects are averaged (Shapley); "all" is
        their sum. The cells away from home were asked for fewer answers, so that all use fewer.
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
        sides = [side for of in parts.values() for side in of]
        return {name: self.weighted(outcome, {k: w for k, w in of.items() if w}, sides) for name, of in parts.items()}

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


def uncertainty(shared: Floats, among: Floats, trainings: int, resamples: int = RESAMPLES) -> tuple[Floats, Floats]:
    """The variance of a mean over S trainings and its degrees of freedom, for arrays of both parts.

    `shared` is the luck of the patients that all trainings share, `among` the variance of the trainings' estimates. The
    degrees of freedom are Satterthwaite's (1946), with `among` taken 1 + 2 / (S - 1) times: where it is small by chance
    his claim too many, and 95 % intervals cover 92 % with three trainings (94 with the factor; no matter with ten).
    """
    free, mean = max(trainings - 1, 1), among / trainings
    taken = mean * (1 + 2 / free)
    below = shared**2 / (resamples - 1) + taken**2 / free
    full = np.full(np.shape(below), np.inf)
    return shared + mean, np.divide((shared + taken) ** 2, below, out=full, where=np.asarray(below) > 0)


def _tamed(drawn_SR: Floats) -> Floats:
    """Each training's draws, none farther than five standard errors from the middle.

    Where a vote sees next to nothing (at C), the split's ratio bursts in single draws, and one would make the variance.
    The standard error is half of what the middle 68 % span.
    """
    low, middle, high = np.quantile(drawn_SR, [0.16, 0.5, 0.84], axis=1, keepdims=True)
    reach = np.where(high > low, 2.5 * (high - low), np.inf)
    return np.clip(drawn_SR, middle - reach, middle + reach)


def over(seeds: Sequence[int], per_seed: Sequence[Floats], answers: int = 0) -> Change:
    """The mean over S trainings of values (1 + R,) of each, over the same draws of patients, with its interval.

    The mean's variance is that of the patients' luck that all trainings share, the covariance of two trainings over the
    draws, and s^2 / S. The variance s^2 of the estimates holds all that is a training's own already: its answers, its
    luck with these patients, its seed. To weigh bootstrapped values at random (`stats.over_seeds`) counts it again with
    each draw: with ten trainings and the pilot's variances of seeing (AUROC) at home, its 95 % cover more than 99.9 %
    (here 94.5), and of changes of 0.01 30 % are seen at 2.5 % (here 80). A single training says nothing of others: its
    variance is the patients' alone.
    """
    all_SR = np.stack(per_seed)
    estimate_S, many = all_SR[:, 0], len(all_SR)
    covariance_SS = np.atleast_2d(np.cov(_tamed(all_SR[:, 1:])))
    if many == 1:
        shared, among = covariance_SS[0, 0], np.zeros(())
    else:
        shared = max(0.0, covariance_SS[~np.eye(many, dtype=bool)].mean())
        among = estimate_S.var(ddof=1)
    variance, freedom = uncertainty(shared, among, many, all_SR.shape[1] - 1)
    estimate, error = float(estimate_S.mean()), float(variance) ** 0.5
    reach = float(student.ppf(0.975, freedom)) * error
    per = tuple(float(one) for one in estimate_S)
    return Change(estimate, estimate - reach, estimate + reach, tuple(seeds), per, error, float(freedom), answers)


def holm(changes: Mapping[str, Change], level: float = 0.05) -> dict[str, bool]:
    """Which of several changes are not zero, all of them held against it together (Holm 1979)."""
    found, open_ = {}, True
    for k, (name, change) in enumerate(sorted(changes.items(), key=lambda item: item[1].p)):
        open_ = open_ and change.p <= level / (len(changes) - k)
        found[name] = open_
    return found
