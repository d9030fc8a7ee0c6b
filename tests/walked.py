"""The published architectures walked by torch itself with tensors that have shapes and no contents.

What torch keeps for a backward pass, and the most that is alive at once, is then counted from real storages of real
modules; no number of `companion.replication.memory` goes in. What a processor does in another way is put in its place:
attention is the memory-efficient kernel of a GPU (torch knows its shapes), dropout keeps a mask of bytes.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from chexreason.models import FAMILIES, Loaded, add_lora
from chexreason.recipe import LoRA
from companion.replication.published import config_of


class Alive(TorchDispatchMode):
    """Counts the bytes of all storages that operations make: `now`, and at `peak`."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known = {one.untyped_storage()._cdata for one in [*model.parameters(), *model.buffers()]}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = operation(*args, **(kwargs or {}))
        for storage in (one.untyped_storage() for one in tree_leaves(made) if isinstance(one, torch.Tensor)):
            name, size = storage._cdata, storage.nbytes()
            if name not in self.known:
                self.known.add(name)
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self.freed, name, size)
        return made

    def freed(self, name: int, size: int) -> None:
        self.known.discard(name)
        self.now -= size


def attention(q: Any, k: Any, v: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
              scale: Any = None, enable_gqa: bool = False) -> Any:  # fmt: skip
    """What `scaled_dot_product_attention` does on a GPU where a mask is given."""
    if enable_gqa:
        k, v = (one.repeat_interleave(q.shape[1] // one.shape[1], 1) for one in (k, v))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        added = torch.zeros_like(attn_mask, dtype=q.dtype).masked_fill(~attn_mask, float("-inf"))
        attn_mask = added.expand(*q.shape[:3], k.shape[2])
    kernel = torch.ops.aten._scaled_dot_product_efficient_attention
    return kernel(q, k, v, attn_mask, True, dropout_p, is_causal, scale=scale)[0]


def dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return torch.native_dropout(x, p, True)[0] if training and p else x


@contextmanager
def walking(family: str, layers: int, lora: LoRA | None = None) -> Iterator[Any]:
    """A family's architecture, in bf16, with so many layers in language model and encoder, while nothing is real."""
    config, mode = config_of(family), FakeTensorMode(allow_non_fake_inputs=True)
    text = config.get_text_config()
    text.num_hidden_layers = layers
    text.layer_types = text.layer_types and text.layer_types[:layers]
    setattr(config.vision_config, "num_hidden_layers" if family == "medgemma" else "depth", layers)
    with torch.device("meta"):
        model = FAMILIES[family].model_class._from_config(config, dtype=torch.bfloat16)
        if lora:
            model = add_lora(Loaded(model, None, FAMILIES[family], "published"), lora)
    made: dict[int, torch.nn.Parameter] = {}

    def empty(one: torch.Tensor) -> torch.Tensor:
        # PEFT makes adapters of bf16 models in float32; on the meta device it leaves them as they are.
        dtype = torch.float32 if one.requires_grad and lora else one.dtype
        return torch.empty(one.shape, dtype=dtype, device="cpu")

    with mode, patch("torch.nn.functional.scaled_dot_product_attention", attention), patch(
        "torch.nn.functional.dropout", dropout
    ):  # fmt: skip
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                fresh = torch.nn.Parameter(empty(weight), requires_grad=weight.requires_grad and lora is not None)
                module._parameters[name] = made.setdefault(id(weight), fresh)
            for name, value in module.named_buffers(recurse=False):
                module._buffers[name] = empty(value)
        yield model


def inputs(model: Any, rows: int, tokens: int, grad: bool = False) -> dict[str, Any]:
    """What the language model of a family is given for rows of so many tokens, as our trainers give it."""
    config = model.config
    place = torch.arange(tokens)[None].expand(rows, tokens)
    mask = torch.ones(rows, 1, tokens, tokens, dtype=torch.bool)
    hidden = config.get_text_config().hidden_size
    return {
        "inputs_embeds": torch.zeros(rows, tokens, hidden, dtype=torch.bfloat16, requires_grad=grad),
        "attention_mask": {"full_attention": mask, "sliding_attention": mask.clone()},
        "position_ids": place if config.model_type == "gemma3" else place[None].expand(3, rows, tokens),
    }
