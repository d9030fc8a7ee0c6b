"""Metrics against scikit-learn, applied finding by finding, and against what must hold."""

import numpy as np
import pytest
from sklearn.metrics import multilabel_confusion_matrix, precision_recall_fscore_support

from chexreason import metrics
from chexreason.labels import FINDINGS, LABEL_SETS
from companion.evidence import stats

RATIOS = ("precision", "recall", "f1")


def random_matrices(seed, n=60, label_set="chexpert14"):
    """Labels, predictions and mask of random density; some findings never present or never predicted."""
    rng = np.random.default_rng(seed)
    shape = (n, len(LABEL_SETS[label_set]))
    true = rng.random(shape) < rng.choice([0, 0.02, 0.3, 0.9], size=shape[1])
    pred = rng.random(shape) < rng.choice([0, 0.05, 0.4, 1], size=shape[1])
    return true, pred, rng.random(shape) < 0.8


def one_by_one(true, pred):
    """Precision, recall and F1 of one finding."""
    return precision_recall_fscore_support(true, pred, average="binary", zero_division=0)[:3]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_against_scikit_learn_finding_by_finding(seed, masked, label_set):
    true, pred, mask = random_matrices(seed, label_set=label_set)
    mask = mask if masked else np.ones_like(mask)
    ours = metrics.scores(true, pred, label_set, mask=mask if masked else None)
    rows = []
    for column, name in enumerate(LABEL_SETS[label_set]):
        kept, row = mask[:, column], ours.findings[name]
        rows.append(one_by_one(true[kept, column], pred[kept, column]))
        assert [row[metric] for metric in RATIOS] == pytest.approx(rows[-1], abs=1e-12)
        assert (row["support"], row["predicted"]) == (true[kept, column].sum(), pred[kept, column].sum())
    # Leaving cells out of the flattened matrices is what micro means.
    assert [ours.micro[metric] for metric in RATIOS] == pytest.approx(one_by_one(true[mask], pred[mask]), abs=1e-12)
    assert [ours.macro[metric] for metric in RATIOS] == pytest.approx(np.mean(rows, axis=0), abs=1e-12)
    # What stands in an ignored cell makes no difference.
    assert metrics.scores(true ^ ~mask, pred ^ ~mask, label_set, mask=mask) == ours


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_those_of_scikit_learn_and_give_the_same_f1(seed):
    true, pred, _ = random_matrices(seed)
    table = multilabel_confusion_matrix(true, pred)  # (F, 2, 2): [[tn, fp], [fn, tp]]
    counts = stats.confusion(true, pred)
    assert (counts == np.stack([table[:, 1, 1], table[:, 0, 1], table[:, 1, 0]])).all()
    findings = metrics.scores(true, pred, "chexpert14").findings.values()
    assert stats.f1(counts).tolist() == [row["f1"] for row in findings]


def test_names_become_a_matrix():
    named = ["Edema;Fracture", "", "Cardiomegaly;gout"]
    wide = metrics.label_cells(named, "chexpert14")
    assert (wide.shape, wide.sum(axis=1).tolist()) == ((3, 14), [2, 0, 1])
    assert wide[0, FINDINGS.index("Fracture")]
    assert metrics.label_cells(named, "nih9").sum(axis=1).tolist() == [1, 0, 1]
    assert metrics.label_cells([], "nih9").shape == (0, 9)


@pytest.mark.parametrize("shape", [(0, 14), (5, 9), (5, 15)])
def test_matrices_of_another_shape_are_refused(shape):
    wrong, right = np.zeros(shape, dtype=bool), np.zeros((5, 14), dtype=bool)
    with pytest.raises(ValueError, match="one shape"):
        metrics.scores(wrong, wrong, "chexpert14")
    with pytest.raises(ValueError, match="one shape"):
        metrics.scores(right, right, "chexpert14", mask=np.zeros((4, 14), dtype=bool))
