"""What both trainers share: the history table, several processes, a training that has ended."""

import dataclasses
import json

import pytest
import torch
from trl import GRPOConfig, SFTConfig

from chexreason import config, runs
from chexreason.errors import UserError
from chexreason.files import seal, write_atomically
from chexreason.recipe import GRPO, SFT
from chexreason.resume import run
from chexreason.training import accumulation, device_options


@pytest.mark.parametrize(
    ("settings", "kind", "ours"),
    [
        (SFT, SFTConfig, {"early_stopping_patience", "studies_per_step", "validation_share", "load_in_bits"}),
        (GRPO, GRPOConfig, {"studies_per_step", "checkpoints", "load_in_bits"}),
    ],
)
def test_every_setting_but_ours_is_an_option_of_trls_by_its_name(settings, kind, ours) -> None:
    names, known = ({entry.name for entry in dataclasses.fields(cls)} for cls in (settings, kind))
    assert names - known == ours


def test_the_log_becomes_tidy_and_loses_timings_and_text() -> None:
    log = [
        {"step": 1, "epoch": 0.5, "loss": 2.0, "step_time": 9.0, "note": "text"},
        {"step": 2, "epoch": 1.0, "eval_loss": 1, "eval_runtime": 3.0, "eval_samples_per_second": 4.0},
        {"step": 2, "train_runtime": 8.0, "total_flos": 1e9, "train_loss": 1.5, "eval_num_tokens": 9.0},
    ]
    table = runs.history_table(log)
    assert list(table.columns) == list(runs.history_table([]).columns) == ["step", "epoch", "metric", "value"]
    rows = [[1, "loss", 2.0], [2, "eval_loss", 1.0]]
    assert table[["step", "metric", "value"]].values.tolist() == rows
    assert table["epoch"].tolist() == [0.5, 1.0]


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


def test_a_training_that_has_ended_is_not_run_again_but_for_other_settings(tmp_path) -> None:
    profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    this, done = runs.Plan(profile, "02-sft-x", {}, {}), []

    def train(folder) -> None:
        done.append(sorted(path.name for path in folder.iterdir()))
        stop = {"stateful_callbacks": {"TrainerControl": {"args": {"should_training_stop": True}}}}
        write_atomically(folder / "checkpoint-1" / "trainer_state.json", json.dumps(stop).encode())
        seal(folder / "checkpoint-1")

    for settings in ({}, {}, {"lr": 1}):
        assert run(dataclasses.replace(this, settings=settings), train, lambda end: len(end)) == 1
    assert done == [["plan.sha256"], ["plan.sha256"]], "what the other training left is gone"
    (this.checkpoints / "plan.sha256").write_bytes(b"\xff")
    run(this, train, len)
    assert len(done) == 3
