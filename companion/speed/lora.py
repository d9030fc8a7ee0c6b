"""Two savings on plain float32 LoRA layers (sections 3.2.1 and 3.2.2); any other layer is left to PEFT.

`fuse`: the update is added in one product, y += s (x A) B instead of y + s ((x A) B), which saves two passes over
memory forward and one backward. `merged`: while completions are sampled the adapter does not change, so its update is
added to the weights once (W + s B A) and taken out again by putting the old tensors back, so nothing drifts. Both equal
PEFT to float32 rounding, some 1e-6 relative. In bfloat16 a sum would round the update away in part, so there both stay
off.
"""

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear


def fuse(model: PeftModel) -> None:
    """Let every plain LoRA layer of the model add its update in one product."""
    for layer in model.modules():
        if isinstance(layer, Linear):
            layer.forward = types.MethodType(_forward, layer)


def _forward(self: Linear, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    active = [name for name in self.active_adapters if name in self.lora_A]
    plain = len(active) == 1 and active[0] not in self.lora_variant and not (args or kwargs)
    mixed = x.dtype != torch.float32 or torch.is_autocast_enabled(x.device.type)
    if not plain or mixed or self.disable_adapters or self.merged:
        return Linear.forward(self, x, *args, **kwargs)
    [name] = active
    down, up = self.lora_A[name], self.lora_B[name]
    if {self.base_layer.weight.dtype, down.weight.dtype, up.weight.dtype} != {torch.float32}:
        return Linear.forward(self, x, *args, **kwargs)
    result = self.base_layer(x)
    inner = down(self.lora_dropout[name](x))
    result.view(-1, result.shape[-1]).addmm_(inner.view(-1, inner.shape[-1]), up.weight.t(), alpha=self.scaling[name])
    return result


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
