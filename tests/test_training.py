"""What both trainers share: the history table, the checkpoint to go on from, several processes, the progress bar."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from trl import GRPOConfig, SFTConfig

from chexreason import config, runs
from chexreason.errors import UserError
from chexreason.recipe import GRPO, SFT
from chexreason.runs import checkpoints, last_checkpoint
from chexreason.training import accumulation, device_options, trained


@pytest.mark.parametrize(
    ("settings", "kind", "ours"),
    [
        (SFT, SFTConfig, {"early_stopping_patience", "studies_per_step", "validation_share"}),
        (GRPO, GRPOConfig, {"studies_per_step", "checkpoints"}),
    ],
)
def test_every_setting_but_ours_is_an_option_of_trls_by_its_name(settings, kind, ours) -> None:
    names, known = ({entry.name for entry in dataclasses.fields(cls)} for cls in (settings, kind))
    assert names - known == ours


def test_the_log_becomes_tidy_and_loses_timings_and_text() -> None:
    log = [
        {"step": 1, "epoch": 0.5, "loss": 2.0, "step_time": 9.0, "note": "text"},
        {"step": 2, "epoch": 1.0, "eval_loss": 1, "eval_runtime": 3.0, "eval_samples_per_second": 4.0},
        {"step": 2, "train_runtime": 8.0, "total_flos": 1e9, "train_loss": 1.5},
    ]
    table = runs.history_table(log)
    assert list(table.columns) == list(runs.history_table([]).columns) == ["step", "epoch", "metric", "value"]
    rows = [[1, "loss", 2.0], [2, "eval_loss", 1.0], [2, "train_loss", 1.5]]
    assert table[["step", "metric", "value"]].values.tolist() == rows
    assert table["epoch"].tolist()[:2] == [0.5, 1.0]


def test_the_last_checkpoint_is_the_highest_complete_one(tmp_path) -> None:
    assert last_checkpoint(tmp_path / "nowhere") is None
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-11", "checkpoint-best", "checkpoint-12.partial"):
        (tmp_path / name).mkdir()
        if name != "checkpoint-11":  # killed while it was written
            (tmp_path / name / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert checkpoints(tmp_path) == [tmp_path / "checkpoint-9", tmp_path / "checkpoint-10"]


@pytest.mark.parametrize("cuda", [True, False])
def test_half_precision_and_recomputing_need_a_gpu(monkeypatch, cuda) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    for asked in (True, False):
        wanted = {"bf16": cuda and asked, "gradient_checkpointing": cuda and asked, "use_cpu": not cuda}
        assert device_options(asked, asked).items() >= wanted.items()


def test_a_step_is_divided_evenly_among_processes_or_refused(monkeypatch) -> None:
    assert accumulation(32, 4) == 8
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert accumulation(32, 4) == 2
    for batch, at_once in ((32, 3), (8, 4)):
        with pytest.raises(UserError, match=f"a step of {batch} rows to divide into passes of {at_once} on 4 proc"):
            accumulation(batch, at_once)


def test_a_training_that_is_over_is_not_run_again_but_for_other_settings(tmp_path, monkeypatch) -> None:
    profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    this, done = runs.Plan(profile, "02-sft-x", {}, {}), []

    def train(folder):
        done.append(sorted(path.name for path in folder.iterdir()))
        (folder / "checkpoint-1").mkdir()
        return SimpleNamespace(state=SimpleNamespace(log_history=[{"step": 1, "loss": 0.25}]))

    for _ in range(2):
        assert trained(this, train)["value"].tolist() == [0.25]
    assert done == [["plan.sha256"]]
    other = dataclasses.replace(this, settings={"lr": 1})
    assert trained(other, train) is not None
    assert done[1:] == [["plan.sha256"]], "what the other training left is gone"
