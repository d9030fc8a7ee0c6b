"""Shortcuts: none at strength 0, as stated at strength 1, and the shares of a hospital the same at both."""

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from chexreason.labels import SUPPORT_DEVICES
from companion.phantoms import HOSPITALS
from companion.phantoms.case import Case, sample_case
from companion.phantoms.copula import DRAWN, copula, matrix
from companion.report import cooccurrence as co

CASES = 5000
DISEASES = [name for name in DRAWN if name != SUPPORT_DEVICES]


@lru_cache(maxsize=8)
def cases(hospital: str, shortcut: float) -> tuple[Case, ...]:
    return tuple(sample_case(31, index, hospital, shortcut=shortcut) for index in range(CASES))


def table(hospital: str, shortcut: float) -> pd.DataFrame:
    """A row a case: each drawn finding, whether there is any disease, AP, words among AP films, bool."""
    rows = []
    for case in cases(hospital, shortcut):
        drawn = {lesion.finding for lesion in case.lesions}
        said = {mark.text for mark in case.acquisition.marks}
        row = {name: name in drawn for name in DRAWN} | {"any": bool(drawn - {SUPPORT_DEVICES})}
        rows.append(row | {"AP": case.acquisition.view == "AP", "PORTABLE": "PORTABLE" in said, "L": "L" in said})
    return pd.DataFrame(rows)


def p_value(one: pd.Series, other: pd.Series) -> float:
    return float(chi2_contingency(pd.crosstab(one, other)).pvalue)


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_at_zero_projection_words_and_devices_know_nothing_of_disease(hospital: str) -> None:
    frame = table(hospital, 0.0)
    ap = frame[frame["AP"]]
    values = [p_value(frame[name], frame[what]) for name in [*DISEASES, "any"] for what in ("AP", SUPPORT_DEVICES)]
    values += [p_value(ap[name], ap["PORTABLE"]) for name in [*DISEASES, "any"]]
    assert min(values) > 0.01 / len(values), "independent, by Bonferroni's bound"
    assert np.mean(np.array(values) < 0.05) < 0.2


def test_at_one_the_same_test_finds_them_all() -> None:
    frame = table("A", 1.0)
    ap = frame[frame["AP"]]
    for name in ("Edema", "Pleural Effusion"):
        assert p_value(frame[name], frame["AP"]) < 1e-6
        assert p_value(frame[name], frame[SUPPORT_DEVICES]) < 1e-6
    assert p_value(ap["Edema"], ap["PORTABLE"]) < 0.01
    sick = pd.Series([case.sickness > 0 for case in cases("A", 1.0)])[frame["AP"]]
    assert p_value(sick, ap["PORTABLE"]) < 1e-9
    assert p_value(frame["any"], frame["L"]) > 0.01, "the side marker stays independent"


def test_at_one_films_are_ap_as_often_as_published() -> None:
    """Published: each finding's odds ratio of AP against PA in CheXpert train, at hospital A's own shares."""
    frame = table("A", 1.0)
    aims = co.projection("A")
    for name in DRAWN:
        if frame[name].sum() < 200:
            continue
        error = (aims[name] * (1 - aims[name]) / frame[name].sum()) ** 0.5
        assert frame.loc[frame[name], "AP"].mean() == pytest.approx(aims[name], abs=0.05 + 2 * error), name


def test_between_zero_and_one_the_association_grows() -> None:
    def gap(frame: pd.DataFrame) -> float:
        return float(frame.loc[frame["Edema"], "AP"].mean() - frame.loc[~frame["Edema"], "AP"].mean())

    none, half, full = (gap(table("A", strength)) for strength in (0.0, 0.5, 1.0))
    assert none + 0.05 < half < full - 0.05


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_shares_do_not_depend_on_the_strength(hospital: str) -> None:
    none, full, style = table(hospital, 0.0), table(hospital, 1.0), HOSPITALS[hospital].style
    for frame in (none, full):
        assert frame["AP"].mean() == pytest.approx(style.ap, abs=0.035)
        assert frame.loc[frame["AP"], "PORTABLE"].mean() == pytest.approx(style.portable, abs=0.05)
    for name in DRAWN:
        assert none[name].mean() == pytest.approx(full[name].mean(), abs=0.05), name


@pytest.mark.parametrize("hospital", HOSPITALS)
@pytest.mark.parametrize("shortcut", [0.0, 0.5, 1.0])
def test_the_copula_keeps_its_correlations_but_for_the_devices(hospital: str, shortcut: float) -> None:
    made, stated = copula(hospital, shortcut), matrix(hospital)
    together = made.factor @ made.factor.T
    device = DRAWN.index(SUPPORT_DEVICES)
    others = [i for i in range(len(DRAWN)) if i != device]
    np.testing.assert_allclose(together[np.ix_(others, others)], stated[np.ix_(others, others)], atol=1e-9)
    np.testing.assert_allclose(together[device, others], shortcut * stated[device, others], atol=1e-9)
    assert made.leaning @ together @ made.leaning == pytest.approx(1)
    assert 0 <= made.strength < 1
