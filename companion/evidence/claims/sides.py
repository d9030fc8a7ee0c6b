"""The sides that a claim can be judged on have one face: the paper's tables, the runs of one folder, the experiment.

A check asks for cells of the paper's tables by their names (`f1(5, "chexreason")`, `finding(...)`) and gets
`Quantity` objects; it does not know which side answers. What a side does not have it refuses with
`CannotTell`: the paper prints no finding in Tables 1 to 4, and a folder may lack a run.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from chexreason.labels import NIH_SHARED
from companion.evidence.claims.quantity import CannotTell, Quantity, Studies, mean
from companion.evidence.comparable import ENOUGH

#: Draws of each quantity.
DRAWS = 10_000
#: What only the experiment measures, and what a positive value of it speaks for.
MEASURED = {
    "labels": "what GRPO's gain at home is not worth elsewhere is lost to the labels",
    "stabilisers": "collapse appears without a stabiliser and not with all",
    "curriculum": "films of two hospitals, one after the other, serve a third better than those of one",
    "reward": "a reward that no labelling convention enters serves other hospitals better than the hard one",
}
#: A finding is common from this prevalence on, and rare below the second; our reading of the paper's words.
COMMON, RARE = 0.2, 0.1


class Side(Protocol):
    """Where a claim's numbers come from."""

    name: str
    tier: str
    missing: tuple[str, ...]  # ids of the runs that would fill the paper's tables and are not there

    def settle(self, check: "Callable[[Side], Quantity]") -> Quantity:
        """What a check computes from this side; of several trainings, from those with all runs that it asks for."""

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """Those of some findings that an average of a table may hold to carry a conclusion."""

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """An average of a row of Tables 1 to 4 (micro or macro), or the macro-F1 of a model of Tables 5 and 6."""

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """F1 of one finding: of a row of Tables 1 to 4, or of a model of Tables 5 and 6."""

    def failure(self, table: int, row: str) -> Quantity:
        """Failure rate of a row of Tables 1 to 4."""

    def prevalence(self, table: int) -> dict[str, float]:
        """Share of the table's studies that carry each finding."""

    def frequency(self, table: int, name: str) -> Quantity:
        """The same of one finding as a quantity, counted and so without a spread."""

    def accuracy(self, row: str) -> Quantity:
        """Mean token accuracy at the end of fine-tuning MedGemma on a format (Figure 1)."""

    def pace(self, row: str) -> Quantity:
        """The share of that training (0 to 1) after which the accuracy has made nine tenths of its way (Figure 1)."""

    def public(self, says: float, n: frozenset[Studies]) -> Quantity:
        """A number from public label counts of the real data sets; the runs of a miniature have none."""

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What only the experiment measures (`MEASURED`); any other side refuses and says `otherwise`."""


def over(side: Side, table: int, row: str, findings: Sequence[str]) -> Quantity:
    """Macro-F1 over those of some findings that carry a conclusion."""
    names = side.carrying(table, findings)
    if not names:
        raise CannotTell(f"none of these findings has {ENOUGH} positives")
    return mean([side.finding(table, row, name) for name in names], names)


def shared(side: Side, table: int, row: str) -> Quantity:
    """The same over the nine findings of Tables 5 and 6, those that carry a conclusion in both: for crossing over."""
    both = set(side.carrying(5, NIH_SHARED)) & set(side.carrying(6, NIH_SHARED))
    return over(side, table, row, [name for name in NIH_SHARED if name in both])


def common(side: Side, table: int) -> tuple[str, ...]:
    """The findings that many of a table's studies carry."""
    return _some(side, table, [name for name, share in side.prevalence(table).items() if share >= COMMON], "common")


def rare(side: Side, table: int) -> tuple[str, ...]:
    """The findings that few of a table's studies carry."""
    return _some(side, table, [name for name, share in side.prevalence(table).items() if share < RARE], "rare")


def _some(side: Side, table: int, names: Sequence[str], kind: str) -> tuple[str, ...]:
    carrying = side.carrying(table, names)
    if not carrying:
        raise CannotTell(f"none of the findings is {kind} among these studies and has enough positives")
    return carrying
