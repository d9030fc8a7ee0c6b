"""The ledger on runs of ours: verdicts follow the runs, draws are by patient, and what does not match is refused."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chexreason import claims, metrics, stats
from chexreason.claims import CHANCE, CLAIMS, FAILS, HOLDS
from chexreason.claims.ours import Ours
from chexreason.claims.quantity import CannotTell
from chexreason.claims.sides import rare
from chexreason.config import RESULTS
from chexreason.errors import UserError
from chexreason.labels import LABEL_SETS
from chexreason.metrics import label_cells
from chexreason.report import terminal_claims

FACTORY = Path(__file__).with_name("synthetic_results.py")


def write_run(
    root: Path, run_id: str, dataset: str, truth: np.ndarray, said: np.ndarray, tier="miniature", cohort=""
) -> None:  # fmt: skip
    """A run's folder with predictions that are known; studies two to a patient."""
    label_set = "nih9" if dataset == "nih" else "chexpert14"
    names = np.array(LABEL_SETS[label_set])
    folder = root / run_id
    folder.mkdir(parents=True)
    metrics.scores(truth, said, label_set).to_frame().to_csv(folder / "metrics.csv", index=False)
    rows = pd.DataFrame(
        {
            "study_key": [f"{dataset}{cohort}/{i}" for i in range(len(truth))],
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
    side = claims.open_runs(str(made))
    found = claims.outcomes(CLAIMS, side)
    assert found["grpo-improves-chexpert"].verdict == HOLDS
    assert found["grpo-loses-nih"].verdict == HOLDS
    assert found["sft-improves-nine"].verdict == HOLDS
    assert found["nv_reason-drops-nine"].verdict == HOLDS
    assert found["back-to-baseline"].verdict == FAILS
    assert found["sft-beats-base-nih"].verdict == CHANCE
    assert found["sft-beats-base-nih"].effect == 0
    assert found["chexreason-drops"].verdict == CHANCE
    assert "is not there" in found["hard-beats-nuanced-macro"].reason
    with pytest.raises(CannotTell, match="none of the findings is rare among these studies"):
        rare(side, 5)
    assert "real data sets" in found["identical-definitions"].reason
    assert {one.tier for one in found.values()} == {"miniature"}
    assert found["grpo-improves-chexpert"].n == "hospital B test n = 240"
    assert found["grpo-improves-chexpert"].runs == (
        "04-generalization-chexreason-chexpert", "04-generalization-medgemma_sft-chexpert",
    )  # fmt: skip
    assert found["grpo-improves-chexpert"].turned_by == ()


def test_real_films_are_named_and_drawn_ones_are_never_taken_for_them(made, tmp_path):
    assert not any(
        name in one.n for one in claims.outcomes(CLAIMS, claims.open_runs(str(made))).values()
        for name in ("CheXpert", "NIH", "MIMIC", "chexpert", "nih", "mimic")
    )  # fmt: skip
    truth = np.random.default_rng(0).random((40, 14)) < 0.3
    for model in ("medgemma", "qwen"):
        write_run(tmp_path, f"04-generalization-{model}-chexpert", "chexpert", truth, truth, tier="replication")
    found = claims.outcomes(CLAIMS, claims.open_runs(str(tmp_path)))
    assert found["base-superior"].n == "CheXpert test n = 40"


def test_runs_on_different_studies_are_not_subtracted(made, tmp_path):
    shutil.copytree(made, tmp_path / "runs")
    truth = np.random.default_rng(5).random((240, 14)) < 0.3
    folder = tmp_path / "runs" / "04-generalization-chexreason-chexpert"
    shutil.rmtree(folder)
    write_run(tmp_path / "runs", folder.name, "chexpert", truth, truth, cohort="other")
    found = claims.outcomes(CLAIMS, claims.open_runs(str(tmp_path / "runs")))
    assert found["grpo-improves-chexpert"].effect is None
    assert "different studies of hospital B test" in found["grpo-improves-chexpert"].reason
    assert found["base-superior"].verdict == HOLDS
    # As noted by the runs, where rows stay outside.
    for run_id, digest in (("medgemma", "a"), ("qwen", "b")):
        place = tmp_path / "runs" / f"04-generalization-{run_id}-chexpert" / "run.json"
        place.write_text(json.dumps(json.loads(place.read_text()) | {"inputs": {"studies": digest * 64}}))
    found = claims.outcomes(CLAIMS, claims.open_runs(str(tmp_path / "runs")))
    assert "digest aaaaaaa and 240, digest bbbbbbb" in found["base-superior"].reason


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
    assert {one.verdict for one in found.values()} == {CHANCE}
    assert len(side.missing) == 28
    assert found["grpo-loses-nih"].missing in side.missing
    told = terminal_claims.claims_text(found, 80, side.missing)
    waiting = sum(bool(one.missing) for one in found.values())
    assert f"{waiting} claims wait for runs that are not there" in " ".join(told.split())
    assert all(run_id in told for run_id in side.missing)


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
    assert {"grpo-improves-last-step", "common-lose-validation", "free-saturates-lower",
            "constrained-converge-faster"} <= reached  # fmt: skip
    assert len(reached) > 55


def test_the_committed_results_are_judged():
    side = claims.open_runs("demo", RESULTS)
    assert isinstance(side, Ours)
    found = claims.outcomes(CLAIMS, side)
    assert set(found) == set(CLAIMS)
    assert {one.tier for one in found.values()} == {side.tier}
    assert side.missing == ()
    assert all(one.runs for one in found.values() if one.effect is not None)
    # Qwen2.5-VL scores next to nothing over the nine; the share that it loses has no size.
    assert (found["nv-loses-more-than-its-base"].verdict, found["nv-loses-more-than-its-base"].effect) == (CHANCE, None)
