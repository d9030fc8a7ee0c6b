"""Metrics against scikit-learn, and against what must hold."""

import numpy as np
import pytest
from sklearn.metrics import multilabel_confusion_matrix, precision_recall_fscore_support

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, LABEL_SETS, NIH_SHARED

RATIOS = ("precision", "recall", "f1")


def random_matrices(seed, n=60, label_set="chexpert14"):
    """Labels, predictions and mask of random density; some findings never present or never predicted."""
    rng = np.random.default_rng(seed)
    shape = (n, len(LABEL_SETS[label_set]))
    true = rng.random(shape) < rng.choice([0, 0.02, 0.3, 0.9], size=shape[1])
    pred = rng.random(shape) < rng.choice([0, 0.05, 0.4, 1], size=shape[1])
    return true, pred, rng.random(shape) < 0.8


def sklearn_row(true, pred, average):
    return dict(
        zip(RATIOS, precision_recall_fscore_support(true, pred, average=average, zero_division=0)[:3], strict=True)
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_against_scikit_learn(seed, label_set):
    true, pred, _ = random_matrices(seed, label_set=label_set)
    ours = metrics.scores(true, pred, label_set)
    values = precision_recall_fscore_support(true, pred, average=None, zero_division=0)
    for column, name in enumerate(LABEL_SETS[label_set]):
        row = ours.findings[name]
        assert [row[metric] for metric in RATIOS] == pytest.approx([value[column] for value in values[:3]], abs=1e-12)
        assert row["support"] == values[3][column]
        assert row["predicted"] == pred[:, column].sum()
    assert {m: ours.micro[m] for m in RATIOS} == pytest.approx(sklearn_row(true, pred, "micro"), abs=1e-12)
    assert dict(ours.macro) == pytest.approx(sklearn_row(true, pred, "macro"), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_counts_are_those_of_scikit_learn_to_the_bit(seed):
    true, pred, _ = random_matrices(seed)
    table = multilabel_confusion_matrix(true, pred)  # (F, 2, 2): [[tn, fp], [fn, tp]]
    assert (metrics.confusion(true, pred) == np.stack([table[:, 1, 1], table[:, 0, 1], table[:, 1, 0]])).all()


@pytest.mark.parametrize("seed", range(10))
def test_ignored_cells_do_not_count(seed):
    true, pred, mask = random_matrices(seed)
    ours = metrics.scores(true, pred, "chexpert14", mask=mask)
    rows = []
    for column, name in enumerate(FINDINGS):
        kept = mask[:, column]
        rows.append(sklearn_row(true[kept, column], pred[kept, column], "binary"))
        assert {m: ours.findings[name][m] for m in RATIOS} == pytest.approx(rows[-1], abs=1e-12)
    # Leaving cells out of the flattened matrices is what micro means.
    micro = sklearn_row(true[mask], pred[mask], "binary")
    assert {m: ours.micro[m] for m in RATIOS} == pytest.approx(micro, abs=1e-12)
    assert dict(ours.macro) == pytest.approx({m: np.mean([row[m] for row in rows]) for m in RATIOS}, abs=1e-12)
    # What stands in an ignored cell makes no difference.
    assert metrics.scores(true ^ ~mask, pred ^ ~mask, "chexpert14", mask=mask) == ours


def test_nothing_divided_by_nothing_is_0_and_is_named():
    true, pred = np.zeros((5, 9), dtype=bool), np.zeros((5, 9), dtype=bool)
    true[:, 0] = pred[:, 0] = True
    ours = metrics.scores(true, pred, "nih9")
    assert ours.macro["f1"] == pytest.approx(1 / 9)
    assert ours.micro["f1"] == 1.0
    assert ours.absent == NIH_SHARED[1:]


def test_a_frame_and_back():
    true, pred, _ = random_matrices(3)
    for label_set, width in (("chexpert14", 14), ("nih9", 9)):
        ours = metrics.scores(true[:, :width], pred[:, :width], label_set, failure_rate=0.25)
        frame = ours.to_frame()
        assert list(frame.columns) == ["finding", "metric", "value"]
        assert set(frame["finding"]) == {"micro", "macro", *LABEL_SETS[label_set]}
        assert not frame.duplicated(["finding", "metric"]).any()
        shuffled = frame.set_index(["finding", "metric"])["value"]
        assert shuffled["micro", "failure_rate"] == 0.25
        assert metrics.Scores.from_frame(frame) == ours


def test_a_frame_of_something_else_is_refused():
    frame = metrics.scores(*random_matrices(0)[:2], "chexpert14").to_frame()
    for part in (frame[frame["finding"] != "Edema"], frame[frame["metric"] != "n"], frame.iloc[:0]):
        with pytest.raises(UserError, match="one label set"):
            metrics.Scores.from_frame(part)


def test_names_become_a_matrix():
    named = [{"Edema", "Fracture"}, set(), {"Cardiomegaly", "gout"}]
    wide = metrics.matrix(named, "chexpert14")
    assert wide.shape == (3, 14)
    assert wide.sum(axis=1).tolist() == [2, 0, 1]
    assert wide[0, FINDINGS.index("Fracture")]
    assert metrics.matrix(named, "nih9").sum(axis=1).tolist() == [1, 0, 1]
    assert metrics.matrix([], "nih9").shape == (0, 9)


def test_averages_over_different_label_sets_are_refused_unless_asked_for():
    true, pred, _ = random_matrices(1)
    wide = metrics.scores(true, pred, "chexpert14")
    narrow = metrics.scores(true[:, :9], pred[:, :9], "nih9")
    with pytest.raises(UserError, match=r"one label set.*chexpert14 and nih9.*across_label_sets=True"):
        metrics.compare(wide, narrow)
    table = metrics.compare(wide, narrow, across_label_sets=True)
    assert set(table["finding"]) == {"micro", "macro", *NIH_SHARED}


def test_a_comparison_is_second_minus_first():
    true, pred, _ = random_matrices(2)
    worse, better = (metrics.scores(true, answer, "chexpert14") for answer in (pred, true))
    table = metrics.compare(worse, better).set_index(["finding", "metric"])
    row = table.loc[("macro", "f1")]
    assert row["first"] == worse.macro["f1"]
    assert row["second"] == better.macro["f1"]
    assert row["difference"] == better.macro["f1"] - worse.macro["f1"] > 0


def test_baselines():
    true = np.zeros((10, 14), dtype=bool)
    true[:6, 3] = true[:4, 5] = True
    answers = {name: make(true) for name, make in metrics.BASELINES.items()}
    assert answers["all_labels"].all()
    assert not answers["none"].any()
    assert answers["most_frequent"].sum(axis=0).tolist() == [0, 0, 0, 10] + [0] * 10
    # All labels: precision is the prevalence p and recall 1, so F1 = 2 p / (1 + p): 0.75 and 4/7.
    everything = metrics.scores(true, answers["all_labels"], "chexpert14")
    assert everything.macro["f1"] == pytest.approx((0.75 + 4 / 7) / 14)
    assert metrics.scores(true, answers["none"], "chexpert14").micro["f1"] == 0.0


@pytest.mark.parametrize("shape", [(0, 14), (5, 9), (5, 15)])
def test_matrices_of_another_shape_are_refused(shape):
    wrong = np.zeros(shape, dtype=bool)
    with pytest.raises(ValueError, match="one shape"):
        metrics.scores(wrong, wrong, "chexpert14")
    right = np.zeros((5, 14), dtype=bool)
    with pytest.raises(ValueError, match="one shape"):
        metrics.scores(right, right, "chexpert14", mask=np.zeros((4, 14), dtype=bool))


def test_an_unknown_label_set_is_named():
    with pytest.raises(UserError, match=r"chexpert14, nih9.*'nih8'"):
        metrics.scores(np.zeros((1, 8), dtype=bool), np.zeros((1, 8), dtype=bool), "nih8")
