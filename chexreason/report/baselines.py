"""What answers without a film would score on a run's own studies (not in the paper).

A macro-F1 says little unless one knows what answering every label scores. The recorded labels of a
run's studies are in its predictions; where these are kept out of the results, as for credentialed
data, there is no baseline to show.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from chexreason import metrics
from chexreason.labels import LABEL_SETS
from chexreason.runs import Run


def cells(names: pd.Series, label_set: str) -> metrics.Bools:
    """A column of names joined by semicolons as a matrix (B, F) over a label set."""
    return metrics.matrix([str(cell).split(";") for cell in names], label_set)


def counted(rows: pd.DataFrame, label_set: str) -> metrics.Bools:
    """Which cells count (B, F): all but labels that the uncertainty policy ignores."""
    if "ignored" not in rows:
        return np.ones((len(rows), len(LABEL_SETS[label_set])), dtype=bool)
    return ~cells(rows["ignored"], label_set)


def all_labels(found: Iterable[Run]) -> metrics.Scores | None:
    """The scores of answering every label on the studies of the first run that has its rows; None if none has."""
    for run in found:
        if (run.folder / "predictions.csv.gz").is_file():
            rows, label_set = run.predictions(), str(run.info["label_set"])
            true_BF = cells(rows["truth"], label_set)
            return metrics.scores(true_BF, metrics.all_labels(true_BF), label_set, mask=counted(rows, label_set))
    return None
