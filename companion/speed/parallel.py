"""Gradients averaged over processes, after the last pass of a step and before clipping.

torch's DistributedDataParallel averages what was computed by calling it; the shared paths of this package call the
model inside the wrapper. Exact: where the wrapper has averaged already, all are equal and stay so.
"""

from typing import Any

import torch


def average_gradients(trainer: Any) -> None:
    """Give each process of a `Trainer` the mean gradient, if this was the last pass of a step."""
    accelerator = trainer.accelerator
    if accelerator.num_processes == 1 or not accelerator.sync_gradients:
        return
    for weight in trainer.model.parameters():
        if weight.requires_grad:
            total = torch.zeros_like(weight) if weight.grad is None else weight.grad
            torch.distributed.all_reduce(total)
            weight.grad = total / accelerator.num_processes
