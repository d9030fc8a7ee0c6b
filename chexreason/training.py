"""What both trainers share: TRL's arguments, and a training that goes on where it was stopped."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import Trainer

from chexreason import processes, runs
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
        "disable_tqdm": True,
        "logging_steps": 1,
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
    passes, rest = divmod(batch, at_once * processes.count())
    if rest or not passes:
        wanted = f"a step of {batch} rows to divide into passes of {at_once} on {processes.count()} processes"
        raise UserError(wanted, "a remainder", "change per_device_train_batch_size or the number of processes")
    return passes


def trained(this: runs.Plan, train: Callable[[Path], Trainer]) -> pd.DataFrame | None:
    """The history of a run's training in its checkpoint folder; trains unless it is finished there.

    A folder of other settings is emptied first. The log is the last file that a training writes, by its first process.
    Several processes only train, and get None: the next process by itself finds the log.
    """
    folder, log = this.checkpoints, this.checkpoints / "log.json"
    with processes.first_before_others():
        marker = folder / "plan.sha256"
        if not marker.is_file() or marker.read_text(encoding="utf-8") != this.digest:
            shutil.rmtree(folder, ignore_errors=True)
            write_atomically(marker, this.digest.encode())
    if not log.is_file():
        history = train(folder).state.log_history
        if processes.rank() == 0:
            write_atomically(log, json.dumps(history).encode())
    return None if processes.count() > 1 else runs.history_table(json.loads(log.read_text(encoding="utf-8")))
