"""What may be compared: constant runs, averages over rare findings and unlike sides are refused."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from chexreason.errors import UserError
from companion.evidence import comparable
from companion.evidence.comparable import Basis


def test_naming_every_label_scores_as_scikit_learn_says() -> None:
    truth = np.random.default_rng(0).random((50, 4)) < [0.1, 0.3, 0.5, 0.9]
    wanted = f1_score(truth, np.ones_like(truth), average=None)
    assert comparable.every_label(truth.sum(axis=0), len(truth)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("commonest", "scores", "floors", "reason"),
    [
        ([0.90], [0.9], [0.2], "gives one answer to 90% of the images"),
        ([0.899], [0.9], [0.2], ""),
        ([None], [0.19], [0.2], "scores 0.190, below naming every label (0.200)"),
        ([0.1], [0.2], [0.2], ""),
        ([0.2, 0.95, 0.1], [0.5] * 3, [0.3] * 3, "gives one answer to 95% of the images in one of 3 trainings"),
        ([0.2, None, 0.1], [0.4, 0.6, 0.3], [0.3] * 3, ""),
        ([None, None], [0.1, 0.9], [0.3] * 2, "scores 0.100, below naming every label (0.300) in one of 2 trainings"),
        ([0.2, 0.2], [0.3, 0.2], [0.45, 0.4], "scores 0.300, below naming every label (0.450) in 2 of 2 trainings"),
    ],
)
def test_one_training_that_takes_part_in_nothing_is_enough(commonest, scores, floors, reason) -> None:
    """From nine tenths of one answer on, or below the floor; also where the other trainings are fit."""
    assert comparable.unfit_over(zip(commonest, scores, floors, strict=True)) == reason


def test_findings_with_twenty_positives_carry_a_conclusion() -> None:
    assert comparable.frequent({"Edema": 19, "No Finding": 20, "Fracture": 300}) == ("No Finding", "Fracture")


@pytest.mark.parametrize(
    ("part", "value"), [("findings", ("Edema", "X")), ("studies", "others"), ("split", "validate"), ("seeds", (0,))]
)
def test_sides_that_differ_in_anything_are_refused(part, value) -> None:
    one = Basis(("Edema",), "studies", "test", (0, 1))
    assert comparable.require_same(one, one) == one
    with pytest.raises(UserError, match=f"the same {part}"):
        comparable.require_same(one, Basis(**{**one._asdict(), part: value}))
