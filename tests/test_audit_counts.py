"""The audit's counting: attainable scores, sizes that fit, matched labels, waterfalls, reference lines, conventions."""

import numpy as np
import pytest

from chexreason import metrics
from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import attainability, conventions, facts, lines, matched
from companion.evidence.audit.attainability import Counts
from companion.evidence.tables import published


@pytest.mark.parametrize(
    ("text", "support", "n"),
    [("0.400", 11, 60), ("0.143", 5, 60), ("0.009", 5, 60), ("0.000", 4, 20), ("1.000", 3, 20), ("0.333", 1, 9)],
)
def test_attainable_counts_are_those_that_trying_all_finds(text, support, n):
    tried = {
        (hits, said)
        for hits in range(support + 1)
        for said in range(hits, n - support + hits + 1)
        if abs((2 * hits / (support + said) if support + said else 0.0) - float(text)) <= 0.0005 + 1e-9
    }
    found = {(one.hits, one.predicted) for one in attainability.attainable(text, support, n)}
    if float(text) == 0:
        assert found - {(0, 0)} == {pair for pair in tried if pair[0]}
        assert (0, 0) in found
    else:
        assert found == tried


def test_some_scores_cannot_be():
    assert attainability.attainable("0.875", 8, 500) == [Counts(7, 8)]
    assert attainability.attainable("0.900", 1, 500) == []
    with pytest.raises(ValueError, match="support"):
        attainability.attainable("0.5", 3, 2)


def test_table_5_fits_the_official_test_set_and_not_the_validation_set():
    assert all(attainability.chexpert_cells().values())
    assert len(attainability.chexpert_cells()) == 14 * 5
    # On CheXpert's own 200 validation studies nobody has a fracture, and the five models score on it.
    assert facts.counts("chexpert", "valid")["Fracture"].positives == 0
    assert facts.value(5, "Fracture", "nv_reason") > 0


def test_values_near_are_what_counts_can_give():
    possible = attainability.values_near(2, 10, 0.5)
    assert possible == sorted({0.0, 2 / 3, 0.5, 1.0, 0.8, 4 / 6})


def test_sizes_that_fit_the_failure_rates():
    rates = attainability.failure_rates()
    assert len(rates) == 9 + 4 + 4 + 4
    assert attainability.fits(rates, 500) == []
    assert "0.002" in attainability.fits(rates, 200)
    assert min(attainability.sizes_that_fit(600)) == 500
    assert attainability.fits(["0.333"], 3) == []
    assert attainability.fits(["0.334"], 3) == ["0.334"]
    even, chance = attainability.even_chance()
    assert chance == 0.5**even
    assert attainability.fits(rates, attainability.all_fit_from() - 1)
    assert not any(attainability.fits(rates, n) for n in range(attainability.all_fit_from(), 3000))


def test_several_candidates_for_the_validation_set_fit():
    assert set(attainability.candidates().values()) == {200, 234, 500, 1808}
    assert set(attainability.candidates_that_fit().values()) == {500, 1808}


def test_crossings_by_hand():
    """SFT: (.229+.442+.205+.385+.211+.579+.000+.143+.179)/9 on CheXpert, .299 on NIH."""
    found = matched.crossings()
    assert found["medgemma_sft"].near == pytest.approx(2.373 / 9)
    assert found["medgemma"].near == pytest.approx(2.722 / 9)
    assert found["medgemma"].matched == pytest.approx(2.185 / 2.722 - 1)
    assert found["chexreason"].stated == pytest.approx(0.24322 / 0.34629 - 1, abs=1e-4)


def test_waterfalls_add_up_to_the_change():
    for one in matched.LEANS_ON:
        fall = matched.waterfall(*one)
        table = published(one[0]).pivot(index="row", columns="column", values="value").drop(index="macro")
        change = table[one[2]] - table[one[1]]
        assert fall.change == pytest.approx(change.mean())
        assert sum(part.share for part in fall.parts) == pytest.approx(fall.change)
        drop = change.abs().idxmax()
        assert fall.largest.finding == drop
        assert fall.without_largest() == pytest.approx(change.drop(drop).mean())
        assert fall.over(NIH_SHARED) == pytest.approx(change[list(NIH_SHARED)].mean())
        assert fall.rises + fall.falls <= len(change)


def test_crossings_are_taken_apart_by_hand():
    """SFT: Pleural Other (.248 - .000) / 9, Pneumothorax (.416 - .179) / 9, No Finding (.343 - .579) / 9."""
    rise = matched.crossing_waterfall("medgemma_sft")
    share = {part.finding: part.share for part in rise.parts}
    assert share["Pleural Other"] == pytest.approx(0.248 / 9)
    assert share["Pneumothorax"] == pytest.approx(0.237 / 9)
    assert share["No Finding"] == pytest.approx(-0.236 / 9)
    assert rise.crossing
    for model in matched.CROSSING:
        one, ends = matched.crossing_waterfall(model), matched.crossings()[model]
        assert one.change == pytest.approx(ends.far - ends.near)
        assert set(share) == set(NIH_SHARED)
    fall = matched.crossing_waterfall("chexreason")
    assert fall.largest.finding == "No Finding"
    assert fall.change < 0 < fall.without_largest()


def test_the_gain_on_nih_is_mostly_one_finding():
    fall = matched.waterfall(6, "medgemma", "medgemma_sft")
    assert fall.largest.finding == "Pneumothorax"
    assert fall.largest.share == pytest.approx(0.416 / 9)


def test_reference_lines_are_what_scoring_such_answers_gives():
    """On studies drawn with these prevalences, the metrics module gives what the formulas say."""
    n = 20_000
    prevalence = lines.prevalence_of(5)
    truth = np.zeros((n, len(FINDINGS)), dtype=bool)
    for column, name in enumerate(FINDINGS):
        truth[: round(prevalence[name] * n), column] = True
    everything = metrics.scores(truth, np.ones_like(truth), "chexpert14")
    assert lines.all_labels(prevalence) == pytest.approx((everything.macro["f1"], everything.micro["f1"]), abs=1e-6)
    one = metrics.scores(truth, metrics.most_frequent(truth), "chexpert14")
    name, macro, micro = lines.most_frequent(prevalence)
    assert name == "Lung Opacity"
    assert (macro, micro) == pytest.approx((one.macro["f1"], one.micro["f1"]), abs=1e-6)


def test_reference_lines_agree_with_what_was_scored_on_the_real_labels():
    """0.291 and 0.177 were computed from the label files themselves."""
    assert lines.reference_lines(5)[0].macro == pytest.approx(0.291, abs=5e-4)
    assert lines.reference_lines(6)[0].macro == pytest.approx(0.177, abs=5e-4)
    assert {one.reader.split(",")[0] for one in lines.reference_lines(5)} >= {"report labeler", "radiologists"}
    assert all(one.source for number in facts.TABLE_NUMBERS for one in lines.reference_lines(number))


def test_conventions_by_hand():
    pairs = {(one.given, one.also): one for one in conventions.together()}
    heart = pairs["Cardiomegaly", "Enlarged Cardiomediastinum"]
    assert heart.reports == pytest.approx(1554 / 23002)
    assert heart.radiologists == 1
    assert pairs["No Finding", "Support Devices"].reports == pytest.approx(7321 / 16627)
    zeros, ones, ignore = conventions.policies("mimic", "train")["Edema"]
    assert (zeros, ones) == pytest.approx((25549 / 222750, 36975 / 222750))
    assert ignore == pytest.approx(25549 / (222750 - 11426))
    assert conventions.policies("nih", "test")["Edema"] == pytest.approx((925 / 25596,) * 3)
    assert conventions.uncertain_share("chexpert", "test") == 0 < conventions.uncertain_share("mimic", "train")
    assert conventions.left_out_of_nih() == ("Pleural Effusion", 4658)
