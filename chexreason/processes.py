"""Several processes of one training, and the progress that the first of them shows.

`torchrun` and `accelerate launch` start several processes of one command, each with its own GPU. They share each step:
every process takes its part of the batch, and the gradients are averaged.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState
from tqdm import tqdm
from transformers import TrainerCallback, TrainerState


def count() -> int:
    """How many processes share the training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process; the first, 0, writes what is written once."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first process runs the block before the others, which find what it wrote."""
    if count() == 1:
        yield
    else:
        with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
            yield


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
