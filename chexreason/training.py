"""What both trainers share: their folder, resuming, several processes, progress with the time left, a run's history.

`torchrun` and `accelerate launch` start several processes of one command, each with its own GPU. They share each
step: every process takes its part of the batch, and the gradients are averaged (`fast.parallel`).
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import PartialState
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from chexreason import runs
from chexreason.errors import UserError, unknown
from chexreason.files import write_atomically

#: Arguments that every trainer of ours gets: files stay here, logs go into our own history, rows keep their columns.
QUIET: Mapping[str, Any] = {
    "report_to": [], "disable_tqdm": True, "logging_steps": 1, "dataloader_num_workers": 0, "optim": "adamw_torch",
    "remove_unused_columns": False,
}  # fmt: skip


def options(arguments: type, settings: Any, ours: Sequence[str], more: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are TRL's own, all but `ours`, with the `more` options that a profile sets by TRL's names.

    Raises UserError for an option that TRL's class of arguments does not have.
    """
    known = [entry.name for entry in fields(arguments)]
    for name in more:
        if name not in known:
            raise unknown(f"option of {arguments.__name__}", name, known, "the profile")
    declared = {entry.name: getattr(settings, entry.name) for entry in fields(settings) if entry.name not in ours}
    return {**QUIET, **declared, **device_options(settings.bf16, settings.gradient_checkpointing), **more}


def device_options(bf16: bool, gradient_checkpointing: bool) -> dict[str, Any]:
    """bfloat16 and activation checkpointing where there is a GPU; plain float32 where there is none."""
    cuda = torch.cuda.is_available()
    return {
        "bf16": bf16 and cuda,
        "gradient_checkpointing": gradient_checkpointing and cuda,
        "use_cpu": not cuda,
        "ddp_find_unused_parameters": False,  # the adapter is used in every step
    }


def processes() -> int:
    """How many processes share the training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes what is written once."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def first_before_others() -> Iterator[None]:
    """What the first process writes in the block, the others find there when they come."""
    if processes() == 1:
        yield
    else:
        with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
            yield


def accumulation(batch: int, at_once: int) -> int:
    """Forward passes of each process in a step over `batch` rows, `at_once` of them in a pass.

    Raises UserError unless they come out even: a step of another size would be another training.
    """
    passes, left = divmod(batch, at_once * processes())
    if left or not passes:
        raise UserError(
            f"a step of {batch} rows to part into passes of {at_once} on {processes()} processes", "a remainder",
            "choose another per_device_train_batch_size, or another number of processes",
        )  # fmt: skip
    return passes


def learnt(folder: Path, train: Callable[[], Trainer]) -> list[dict[str, Any]]:
    """The trainer's log of a training that is over; trains unless that was done before.

    The log is the last file that a training writes, by its first process.
    """
    log = folder / "log.json"
    if not log.is_file():
        history = train().state.log_history
        if is_first():
            write_atomically(log, json.dumps(history).encode())
    return list(json.loads(log.read_text(encoding="utf-8"))) if is_first() else []


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint below a folder; the trainer writes trainer_state.json last."""
    found = {
        int(match[1]): path
        for path in folder.glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and (path / "trainer_state.json").is_file()
    }
    return str(found[max(found)]) if found else None


def fresh_folder(this: runs.Plan) -> Path:
    """The run's checkpoint folder, emptied if it belongs to a run with other settings."""
    marker = this.checkpoints / "plan.sha256"
    if not marker.is_file() or marker.read_text(encoding="utf-8") != this.digest:
        shutil.rmtree(this.checkpoints, ignore_errors=True)
        write_atomically(marker, this.digest.encode())
    return this.checkpoints


class Progress(TrainerCallback):
    """A bar with the steps done, the time left and the last values of a few metrics."""

    def __init__(self, label: str, shown: tuple[str, ...]) -> None:
        self.label, self.shown = label, shown
        self.bar: tqdm | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar where training goes on."""
        self.bar = tqdm(
            total=state.max_steps, initial=state.global_step, desc=self.label, unit="step", mininterval=2.0,
            disable=not state.is_world_process_zero,
        )  # fmt: skip

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """One step further."""
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
        logs: dict[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Show the metrics chosen."""
        logs = logs or {}
        values = {name: f"{float(logs[name]):.3g}" for name in self.shown if name in logs}
        if self.bar is not None and values:
            self.bar.set_postfix(values, refresh=False)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


def history_table(log_history: list[dict[str, Any]]) -> pd.DataFrame:
    """The trainer's log as a tidy table: step, epoch, metric, value. Timings are left out."""
    rows = [
        {"step": entry["step"], "epoch": entry.get("epoch"), "metric": name, "value": float(value)}
        for entry in log_history
        for name, value in entry.items()
        if name not in ("step", "epoch") and isinstance(value, int | float) and not _is_timing(name)
    ]
    return pd.DataFrame(rows, columns=["step", "epoch", "metric", "value"])


def _is_timing(name: str) -> bool:
    return name.endswith(("runtime", "per_second", "total_flos", "step_time"))
