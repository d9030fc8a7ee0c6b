"""Gradients of several processes, averaged.

torch's own wrapper (DistributedDataParallel) averages what was computed by calling it. The shared paths of this
package call the model inside the wrapper, which then leaves the gradients as they are. So they are averaged here,
after the last pass of a step and before they are clipped. Exact: a mean of gradients is the gradient of the mean, and
where the wrapper has averaged already, all are the same and stay so.
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
