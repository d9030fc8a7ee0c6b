"""The ledger: each claim has its place and evidence, and its verdict follows the numbers on both sides."""

import dataclasses
import re

import numpy as np
import pytest
import scipy.stats
from synthetic_claims import made_up, quantity

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import claims
from companion.evidence.audit.uncertainty import NIH_SIZES
from companion.evidence.claims import CHANCE, CLAIMS, FAILS, HOLDS, NOT_RUN, OTHERWISE, REFUSED
from companion.evidence.claims.published import Published
from companion.evidence.claims.quantity import CannotTell, NotRun, Studies, Unlike, agreement, largest, mean, smallest
from companion.evidence.claims.specific import association
from companion.evidence.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, WAYS

# The ledger.


def test_the_ledger_is_whole():
    assert len({claim.says for claim in CLAIMS.values()}) >= len(CLAIMS) - 2  # two say "that gain ... single finding"
    for name, claim in CLAIMS.items():
        assert claim.name == name
        assert claim.place.startswith(("abstract", "section", "Table"))
        assert claim.rests_on
        assert claim.says.endswith(".")
        for kind, twin in claim.choice:  # reads the same claim otherwise
            assert kind in claims.CHOICES
            assert twin in CLAIMS.keys() - {name}
    twins = {twin for claim in CLAIMS.values() for _, twin in claim.choice}
    asked = {"matches-baseline-findings", "optimised-lose-more", "nv-loses-more-than-its-base"}
    asked |= {name for name in CLAIMS if name.startswith("training-helps-")}  # the paper asks whether
    assert {name for name, claim in CLAIMS.items() if not claim.stated} <= twins | asked
    # Claims of the paper that are held to a bar that it does not give.
    assert {name for name, claim in CLAIMS.items() if claim.sharpened and claim.stated} == {
        "rewards-comparable", "grpo-recovers", "nearly-baseline", "back-to-baseline", "identical-definitions",
        "same-uncertainty", "scaffold-small-gain-medical",
    }  # fmt: skip


def test_every_verdict_has_a_reason_and_every_effect_an_interval_and_n(paper):
    for name, one in paper.items():
        assert one.reason
        if one.effect is None:
            assert one.verdict == REFUSED
        else:
            assert one.verdict in {
                HOLDS,
                CHANCE,
                FAILS if CLAIMS[name].stated and not CLAIMS[name].sharpened else OTHERWISE,
            }
            assert one.low <= one.effect <= one.high
            assert re.search(r"n (=|not in the text we have, interval for n =) [\d,]+", one.n), one.n


@pytest.mark.parametrize(
    ("name", "verdict", "effect"),
    [
        ("grpo-improves-chexpert", HOLDS, 0.346 - 0.282),
        ("grpo-improves-chexpert-nine", CHANCE, 2.462 / 9 - 2.373 / 9),
        ("reversal-macro", FAILS, 0),  # three of six pairs turn round: tau is 0
        ("reversal-micro", FAILS, 4 / 6),
        ("direct-best-medgemma", FAILS, 0.241 - 0.253),
        ("scaffold-small-gain-medical", OTHERWISE, 0.139 - 0.241),  # "minimal" has no bound in the text
        ("structured-best-qwen-macro", HOLDS, 0.208 - 0.131),
        ("chexreason-drops", REFUSED, None),  # fourteen findings against nine
        ("label-frequency", REFUSED, None),  # Table 2 prints no finding
        ("free-masters-format", REFUSED, None),  # an opinion
        ("sft-improves-nine", CHANCE, 2.688 / 9 - 2.373 / 9),
        ("nine-compatible", HOLDS, 0),  # all nine are; that Effusion is left out is another matter
        ("longer-fails-more", HOLDS, scipy.stats.kendalltau([0, 1, 2, 3], [0.0, 0.032, 0.210, 0.004]).statistic),
        ("narrative-moderate", HOLDS, 0.264 - 0.200),  # the second of four by micro-F1
        ("narrative-moderate-macro", OTHERWISE, 0.075 - 0.080),  # the last of four by macro-F1
        ("free-prompts-reliable", HOLDS, 0.180 - 0.010),
        ("free-prompts-reliable-tuned", OTHERWISE, 0.032 - 0.210),
        ("sft-weakest-chexpert", HOLDS, 0.346 - 0.282),
        ("sft-weakest-chexpert-of-five", OTHERWISE, 0.228 - 0.282),  # Qwen2.5-VL is weaker
        ("pronounced-three-most", OTHERWISE, 0.090 - 0.257),  # Pneumonia rises more than Support Devices
        ("feasible-above-start", CHANCE, 0.258 - 0.270),
        ("self-check-recall-rises", HOLDS, 0.558 - 0.504),
        ("sft-over-grpo-as-averaged", CHANCE, (0.282 - 0.346 + 0.299 - 0.243) / 2),
        ("nearly-baseline", CHANCE, 0.02 - (0.362 - 0.346)),
        ("sft-best-nih", CHANCE, 0.299 - 0.297),
        ("both-beat-structured", CHANCE, 0.253 - 0.245),
        ("grpo-costs-micro", CHANCE, 0.415 - 0.391),
        ("grpo-recovers", CHANCE, (0.346 - 0.282) - (0.362 - 0.282) / 2),
    ],
)
def test_verdicts_and_effects_by_hand(paper, name, verdict, effect):
    assert paper[name].verdict == verdict
    assert paper[name].effect == (effect if effect is None else pytest.approx(effect, abs=1e-4))


def test_the_counts_of_the_ledger(paper):
    """What the paper itself says: 91 claims, each in one class."""
    where = [one.standing for name, one in paper.items() if CLAIMS[name].stated]
    assert {name: where.count(name) for name in claims.STANDINGS} == {
        HOLDS: 24, claims.RESTS: 20, CHANCE: 14, FAILS: 2, OTHERWISE: 3, REFUSED: 28, NOT_RUN: 0,
    }  # fmt: skip


def test_labels_that_do_not_match_are_refused_with_the_reason(paper):
    for name in ("chexreason-drops", "nv_reason-drops", "medgemma-drops", "sft-improves", "sft-uniquely"):
        assert (paper[name].verdict, paper[name].effect, paper[name].unlike) == (REFUSED, None, True)
        assert re.search("over 14 findings.*over 9 findings", paper[name].reason)


def test_an_unstated_size_is_part_of_the_verdict(paper):
    """SFT against ChexReason on NIH: beyond chance with 25,596 images; if it is not with 500, it lies within chance."""
    sides = [Published(n) for n in NIH_SIZES]
    sizes = [claims.judge(CLAIMS["sft-best-nih"], side) for side in sides]
    assert sizes[0].high - sizes[0].low < (sizes[1].high - sizes[1].low) / 3
    split = [
        paper[name]
        for name, claim in CLAIMS.items()
        if len({claims.judge(claim, side).verdict for side in sides}) == 2 and "NIH" in paper[name].n
    ]
    assert split
    assert all(one.verdict == CHANCE and "its size is not in the text we have" in one.reason for one in split)


# Quantities.


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"scope": NIH_SHARED}, "the labels do not match: an average over 14 findings would be set against an average"),
        ({"scope": ("Fracture",)}, "the labels do not match"),
        ({"tier": "miniature"}, "a value of the tier (published|miniature) would be set against one of"),
        ({"digest": "b" * 64}, "different studies of somewhere"),
        ({"n": 90}, "different studies of somewhere"),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        lambda a, b: a - b,
        lambda a, b: a + b,
        lambda a, b: a.relative_to(b),
        lambda a, b: largest([a, b]),
        lambda a, b: smallest([b, a]),
        lambda a, b: mean([a, b]),
        lambda a, b: agreement([a, b], [a, b]),
    ],
)
def test_quantities_that_are_unlike_are_refused_whatever_is_done_with_them(other, why, act):
    one = {"scope": FINDINGS, "digest": "a" * 64 if "digest" in other else ""}
    with pytest.raises(Unlike if "scope" in other else CannotTell, match=why.partition(":")[0]):
        act(quantity(0.3, **one), quantity(0.2, **{**one, **other}))


def test_quantities_combine_value_by_value_and_draw_by_draw():
    one, two = quantity(0.3), quantity(0.5)
    assert (two - one).value == pytest.approx(0.2)
    assert np.allclose((two - one).draws, two.draws - one.draws)
    assert largest([one, two]).value == 0.5
    assert np.allclose(smallest([one, two]).draws, np.minimum(one.draws, two.draws))
    assert mean([one, two]).value == pytest.approx(0.4)
    assert one.relative_to(two).value == pytest.approx(-0.4)
    other = dataclasses.replace(two, n=frozenset({Studies("elsewhere", 5)}), runs=frozenset({"b"}))
    joined = dataclasses.replace(one, runs=frozenset({"a"})) - other
    assert joined.n == {Studies("somewhere", 100), Studies("elsewhere", 5)}
    assert joined.runs == {"a", "b"}


def test_means_over_different_numbers_of_trainings_are_refused():
    with pytest.raises(CannotTell, match="3 trainings would be set against 5"):
        quantity(0.3, trainings=3) - quantity(0.2, trainings=5)
    # A model that nobody trained fits any, and leaves the number as it is, on either side.
    assert (quantity(0.3, trainings=3) - quantity(0.2)).trainings == 3
    assert (quantity(0.3) - quantity(0.2, trainings=3)).trainings == 3
    assert (quantity(0.3) - quantity(0.2)).trainings is None


@pytest.mark.parametrize(("base", "spread"), [(0.0, 0.0), (0.002, 0.002), (0.02, 0.012), (-0.01, 0.01)])
def test_a_share_of_what_cannot_be_distinguished_from_zero_is_refused(base, spread):
    """Fieller: unless the base is further from 0 than its own interval reaches, the ratio's interval has no end."""
    with pytest.raises(CannotTell, match="cannot be distinguished from 0"):
        quantity(0.3).relative_to(quantity(base, spread=spread))
    assert quantity(0.03).relative_to(quantity(0.02, spread=0.003)).value == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(6))
def test_an_association_over_few_rows_is_as_sure_as_scipy_says(seed):
    rng = np.random.default_rng(seed)
    values = np.arange(9) / 9 + rng.normal(0, 0.4, 9)
    found = association([quantity(value) for value in values], "rows")
    wanted = scipy.stats.kendalltau(np.arange(9), values, method="exact")
    assert found.value == pytest.approx(wanted.statistic)
    by_chance = found.draws - found.value
    assert np.mean(np.abs(by_chance) >= abs(found.value) - 1e-9) == pytest.approx(wanted.pvalue, abs=0.02)
    assert [str(one) for one in found.n] == ["rows n = 9"]


def test_how_many_studies_is_said_where_it_is_known(paper):
    """222,750 studies of MIMIC-CXR-JPG with labels, 187,641 and 500 of CheXpert, 25,596 NIH test images."""
    assert paper["same-uncertainty"].n == "CheXpert test labels n = 500, MIMIC-CXR-JPG train labels n = 222,750"
    assert paper["identical-definitions"].n == "CheXpert test labels n = 500, CheXpert train labels n = 187,641"
    assert paper["nine-compatible"].n == "NIH ChestX-ray14 test labels n = 25,596"
    assert paper["frequent-labels"].n == "MIMIC-CXR-JPG train labels n = 222,750"
    assert paper["grpo-loses-nih"].n == "NIH test n not in the text we have, interval for n = 500"


COUNTED = {"kind": AS_COUNTED}


@pytest.mark.parametrize(
    ("value", "spread", "trainings", "more", "verdict"),
    [
        (0.1, 0.01, None, {}, HOLDS),
        (-0.1, 0.01, None, {}, FAILS),
        (0.1, 0.2, None, {}, CHANCE),
        (-0.1, 0.2, None, {}, CHANCE),
        (0.1, 0.2, None, COUNTED, HOLDS),
        (0.0, 0.2, None, COUNTED, FAILS),
        (0.9, 0.2, None, {**COUNTED, "bar": 1.0}, FAILS),
        # Of our trainings an order is held to the interval, ties included.
        (0.1, 0.2, 3, COUNTED, CHANCE),
        (0.0, 0.2, 3, COUNTED, CHANCE),
        (-0.9, 0.2, 3, COUNTED, FAILS),
        # A bar that is reached counts where the number does not vary: all formats parse, in each training.
        (0.0, 0.0, 3, {**COUNTED, "bar": -1e-6}, HOLDS),
        # What we sharpen never fails.
        *((-0.1, 0.01, trainings, {"kind": kind, **ours}, OTHERWISE) for trainings in (None, 3)
          for kind in (BEYOND_CHANCE, AS_COUNTED) for ours in ({"stated": False}, {"sharpened": True})),
        # One training tests no claim, and shows its effect.
        *((value, 0.02, 1, {"kind": kind}, REFUSED) for value in (0.3, 0.005, -0.3)
          for kind in (BEYOND_CHANCE, AS_COUNTED)),
        (0.3, 0.02, 3, {}, HOLDS),
    ],
)  # fmt: skip
def test_the_verdicts(value, spread, trainings, more, verdict):
    found = claims.judge(made_up(value, spread, trainings, **more), Published(500))
    assert found.verdict == verdict
    assert found.effect == pytest.approx(value)
    assert found.low <= value <= found.high
    if verdict == CHANCE:
        assert found.reason == f"points {WAYS[np.sign(value)]}, within chance"
    if trainings == 1:
        assert found.reason.startswith("one training: another may come out otherwise; over patients alone ")
        assert ("beyond chance" in found.reason) == (abs(value) > 0.1)


def test_a_missing_run_is_not_run_and_neither_chance_nor_refused():
    class Lacking(Published):
        def score(self, table, row, average="macro", metric="f1"):
            raise NotRun(f"{table}-{row}")

    found = claims.judge(CLAIMS["grpo-improves-chexpert"], Lacking(500))
    assert (found.verdict, found.standing, found.effect, found.missing) == (NOT_RUN, NOT_RUN, None, "5-chexreason")
    assert found.turned_by == ()
