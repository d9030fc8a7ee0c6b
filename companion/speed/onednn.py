"""Linear layers by oneDNN, with weights packed once (section 4: scoring).

On a CPU, torch multiplies float32 by MKL, which uses half of the width of an AMD processor's vector units and packs
each weight again in each product. oneDNN, which comes with torch, uses all of it and takes packed weights. A
convolution whose kernel is its stride and its whole input (Qwen2.5-VL's patch embedding) is a linear layer, too. Equal
to rounding, some 1e-6 relative. The packed copy doubles the weights' memory, so it is used below 1 GB and in float32
only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

#: Bytes of weights up to which a model is packed.
LIMIT = 2**30
#: What a weight has to be.
FITS = (torch.float32, "cpu")
#: Batch from which a product is worth it: oneDNN writes code, and keeps it, for each number of rows that it meets.
FEWEST = 16


@contextmanager
def by_onednn(model: nn.Module) -> Iterator[None]:
    """Within this context, a model on a processor multiplies by oneDNN; it must not train or be given other weights."""
    small = sum(weight.nbytes for weight in model.parameters()) <= LIMIT
    some = model.modules() if small and torch.backends.mkldnn.is_available() else ()
    layers = {layer: forward for layer in some if (forward := _forward_of(layer)) is not None}
    for layer, forward in layers.items():
        layer.forward = forward
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own shows again


def _forward_of(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The layer's product by oneDNN; None for a layer that is left as it is."""
    if type(layer) not in (nn.Linear, nn.Conv3d) or (layer.weight.dtype, layer.weight.device.type) != FITS:
        return None
    if isinstance(layer, nn.Conv3d) and layer.stride != layer.kernel_size:
        return None
    bias, wide = layer.bias, layer.weight.shape[0]
    weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().flatten(1))

    def product(x: torch.Tensor) -> torch.Tensor:
        if x.numel() < FEWEST * x.shape[-1]:
            return torch.nn.functional.linear(x, layer.weight.flatten(1), bias)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    if isinstance(layer, nn.Linear):
        return product
    window = layer.weight.shape[1:]

    def patches(x: torch.Tensor) -> torch.Tensor:
        return product(x.flatten(1)).view(-1, wide, 1, 1, 1) if x.shape[1:] == window else nn.Conv3d.forward(layer, x)

    return patches
