"""TRL's arguments, as both trainers share them (`resume` goes on where a training was stopped)."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from chexreason import processes
from chexreason.data.study import masked
from chexreason.errors import UserError
from chexreason.models import REFUSALS


def arguments(kind: type, settings: Any, more: Mapping[str, Any], folder: Path, seed: int, **fixed: Any) -> Any:
    """TRL's arguments; UserError if it refuses them, or if `more`, what a profile adds, holds one that is set here."""
    known = {entry.name for entry in fields(kind)}
    ours = {
        "output_dir": str(folder),
        "seed": seed,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        **fixed,
        **{name: value for name, value in vars(settings).items() if name in known},
        **device_options(settings.bf16, settings.gradient_checkpointing),
    }
    if taken := sorted(more.keys() & {*ours, "log_completions"}):
        raise UserError(f"options of {kind.__name__} that the code leaves open", ", ".join(taken), "remove them")
    usual = {"data_seed": seed, "logging_steps": 1, "optim": "adamw_torch"}
    try:
        made: Any = kind(**{**usual, **ours, **more})
        workers = {name: getattr(made, f"dataloader_{name}") for name in ("num_workers", "persistent_workers")}
        torch.utils.data.DataLoader([0], **workers)  # it refuses some that TRL does not
        return made
    except REFUSALS as error:
        raise UserError(f"settings that {kind.__name__} takes", str(error), "correct them in the profile") from error


def trainer(kind: Callable[..., Any], **words: Any) -> Any:
    """TRL's trainer, made; UserError for options that it refuses only now, in words that name no patient."""
    try:
        return kind(**words)
    except UserError:
        raise
    except REFUSALS as error:  # options are anybody's, and TRL checks them in many places
        got = f"{type(error).__name__}: {masked(Path(str(error)), 300)}"
        raise UserError("options that TRL's trainer takes", got, "correct them in the profile") from error


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
