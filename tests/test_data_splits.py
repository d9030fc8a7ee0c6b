"""Samples and splits: by patient, from the generator that is passed in, whatever the order."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from chexreason.data.splits import NOTHING, assert_disjoint, draw, draw_strata, quotas, split_by_patient, strata
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
def test_what_cannot_be_split(fraction):
    with pytest.raises(UserError, match="a fraction of patients between 0 and 1"):
        split_by_patient(STUDIES, fraction, rng())
    with pytest.raises(UserError, match="at least two patients to split, got 1"):
        split_by_patient([study(1, 0), study(1, 1)], 0.5, rng())


def test_a_draw_takes_a_patient_once_and_a_smaller_one_begins_a_larger():
    large = draw(STUDIES, 30, rng())
    assert len(patients(large)) == 30
    assert draw(STUDIES, 10, rng()) == large[:10]
    drawn = draw(STUDIES, len(STUDIES), rng(), one_per_patient=False)
    assert sorted(drawn, key=lambda s: s.study_id) == STUDIES
    assert draw(STUDIES, 40, rng(), one_per_patient=False) == drawn[:40]


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


def test_patients_are_told_apart_by_source():
    assert_disjoint([study(1)], [study(1, source="nih")])
    with pytest.raises(UserError, match="got 1 shared patients"):
        assert_disjoint([study(1, 0), study(2)], [study(1, 1)])


def labelled(generator: np.random.Generator, n: int = 400) -> list[Study]:
    """One or two studies of each of n patients: three findings of very different frequency, and silent studies."""
    rates = {"Lung Opacity": 0.5, "Edema": 0.2, "Fracture": 0.03}
    return [
        replace(study(patient, number), labels={name: 1.0 for name, p in rates.items() if generator.random() < p})
        for patient in range(n)
        for number in range(1 + patient % 2)
    ]


def test_a_stratum_is_the_rarest_positive_finding_and_uncertain_ones_follow_the_policy():
    common = [replace(study(k), labels={"Edema": 1.0}) for k in range(3)]
    both = replace(study(3), labels={"Edema": 1.0, "Fracture": 1.0, "Pneumonia": 0.0})
    unsure = replace(study(4), labels={"Edema": -1.0})
    found = strata([*common, both, unsure], "zeros")
    assert [found[s.key] for s in (common[0], both, unsure)] == ["Edema", "Fracture", NOTHING]
    assert strata([unsure], "ones") == {unsure.key: "Edema"}
    tie = replace(study(5), labels={"Fracture": 1.0, "Cardiomegaly": 1.0})
    assert strata([tie], "zeros") == {tie.key: "Cardiomegaly"}, "the first in the order of FINDINGS"


@pytest.mark.parametrize("seed", range(20))
def test_quotas_are_those_of_scikit_learn(seed):
    generator = rng(seed)
    sizes = {name: int(generator.integers(2, 60)) for name in "abcdef"}
    classes = [name for name, size in sizes.items() for _ in range(size)]
    n = int(generator.integers(6, len(classes) - 6))
    [(taken, _)] = StratifiedShuffleSplit(1, train_size=n, random_state=seed).split(classes, classes)
    theirs, ours = Counter(classes[place] for place in taken), quotas(sizes, n)
    remainders = [n * size % len(classes) for size in sizes.values()]
    assert sum(ours.values()) == n
    if len(set(remainders)) == len(remainders):  # else they break ties at random
        assert ours == {name: theirs[name] for name in sizes}
    assert quotas({"large": 15, "small": 5}, 2) == {"large": 1, "small": 1}, "of equal remainders the smaller stratum"
    assert quotas({"b": 1, "a": 1}, 1) == {"a": 1, "b": 0}


def test_strata_keep_their_share_in_both_parts_and_no_patient_is_in_two():
    studies = labelled(rng(7))
    sft, rl = draw_strata(studies, (200, 100), rng(), "zeros")
    assert (len(sft), len(rl)) == (200, 100)
    assert len(patients(sft) | patients(rl)) == 300
    # The candidates are one study a patient, as `draw` picks them.
    candidates = draw(studies, 400, rng())
    stratum_of = strata(candidates, "zeros")
    shares = Counter(stratum_of.values())
    assert shares[NOTHING] > 0
    for part in (sft, rl):
        for name, size in shares.items():
            assert abs(sum(stratum_of[s.key] == name for s in part) - len(part) * size / 400) <= 1.5, name
    assert draw_strata(studies[::-1], (200, 100), rng(), "zeros") == [sft, rl]
    assert draw_strata(studies, (200, 100), rng(1), "zeros") != [sft, rl]
    runs = sum(stratum_of[a.key] != stratum_of[b.key] for a, b in pairwise(sft))
    assert runs > 80, "strata are mixed, not one after the other"


def test_a_stratified_draw_gives_each_patient_the_same_chance_and_rare_findings_a_steadier_one():
    studies = [s for s in labelled(rng(3), 200) if s.labels]
    generator, counts, rare, plain = rng(), Counter(), [], []
    trials = 400
    for _ in range(trials):
        [part] = draw_strata(studies, (80,), generator, "zeros")
        counts.update(s.patient_id for s in part)
        rare.append(sum("Fracture" in s.labels for s in part))
        plain.append(sum("Fracture" in s.labels for s in draw(studies, 80, generator)))
    expected = trials * 80 / len(patients(studies))
    # A stratum's share is rounded to whole places, so a chance may be off by the rounding of a small stratum.
    assert all(abs(counts[patient] - expected) < 0.35 * expected for patient in patients(studies))
    assert np.var(rare) < 0.5 * np.var(plain)


def test_strata_over_studies_and_too_few_of_them():
    studies = labelled(rng(1), 20)
    [every] = draw_strata(studies, (30,), rng(), "zeros", one_per_patient=False)
    assert sorted(s.study_id for s in every) == [s.study_id for s in studies]
    with pytest.raises(UserError, match=r"between 1 and 20 patients .*request for 21 out of 20 patients with 30"):
        draw_strata(studies, (20, 1), rng(), "zeros")
