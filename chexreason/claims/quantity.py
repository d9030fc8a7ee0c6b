"""What a claim rests on: a number, how it would vary over other studies, and what it is a number of.

A quantity carries its label set and its tier. Two of them can only be set against each other if both agree:
an average over nine findings less one over fourteen is refused, and so is a value of the paper less one
of ours. The refusal is a `CannotTell` with the reason, which the ledger shows; nothing is scored silently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


#: A score below this is too small to take a share of.
NEARLY_NOTHING = 0.02


class CannotTell(Exception):
    """A claim that the numbers at hand cannot judge; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Quantity:
    """A value, draws of it over other studies of the same kind, and where it comes from."""

    value: float
    draws: Floats  # (R,): as many for every quantity of a side
    scope: tuple[str, ...]  # the findings that it is about; () where findings play no part
    tier: str
    n: frozenset[tuple[str, int | None]]  # (data set, studies); None where the number is not stated
    studies: frozenset[tuple[str, str]] = frozenset()  # (data set, digest of the studies), where it is known
    runs: frozenset[str] = frozenset()  # the runs behind it

    def _with(self, other: "Quantity", act: Callable[[Floats, Floats], Floats]) -> "Quantity":
        if self.tier != other.tier:
            raise CannotTell(f"a value of the tier {self.tier} would be set against one of {other.tier}")
        if self.scope != other.scope:
            raise CannotTell(
                f"the labels do not match: {_named(self.scope)} would be set against {_named(other.scope)}"
            )
        studies = self.studies | other.studies
        if len(dict(studies)) < len(studies):
            raise CannotTell("two runs on different studies of the same data set would be set against each other")
        value = float(act(np.float64(self.value), np.float64(other.value)))  # type: ignore[arg-type]
        n, runs = self.n | other.n, self.runs | other.runs
        return replace(self, value=value, draws=act(self.draws, other.draws), n=n, studies=studies, runs=runs)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return self._with(other, np.subtract)

    def __add__(self, other: "Quantity") -> "Quantity":
        return self._with(other, np.add)

    def relative_to(self, other: "Quantity") -> "Quantity":
        """This less the other, as a share of the other. Raises CannotTell if the other is near 0."""
        if float(np.quantile(np.abs(other.draws), 0.025)) < NEARLY_NOTHING or abs(other.value) < NEARLY_NOTHING:
            raise CannotTell(f"a relative change from {other.value:.3f} has no steady size")
        return self._with(other, lambda a, b: a / np.where(b == 0, np.nan, b) - 1)

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
        base = base._with(one, lambda a, b: a + 0 * b)  # gathers n, and refuses other labels or tiers

    def tau(pick: Callable[[Quantity], Floats]) -> Floats:
        signs = [
            np.sign(pick(first[i]) - pick(first[j])) * np.sign(pick(second[i]) - pick(second[j])) for i, j in pairs
        ]
        return np.mean(signs, axis=0)

    return replace(base, value=float(tau(lambda q: np.float64(q.value))), draws=tau(lambda q: q.draws), scope=())  # type: ignore[arg-type,return-value]
