"""The ledger: each claim has its place and evidence, and its verdict follows the numbers on both sides."""

import dataclasses
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from chexreason import claims, metrics, stats
from chexreason.audit.uncertainty import NIH_SIZES
from chexreason.claims import CANNOT, CLAIMS, FAILS, HOLDS, choices, verdicts
from chexreason.claims.ours import Ours
from chexreason.claims.published import Published
from chexreason.claims.quantity import CannotTell, Quantity, agreement, largest, mean, smallest
from chexreason.claims.verdicts import AS_COUNTED, Claim
from chexreason.config import RESULTS
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, LABEL_SETS, NIH_SHARED
from chexreason.metrics import label_cells

FACTORY = Path(__file__).with_name("synthetic_results.py")


def quantity(value, scope=("Edema",), tier="published", spread=0.01, n=100):
    draws = value + spread * np.random.default_rng(round(1e6 * abs(value)) + 7).standard_normal(2000)
    return Quantity(value, draws, tuple(scope), tier, frozenset({("somewhere", n)}))


@pytest.fixture(scope="module")
def paper():
    return claims.outcomes(CLAIMS)


# The ledger.


def test_the_ledger_is_whole():
    assert len(CLAIMS) >= 40
    assert (
        len({claim.says for claim in CLAIMS.values()}) >= len(CLAIMS) - 10
    )  # twins say "the same ...", "that gain ..."
    for name, claim in CLAIMS.items():
        assert claim.name == name
        assert claim.place.startswith(("abstract", "section", "Table"))
        assert claim.rests_on
        assert claim.says.endswith(".")
    assert {claim.topic for claim in CLAIMS.values()} == {
        "resources", "prompting", "fine-tuning", "GRPO", "generalization"
    }  # fmt: skip
    assert json.dumps([claim.described() for claim in CLAIMS.values()])


def test_every_verdict_has_a_reason_and_every_effect_an_interval_and_n(paper):
    for one in paper.values():
        assert one.verdict in claims.VERDICTS
        assert one.reason
        if one.effect is not None:
            assert one.low <= one.effect <= one.high
            assert one.n
        else:
            assert one.verdict == CANNOT


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("grpo-improves-chexpert", HOLDS),  # .282 to .346 over 500 studies
        ("grpo-improves-chexpert-nine", CANNOT),  # .264 to .274
        ("grpo-improves-validation", CANNOT),  # .253 to .257
        ("reversal-macro", FAILS),  # three of six pairs turn round: tau is 0
        ("sft-weakest-chexpert", FAILS),  # Qwen2.5-VL is weaker
        ("direct-best-medgemma", FAILS),  # Table 2 says Free Reasoning
        ("scaffold-small-gain-medical", FAILS),  # .241 to .139 is a loss
        ("structured-best-qwen-macro", HOLDS),  # .208 against .131
        ("chexreason-drops", CANNOT),  # fourteen findings against nine
        ("nv_reason-drops-nine", HOLDS),
        ("same-uncertainty", FAILS),
        ("nine-compatible", FAILS),
        ("label-frequency", CANNOT),  # Table 2 prints no finding
    ],
)
def test_verdicts_on_the_paper(paper, name, verdict):
    assert paper[name].verdict == verdict


def test_effects_are_the_differences_of_printed_cells(paper):
    assert paper["narrative-best-macro"].effect == pytest.approx(0.270 - 0.253)
    assert paper["grpo-improves-chexpert"].effect == pytest.approx(0.346 - 0.282)
    assert paper["sft-improves-nine"].effect == pytest.approx(2.688 / 9 - 2.373 / 9)
    assert paper["reversal-macro"].effect == 0
    assert paper["reversal-micro"].effect == pytest.approx(4 / 6)
    assert paper["grpo-recovers"].effect == pytest.approx((0.346 - 0.282) - (0.362 - 0.282) / 2)


def test_labels_that_do_not_match_are_refused_with_the_reason(paper):
    for name in ("chexreason-drops", "nv_reason-drops", "medgemma-drops", "sft-improves"):
        assert paper[name].verdict == CANNOT
        assert paper[name].effect is None
        assert "over 14 findings" in paper[name].reason
        assert "over 9 findings" in paper[name].reason


def test_an_unstated_size_is_part_of_the_verdict(paper):
    """SFT against ChexReason on NIH: beyond chance with 25,596 images; if it is not with 500, it cannot be told."""
    sizes = [claims.judge(CLAIMS["sft-best-nih"], Published(n)) for n in NIH_SIZES]
    assert sizes[0].high - sizes[0].low < (sizes[1].high - sizes[1].low) / 3
    split = [
        name
        for name, claim in CLAIMS.items()
        if len({claims.judge(claim, Published(n)).verdict for n in NIH_SIZES}) == 2 and "NIH" in paper[name].n
    ]
    assert split
    assert all(paper[name].verdict == CANNOT and "does not say" in paper[name].reason for name in split)


# Quantities.


def test_quantities_of_other_labels_or_tiers_are_refused():
    with pytest.raises(CannotTell, match="average over 14 findings would be set against an average over 9"):
        quantity(0.3, FINDINGS) - quantity(0.2, NIH_SHARED)
    with pytest.raises(CannotTell, match="tier published would be set against one of miniature"):
        quantity(0.3) - quantity(0.2, tier="miniature")
    with pytest.raises(CannotTell, match="Edema would be set against Fracture"):
        largest([quantity(0.3), quantity(0.2, ("Fracture",))])
    with pytest.raises(CannotTell, match="from 0"):
        quantity(0.3).relative_to(quantity(0.0))


def test_a_claim_over_mixed_tiers_is_not_scored():
    class Mixed:
        name, tier = "mixed", "published"

        def score(self, table, row, average="macro", metric="f1"):
            return quantity(0.3, FINDINGS, "published" if row == "medgemma_sft" else "miniature")

    found = claims.judge(CLAIMS["grpo-improves-chexpert"], Mixed())
    assert (found.verdict, found.effect) == (CANNOT, None)
    assert "tier" in found.reason


def test_quantities_combine_value_by_value_and_draw_by_draw():
    one, two = quantity(0.3), quantity(0.5)
    assert (two - one).value == pytest.approx(0.2)
    assert np.allclose((two - one).draws, two.draws - one.draws)
    assert largest([one, two]).value == 0.5
    assert np.allclose(smallest([one, two]).draws, np.minimum(one.draws, two.draws))
    assert mean([one, two]).value == pytest.approx(0.4)
    assert one.relative_to(two).value == pytest.approx(-0.4)
    other = dataclasses.replace(two, n=frozenset({("elsewhere", 5)}))
    assert (one - other).n == {("somewhere", 100), ("elsewhere", 5)}


def test_agreement_is_kendalls_tau():
    rng = np.random.default_rng(0)
    first, second = rng.random(7), rng.random(7)
    found = agreement([quantity(v) for v in first], [quantity(v) for v in second])
    assert found.value == pytest.approx(scipy.stats.kendalltau(first, second).statistic)


def test_the_three_verdicts():
    def claim(value, spread, **more):
        return Claim("x", "section 1", "x.", "x", lambda side: quantity(value, spread=spread), "x", "noise", **more)

    side = Published(500)
    assert claims.judge(claim(0.1, 0.01), side).verdict == HOLDS
    assert claims.judge(claim(-0.1, 0.01), side).verdict == FAILS
    assert claims.judge(claim(0.1, 0.2), side).verdict == CANNOT
    assert claims.judge(claim(0.1, 0.2, kind=AS_COUNTED), side).verdict == HOLDS
    assert claims.judge(claim(0.0, 0.2, kind=AS_COUNTED), side).verdict == FAILS
    assert claims.judge(claim(0.9, 0.2, kind=AS_COUNTED, bar=1.0), side).verdict == FAILS
    assert "the claim's way" in claims.judge(claim(0.1, 0.2), side).reason
    assert "the other way" in claims.judge(claim(-0.1, 0.2), side).reason


# Our runs.


def write_run(root: Path, run_id: str, dataset: str, truth: np.ndarray, said: np.ndarray, tier="miniature") -> None:
    """A run's folder with predictions that are known; studies two to a patient."""
    label_set = "nih9" if dataset == "nih" else "chexpert14"
    names = np.array(LABEL_SETS[label_set])
    folder = root / run_id
    folder.mkdir(parents=True)
    metrics.scores(truth, said, label_set).to_frame().to_csv(folder / "metrics.csv", index=False)
    rows = pd.DataFrame(
        {
            "study_key": [f"{dataset}/{i}" for i in range(len(truth))],
            "patient_key": [f"{dataset}/{i // 2}" for i in range(len(truth))],
            "predicted": [";".join(names[row]) for row in said],
            "truth": [";".join(names[row]) for row in truth],
            "ignored": "",
        }
    )
    (folder / "predictions.csv.gz").write_bytes(gzip.compress(rows.to_csv(index=False).encode()))
    info = {
        "run_id": run_id,
        "tier": tier,
        "label_set": label_set,
        "n": len(truth),
        "dataset": dataset,
        "split": "test",
    }
    (folder / "run.json").write_text(json.dumps(info))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Runs in which ChexReason beats SFT on CheXpert, loses to it on NIH, and MedGemma answers as SFT does."""
    root, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    accuracy = {"medgemma_sft": (0.75, 0.95), "chexreason": (0.95, 0.75), "medgemma": (0.75, 0.95),
                "nv_reason": (0.99, 0.6), "qwen": (0.5, 0.5)}  # fmt: skip
    for dataset, width in (("chexpert", 14), ("nih", 9)):
        truth = rng.random((240, width)) < 0.3
        noise = rng.random(truth.shape)
        for model, pair in accuracy.items():
            said = np.where(noise < pair[dataset == "nih"], truth, ~truth)
            write_run(root, f"04-generalization-{model}-{dataset}", dataset, truth, said)
    return root


def test_verdicts_follow_the_runs(made):
    found = claims.outcomes(CLAIMS, claims.open_runs(str(made)))
    assert found["grpo-improves-chexpert"].verdict == HOLDS
    assert found["grpo-loses-nih"].verdict == HOLDS
    assert found["sft-improves-nine"].verdict == HOLDS
    assert found["nv_reason-drops-nine"].verdict == HOLDS
    assert found["training-helps-nih"].verdict == FAILS
    assert found["sft-beats-base-nih"].verdict == CANNOT
    assert found["sft-beats-base-nih"].effect == 0
    assert found["chexreason-drops"].verdict == CANNOT
    assert "is not there" in found["hard-beats-nuanced-macro"].reason
    assert found["rare-rather-than-common"].reason == "none of the findings is rare among these studies"
    assert "real data sets" in found["identical-definitions"].reason
    assert {one.tier for one in found.values()} == {"miniature"}
    assert "hospital B test n = 240" in found["grpo-improves-chexpert"].n


def test_draws_are_a_bootstrap_by_patient(made):
    """Held against `stats.paired_bootstrap`, which is another implementation with other draws."""
    side = claims.open_runs(str(made))
    gap = side.score(5, "chexreason") - side.score(5, "medgemma_sft")
    rows = [
        pd.read_csv(made / f"04-generalization-{m}-chexpert" / "predictions.csv.gz", keep_default_na=False)
        for m in ("medgemma_sft", "chexreason")
    ]
    truth, first, second = (
        label_cells(column, "chexpert14") for column in (rows[0]["truth"], rows[0]["predicted"], rows[1]["predicted"])
    )
    patients = list(rows[0]["patient_key"])
    wanted = stats.paired_bootstrap(truth, first, second, patients, np.random.default_rng(1))
    assert gap.value == pytest.approx(wanted.estimate)
    low, high = np.quantile(gap.draws, [0.025, 0.975])
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=0.006)


def test_two_test_sets_are_drawn_apart(made):
    side = claims.open_runs(str(made))
    near, far = side.finding(5, "qwen", "Edema").draws, side.finding(6, "qwen", "Edema").draws
    assert abs(np.corrcoef(near, far)[0, 1]) < 0.1


def test_without_rows_the_counts_of_the_metrics_serve(made, tmp_path):
    for folder in made.iterdir():
        copy = tmp_path / folder.name
        copy.mkdir()
        for name in ("run.json", "metrics.csv"):
            (copy / name).write_bytes((folder / name).read_bytes())
    with_rows, without = (
        (side.score(5, "chexreason") - side.score(5, "medgemma_sft"))
        for side in (claims.open_runs(str(made)), claims.open_runs(str(tmp_path)))
    )
    assert without.value == pytest.approx(with_rows.value)
    assert without.draws.mean() == pytest.approx(without.value, abs=0.01)
    assert 0.6 < without.draws.std() / with_rows.draws.std() < 1.7


def test_one_runs_folder_is_judged_by_what_it_has(made):
    side = claims.open_runs(str(made / "04-generalization-qwen-nih"))
    found = claims.outcomes(CLAIMS, side)
    assert {one.verdict for one in found.values()} == {CANNOT}


def test_a_folder_of_two_tiers_is_refused(made, tmp_path):
    truth = np.ones((4, 9), dtype=bool)
    write_run(tmp_path, "04-generalization-qwen-nih", "nih", truth, truth)
    write_run(tmp_path, "04-generalization-medgemma-nih", "nih", truth, truth, tier="replication")
    with pytest.raises(UserError, match="runs of one tier; came miniature, replication"):
        claims.open_runs(str(tmp_path))
    (made.parent / "empty").mkdir(exist_ok=True)
    with pytest.raises(UserError, match="none at"):
        claims.open_runs(str(made.parent / "empty"))
    with pytest.raises(UserError, match="expected a profile"):
        claims.open_runs("nowhere")


def test_a_whole_profile_is_judged(tmp_path):
    subprocess.run([sys.executable, FACTORY, "smoke", tmp_path, tmp_path / "cache"], check=True)
    found = claims.outcomes(CLAIMS, claims.open_runs("smoke", tmp_path))
    reached = {name for name, one in found.items() if one.effect is not None}
    assert {"grpo-improves-last-step", "common-lose-validation", "free-saturates-lower"} <= reached
    assert len(reached) > 55


def test_the_committed_results_are_judged():
    side = claims.open_runs("demo", RESULTS)
    assert isinstance(side, Ours)
    found = claims.outcomes(CLAIMS, side)
    assert set(found) == set(CLAIMS)
    assert {one.tier for one in found.values()} == {side.tier}


# Choices, all claims at once, and what the correlation decides.


def outcome(name, verdict, effect=0.1, **more):
    return claims.Outcome(name, "s", "t", verdict, "", effect, **more)


def test_every_twin_is_a_claim_of_the_ledger():
    assert not choices.twins_missing(CLAIMS)
    assert all(name not in {twin for _, twin in pairs} for name, pairs in choices.CHOICES.items())


@pytest.mark.parametrize(
    ("verdict", "twin", "stands"),
    [
        (HOLDS, HOLDS, "holds"),
        (HOLDS, CANNOT, "rests on a choice"),
        (FAILS, HOLDS, "rests on a choice"),
        (FAILS, FAILS, "fails"),
        (CANNOT, HOLDS, "within chance"),
    ],
)
def test_a_told_claim_rests_on_a_choice_if_its_twin_is_judged_otherwise(verdict, twin, stands):
    names = "grpo-loses-nih", "grpo-loss-not-one-finding"
    found = choices.turning({names[0]: outcome(names[0], verdict), names[1]: outcome(names[1], twin)})
    assert choices.standing(found[names[0]]) == stands
    assert [turn.split(":")[0] for turn in found[names[0]].turns] == ["largest finding"] * (
        stands == "rests on a choice"
    )
    assert choices.standing(found[names[1]]) != "rests on a choice", "it has no twin of its own"


def test_what_is_refused_is_no_verdict_and_no_twin():
    names = "sft-improves", "sft-improves-nine"
    found = choices.turning({names[0]: outcome(names[0], HOLDS), names[1]: outcome(names[1], CANNOT, None)})
    assert choices.standing(found[names[0]]) == "holds"
    assert choices.standing(found[names[1]]) == "not to be judged"
    assert sum(choices.tally(found).values()) == 2


def test_all_at_once_is_holms_procedure_as_scipy_and_hand_have_it():
    rng = np.random.default_rng(1)
    p = np.concatenate([rng.random(30), rng.random(10) * 0.002])
    found = verdicts.together({str(k): outcome(str(k), CANNOT, p=float(one)) for k, one in enumerate(p)})
    order, told = np.argsort(p), set()
    adjusted = np.maximum.accumulate(np.minimum(1, p[order] * (len(p) - np.arange(len(p)))))  # Holm's adjusted p
    told = {str(k) for k, value in zip(order, adjusted, strict=True) if value <= 0.05}
    assert 0 < len(told) < len(p)
    assert {name for name, one in found.items() if one.together} == told
    assert verdicts.together({"a": outcome("a", HOLDS)})["a"].together is None, "no chance in it"


def test_p_agrees_with_the_interval_and_with_a_normal_law():
    rng = np.random.default_rng(0)
    for value in (0.0, 0.01, 0.02, 0.03):
        found = Quantity(value, value + 0.01 * rng.standard_normal(10_000), (), "t", frozenset())
        one = claims.judge(
            dataclasses.replace(CLAIMS["grpo-improves-chexpert"], check=lambda side, found=found: found),
            Published(NIH_SIZES[0]),
        )
        assert one.p == pytest.approx(2 * scipy.stats.norm.sf(value / 0.01), abs=0.02)
        assert (one.p < 0.05) == (one.low > 0)


def test_verdicts_that_hang_on_the_correlation_say_so():
    found = claims.outcomes(CLAIMS)
    for r in (0.0, 0.9):
        other = claims.judge_published(CLAIMS.values(), r)
        for name, one in found.items():
            assert (other[name].verdict == one.verdict) or (
                one.unsteady and f"{r:g} it {other[name].verdict}" in one.reason
            )
    assert not any(found[name].unsteady for name in ("nv-best-chexpert", "structured-best-qwen-macro"))


def test_other_studies_of_the_same_set_are_refused():
    draws = np.zeros(10)
    one, same, other = (
        Quantity(0.5, draws, (), "t", frozenset(), frozenset({("nih", digest)}), frozenset({run}))
        for digest, run in (("a", "r1"), ("a", "r2"), ("b", "r3"))
    )
    assert (one - same).runs == {"r1", "r2"}
    with pytest.raises(CannotTell, match="different studies"):
        one - other


def test_a_share_of_next_to_nothing_is_refused():
    def made(value):
        return Quantity(value, value + np.linspace(-0.01, 0.01, 100), (), "t", frozenset())

    assert made(0.5).relative_to(made(0.4)).value == pytest.approx(0.25)
    for base in (0.0, 0.002, 0.025):
        with pytest.raises(CannotTell, match="no steady size"):
            made(0.5).relative_to(made(base))


def test_public_counts_say_how_many():
    found = claims.outcomes(CLAIMS)
    assert found["same-frequency"].n == "CheXpert test n = 500, MIMIC-CXR-JPG train n = 222750"
    assert found["frequent-labels"].n == "MIMIC-CXR-JPG train n = 222750"
    assert "interval for 500" in found["sft-best-nih"].n
