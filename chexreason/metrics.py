"""Precision, recall and F1: per finding, micro and macro, by scikit-learn (the metrics of Tables 1 to 6).

A ratio whose denominator is 0 counts as 0, so a finding that is neither present nor predicted has an F1 of 0 and pulls
the macro average down. The macro average is the plain mean over the label set, so averages over different label sets
are different quantities. Suffixes: `_B` studies, `_F` findings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from chexreason.labels import LABEL_SETS

Bools = npt.NDArray[np.bool_]


def label_cells(names: Iterable[object], label_set: str) -> Bools:
    """A column of names joined by semicolons as a matrix (B, F); names outside the label set are left out.

    >>> label_cells(["Edema;No Finding", "Fracture"], "nih9")[:, :4].astype(int).tolist()
    [[1, 0, 0, 1], [0, 0, 0, 0]]
    """
    wanted = LABEL_SETS[label_set]
    rows = [[name in cell for name in wanted] for cell in (str(joined).split(";") for joined in names)]
    return np.array(rows, dtype=bool).reshape(len(rows), len(wanted))


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions over one label set."""

    label_set: str
    n: int  # studies
    failure_rate: float  # share of the studies whose completion had no readable answer
    findings: Mapping[str, Mapping[str, float]]  # finding -> precision, recall, f1, support, predicted
    micro: Mapping[str, float]  # the same over all cells together
    macro: Mapping[str, float]  # mean precision, recall and f1 over the findings

    def to_frame(self) -> pd.DataFrame:
        """Tidy rows (finding, metric, value); n and failure_rate stand with the micro average."""
        micro = {**self.micro, "failure_rate": self.failure_rate, "n": float(self.n)}
        rows = {"micro": micro, "macro": self.macro, **self.findings}
        cells = [(name, metric, value) for name, row in rows.items() for metric, value in row.items()]
        return pd.DataFrame(cells, columns=["finding", "metric", "value"])


def scores(
    true_BF: Bools, pred_BF: Bools, label_set: str, mask: Bools | None = None, failure_rate: float = 0.0
) -> Scores:
    """Score predictions against recorded labels over a label set.

    A completion that failed predicts nothing: a row of False, counted in `failure_rate`. Cells where `mask` is False
    do not count: as true negatives they are in no ratio. Raises ValueError for shapes that do not agree or no study.
    """
    names = LABEL_SETS[label_set]
    shapes = {array.shape for array in (true_BF, pred_BF, mask) if array is not None}
    if shapes != {(len(true_BF), len(names))} or not len(true_BF):
        raise ValueError(f"expected matrices of one shape (studies > 0, {len(names)}), got {shapes}")
    if mask is not None:
        true_BF, pred_BF = true_BF & mask, pred_BF & mask

    def ratios(average: str | None) -> dict[str, npt.NDArray[np.float64]]:
        found = precision_recall_fscore_support(true_BF, pred_BF, average=average, zero_division=0)
        return dict(zip(("precision", "recall", "f1"), found[:3], strict=True))

    each = {**ratios(None), "support": true_BF.sum(axis=0), "predicted": pred_BF.sum(axis=0)}
    micro = {**ratios("micro"), "support": true_BF.sum(), "predicted": pred_BF.sum()}
    findings = {
        name: {metric: float(values_F[place]) for metric, values_F in each.items()} for place, name in enumerate(names)
    }
    micro, macro = ({metric: float(value) for metric, value in row.items()} for row in (micro, ratios("macro")))
    return Scores(label_set, len(true_BF), failure_rate, findings, micro, macro)
