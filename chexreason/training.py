"""What both trainers share: TRL's arguments, resuming, several processes, progress, a run's history.

`torchrun` and `accelerate launch` start several processes of one command, each with its own GPU. They share each
step: every process takes its part of the batch, and the gradients are averaged.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import PartialState
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainerState

from chexreason import runs
from chexreason.errors import UserError, unknown
from chexreason.files import write_atomically


def arguments(kind: type, settings: Any, more: Mapping[str, Any], folder: Path, seed: int, **fixed: Any) -> Any:
    """TRL's arguments: `fixed`, then the settings by their names, then `more` options that a profile sets.

    Raises UserError for an option that TRL's class `kind` does not have.
    """
    known = {entry.name for entry in fields(kind)}
    for name in more:
        if name not in known:
            raise unknown(f"option of {kind.__name__}", name, known, "the profile")
    return kind(**{
        "output_dir": str(folder),
        "seed": seed,
        "data_seed": seed,
        "report_to": [],
        "disable_tqdm": True,
        "logging_steps": 1,
        "dataloader_num_workers": 0,
        "optim": "adamw_torch",
        "remove_unused_columns": False,
        **fixed,
        **{name: value for name, value in vars(settings).items() if name in known},
        **device_options(settings.bf16, settings.gradient_checkpointing),
        **more,
    })  # fmt: skip


def device_options(bf16: bool, gradient_checkpointing: bool) -> dict[str, Any]:
    """bfloat16 and activation checkpointing where there is a GPU; plain float32 where there is none."""
    cuda = torch.cuda.is_available()
    return {
        "bf16": bf16 and cuda,
        "gradient_checkpointing": gradient_checkpointing and cuda,
        "use_cpu": not cuda,
        "ddp_find_unused_parameters": False,  # the adapter is used in every step
    }


def accumulation(batch: int, at_once: int) -> int:
    """Forward passes of each process in a step over `batch` rows, `at_once` rows a pass.

    Raises UserError unless they come out even: a step of another size would be another training.
    """
    passes, rest = divmod(batch, at_once * processes())
    if rest or not passes:
        raise UserError(
            f"a step of {batch} rows to divide into passes of {at_once} on {processes()} processes", "a remainder",
            "choose another per_device_train_batch_size, or another number of processes",
        )  # fmt: skip
    return passes


def processes() -> int:
    """How many processes share the training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process; the first, 0, writes what is written once."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first process runs the block before the others, which find what it wrote."""
    if processes() == 1:
        yield
    else:
        with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
            yield


def trained(this: runs.Plan, train: Callable[[Path], Trainer]) -> pd.DataFrame | None:
    """The history of a run's training in its checkpoint folder; trains unless it is finished there.

    A folder of other settings is emptied first. The log is the last file that a training writes, by its first process.
    Several processes only train, and get None: the next process by itself finds the log.
    """
    folder, log = this.checkpoints, this.checkpoints / "log.json"
    with first_before_others():
        marker = folder / "plan.sha256"
        if not marker.is_file() or marker.read_text(encoding="utf-8") != this.digest:
            shutil.rmtree(folder, ignore_errors=True)
            write_atomically(marker, this.digest.encode())
    if not log.is_file():
        history = train(folder).state.log_history
        if rank() == 0:
            write_atomically(log, json.dumps(history).encode())
    return None if processes() > 1 else runs.history_table(json.loads(log.read_text(encoding="utf-8")))


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a training by step; the trainer writes trainer_state.json last."""
    complete = (state.parent for state in folder.glob("checkpoint-*[0-9]/trainer_state.json"))
    return sorted(complete, key=step_of)


def last_checkpoint(folder: Path) -> str | None:
    """The checkpoint to resume from."""
    return next((str(path) for path in reversed(checkpoints(folder))), None)


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint was saved at."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


class Progress(TrainerCallback):
    """A bar with the steps done, the time left and the last values of a few metrics."""

    def __init__(self, label: str, shown: tuple[str, ...]) -> None:
        self.label, self.shown, self.bar = label, shown, tqdm(disable=True)

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Open the bar at the step where training starts or resumes."""
        self.bar = tqdm(
            total=state.max_steps, initial=state.global_step, desc=self.label, unit="step", mininterval=2.0,
            disable=not state.is_world_process_zero,
        )  # fmt: skip

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """One step more."""
        self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Show the chosen metrics."""
        logs = kwargs.get("logs") or {}
        values = {name: f"{float(logs[name]):.3g}" for name in self.shown if name in logs}
        if values and not self.bar.disable:
            self.bar.set_postfix(values, refresh=False)

    def on_train_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar.close()
