"""What the hospitals record: each convention's rules; test_cooccurrence.py has the published rates."""

from functools import lru_cache

import pytest

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from companion.phantoms import CONVENTIONS, HOSPITALS, Case, at_hospital, relabel, sample_case

CASES = 2000


@lru_cache(maxsize=3)
def cases(hospital: str) -> tuple[Case, ...]:
    return tuple(sample_case(21, index, hospital) for index in range(CASES))


@lru_cache(maxsize=3)
def records(hospital: str) -> tuple[dict[str, float], ...]:
    return tuple(case.recorded for case in cases(hospital))


def share(finding: str, value: float) -> float:
    return sum(labels.get(finding) == value for labels in records("A")) / CASES


def tolerance(rate: float) -> float:
    """Four standard errors of a share, and a hundredth for the calibration."""
    return 4 * (rate * (1 - rate) / CASES) ** 0.5 + 0.01


def test_reports_doubt_and_deny_as_often_as_published() -> None:
    for finding, rate in HOSPITALS["A"].rates.items():
        assert share(finding, -1.0) == pytest.approx(rate.uncertain, abs=tolerance(rate.uncertain)), finding
        assert share(finding, 0.0) == pytest.approx(rate.negative, abs=tolerance(rate.negative)), finding


def test_a_report_says_no_finding_only_when_nothing_else_is_there() -> None:
    blank = 0
    for labels in records("A"):
        assert set(labels.values()) <= {1.0, 0.0, -1.0}
        others = [name for name, value in labels.items() if value != 0.0 and name not in (NO_FINDING, SUPPORT_DEVICES)]
        assert labels.get(NO_FINDING, 0.0) == float(bool(labels) and not others)
        blank += not labels
    assert 0.003 < blank / CASES < 0.02
    with_devices = [labels for labels in records("A") if labels.get(NO_FINDING) and labels.get(SUPPORT_DEVICES) == 1.0]
    assert with_devices


def test_radiologists_record_the_closed_truth() -> None:
    for case, labels in zip(cases("B"), records("B"), strict=True):
        assert tuple(labels) == FINDINGS
        positive = {name for name, value in labels.items() if value == 1.0}
        assert positive - {NO_FINDING} == case.truth - {NO_FINDING}
        assert (NO_FINDING in positive) == (case.truth == {NO_FINDING})


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_any_image_can_be_labelled_by_any_convention(convention: str) -> None:
    home = next(name for name, place in HOSPITALS.items() if place.convention == convention)
    for hospital in HOSPITALS:
        for case in cases(hospital)[:100]:
            labels = relabel(case, convention)
            assert labels == relabel(case, convention), "the same at each call"
            assert labels == at_hospital(case, home).recorded, "as its home records the patient"
            assert all(labels == relabel(at_hospital(case, other), convention) for other in HOSPITALS), "not the image"
    assert relabel(cases(home)[0], convention) == cases(home)[0].recorded
    written = [relabel(case, convention) for case in cases("A")[:300]]
    assert len({tuple(sorted(labels.items())) for labels in written}) > 20
