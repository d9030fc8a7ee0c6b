"""Sampling from merged weights (section 3.2.2).

While completions are sampled the adapter does not change, so its update is added to the weights once (W + s B A) and
taken out again by putting the old tensors back, so nothing drifts. It equals PEFT to float32 rounding, some 1e-6
relative. In bfloat16 a sum would round the update away in part, so there it stays off.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import PeftModel
from peft.tuners.lora import Linear


@contextmanager
def merged(model: PeftModel) -> Iterator[None]:
    """The active adapter in the weights; only for plain LoRA on float32 weights, otherwise nothing happens."""
    layers = [layer for layer in model.modules() if isinstance(layer, Linear)]
    name = model.active_adapter
    if any(layer.base_layer.weight.dtype != torch.float32 or layer.merged for layer in layers):
        yield
        return
    kept = [layer.base_layer.weight.data for layer in layers]
    try:
        for layer, weight in zip(layers, kept, strict=True):
            layer.base_layer.weight.data = weight + layer.get_delta_weight(name).detach()
            layer.merged_adapters.append(name)
        yield
    finally:
        for layer, weight in zip(layers, kept, strict=True):
            layer.base_layer.weight.data = weight
            layer.merged_adapters.clear()
