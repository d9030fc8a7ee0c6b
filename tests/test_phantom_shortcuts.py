"""Shortcuts: devices, projection and words go with disease as stated, and a hospital's shares of them stay."""

from functools import lru_cache

import numpy as np
import pandas as pd
import phantom_cooccurrence as co
import pytest
from scipy.stats import chi2_contingency

from chexreason.labels import SUPPORT_DEVICES
from companion.phantoms import HOSPITALS, sample_case
from companion.phantoms.copula import DRAWN, copula, matrix


@lru_cache(maxsize=3)
def table(hospital: str) -> pd.DataFrame:
    """A row a case: each drawn finding, whether there is any disease, AP, words among AP images, bool; sickness."""
    rows = []
    for case in (sample_case(31, index, hospital) for index in range(5000 if hospital == "A" else 1500)):
        drawn = {lesion.finding for lesion in case.lesions}
        said = {mark.text for mark in case.acquisition.marks}
        row = {name: name in drawn for name in DRAWN} | {"any": bool(drawn - {SUPPORT_DEVICES})}
        row |= {"AP": case.acquisition.view == "AP", "PORTABLE": "PORTABLE" in said, "L": "L" in said}
        rows.append(row | {"sick": case.sickness > 0})
    return pd.DataFrame(rows)


def p_value(one: pd.Series, other: pd.Series) -> float:
    return float(chi2_contingency(pd.crosstab(one, other)).pvalue)


def test_projection_words_and_devices_go_with_disease_and_the_side_marker_does_not() -> None:
    frame = table("A")
    ap = frame[frame["AP"]]
    for name in ("Edema", "Pleural Effusion"):
        assert p_value(frame[name], frame["AP"]) < 1e-6
        assert p_value(frame[name], frame[SUPPORT_DEVICES]) < 1e-6
    assert p_value(ap["Edema"], ap["PORTABLE"]) < 0.01
    assert p_value(ap["sick"], ap["PORTABLE"]) < 1e-9
    assert p_value(frame["any"], frame["L"]) > 0.01


def test_images_are_ap_as_often_as_published() -> None:
    """Published: each finding's odds ratio of AP against PA in CheXpert train, at hospital A's own shares."""
    frame = table("A")
    aims = co.projection("A")
    for name in DRAWN:
        if frame[name].sum() < 200:
            continue
        error = (aims[name] * (1 - aims[name]) / frame[name].sum()) ** 0.5
        assert frame.loc[frame[name], "AP"].mean() == pytest.approx(aims[name], abs=0.05 + 2 * error), name


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_shares_are_the_hospitals_own(hospital: str) -> None:
    frame, place = table(hospital), HOSPITALS[hospital]
    assert frame["AP"].mean() == pytest.approx(place.style.ap, abs=0.035)
    assert frame.loc[frame["AP"], "PORTABLE"].mean() == pytest.approx(place.style.portable, abs=0.05)
    for name in DRAWN:
        assert frame[name].mean() == pytest.approx(place.rates[name].drawn, abs=0.05), name


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_the_copula_has_the_stated_correlations(hospital: str) -> None:
    made, stated = copula(hospital), matrix(hospital)
    np.testing.assert_allclose(made.factor @ made.factor.T, stated, atol=1e-9)
    assert made.leaning @ stated @ made.leaning == pytest.approx(1)
    assert 0 <= made.strength < 1
