"""What a claim rests on: a number, how it would vary over other studies, and what it is a number of.

A quantity carries its label set, its tier, its studies and the runs behind it. Two of them can only be set against
each other if they agree: an average over nine findings minus one over fourteen is refused, a value of the paper minus
one of ours, and two runs on different studies of one data set, whose difference is not paired. A claim is judged on a
`Side`, the paper's tables, the runs of one folder or the experiment: a check asks for cells of the paper's tables by
their names, and does not know which side answers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from chexreason.settings import UNREAD
from companion.evidence.audit.uncertainty import Z

Floats = npt.NDArray[np.float64]
#: Draws of each quantity.
DRAWS = 10_000
A_PICTURE = "the paper gives Figure 1 as a picture, without values"
OF_REAL_DATA = "it is about the real data sets' labels, and these runs cannot speak for them"


class CannotTell(Exception):
    """A claim that the numbers at hand cannot judge; the text says why, as the end of a sentence."""


class Unlike(CannotTell):
    """Two numbers over different findings would be set against each other."""


class NotRun(CannotTell):
    """A run is needed that is not there, or not of one of several trainings."""

    def __init__(self, run_id: str, training: int = 0) -> None:
        super().__init__(f"the run {run_id} is not there")
        self.run_id, self.training = run_id, training


@dataclass(frozen=True, order=True)
class Studies:
    """What a number was counted on: where, how many, and which."""

    where: str
    n: int
    digest: str = ""  # of the studies, where they are known one by one
    stated: bool = True  # whether the text we have, or the run, says how many; else the interval takes n for granted

    def __str__(self) -> str:
        return f"{self.where} n {'=' if self.stated else f'{UNREAD}, interval for n ='} {self.n:,}"


def _together(studies: frozenset[Studies]) -> frozenset[Studies]:
    """The same studies, if those of one place are all the same ones."""
    seen: dict[str, Studies] = {}
    for one in sorted(studies):
        other = seen.setdefault(one.where, one)
        if (one.n, one.digest) != (other.n, other.digest):
            which = " and ".join(f"{each.n:,}, digest {each.digest[:7] or 'not noted'}" for each in (other, one))
            raise CannotTell(f"the runs are on different studies of {one.where} ({which}), so that nothing pairs them")
    return studies


@dataclass(frozen=True)
class Quantity:
    """A value, draws of it over other studies of the same kind, and where it comes from."""

    value: float
    draws: Floats  # (R,): as many for every quantity of a side
    scope: tuple[str, ...]  # the findings that it is about; () where findings play no part
    tier: str
    n: frozenset[Studies]
    runs: frozenset[str] = frozenset()  # ids of the runs behind it; none behind a printed number
    trainings: int | None = None  # how many trainings each of our trained models stands for; None: none is ours

    def beside(self, other: "Quantity", act: Callable[[Floats, Floats], Floats]) -> "Quantity":
        """A function of two values and of each pair of draws. Raises CannotTell if the two are unlike."""
        if self.tier != other.tier:
            raise CannotTell(f"a value of the tier {self.tier} would be set against one of {other.tier}")
        if self.scope != other.scope:
            raise Unlike(f"the labels do not match: {_named(self.scope)} would be set against {_named(other.scope)}")
        if None not in (self.trainings, other.trainings) and self.trainings != other.trainings:
            raise CannotTell(f"{self.trainings} trainings would be set against {other.trainings}")
        return replace(
            self, value=float(act(np.asarray(self.value), np.asarray(other.value))), draws=act(self.draws, other.draws),
            n=_together(self.n | other.n), runs=self.runs | other.runs, trainings=self.trainings or other.trainings,
        )  # fmt: skip

    def __sub__(self, other: "Quantity") -> "Quantity":
        return self.beside(other, np.subtract)

    def __add__(self, other: "Quantity") -> "Quantity":
        return self.beside(other, np.add)

    def relative_to(self, other: "Quantity") -> "Quantity":
        """This minus the other, as a share of the other.

        Raises CannotTell if the other cannot be distinguished from 0: the interval of a ratio is then unbounded
        (Fieller 1954).
        """
        if abs(other.value) <= max(Z * float(other.draws.std()), 1e-9) or np.any(np.abs(other.draws) < 1e-9):
            why = f"a relative change from {other.value:.3f}, which cannot be distinguished from 0, has no size"
            raise CannotTell(why)
        return self.beside(other, lambda a, b: a / b - 1)

    def map(self, act: Callable[[Floats], Floats]) -> "Quantity":
        """The same function of the value and of each draw."""
        return replace(self, value=float(act(np.asarray(self.value))), draws=act(self.draws))

    def times(self, factor: float) -> "Quantity":
        return self.map(lambda x: factor * x)

    def about(self) -> "Quantity":
        """The same effect without its findings: for setting two finished effects side by side, never two scores."""
        return replace(self, scope=())


class Side(ABC):
    """Where a claim's numbers come from: the paper, or runs of ours. What it cannot say it refuses with CannotTell."""

    name: str
    tier: str
    missing: tuple[str, ...] = ()  # ids of the runs that would fill the paper's tables and are not there

    def settle(self, check: "Callable[[Side], Quantity]") -> Quantity:
        """What a check computes from this side; of several trainings, from those with all runs that it asks for."""
        return check(self)

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """Those of some findings that an average of a table may hold to carry a conclusion."""
        return tuple(findings)

    @abstractmethod
    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """An average of a row of Tables 1 to 4 (micro or macro), or the macro-F1 of a model of Tables 5 and 6."""

    @abstractmethod
    def finding(self, table: int, row: str, name: str) -> Quantity:
        """F1 of one finding: of a row of Tables 1 to 4, or of a model of Tables 5 and 6."""

    @abstractmethod
    def failure(self, table: int, row: str) -> Quantity:
        """Failure rate of a row of Tables 1 to 4."""

    @abstractmethod
    def prevalence(self, table: int) -> dict[str, float]:
        """Share of the table's studies that carry each finding."""

    @abstractmethod
    def frequency(self, table: int, name: str) -> Quantity:
        """The same of one finding as a quantity, counted and so without a spread."""

    def accuracy(self, row: str) -> Quantity:
        """Mean token accuracy at the end of fine-tuning MedGemma on a format (Figure 1)."""
        raise CannotTell(A_PICTURE)

    def pace(self, row: str) -> Quantity:
        """The share of that training (0 to 1) after which the accuracy has made nine tenths of its way (Figure 1)."""
        raise CannotTell(A_PICTURE)

    def public(self, value: float, n: frozenset[Studies]) -> Quantity:
        """A number from public label counts of the real data sets, which runs of ours are no evidence about."""
        raise CannotTell(OF_REAL_DATA)

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What only the experiment measures (`seeds`); any other side refuses and says `otherwise`.

        `labels`: what GRPO's gain at home is not worth elsewhere and is lost to the labels; `stabilisers`: collapse
        without a stabiliser and not with all; `curriculum`: images of two hospitals, one after the other, serve a third
        better than those of one; `reward`: one that no labelling convention enters serves other hospitals better.
        """
        raise CannotTell(otherwise)


def _named(scope: tuple[str, ...]) -> str:
    if len(scope) == 1:
        return scope[0]
    return f"an average over {len(scope)} findings" if scope else "a number without findings"


def largest(quantities: Sequence[Quantity]) -> Quantity:
    """The largest of several: of the values, and in each draw again."""
    return reduce(lambda one, other: one.beside(other, np.maximum), quantities)


def smallest(quantities: Sequence[Quantity]) -> Quantity:
    """The smallest of several."""
    return reduce(lambda one, other: one.beside(other, np.minimum), quantities)


def mean(quantities: Sequence[Quantity], scope: tuple[str, ...] | None = None) -> Quantity:
    """The mean of several; over findings, `scope` names them all, since each has its own."""
    alike = quantities if scope is None else [replace(one, scope=scope) for one in quantities]
    return reduce(Quantity.__add__, alike).times(1 / len(quantities))


def tau(first_RN: npt.ArrayLike, second_RN: npt.ArrayLike) -> Floats:
    """Kendall's tau of two orders of N rows, in each draw; rows that tie in either speak for neither order."""
    one, other = np.asarray(first_RN), np.asarray(second_RN)
    above, below = np.triu_indices(one.shape[1], 1)
    found: Floats = np.mean(np.sign(one[:, above] - one[:, below]) * np.sign(other[:, above] - other[:, below]), axis=1)
    return found


def agreement(first: Sequence[Quantity], second: Sequence[Quantity]) -> Quantity:
    """Kendall's tau of two orders of the same rows: -1 if one is the other reversed, 1 if they are the same."""
    joined = largest([*first, *second])  # has the studies and runs of all, and refuses other labels or tiers
    sides = (np.stack([np.append(one.value, one.draws) for one in side], axis=1) for side in (first, second))
    value, *draws = tau(*sides)
    return replace(joined, value=float(value), draws=np.array(draws), scope=())
