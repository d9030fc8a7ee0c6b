"""Phantom cases: the same seed gives the same image, one change changes one thing, severity shows."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from companion.phantoms import (
    FINDING_PAINTERS,
    HOSPITALS,
    Case,
    at_hospital,
    draw,
    draw_with_masks,
    lesion_of,
    sample_case,
    without,
)
from companion.phantoms.tree import closure

SIZE = 112


def only(finding: str, severity: float, index: int = 0, hospital: str = "A") -> Case:
    """A case with this finding alone."""
    case = sample_case(5, index, hospital)
    return replace(case, lesions=(replace(lesion_of(5, index, finding), severity=severity),))


def masks(case: Case, size: int = SIZE) -> dict[str, np.ndarray]:
    return draw_with_masks(case, size)[1]


def change(case: Case, finding: str, size: int = SIZE) -> np.ndarray:
    """Absolute difference in grey levels that a finding makes."""
    return np.abs(draw(case, size).astype(int) - draw(without(case, finding), size).astype(int))


def test_the_same_request_gives_the_same_case_and_image_and_another_gives_another() -> None:
    one, two = sample_case(3, 7, "B"), sample_case(3, 7, "B")
    assert (one, one.recorded) == (two, two.recorded)
    np.testing.assert_array_equal(draw(one, SIZE), draw(two, SIZE))
    assert one.anatomy not in (sample_case(3, 8, "B").anatomy, sample_case(4, 7, "B").anatomy)


def test_a_lesion_is_the_same_wherever_it_occurs() -> None:
    for index in range(40):
        for hospital in HOSPITALS:
            for lesion in sample_case(6, index, hospital, enrichment=4.0).lesions:
                assert lesion == lesion_of(6, index, lesion.finding)


def test_at_hospital_keeps_patient_and_lesions_and_changes_image_and_labels() -> None:
    case = sample_case(2, 4, "A")
    moved = at_hospital(case, "C")
    assert (moved.anatomy, moved.lesions, moved.hospital) == (case.anatomy, case.lesions, "C")
    assert set(moved.recorded) != set(case.recorded)
    assert at_hospital(moved, "A") == case
    assert (draw(moved, SIZE) != draw(case, SIZE)).mean() > 0.5


def test_without_takes_away_a_finding_and_what_implies_it() -> None:
    names = ("Cardiomegaly", "Pneumonia", "Consolidation", "Fracture")
    case = replace(sample_case(1, 1, "A"), lesions=tuple(lesion_of(1, 1, name) for name in names))
    assert [x.finding for x in without(case, "Fracture").lesions] == list(names[:3])
    assert [x.finding for x in without(case, "Consolidation").lesions] == ["Cardiomegaly", "Fracture"]
    assert "Cardiomegaly" not in without(case, "Enlarged Cardiomediastinum").truth
    assert without(replace(case, lesions=case.lesions[-1:]), "Fracture").truth == {NO_FINDING}


@pytest.mark.parametrize("finding", FINDING_PAINTERS)
def test_a_finding_alone_or_among_others_changes_its_own_place_and_no_other(finding: str) -> None:
    cases = [only(finding, (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)[index % 6], index, "ABC"[index % 3]) for index in range(6)]
    for index in range(6):
        case = sample_case(8, index, "ABC"[index % 3], enrichment=4.0)
        others = tuple(lesion for lesion in case.lesions if lesion.finding != finding)
        cases.append(replace(case, lesions=(*others, lesion_of(8, index, finding))))
    for case in cases:
        difference, where = change(case, finding), masks(case, SIZE)
        kept = {lesion.finding for lesion in without(case, finding).lesions}
        own = np.any([where[lesion.finding] for lesion in case.lesions if lesion.finding not in kept], axis=0)
        # Beyond its mask it may reach 4 pixels, 7 % of half the side; and rounding may move a grey level by one.
        assert (difference[ndimage.distance_transform_edt(~own) > 4] <= 1).all(), case.lesions
        assert len(case.lesions) > 1 or (difference[own].max() > 4 and own.mean() < 0.55), case.lesions


@pytest.mark.parametrize("hospital", ["B", "C"])
def test_another_hospital_keeps_every_finding_in_its_place(hospital: str) -> None:
    for index in range(12):
        case = sample_case(4, index, "A", enrichment=4.0)
        moved = at_hospital(case, hospital)
        # On the same projection and pose every finding lies on the same pixels, however the image looks.
        placed = replace(moved.acquisition, view=case.acquisition.view, pose=case.acquisition.pose)
        one, other = masks(case, SIZE), masks(replace(moved, acquisition=placed), SIZE)
        assert one.keys() == other.keys()
        assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize("finding", FINDING_PAINTERS)
def test_a_finding_is_seen_at_its_least_severity_and_grows_with_it(finding: str) -> None:
    total = {0.1: 0.0, 0.5: 0.0, 1.0: 0.0}
    for index in range(2):
        for severity in total:
            case = only(finding, severity, index)
            if finding == SUPPORT_DEVICES:  # more devices, not denser ones
                kinds = {0.1: "central line", 0.5: "central line+electrodes", 1.0: "central line+electrodes+pacemaker"}
                case = replace(case, lesions=(replace(case.lesions[0], kind=kinds[severity]),))
            total[severity] += float(change(case, finding).sum())
    assert 0 < total[0.1] < total[0.5] < total[1.0]
    assert (change(only(finding, 0.1), finding, 168) > 10).sum() >= 40


def test_truth_is_closed_and_masks_cover_it() -> None:
    for index in range(30):
        case = sample_case(9, index, "B", enrichment=5.0)
        assert closure(case.truth) == case.truth <= set(FINDINGS)
        drawn = {lesion.finding for lesion in case.lesions}
        assert (NO_FINDING in case.truth) == (not drawn - {SUPPORT_DEVICES})
        image, where = draw_with_masks(case, 56)
        assert set(where) == case.truth - {NO_FINDING}
        np.testing.assert_array_equal(image, draw(case, 56))
        assert all(mask.shape == (56, 56) and mask.dtype == bool and mask.any() for mask in where.values())
        if "Cardiomegaly" in where:
            assert not (where["Cardiomegaly"] & ~where["Enlarged Cardiomediastinum"]).any()


CASE = sample_case(0, 0, "A")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: sample_case(0, 0, "D"), "a hospital among A, B, C, got 'D'"),
        (lambda: at_hospital(CASE, "mimic"), "hospital"),
        (lambda: without(CASE, "Cold"), "finding to take away"),
        (lambda: lesion_of(0, 0, NO_FINDING), "finding to draw"),
        (lambda: sample_case(0, 0, "A", enrichment=0), "enrichment"),
        (lambda: sample_case(0, -1, "A"), "0 or more"),
        (lambda: draw(CASE, 8), "image size"),
    ],
)
def test_a_wrong_request_names_what_was_expected(wrong, message) -> None:
    with pytest.raises(UserError, match=message):
        wrong()


def test_gas_over_gas_is_not_lighter_than_air() -> None:
    """Once in ten thousand images the depth fell below that of air, and the image could not be drawn."""
    image = draw(sample_case(101, 8833, "A", 6.0), 112)
    assert 20 < image.mean() < 235
