"""Precision, recall and F1: per finding, micro and macro (the metrics of Tables 1 to 6).

Counts first, ratios second: everything follows from true positives, false positives and false
negatives per finding. A ratio whose denominator is 0 counts as 0 (scikit-learn's
``zero_division=0``), so a finding that is neither present nor predicted has an F1 of 0 and pulls the
macro average down; `Scores.absent` names such findings. The macro average is the plain mean over
the label set, so averages over different label sets are different quantities, and `compare`
refuses them unless it is told to. Suffixes: `_B` studies, `_F` findings.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason.errors import UserError, unknown
from chexreason.labels import LABEL_SETS

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

#: The metrics of a finding or of the micro average, and those that the macro average has.
COLUMNS = ("precision", "recall", "f1", "support", "predicted")
RATIOS = COLUMNS[:3]


def names_of(label_set: str) -> tuple[str, ...]:
    """The findings of a label set, in order; raises UserError for an unknown one."""
    if label_set not in LABEL_SETS:
        raise unknown("label set", label_set, LABEL_SETS, "chexreason/labels.py")
    return LABEL_SETS[label_set]


def matrix(label_sets_B: Iterable[Collection[str]], label_set: str) -> Bools:
    """Sets of names as a matrix (B, F); names outside the label set are left out.

    >>> matrix([{"Edema"}, {"No Finding", "Fracture"}], "nih9")[:, :4].astype(int).tolist()
    [[0, 0, 0, 1], [1, 0, 0, 0]]
    """
    names = names_of(label_set)
    rows = [[name in found for name in names] for found in label_sets_B]
    return np.array(rows, dtype=bool).reshape(len(rows), len(names))


def label_cells(names: Iterable[object], label_set: str) -> Bools:
    """A column of names joined by semicolons as a matrix (B, F) over a label set.

    >>> label_cells(["Edema;No Finding", ""], "nih9").sum(axis=1).tolist()
    [2, 0]
    """
    return matrix([str(cell).split(";") for cell in names], label_set)


def confusion(true_BF: Bools, pred_BF: Bools, mask_BF: Bools | None = None) -> Counts:
    """True positives, false positives and false negatives per finding (3, F).

    `mask_BF` is True where a cell counts; the others are left out (labels that are ignored).
    """
    kept_BF = np.ones_like(true_BF) if mask_BF is None else mask_BF
    cells = (true_BF & pred_BF, ~true_BF & pred_BF, true_BF & ~pred_BF)
    return np.stack([(cell & kept_BF).sum(axis=0) for cell in cells]).astype(np.int64)


def f1(counts: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) from counts (3, ...); 0 where nothing is present or predicted."""
    hits, extra, missed = counts
    return _ratio(2 * hits, 2 * hits + extra + missed)


def _ratio(above: npt.NDArray[np.number], below: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(np.shape(below)), where=np.asarray(below) > 0)


def _row(counts: Counts) -> dict[str, float]:
    """All metrics from the three counts of one finding, or of all together."""
    hits, extra, missed = counts
    values = (_ratio(hits, hits + extra), _ratio(hits, hits + missed), f1(counts), hits + missed, hits + extra)
    return dict(zip(COLUMNS, map(float, values), strict=True))


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions over one label set."""

    label_set: str
    n: int  # studies
    failure_rate: float  # share of the studies whose completion had no readable answer
    findings: Mapping[str, Mapping[str, float]]  # finding -> precision, recall, f1, support, predicted
    micro: Mapping[str, float]  # the same over all cells together
    macro: Mapping[str, float]  # mean precision, recall and f1 over the findings

    @property
    def absent(self) -> tuple[str, ...]:
        """Findings that no study has; their F1 is 0 whatever is predicted."""
        return tuple(name for name, row in self.findings.items() if row["support"] == 0)

    def to_frame(self) -> pd.DataFrame:
        """Tidy rows (finding, metric, value); n and failure_rate stand with the micro average."""
        micro = {**self.micro, "failure_rate": self.failure_rate, "n": float(self.n)}
        rows = {"micro": micro, "macro": self.macro, **self.findings}
        cells = [(name, metric, value) for name, row in rows.items() for metric, value in row.items()]
        return pd.DataFrame(cells, columns=["finding", "metric", "value"])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "Scores":
        """The scores that `to_frame` wrote; the findings tell the label set. Raises UserError for others."""
        rows: dict[str, dict[str, float]] = {}
        for name, metric, value in frame[["finding", "metric", "value"]].itertuples(index=False):
            rows.setdefault(name, {})[metric] = float(value)
        micro, macro = rows.pop("micro", {}), rows.pop("macro", {})
        names = [label_set for label_set, names in LABEL_SETS.items() if names == tuple(rows)]
        if not names or not {"n", "failure_rate"} <= micro.keys():
            raise UserError(
                "a table of scores over one label set", f"rows for {', '.join(rows) or 'nothing'}", "run it again"
            )
        n, failure_rate = int(micro.pop("n")), micro.pop("failure_rate")
        return cls(names[0], n, failure_rate, rows, micro, macro)


def scores(
    true_BF: Bools, pred_BF: Bools, label_set: str, mask: Bools | None = None, failure_rate: float = 0.0
) -> Scores:
    """Score predictions against recorded labels over a label set.

    A completion that failed predicts nothing: a row of False, counted in `failure_rate`. Cells where
    `mask` is False do not count. Raises ValueError for shapes that do not agree or no study.
    """
    names = names_of(label_set)
    shape = (len(true_BF), len(names))
    got = [array.shape for array in (true_BF, pred_BF, mask) if array is not None]
    if any(one != shape for one in got) or not shape[0]:
        raise ValueError(f"expected matrices of one shape (studies > 0, {len(names)}), got {got}")
    counts = confusion(true_BF, pred_BF, mask)
    findings = {name: _row(counts[:, column]) for column, name in enumerate(names)}
    macro = {metric: float(np.mean([row[metric] for row in findings.values()])) for metric in RATIOS}
    return Scores(label_set, shape[0], failure_rate, findings, _row(counts.sum(axis=1)), macro)


def compare(first: Scores, second: Scores, across_label_sets: bool = False) -> pd.DataFrame:
    """Two sets of scores side by side: finding, metric, first, second, difference (second - first).

    Raises UserError for different label sets unless `across_label_sets`: an average over nine
    findings is not comparable with one over fourteen, and neither is a difference of the two.
    """
    if first.label_set != second.label_set and not across_label_sets:
        raise UserError(
            "scores over one label set",
            f"{first.label_set} and {second.label_set}",
            "score both on the shared findings, or pass across_label_sets=True and say so beside the number",
        )
    keys = ["finding", "metric"]
    left = first.to_frame().rename(columns={"value": "first"})
    right = second.to_frame().rename(columns={"value": "second"})
    table = left.merge(right, on=keys, validate="one_to_one")
    return table.assign(difference=table["second"] - table["first"])


def all_labels(true_BF: Bools) -> Bools:
    """Every finding for every study."""
    return np.ones_like(true_BF)


def none(true_BF: Bools) -> Bools:
    """Nothing for any study."""
    return np.zeros_like(true_BF)


def most_frequent(true_BF: Bools) -> Bools:
    """The finding that most studies have, for every study; it knows the prevalence, as no model does."""
    pred_BF = np.zeros_like(true_BF)
    pred_BF[:, true_BF.sum(axis=0).argmax()] = True
    return pred_BF


#: Answers that need no film; what a model has to beat.
BASELINES: dict[str, Callable[[Bools], Bools]] = {
    "all_labels": all_labels,
    "none": none,
    "most_frequent": most_frequent,
}
