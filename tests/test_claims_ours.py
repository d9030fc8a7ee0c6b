"""The ledger on runs of ours: verdicts follow the runs, draws are by patient, and what does not match is refused."""

import gzip
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results
from sklearn.metrics import f1_score

from chexreason import metrics
from chexreason.config import RESULTS
from chexreason.errors import UserError
from chexreason.labels import LABEL_SETS
from chexreason.metrics import label_cells
from chexreason.runs import read
from companion.evidence import claims, stats
from companion.evidence.claims import CLAIMS, FAILS, HOLDS, NOT_RUN, OTHERWISE, REFUSED
from companion.evidence.claims.effects import changes, rare
from companion.evidence.claims.ours import Ours
from companion.evidence.claims.quantity import CannotTell, Quantity
from companion.evidence.comparable import ENOUGH
from companion.report import terminal, verdict_table

#: Ids of the runs that show one training.
ONCE = r"0[23]-|04-generalization-(medgemma_sft|chexreason)-|sft-|grpo-"
GRPO_AND_SFT = ("chexreason", "medgemma_sft")


def write_run(
    root: Path, run_id: str, dataset: str, truth: np.ndarray, said: np.ndarray, tier="miniature", cohort=""
) -> None:  # fmt: skip
    """A run's folder with predictions that are known; studies two to a patient."""
    label_set = "nih9" if dataset == "nih" else "chexpert14"
    names = np.array(LABEL_SETS[label_set])
    folder = root / run_id
    folder.mkdir(parents=True)
    metrics.scores(truth, said, label_set).to_frame().to_csv(folder / "metrics.csv", index=False)
    rows = pd.DataFrame({
        "study_key": [f"{dataset}{cohort}/{i}" for i in range(len(truth))],
        "patient_key": [f"{dataset}/{i // 2}" for i in range(len(truth))],
        "predicted": [";".join(names[row]) for row in said],
        "truth": [";".join(names[row]) for row in truth], "ignored": "",
    })  # fmt: skip
    (folder / "predictions.csv.gz").write_bytes(gzip.compress(rows.to_csv(index=False).encode()))
    stage = {"01": "prompting", "02": "sft", "03": "grpo"}.get(run_id[:2], "generalization")
    info = {"run_id": run_id, "stage": stage, "model": run_id.split("-")[2], "tier": tier, "label_set": label_set,
            "n": len(truth), "dataset": dataset, "split": "test"}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Runs in which ChexReason beats SFT on CheXpert, loses to it on NIH, and MedGemma answers as SFT does."""
    root, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    accuracy = {"medgemma_sft": (0.75, 0.95), "chexreason": (0.95, 0.75), "medgemma": (0.75, 0.95),
                "nv_reason": (0.99, 0.68), "qwen": (0.65, 0.65)}  # fmt: skip
    for dataset, width in (("chexpert", 14), ("nih", 9)):
        truth = rng.random((240, width)) < 0.3
        noise = rng.random(truth.shape)
        for model, pair in accuracy.items():
            said = np.where(noise < pair[dataset == "nih"], truth, ~truth)
            write_run(root, f"04-generalization-{model}-{dataset}", dataset, truth, said)
    return root


@pytest.fixture(scope="module")
def judged(made) -> dict[str, claims.Outcome]:
    """The ledger on those runs."""
    return claims.outcomes(CLAIMS, claims.open_runs(str(made)))


def test_verdicts_follow_the_runs(made, judged):
    # Nobody trained these for the comparison, so patients are all that varies.
    assert judged["base-superior"].verdict == judged["nv_reason-drops-nine"].verdict == HOLDS
    assert judged["medgemma-drops-nine"].verdict == OTHERWISE
    # One training is no test of SFT or GRPO, however far its patients agree.
    over_patients = {
        "grpo-improves-chexpert": "beyond chance", "grpo-loses-nih": "beyond chance",
        "sft-improves-nine": "beyond chance", "back-to-baseline": "the opposite, beyond chance",
    }  # fmt: skip
    for name, told in over_patients.items():
        one = judged[name]
        assert (one.verdict, one.together) == (REFUSED, None), name
        assert one.reason == f"one training: another may come out otherwise; over patients alone {told}"
        assert one.low <= one.effect <= one.high
    assert judged["grpo-improves-chexpert"].low > 0
    assert (judged["sft-beats-base-nih"].verdict, judged["sft-beats-base-nih"].effect) == (REFUSED, 0)
    assert (judged["chexreason-drops"].verdict, judged["chexreason-drops"].unlike) == (REFUSED, True)
    assert judged["hard-beats-nuanced-macro"].verdict == NOT_RUN
    assert "is not there" in judged["hard-beats-nuanced-macro"].reason
    with pytest.raises(CannotTell, match="none of the findings is rare among these studies"):
        rare(claims.open_runs(str(made)), 5)
    for name, one in judged.items():
        assert (one.verdict == NOT_RUN) == bool(one.missing), name
        assert CLAIMS[name].stated or one.verdict != FAILS, name
    assert {one.tier for one in judged.values()} == {"miniature"}
    assert judged["grpo-improves-chexpert"].n == "hospital B test n = 240"
    assert judged["grpo-improves-chexpert"].runs == tuple(f"04-generalization-{one}-chexpert" for one in GRPO_AND_SFT)


def test_runs_on_different_studies_are_not_subtracted(made, tmp_path):
    place = tmp_path / "runs"
    shutil.copytree(made, place)
    truth, name = np.random.default_rng(5).random((240, 14)) < 0.3, "04-generalization-chexreason-chexpert"
    shutil.rmtree(place / name)
    write_run(place, name, "chexpert", truth, truth, cohort="other")
    # As noted by the runs, where rows stay outside.
    for run_id, digest in (("medgemma", "a"), ("qwen", "b")):
        info = place / f"04-generalization-{run_id}-chexpert" / "run.json"
        info.write_text(json.dumps(json.loads(info.read_text()) | {"inputs": {"studies": digest * 64}}))
    side = claims.open_runs(str(place))
    grpo, base = (claims.judge(CLAIMS[one], side) for one in ("grpo-improves-chexpert", "base-superior"))
    assert grpo.effect is None
    assert "different studies of hospital B test" in grpo.reason
    assert "digest aaaaaaa and 240, digest bbbbbbb" in base.reason


def gap(root: Path) -> Quantity:
    """ChexReason minus SFT on CheXpert."""
    side = claims.open_runs(str(root))
    return side.score(5, "chexreason") - side.score(5, "medgemma_sft")


def test_draws_are_a_bootstrap_by_patient(made):
    """Held against `stats.resampled_f1`, which is another implementation with other draws."""
    found = gap(made)
    grpo, sft = (read(made / f"04-generalization-{one}-chexpert").predictions() for one in GRPO_AND_SFT)
    truth, *said = (label_cells(x, "chexpert14") for x in (sft["truth"], sft["predicted"], grpo["predicted"]))
    drawn = stats.resampled_f1(truth, said, list(sft["patient_key"]), np.random.default_rng(1))["macro"]
    wanted = stats.percentiles(drawn[:, 1] - drawn[:, 0])
    assert found.value == pytest.approx(wanted.estimate)
    assert np.quantile(found.draws, [0.025, 0.975]) == pytest.approx((wanted.low, wanted.high), abs=0.006)


def test_without_rows_the_counts_of_the_metrics_serve(made, tmp_path):
    shutil.copytree(made, tmp_path / "bare", ignore=shutil.ignore_patterns("predictions*"))
    with_rows, without = gap(made), gap(tmp_path / "bare")
    assert without.value == pytest.approx(with_rows.value)
    assert without.draws.mean() == pytest.approx(without.value, abs=0.01)
    assert 0.6 < without.draws.std() / with_rows.draws.std() < 1.7


def test_one_runs_folder_is_judged_by_what_it_has(made):
    side = claims.open_runs(str(made / "04-generalization-qwen-nih"))
    found = claims.outcomes(CLAIMS, side)
    assert {one.verdict for one in found.values()} == {NOT_RUN, REFUSED}
    assert len(side.missing) == 28
    assert found["grpo-loses-nih"].missing in side.missing
    told, waiting = terminal.claims_text(found, 80, side.missing), sum(bool(one.missing) for one in found.values())
    assert f"{waiting} claims wait for runs that are not there" in " ".join(told.split())
    assert all(run_id in told for run_id in side.missing)
    assert re.sub("<[^>]*>", "", verdict_table._verdict(found["grpo-loses-nih"], "on our runs")) == "–"


def test_a_folder_of_two_tiers_is_refused(tmp_path):
    truth = np.ones((4, 9), dtype=bool)
    write_run(tmp_path, "04-generalization-qwen-nih", "nih", truth, truth)
    write_run(tmp_path, "04-generalization-medgemma-nih", "nih", truth, truth, tier="replication")
    with pytest.raises(UserError, match="runs of one tier, got miniature, replication"):
        claims.open_runs(str(tmp_path))


def test_the_committed_results_are_judged():
    side = claims.open_runs("demo", RESULTS)
    found = claims.outcomes(CLAIMS, side)
    assert side.missing == ()
    assert all(one.runs for one in found.values() if one.effect is not None)
    # No run is missing, no reading of ours fails, and what was trained once has no verdict.
    assert not any(one.verdict == NOT_RUN for one in found.values())
    assert all(CLAIMS[name].stated for name, one in found.items() if one.verdict == FAILS)
    once = [one for one in found.values() if any(re.match(ONCE, run) for run in one.runs)]
    assert len(once) >= 15
    assert all(one.verdict == REFUSED and one.reason.startswith("one training") for one in once)
    # Qwen2.5-VL scores next to nothing, and so it is in no comparison.
    assert found["base-superior"].verdict == REFUSED
    assert re.match("04-generalization-qwen-chexpert scores .* below naming every label", found["base-superior"].reason)


def test_real_images_are_named_and_drawn_ones_are_never_taken_for_them(judged, tmp_path):
    """A prevalence of drawn images is our own choice, and no evidence; the labels of a replication can be counted."""
    assert not any(
        name in one.n for one in judged.values()
        for name in ("CheXpert", "NIH", "MIMIC", "chexpert", "nih", "mimic")
    )  # fmt: skip
    rng, common = np.random.default_rng(2), np.isin(LABEL_SETS["chexpert14"], ["No Finding", "Support Devices"])
    truth = rng.random((100, 14)) < np.where(common, 0.6, 0.3)
    verdicts = {}
    for tier in ("replication", "miniature"):
        write_run(tmp_path / tier, "03-grpo-nuanced", "mimic", truth, truth, tier=tier)
        place = tmp_path / tier / "03-grpo-nuanced" / "metrics.csv"
        pd.read_csv(place).assign(checkpoint="best").to_csv(place, index=False)
        verdicts[tier] = claims.judge(CLAIMS["frequent-labels"], claims.open_runs(str(tmp_path / tier)))
    assert (verdicts["replication"].verdict, verdicts["replication"].reason) == (HOLDS, "as counted")
    assert verdicts["replication"].n == "MIMIC-CXR-JPG test n = 100"
    assert verdicts["miniature"].verdict == REFUSED
    assert "real data sets' labels" in verdicts["miniature"].reason


# What is in no comparison.


@pytest.mark.parametrize(("said", "told"), [
    ("one answer", "gives one answer to 95% of the images"), ("worse", "below naming every label"),
])  # fmt: skip
def test_a_constant_run_is_refused_in_every_comparison(made, judged, tmp_path, said, told):
    """MedGemma on NIH: each claim that needs it is refused for it, whatever the claim is of."""
    shutil.copytree(made, tmp_path / "runs")
    run_id = "04-generalization-medgemma-nih"
    rows = pd.read_csv(made / run_id / "predictions.csv.gz", keep_default_na=False)
    truth = label_cells(rows["truth"], "nih9")
    # One answer in 95 % scores above naming every label, since it is right wherever it differs.
    answers = np.where(np.arange(len(truth))[:, None] % 20, True, truth) if said == "one answer" else ~truth
    shutil.rmtree(tmp_path / "runs" / run_id)
    write_run(tmp_path / "runs", run_id, "nih", truth, answers)
    before, after = judged, claims.outcomes(CLAIMS, claims.open_runs(str(tmp_path / "runs")))
    needing = {name for name, one in before.items() if run_id in one.runs}
    assert {"sft-beats-base-nih", "medgemma-drops-nine", "back-to-baseline", "sft-best-nih", "r1-counterproductive",
            "training-helps-nih-not-one-finding", "matches-baseline-findings"} <= needing  # fmt: skip
    for name in needing:
        assert (after[name].verdict, after[name].effect) == (REFUSED, None), name
        assert after[name].reason.startswith(f"{run_id} "), name
        assert told in after[name].reason, name
    assert not any(run_id in one.runs for one in after.values())
    for name in set(CLAIMS) - needing:
        assert (after[name].verdict, after[name].effect) == (before[name].verdict, before[name].effect), name


def test_every_number_of_a_constant_run_is_refused(tmp_path):
    """Failure rates and Figure 1's curves as well as scores: none of them is set against another run's."""
    synthetic_results.write("smoke", tmp_path, tmp_path / "cache", ("02",), n=160)
    folder = tmp_path / "smoke" / "02-sft-medgemma-reasoning_a"
    rows = pd.read_csv(folder / "predictions.csv.gz", keep_default_na=False)
    scored = (Ours.score, Ours.failure, lambda side, *of: side.finding(*of, "Edema"),
              lambda side, *of: side.score(*of, "micro", "recall"))  # fmt: skip
    asks = [*(lambda side, ask=ask: ask(side, 2, "reasoning_a") for ask in scored),
            *(lambda side, ask=ask: ask(side, "reasoning_a") for ask in (Ours.accuracy, Ours.pace))]  # fmt: skip
    side = claims.open_runs("smoke", tmp_path)
    assert all(ask(side) for ask in asks)
    rows["predicted"] = "Edema"
    (folder / "predictions.csv.gz").write_bytes(gzip.compress(rows.to_csv(index=False).encode()))
    side = claims.open_runs("smoke", tmp_path)
    for ask in asks:
        with pytest.raises(CannotTell, match=r"02-sft-medgemma-reasoning_a gives one answer to 100% of the images"):
            ask(side)


def test_an_average_holds_the_findings_with_twenty_positives(tmp_path):
    """Nineteen images with the first finding, twenty with the second: only the second and the others are averaged."""
    names, rng = LABEL_SETS["chexpert14"], np.random.default_rng(3)
    truth = rng.random((200, 14)) < 0.3
    for column, count in ((0, ENOUGH - 1), (1, ENOUGH)):
        truth[:, column] = np.arange(200) % 200 < count
    for model, right in (("medgemma", 0.9), ("qwen", 0.8)):
        said = np.where(rng.random(truth.shape) < right, truth, ~truth)
        write_run(tmp_path, f"04-generalization-{model}-chexpert", "chexpert", truth, said)
        one = claims.open_runs(str(tmp_path)).score(5, model)
        assert one.scope == names[1:]
        assert one.value == pytest.approx(f1_score(truth[:, 1:], said[:, 1:], average="macro"))
        assert one.draws.mean() == pytest.approx(one.value, abs=0.02)
    side = claims.open_runs(str(tmp_path))
    assert side.carrying(5, names) == names[1:]
    # A single finding may be looked at; a claim about one by name is refused.
    assert side.finding(5, "qwen", names[0]).scope == (names[0],)
    with pytest.raises(CannotTell, match="is not recorded there, or has too few positives"):
        changes(side, 5, "qwen", "medgemma")[names[0]]
