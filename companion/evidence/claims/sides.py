"""The sides that a claim can be judged on have one face: the paper's tables, the runs of one folder, the experiment.

A check asks for cells of the paper's tables by their names and gets `Quantity` objects; it does not know which side
answers. What a side does not have it refuses with `CannotTell`.
"""

from collections.abc import Callable, Sequence

from companion.evidence.claims.quantity import CannotTell, Quantity, Studies

#: Draws of each quantity.
DRAWS = 10_000
#: A finding is common from this prevalence on, and rare below the second; our reading of the paper's words.
COMMON, RARE = 0.2, 0.1
OF_REAL_DATA = "it is about the real data sets' labels, and these runs cannot speak for them"


class Side:
    """Where a claim's numbers come from: by itself one that can tell nothing."""

    name: str
    tier: str
    missing: tuple[str, ...] = ()  # ids of the runs that would fill the paper's tables and are not there

    def settle(self, check: "Callable[[Side], Quantity]") -> Quantity:
        """What a check computes from this side; of several trainings, from those with all runs that it asks for."""
        return check(self)

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """Those of some findings that an average of a table may hold to carry a conclusion."""
        return tuple(findings)

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """An average of a row of Tables 1 to 4 (micro or macro), or the macro-F1 of a model of Tables 5 and 6."""
        raise NotImplementedError

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """F1 of one finding: of a row of Tables 1 to 4, or of a model of Tables 5 and 6."""
        raise NotImplementedError

    def failure(self, table: int, row: str) -> Quantity:
        """Failure rate of a row of Tables 1 to 4."""
        raise NotImplementedError

    def prevalence(self, table: int) -> dict[str, float]:
        """Share of the table's studies that carry each finding."""
        raise NotImplementedError

    def frequency(self, table: int, name: str) -> Quantity:
        """The same of one finding as a quantity, counted and so without a spread."""
        raise NotImplementedError

    def accuracy(self, row: str) -> Quantity:
        """Mean token accuracy at the end of fine-tuning MedGemma on a format (Figure 1)."""
        raise CannotTell("the paper gives Figure 1 as a picture, without values")

    def pace(self, row: str) -> Quantity:
        """The share of that training (0 to 1) after which the accuracy has made nine tenths of its way (Figure 1)."""
        raise CannotTell("the paper gives Figure 1 as a picture, without values")

    def public(self, value: float, n: frozenset[Studies]) -> Quantity:
        """A number from public label counts of the real data sets, which runs of ours are no evidence about."""
        raise CannotTell(OF_REAL_DATA)

    def measured(self, what: str, otherwise: str) -> Quantity:
        """What only the experiment measures; any other side refuses and says `otherwise`.

        `labels`: what GRPO's gain at home is not worth elsewhere and is lost to the labels; `stabilisers`: collapse
        without a stabiliser and not with all; `curriculum`: images of two hospitals, one after the other, serve a third
        better than those of one; `reward`: one that no labelling convention enters serves other hospitals better.
        """
        raise CannotTell(otherwise)
