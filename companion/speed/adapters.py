"""A LoRA update added in one product: y += s (x A) B in place of y + s ((x A) B) (section 3.2.1).

peft multiplies the update by its scale and adds it to the frozen layer's output, two more passes over
memory forward and one backward, at each of 28 layers in the miniature and 238 in MedGemma. BLAS can do both
while it multiplies. Equal to the last rounding of a float32 product; layers with anything else than one plain
float32 adapter are left to peft.
"""

import types
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
