"""What a claim rests on: a number, how it would vary over other studies, and what it is a number of.

A quantity carries its label set, its tier, its studies and the runs behind it. Two of them can only be set against
each other if they agree: an average over nine findings minus one over fourteen is refused, a value of the paper minus
one of ours, and two runs on different studies of one data set, whose difference is not paired. The refusal is a
`CannotTell` with the reason, which the ledger shows; nothing is scored silently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from chexreason.settings import UNREAD
from companion.evidence.audit.uncertainty import LEVEL

Floats = npt.NDArray[np.float64]


class CannotTell(Exception):
    """A claim that the numbers at hand cannot judge; the text says why, as the end of a sentence."""


class Unlike(CannotTell):
    """Two numbers over different findings would be set against each other."""


class NotRun(CannotTell):
    """A run is needed that is not there."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"the run {run_id} is not there")
        self.run_id = run_id


@dataclass(frozen=True, order=True)
class Studies:
    """What a number was counted on: where, how many, and which.

    >>> print(Studies("CheXpert test", 500)), print(Studies("NIH test", 500, stated=False))
    CheXpert test n = 500
    NIH test n not in the text we have, interval for n = 500
    (None, None)
    """

    where: str
    n: int
    digest: str = ""  # of the studies, where they are known one by one
    stated: bool = (
        True  # whether the text we have, or the run, says how many; else n is what the interval takes for granted
    )

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

    def _with(self, other: "Quantity", act: Callable[[Floats, Floats], Floats]) -> "Quantity":
        if self.tier != other.tier:
            raise CannotTell(f"a value of the tier {self.tier} would be set against one of {other.tier}")
        if self.scope != other.scope:
            raise Unlike(f"the labels do not match: {_named(self.scope)} would be set against {_named(other.scope)}")
        if None not in (self.trainings, other.trainings) and self.trainings != other.trainings:
            raise CannotTell(f"{self.trainings} trainings would be set against {other.trainings}")
        trainings = self.trainings or other.trainings
        value = float(act(np.float64(self.value), np.float64(other.value)))  # type: ignore[arg-type]
        draws, n = act(self.draws, other.draws), _together(self.n | other.n)
        return replace(self, value=value, draws=draws, n=n, runs=self.runs | other.runs, trainings=trainings)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return self._with(other, np.subtract)

    def __add__(self, other: "Quantity") -> "Quantity":
        return self._with(other, np.add)

    def relative_to(self, other: "Quantity") -> "Quantity":
        """This minus the other, as a share of the other.

        Raises CannotTell if the other cannot be distinguished from 0: the interval of a ratio is then unbounded
        (Fieller 1954).
        """
        reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * float(other.draws.std())
        if abs(other.value) <= max(reach, 1e-9) or np.any(np.abs(other.draws) < 1e-9):
            raise CannotTell(
                f"a relative change from {other.value:.3f}, which cannot be distinguished from 0, has no size"
            )
        return self._with(other, lambda a, b: a / b - 1)

    def map(self, act: Callable[[Floats], Floats]) -> "Quantity":
        """The same function of the value and of each draw."""
        return replace(self, value=float(act(np.float64(self.value))), draws=act(self.draws))  # type: ignore[arg-type]

    def about(self) -> "Quantity":
        """The same effect without its findings: for setting two finished effects side by side, never two scores."""
        return replace(self, scope=())

    def times(self, factor: float) -> "Quantity":
        """A multiple."""
        return self.map(lambda x: factor * x)


def _named(scope: tuple[str, ...]) -> str:
    if len(scope) == 1:
        return scope[0]
    return f"an average over {len(scope)} findings" if scope else "a number without findings"


def largest(quantities: Sequence[Quantity]) -> Quantity:
    """The largest of several: of the values, and in each draw again."""
    found = quantities[0]
    for one in quantities[1:]:
        found = found._with(one, np.maximum)
    return found


def smallest(quantities: Sequence[Quantity]) -> Quantity:
    """The smallest of several."""
    return largest([one.times(-1) for one in quantities]).times(-1)


def mean(quantities: Sequence[Quantity], scope: tuple[str, ...] | None = None) -> Quantity:
    """The mean of several; over findings, `scope` names them all, since each has its own."""
    first = quantities[0]
    if scope is not None:
        quantities = [replace(one, scope=scope) for one in quantities]
    total = quantities[0]
    for one in quantities[1:]:
        total = total + one
    return replace(total.times(1 / len(quantities)), scope=first.scope if scope is None else scope)


def agreement(first: Sequence[Quantity], second: Sequence[Quantity]) -> Quantity:
    """Kendall's tau of two orders of the same rows: -1 if one is the other reversed, 1 if they are the same."""
    pairs = [(i, j) for i in range(len(first)) for j in range(i)]
    base = first[0]
    for one in [*first[1:], *second]:
        base = base._with(one, lambda a, b: a + 0 * b)  # gathers n and runs, and refuses other labels or tiers

    def tau(pick: Callable[[Quantity], Floats]) -> Floats:
        signs = [
            np.sign(pick(first[i]) - pick(first[j])) * np.sign(pick(second[i]) - pick(second[j])) for i, j in pairs
        ]
        return np.mean(signs, axis=0)

    return replace(base, value=float(tau(lambda q: np.float64(q.value))), draws=tau(lambda q: q.draws), scope=())  # type: ignore[arg-type,return-value]


def association(first: Sequence[Quantity], second: Sequence[Quantity], rows: str) -> Quantity:
    """Kendall's tau of two orders of the same rows, when the rows stand for others of their kind.

    The rows are few, and how many studies each was scored on does not make them more. The draws are tau plus what it
    is when the second order is shuffled, so the interval leaves out 0 if few shuffles reach as far. `rows` says
    what they are.
    """
    found = agreement(first, second)
    rng = np.random.default_rng(0)
    signs_NN, others_NN = (
        np.sign(np.subtract.outer(values, values)) for values in ([q.value for q in side] for side in (first, second))
    )
    picked_RN = rng.permuted(np.tile(np.arange(len(first)), (len(found.draws), 1)), axis=1)
    shuffled_RNN = others_NN[picked_RN[:, :, None], picked_RN[:, None, :]]
    by_chance_R = (signs_NN * shuffled_RNN).sum(axis=(1, 2)) / (len(first) * (len(first) - 1))
    return replace(found, draws=found.value + by_chance_R, n=frozenset({Studies(rows, len(first))}))
