"""What the hospitals record: rates near the published ones, and each convention's rules."""

from collections import Counter
from functools import lru_cache

import numpy as np
import pytest

from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES
from chexreason.phantom import HOSPITALS, Case, lesion_of, sample_case
from chexreason.phantom.conventions import MINING, NAMED_PARENT, record, truth_of

CASES = 2000


@lru_cache(maxsize=3)
def cases(hospital: str) -> tuple[Case, ...]:
    return tuple(sample_case(21, index, hospital) for index in range(CASES))


@lru_cache(maxsize=3)
def records(hospital: str) -> tuple[dict[str, float], ...]:
    return tuple(case.recorded for case in cases(hospital))


def share(hospital: str, finding: str, value: float) -> float:
    return sum(labels.get(finding) == value for labels in records(hospital)) / CASES


def tolerance(rate: float) -> float:
    """Four standard errors of a share, and a hundredth for the calibration."""
    return 4 * (rate * (1 - rate) / CASES) ** 0.5 + 0.01


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_recorded_rates_are_near_the_published_ones(hospital: str) -> None:
    place = HOSPITALS[hospital]
    for finding, rate in place.rates.items():
        if rate.recorded is None or (hospital == "C" and finding == "Lung Opacity"):
            continue
        assert share(hospital, finding, 1.0) == pytest.approx(rate.recorded, abs=tolerance(rate.recorded)), finding
    assert share(hospital, NO_FINDING, 1.0) == pytest.approx(place.no_finding, abs=0.05)


def test_reports_doubt_and_deny_as_often_as_published() -> None:
    for finding, rate in HOSPITALS["A"].rates.items():
        assert share("A", finding, -1.0) == pytest.approx(rate.uncertain, abs=tolerance(rate.uncertain)), finding
        assert share("A", finding, 0.0) == pytest.approx(rate.negative, abs=tolerance(rate.negative)), finding


def test_reports_name_parents_as_seldom_as_published() -> None:
    for (child, parent), chance in NAMED_PARENT.items():
        with_child = [labels for labels in records("A") if labels.get(child) == 1.0]
        named = sum(labels.get(parent) == 1.0 for labels in with_child) / len(with_child)
        assert named == pytest.approx(chance, abs=0.14), (child, parent)


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


def test_text_mining_knows_ten_names_and_errs_as_published() -> None:
    for labels in records("C"):
        assert tuple(labels) == (*NIH_SHARED, "Pleural Effusion")
        assert not (labels[NO_FINDING] and sum(labels.values()) > 1)
    for finding in ("Pneumothorax", "Lung Lesion"):
        counts = Counter(
            (finding in case.truth, labels[finding] == 1.0)
            for case, labels in zip(cases("C"), records("C"), strict=True)
        )
        hits, missed, false = counts[True, True], counts[True, False], counts[False, True]
        assert hits / (hits + false) == pytest.approx(MINING[finding].ppv, abs=0.12)
        assert hits / (hits + missed) == pytest.approx(MINING[finding].sensitivity, abs=0.12)


def test_rates_of_the_text_miner_are_consistent() -> None:
    for finding, mining in MINING.items():
        rate = HOSPITALS["C"].rates[finding]
        assert rate.recorded is not None
        assert rate.drawn == pytest.approx(rate.recorded * mining.ppv / mining.sensitivity, abs=0.001), finding


def test_enrichment_raises_the_rare_findings_only() -> None:
    count = {e: Counter(x.finding for i in range(600) for x in sample_case(4, i, "A", e).lesions) for e in (1.0, 8.0)}
    assert count[8.0]["Fracture"] > 3 * count[1.0]["Fracture"]
    assert count[8.0]["Cardiomegaly"] == count[1.0]["Cardiomegaly"]


def test_truth_closes_over_parents_and_lets_devices_stand_beside_no_finding() -> None:
    assert truth_of([lesion_of(0, 0, "Cardiomegaly")]) == {"Cardiomegaly", "Enlarged Cardiomediastinum"}
    assert truth_of([lesion_of(0, 0, SUPPORT_DEVICES)]) == {SUPPORT_DEVICES, NO_FINDING}
    assert truth_of([]) == {NO_FINDING}


def test_one_findings_presence_leaves_the_other_labels_alone() -> None:
    place = HOSPITALS["A"]
    for seed in range(50):
        with_it = record([lesion_of(0, 0, "Fracture")], place, np.random.default_rng(seed))
        alone = record([], place, np.random.default_rng(seed))
        ignore = {"Fracture", NO_FINDING}
        assert {k: v for k, v in with_it.items() if k not in ignore} == {
            k: v for k, v in alone.items() if k not in ignore
        }
