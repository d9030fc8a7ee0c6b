"""What both trainers share: the history table, the checkpoint to go on from, the progress bar."""

from types import SimpleNamespace

import pytest
import torch

from chexreason.errors import UserError
from chexreason.training import Progress, accumulation, device_options, history_table, last_checkpoint, learnt


def test_the_log_becomes_tidy_and_loses_timings_and_text() -> None:
    log = [
        {"step": 1, "epoch": 0.5, "loss": 2.0, "step_time": 9.0, "note": "text"},
        {"step": 2, "epoch": 1.0, "eval_loss": 1, "eval_runtime": 3.0, "eval_samples_per_second": 4.0},
        {"step": 2, "train_runtime": 8.0, "total_flos": 1e9, "train_loss": 1.5},
    ]
    table = history_table(log)
    assert list(table.columns) == ["step", "epoch", "metric", "value"]
    assert table[["step", "metric", "value"]].values.tolist() == [
        [1, "loss", 2.0],
        [2, "eval_loss", 1.0],
        [2, "train_loss", 1.5],
    ]
    assert table["epoch"].tolist()[:2] == [0.5, 1.0]


def test_an_empty_log_has_the_columns_too() -> None:
    assert list(history_table([]).columns) == ["step", "epoch", "metric", "value"]


def test_the_last_checkpoint_is_the_highest_whole_one(tmp_path) -> None:
    assert last_checkpoint(tmp_path / "nowhere") is None
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-11", "checkpoint-best", "checkpoint-12.partial"):
        (tmp_path / name).mkdir()
        if name != "checkpoint-11":  # killed while it was written
            (tmp_path / name / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_progress_counts_steps_from_where_training_goes_on() -> None:
    progress = Progress("SFT x", ("loss",))
    state = SimpleNamespace(max_steps=10, global_step=4, is_world_process_zero=True)
    progress.on_log(None, state, None, logs={"loss": 9.0})  # before training: nothing to show it on
    progress.on_train_begin(None, state, None)
    assert (progress.bar.n, progress.bar.total) == (4, 10)
    state.global_step = 6
    progress.on_step_end(None, state, None)
    progress.on_log(None, state, None, logs={"loss": 1.23456, "other": 1.0})
    assert progress.bar.n == 6
    assert progress.bar.postfix == "loss=1.23"
    progress.on_log(None, state, None, logs=None)
    assert "SFT x" in str(progress.bar)
    progress.on_train_end(None, state, None)
    assert progress.bar.disable, "a closed bar"


@pytest.mark.parametrize("cuda", [True, False])
def test_half_precision_and_recomputing_need_a_gpu(monkeypatch, cuda) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    wanted = {"bf16": cuda, "gradient_checkpointing": cuda, "use_cpu": not cuda}
    assert device_options("bf16", True).items() >= wanted.items()
    never = {"bf16": False, "gradient_checkpointing": False, "use_cpu": not cuda}
    assert device_options("fp32", False).items() >= never.items()


def test_a_step_is_parted_evenly_among_processes_or_refused(monkeypatch) -> None:
    assert accumulation(32, 4) == 8
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert accumulation(32, 4) == 2
    for batch, at_once in ((32, 3), (8, 4)):
        with pytest.raises(UserError, match=f"a step of {batch} rows to part into passes of {at_once} on 4 processes"):
            accumulation(batch, at_once)


def test_a_training_that_is_over_is_not_run_again(tmp_path, monkeypatch) -> None:
    log = [{"step": 1, "loss": 0.25}]
    runs = []

    def train():
        runs.append(1)
        return SimpleNamespace(state=SimpleNamespace(log_history=log))

    assert learnt(tmp_path, train) == log
    assert learnt(tmp_path, train) == log
    assert len(runs) == 1
    monkeypatch.setenv("RANK", "1")
    assert learnt(tmp_path / "elsewhere", train) == [], "only the first process writes"
    assert not (tmp_path / "elsewhere").exists()
