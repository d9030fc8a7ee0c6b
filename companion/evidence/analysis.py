"""What the kept answers say: the score of every cell, and contrasts of scores with intervals.

A *cell* is a population, the imaging hospital and the reference standard (a convention or the visible truth).
Everything the chapters state is a weighted sum of outcomes of cells (`contrast`), the split of a change by Shapley's
rule included. Both sides of a contrast have the same findings, patients and trainings: those that all its terms share.
A contrast is refused (`NotComparable`) by the rules of `comparable`. Intervals vary the patients of each population,
all models sharing a draw, and the trainings (`stats.over_seeds`).
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.labels import LABEL_SETS
from chexreason.metrics import Bools
from companion.evidence import comparable, stats
from companion.evidence.outcomes import MACRO, Outcome
from companion.evidence.stats import Interval
from companion.experiment import worlds
from companion.experiment.scores import LABEL_SET, OWN, Cell, asked, truth_of

Floats = npt.NDArray[np.float64]
FINDINGS = LABEL_SETS[LABEL_SET]
#: The model that no arm has trained.
UNTRAINED = "base-best"


class NotComparable(Exception):
    """Scores that must not be set against each other; the text says why, as the end of a sentence."""


class Key(NamedTuple):
    """One value: a model (arm and checkpoint, "grpo-hard-best" say) in a cell."""

    model: str
    cell: Cell


@dataclass(frozen=True)
class Answers:
    """The answers of all models and seeds, the labels they are held against, and the bootstrap's draws.

    The draws of patients are made once, so that all models and cells share them.
    """

    of: Mapping[tuple[str, int], pd.DataFrame]  # (model, seed) -> answers
    labels: pd.DataFrame
    resamples: int = 10_000
    _known: dict[object, Floats] = field(default_factory=dict, repr=False)
    _read: dict[object, tuple[Bools, Bools]] = field(default_factory=dict, repr=False)

    def seeds(self, models: Sequence[str]) -> list[int]:
        """The seeds that all of these models have; the untrained one has a single answer to all, and fits any."""
        per_model = {name: {seed for model, seed in self.of if model == name} for name in models}
        trained = [seeds for name, seeds in per_model.items() if name != UNTRAINED] or list(per_model.values())
        return sorted(set.intersection(*trained)) if all(per_model.values()) else []

    def matrices(self, key: Key, seed: int) -> tuple[Bools, Bools]:
        """What is recorded and what a model says, of each patient (N, F); of its only seed if it has one."""
        own = [s for model, s in self.of if model == key.model]
        at = (key, seed if seed in own else own[0])
        if at not in self._read:
            rows = asked(self.of[key.model, at[1]], key.cell)
            true_NF = truth_of(self.labels, key.cell, list(rows["index"]))
            self._read[at] = true_NF, metrics.label_cells(rows["predicted"], LABEL_SET)
        return self._read[at]

    @property
    def patients(self) -> int:
        """How many patients a world has."""
        return 1 + max(int(frame["index"].max()) for frame in self.of.values())

    def positives(self, cell: Cell) -> dict[str, int]:
        """How many patients have each finding by a cell's reference."""
        rows = self.labels[self.labels["population"] == cell.population]
        index = sorted(rows.loc[rows["reference"] == cell.reference, "index"])
        return dict(zip(FINDINGS, truth_of(self.labels, cell, index).sum(axis=0).tolist(), strict=True))

    def values(self, key: Key, seed: int, outcome: Outcome = MACRO, findings: Sequence[str] = FINDINGS) -> Floats:
        """An outcome of a model in a cell: as it is, then for each draw of patients (1 + R,)."""
        at = (key, seed, outcome.name, tuple(findings))
        if at not in self._known:
            true_NF, pred_NF = self.matrices(key, seed)
            sums_RK = self.sums(key.cell.population, outcome.each(true_NF, pred_NF))
            self._known[at] = outcome.value(sums_RK, kept(findings))
        return self._known[at]

    def sums(self, population: str, each: Floats) -> Floats:
        """Sums of numbers (N, ...) over the patients of each draw (1 + R, ...); in the first row, of all once."""
        if population not in self._known:
            rng = np.random.default_rng([ord(population)])
            drawn = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), size=self.resamples)
            once = np.ones((1, len(each)))
            self._known[population] = np.concatenate([once, drawn]).astype(np.float32)  # exact below 2^24
        summed: Floats = (self._known[population] @ each.astype(np.float32)).astype(float)
        return summed


def kept(findings: Sequence[str]) -> Bools:
    """Which of the nine findings are among these (F,)."""
    return np.array([name in findings for name in FINDINGS])


def read(results: Path) -> Answers:
    """The answers below ``results/<profile>``, with the labels of the patients who were asked about."""
    found = {}
    for path in sorted(results.glob("seed*/*-answers/predictions.csv.gz")):
        model, seed = path.parent.name.removesuffix("-answers"), int(path.parents[1].name.removeprefix("seed"))
        if (path.parent / "run.json").is_file():
            found[model, seed] = pd.read_csv(path, keep_default_na=False)
    return Answers(found, _labels(Answers(found, pd.DataFrame()).patients) if found else pd.DataFrame())


_labels = functools.cache(worlds.labels)  # it draws the cases


@dataclass(frozen=True)
class Contrast(Interval):
    """A weighted sum of outcomes, averaged over trainings, and what it rests on."""

    findings: tuple[str, ...]
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    values: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)  # as it is, then replicates


def frequent(answers: Answers, cells: Sequence[Cell], outcome: Outcome = MACRO) -> tuple[str, ...]:
    """The findings that an outcome counts: of an average those with enough positives in each cell, else all.

    Raises NotComparable if there is none.
    """
    found = [set(comparable.frequent(answers.positives(cell))) for cell in dict.fromkeys(cells) if outcome.by_finding]
    names = tuple(name for name in FINDINGS if all(name in one for one in found))
    if not names:
        raise NotComparable(f"no finding has {comparable.ENOUGH} positives on both sides")
    return names


def floor(answers: Answers, key: Key, outcome: Outcome, findings: Sequence[str]) -> float:
    """What naming every label for every patient scores in a cell; 0 for what is no score."""
    if not outcome.is_score:
        return 0.0
    true_NF, _ = answers.matrices(key, 0)
    sums = outcome.each(true_NF, np.ones_like(true_NF)).sum(axis=0, keepdims=True)
    return float(outcome.value(sums, kept(findings))[0])


def unfit(
    answers: Answers, key: Key, outcome: Outcome = MACRO, seeds: Sequence[int] = (), findings: Sequence[str] = ()
) -> str:
    """Why a model takes part in no comparison in a cell (`comparable.unfit_over`); empty if it does.

    One training that takes part in nothing is enough: of `seeds`, or of all. Raises NotComparable as `frequent` does.
    """
    names = findings or frequent(answers, [key.cell], outcome)
    bar, trainings = floor(answers, key, outcome, names), []
    for seed in answers.seeds([key.model]) if key.model == UNTRAINED or not seeds else seeds:
        said = asked(answers.of[key.model, seed], key.cell)["predicted"]
        trainings.append(
            (comparable.commonest_share(list(said)), float(answers.values(key, seed, outcome, names)[0]), bar)
        )
    return comparable.unfit_over(trainings)


def contrast(
    answers: Answers, weights: Mapping[Key, float], outcome: Outcome = MACRO, findings: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Contrast:  # fmt: skip
    """The weighted sum of an outcome over models and cells, averaged over trainings, with a 95 % interval.

    An average over findings holds the frequent ones of all cells unless `findings` says which. `beside` names models
    that the result is shown beside: only seeds that they have, too, count. Raises UserError if the models have no seed
    in common, and NotComparable if a difference rests on a run that takes part in none.
    """
    models = sorted({key.model for key in weights} | set(beside))
    seeds = answers.seeds(models)
    if not seeds:
        raise UserError("models with a seed in common", ", ".join(models), "run the experiment's arms first")
    names = tuple(findings) or frequent(answers, [key.cell for key in weights], outcome)
    if len(weights) > 1:
        if len(seeds) < 2 and set(models) != {UNTRAINED}:
            raise NotComparable(comparable.ONE_TRAINING)
        for key in weights:
            if reason := unfit(answers, key, outcome, seeds, names):
                raise NotComparable(f"{key.model} {reason}")
    each = [[weight * answers.values(key, seed, outcome, names) for key, weight in weights.items()] for seed in seeds]
    return over(seeds, [np.sum(one, axis=0) for one in each], names)


def over(seeds: Sequence[int], per_seed: Sequence[Floats], findings: tuple[str, ...] = ()) -> Contrast:
    """The mean over trainings of values (1 + R,) of each, with its interval."""
    values, single = stats.over_seeds(per_seed), tuple(float(one[0]) for one in per_seed)
    found = stats.percentiles(values)
    return Contrast(found.estimate, found.low, found.high, findings, tuple(seeds), single, values)


def change(after: str, before: str, cell: Cell) -> dict[Key, float]:
    """The weights of score(after) - score(before) in a cell."""
    return {Key(after, cell): 1.0, Key(before, cell): -1.0}


#: What differs between two hospitals, in the order of `Cell`.
FACTORS = ("patients", "images", "labels")


def shares(after: str, before: str, there: str, here: str = "A") -> dict[str, dict[Key, float]]:
    """Which part of the difference between two hospitals' changes each factor accounts for.

    The change from `before` to `after` is measured at `here` and at `there`. Their difference is the
    sum of three Shapley values: each factor is switched from `here` to `there` in every order, and its
    effects are averaged. Factor, or "all", -> weights for `contrast`.
    """

    parts: dict[str, dict[Key, float]] = {factor: {} for factor in FACTORS}
    for order in itertools.permutations(FACTORS):
        for k, factor in enumerate(order):
            for switched, sign in ((order[: k + 1], 1.0), (order[:k], -1.0)):
                population, image, owner = (there if one in switched else here for one in FACTORS)
                for key, side in change(after, before, Cell(population, image, OWN[owner])).items():
                    weight = side * sign / math.factorial(len(FACTORS))
                    parts[factor][key] = parts[factor].get(key, 0.0) + weight
    far, near = (change(after, before, Cell(one, one, OWN[one])) for one in (there, here))
    return {**parts, "all": far | {key: -weight for key, weight in near.items()}}


#: Answers are called collapsed if one list of labels makes up more than this share of them.
COLLAPSED = 0.70


def commonest(answers: Answers, model: str, cell: Cell) -> Contrast:
    """How large a share the commonest list of labels has among a model's answers, over trainings and patients.

    In each replicate the list is the one that is commonest in the answers as they are.
    """
    seeds, per_seed = answers.seeds([model]), []
    for seed in seeds:
        said = asked(answers.of[model, seed], cell)["predicted"]
        top = said.value_counts().index[0]
        per_seed.append(answers.sums(cell.population, (said == top).to_numpy(dtype=float)) / len(said))
    return over(seeds, per_seed)
