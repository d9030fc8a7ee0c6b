"""Samples and splits: by patient, from the generator that is passed in, whatever the order."""

from pathlib import Path

import numpy as np
import pytest

from chexreason.data.splits import assert_disjoint, draw, split_by_patient
from chexreason.data.study import Study
from chexreason.errors import UserError


def study(patient: int, number: int = 0, source: str = "mimic") -> Study:
    return Study(source, f"{patient:03d}", f"{patient:03d}-{number}", Path("/x.jpg"), "PA", "train", {}, ())


#: 30 patients with 1 to 5 studies each
STUDIES = [study(patient, number) for patient in range(30) for number in range(1 + patient % 5)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def patients(studies) -> set[str]:
    return {study.patient_id for study in studies}


@pytest.mark.parametrize(("fraction", "n_held"), [(0.1, 3), (0.5, 15), (0.001, 1), (0.999, 29)])
def test_whole_patients_are_held_out(fraction, n_held):
    kept, held = split_by_patient(STUDIES, fraction, rng())
    assert len(patients(held)) == n_held
    assert sorted(kept + held, key=lambda s: s.study_id) == STUDIES
    assert_disjoint(kept, held)


def test_equal_seeds_give_equal_splits_whatever_the_order():
    assert split_by_patient(STUDIES, 0.3, rng()) == split_by_patient(STUDIES[::-1], 0.3, rng())
    assert split_by_patient(STUDIES, 0.3, rng()) != split_by_patient(STUDIES, 0.3, rng(1))
    assert draw(STUDIES, 10, rng()) == draw(STUDIES[::-1], 10, rng())


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 2.0])
def test_a_fraction_out_of_range(fraction):
    with pytest.raises(UserError, match="a fraction of patients between 0 and 1"):
        split_by_patient(STUDIES, fraction, rng())


def test_one_patient_cannot_be_split():
    with pytest.raises(UserError, match="at least two patients to split; came 1"):
        split_by_patient([study(1, 0), study(1, 1)], 0.5, rng())


def test_a_draw_takes_a_patient_once_and_a_smaller_one_begins_a_larger():
    large = draw(STUDIES, 30, rng())
    assert len(patients(large)) == 30
    assert draw(STUDIES, 10, rng()) == large[:10]


def test_each_patient_and_each_of_its_studies_has_the_same_chance():
    counts = dict.fromkeys((study.study_id for study in STUDIES), 0)
    generator = rng()
    trials = 3000
    for _ in range(trials):
        for chosen in draw(STUDIES, 15, generator):
            counts[chosen.study_id] += 1
    for chosen in STUDIES:
        expected = trials / 2 / (1 + int(chosen.patient_id) % 5)
        assert abs(counts[chosen.study_id] - expected) < 5 * np.sqrt(expected)


def test_studies_may_be_drawn_instead_of_patients():
    drawn = draw(STUDIES, len(STUDIES), rng(), one_per_patient=False)
    assert sorted(drawn, key=lambda s: s.study_id) == STUDIES
    assert draw(STUDIES, 40, rng(), one_per_patient=False) == drawn[:40]


@pytest.mark.parametrize("n", [0, -1, 31])
def test_too_many_or_none(n):
    with pytest.raises(UserError, match=rf"between 1 and 30 patients .*request for {n} out of 30 patients with 90"):
        draw(STUDIES, n, rng())


def test_patients_are_told_apart_by_source():
    assert_disjoint([study(1)], [study(1, source="nih")])
    with pytest.raises(UserError, match="came 1 shared patients"):
        assert_disjoint([study(1, 0), study(2)], [study(1, 1)])
