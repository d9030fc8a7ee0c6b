"""The audit's counting: attainable scores, sizes that fit, matched labels, waterfalls, reference lines, conventions."""

import numpy as np
import pytest

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import attainability, conventions, facts, lines, matched
from companion.evidence.tables import TABLES, published


def test_some_scores_cannot_be_and_those_of_table_5_can():
    assert attainability.attainable("0.875", 8, 500) == [(7, 8)]
    assert attainability.attainable("0.900", 1, 500) == []
    assert attainability.attainable("0.000", 4, 20) == [(0, 0)]
    # 2 x 1 / (5 + 9) = 2 x 2 / (5 + 23) = 0.143, and so on until more are named than there are studies.
    assert attainability.attainable("0.143", 5, 60) == [(1, 9), (2, 23), (3, 37), (4, 51)]
    assert attainability.values_near(2, 10, 0.5) == sorted({0.0, 2 / 3, 0.5, 1.0, 0.8, 4 / 6})
    assert list(map(bool, attainability.chexpert_cells().values())) == [True] * 14 * 5
    # On CheXpert's own 200 validation studies nobody has a fracture, and the five models score on it.
    assert facts.counts("chexpert", "valid")["Fracture"].positives == 0
    assert facts.value(5, "Fracture", "nv_reason") > 0


def test_sizes_that_fit_the_failure_rates():
    rates = attainability.failure_rates()
    assert len(rates) == 9 + 4 + 4 + 4
    assert attainability.fits(rates, 500) == []
    assert "0.002" in attainability.fits(rates, 200)
    assert attainability.sizes_that_fit()[0] == 500
    assert (attainability.fits(["0.333"], 3), attainability.fits(["0.334"], 3)) == ([], ["0.334"])
    even, chance = attainability.even_chance()
    assert chance == 0.5**even
    assert attainability.fits(rates, attainability.all_fit_from() - 1)
    assert not any(attainability.fits(rates, n) for n in range(attainability.all_fit_from(), 2000))
    assert set(attainability.candidates().values()) == {200, 234, 500, 1808}
    assert set(attainability.candidates_that_fit().values()) == {500, 1808}


@pytest.mark.parametrize("lean", matched.LEANS_ON)
def test_waterfalls_add_up_to_the_change(lean):
    number, first, second = lean
    fall = matched.waterfall(*lean)
    table = published(number).pivot(index="row", columns="column", values="value").drop(index="macro")
    change = table[second] - table[first]
    assert fall.change == pytest.approx(change.mean())
    drop = change.abs().idxmax()
    assert fall.largest.finding == drop
    assert fall.without_largest() == pytest.approx(change.drop(drop).mean())
    assert fall.over(NIH_SHARED) == pytest.approx(change[list(NIH_SHARED)].mean())
    assert (fall.rises, fall.falls) == ((change > 0).sum(), (change < 0).sum())


def test_crossings_and_their_parts_by_hand():
    """SFT on the nine: (.229+.442+.205+.385+.211+.579+.000+.143+.179)/9 on CheXpert, .299 on NIH."""
    found = matched.crossings()
    assert found["medgemma_sft"].near == pytest.approx(2.373 / 9)
    assert found["medgemma"].matched == pytest.approx(2.185 / 2.722 - 1)
    assert found["chexreason"].stated == pytest.approx(0.24322 / 0.34629 - 1, abs=1e-4)
    share = {part.finding: part.share for part in matched.crossing_waterfall("medgemma_sft").parts}
    wanted = {"Pleural Other": (0.248 - 0) / 9, "Pneumothorax": (0.416 - 0.179) / 9, "No Finding": (0.343 - 0.579) / 9}
    assert {name: share[name] for name in wanted} == pytest.approx(wanted)
    for model in matched.CROSSING:
        assert matched.crossing_waterfall(model).change == pytest.approx(found[model].far - found[model].near)


def test_reference_lines_are_what_scoring_such_answers_gives():
    """On studies drawn with these prevalences, the metrics module gives what the formulas say."""
    n = 20_000
    prevalence = lines.prevalence_of(5)
    truth = np.stack([np.arange(n) < round(prevalence[name] * n) for name in FINDINGS], axis=1)
    most = np.broadcast_to(np.array(FINDINGS) == "Lung Opacity", truth.shape)
    for said, (macro, micro) in (
        (np.ones_like(truth), lines.all_labels(prevalence)), (most, lines.most_frequent(prevalence)[1:])
    ):  # fmt: skip
        found = metrics.scores(truth, said, "chexpert14")
        assert (macro, micro) == pytest.approx((found.macro["f1"], found.micro["f1"]), abs=1e-6)
    assert lines.most_frequent(prevalence)[0] == "Lung Opacity"
    # 0.291 and 0.177 were computed from the label files themselves.
    assert lines.reference_lines(5)[0].macro == pytest.approx(0.291, abs=5e-4)
    assert lines.reference_lines(6)[0].macro == pytest.approx(0.177, abs=5e-4)
    assert {one.reader.split(",")[0] for one in lines.reference_lines(5)} >= {"report labeler", "radiologists"}
    assert all(one.source for number in TABLES for one in lines.reference_lines(number))


def test_conventions_by_hand():
    pairs = {(one.given, one.also): one for one in conventions.together()}
    heart = pairs["Cardiomegaly", "Enlarged Cardiomediastinum"]
    assert (heart.reports, heart.radiologists) == (pytest.approx(1554 / 23002), 1)
    assert pairs["No Finding", "Support Devices"].reports == pytest.approx(7321 / 16627)
    assert conventions.policies("mimic", "train")["Edema"] == pytest.approx(
        (25549 / 222750, 36975 / 222750, 25549 / (222750 - 11426))
    )
    assert conventions.policies("nih", "test")["Edema"] == pytest.approx((925 / 25596,) * 3)
    assert conventions.uncertain_share("chexpert", "test") == 0 < conventions.uncertain_share("mimic", "train")
    assert facts.size("chexpert", "test") == 500
    assert facts.mimic_splits() == {"train": 222758, "validate": 1808, "test": 3269}
    with pytest.raises(UserError, match="part of a data set"):
        facts.counts("chexpert", "nowhere")
