"""What answers without a film would score on a run's own studies (not in the paper).

A macro-F1 says little unless one knows what answering every label scores. The recorded labels of a
run's studies are in its predictions; where these are kept out of the results, as for credentialed
data, there is no baseline to show.
"""

from collections.abc import Iterable

import numpy as np

from chexreason import metrics
from chexreason.runs import Run
from companion.evidence.tables import counted, has_rows


def all_labels(found: Iterable[Run]) -> metrics.Scores | None:
    """The scores of answering every label on the studies of the first run that has its rows; None if none has."""
    for run in found:
        if has_rows(run):
            rows, label_set = run.predictions(), str(run.info["label_set"])
            true_BF = metrics.label_cells(rows["truth"], label_set)
            return metrics.scores(true_BF, np.ones_like(true_BF), label_set, mask=counted(rows, label_set))
    return None
