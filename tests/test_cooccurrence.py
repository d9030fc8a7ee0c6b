"""Published and simulated rates of labels: within five points on 10,000 studies, for each hospital's convention."""

import numpy as np
import pandas as pd
import phantom_cooccurrence as co
import pytest
from chapter import sentences, table_rows

from chexreason.config import RESULTS
from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from companion.phantoms.case import labelling_stream, sample_case, sample_lesions
from companion.phantoms.conventions import MINING, NAMED_PARENT, mined
from companion.phantoms.copula import CORRELATIONS, DRAWN, correlations, matrix
from companion.phantoms.hospitals import HOSPITALS
from companion.phantoms.tree import ancestors
from companion.report import phantoms


def place(name: str) -> int:
    return FINDINGS.index(name)


def simulated(hospital: str) -> co.Counts:
    return co.simulated(hospital, co.CASES, co.SEED)


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_rates_are_within_five_points_of_the_published(hospital: str) -> None:
    aim, got = co.aimed(hospital).prevalence, simulated(hospital).prevalence
    known = ~np.isnan(aim)
    for name, rate in HOSPITALS[hospital].rates.items():
        assert rate.recorded is None or rate.recorded == pytest.approx(aim[place(name)], abs=0.001), name
    assert known.sum() == {"A": 14, "B": 14, "C": 11}[hospital]
    off = {name: got[i] - aim[i] for i, name in enumerate(FINDINGS) if known[i]}
    assert not {name: by for name, by in off.items() if abs(by) > co.BAND}
    assert max(abs(by) for name, by in off.items() if name != NO_FINDING) < 0.02, "each finding's rate was fitted"
    found = co.compared(hospital)
    held = found[found["counts"] & (found["given"] != "")]
    assert len(held) >= {"A": 130, "B": 104, "C": 90}[hospital]
    far = held[(held["simulated"] - held["published"]).abs() > co.BAND]
    assert far.empty, far.to_string()
    kept = phantoms.measured("cooccurrence").query("hospital == @hospital")[list(found)]
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), found, atol=1e-5)


def test_the_card_shows_what_was_measured() -> None:
    """Prevalences are those of the published counts; of the pairs it says how many are near, and which is farthest."""
    rows = {row[0]: row[1:] for row in table_rows(phantoms.prevalences().text)[1:]}
    assert list(rows) == list(FINDINGS)
    edema = co.prevalence_rows(*co.PREVALENCES["B"]).loc["Edema"]
    assert rows["Edema"][3] == f"{edema['positives'] / edema['n']:.1%}" == "15.6%"
    assert rows["Fracture"][6] == "–", "NIH does not label fractures"
    shown = {row[0][0]: row[1:] for row in table_rows(phantoms.together().text)[1:]}
    for hospital, pairs in phantoms.measured("cooccurrence").query("given != '' and counts").groupby("hospital"):
        far = pairs.loc[(pairs["simulated"] - pairs["published"]).abs().idxmax()]
        assert shown[hospital][:2] == [str(len(pairs))] * 2
        where = f"{far['finding']} where {far['given']} is recorded"
        assert shown[hospital][3:] == [where, f"{far['published']:.1%}", f"{far['simulated']:.1%}"]
    assert "of its mined labels are right" in sentences("phantom_card")


def test_the_comparison_can_fail() -> None:
    """Hospital B's labels are not within five points of what A aims at."""
    aim, got = co.aimed("A").conditional, simulated("B").conditional
    assert np.nanmax(np.abs(aim - got)[place("Edema")]) > 0.3


def test_reports_name_parents_as_counted_in_reports() -> None:
    raw, aim, got = co.published_pairs(*co.PAIRS["A"]), co.aimed("A"), simulated("A")
    for (child, parent), naming in NAMED_PARENT.items():
        i, j = place(child), place(parent)
        assert naming.published == pytest.approx(raw.conditional[i, j], abs=0.0006)
        assert aim.conditional[i, j] == pytest.approx(raw.conditional[i, j])
        if raw.both[i, i] >= co.MIN_PUBLISHED and got.both[i, i] >= co.MIN_SIMULATED:
            assert got.conditional[i, j] == pytest.approx(raw.conditional[i, j], abs=co.BAND), (child, parent)


def test_radiologists_close_over_parents_and_leave_nothing_beside_no_finding() -> None:
    got = simulated("B")
    for child in FINDINGS:
        for parent in ancestors(child):
            assert got.conditional[place(child), place(parent)] == 1
    assert got.both[0].sum() == got.both[0, 0] > 0


def test_text_mining_errs_as_often_as_published() -> None:
    """Where radiologists have read NIH images again: how many of its labels are right, and how many images it finds."""
    hits = dict.fromkeys(MINING, 0)
    named, present = dict(hits), dict(hits)
    for index in range(co.CASES):
        lesions = co._named(co.SEED, index, "C")
        names, found = {one.finding for one in lesions}, mined(lesions, labelling_stream(co.SEED, index, "text-mined"))
        for name in MINING:
            named[name] += name in found
            present[name] += name in names
            hits[name] += name in found and name in names
    known = [name for name, mining in MINING.items() if not mining.assumed]
    assert known == ["Lung Lesion", "Pneumothorax"]
    for name in known:
        assert hits[name] / named[name] == pytest.approx(MINING[name].ppv, abs=co.BAND), name
        assert hits[name] / present[name] == pytest.approx(MINING[name].sensitivity, abs=co.BAND), name


def test_counting_takes_the_cases_own_labels() -> None:
    for hospital in HOSPITALS:
        both = np.zeros((14, 14))
        for index in range(60):
            case = sample_case(5, index, hospital)
            assert case.lesions == sample_lesions(5, index, hospital)[0]
            positive = np.array([case.recorded.get(name) == 1.0 for name in FINDINGS])
            both += np.outer(positive, positive)
        counted = co.simulated(hospital, 60, 5).both
        shown = [i for i, name in enumerate(FINDINGS) if hospital != "C" or name not in ("Lung Opacity", NO_FINDING)]
        np.testing.assert_array_equal(counted[np.ix_(shown, shown)], both[np.ix_(shown, shown)])


def test_published_counts_agree_with_one_another() -> None:
    for dataset, split in (co.PAIRS["A"], co.PAIRS["B"], co.PAIRS["C"]):
        pairs, rows = co.published_pairs(dataset, split), co.prevalence_rows(dataset, split)
        for name, row in rows.iterrows():
            assert pairs.both[place(str(name)), place(str(name))] == row["positives"]
        assert (rows["n"] == pairs.n).all()
        assert rows["source"].str.len().min() > 20
    assert (RESULTS / "published" / "label_pairs.csv").stat().st_size < 50_000


def test_carrying_keeps_odds_ratios_and_takes_the_prevalences() -> None:
    raw = co.published_pairs(*co.PAIRS["A"])
    same = co.carried(raw, raw.prevalence) * raw.n
    np.testing.assert_allclose(same, raw.both, atol=1.0)
    other = np.clip(raw.prevalence * 0.5, 0, 1)
    moved = co.carried(raw, other)
    np.testing.assert_allclose(np.diag(moved), other)
    i, j = place("Edema"), place(SUPPORT_DEVICES)
    odds = moved[i, j] * (1 - other[i] - other[j] + moved[i, j]) / ((other[i] - moved[i, j]) * (other[j] - moved[i, j]))
    assert odds == pytest.approx(co.odds_ratio(raw.both[i, j], raw.both[i, i], raw.both[j, j], raw.n))


def test_every_pair_has_a_correlation_with_its_basis() -> None:
    for hospital in HOSPITALS:
        assert len(correlations(hospital, "findings")) == len(DRAWN) * (len(DRAWN) - 1) + 2 * len(DRAWN)
        assert np.linalg.eigvalsh(matrix(hospital)).min() > 0
    assert np.linalg.eigvalsh(matrix("C", "errors", tuple(MINING))).min() > 0
    rows = CORRELATIONS.read_text(encoding="utf-8").splitlines()[1:]
    bases = {row.split(",", 5)[5].strip('"').split(":")[0].split(",")[0] for row in rows}
    assert bases == {"fitted", "assumed", "CheXpert train"}
