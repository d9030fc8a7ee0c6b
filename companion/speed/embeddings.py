"""Image embeddings once an image: the vision encoder is frozen, so its output never changes (section 3.2.1).

TRL encodes the image for every completion in every pass. Here the projected image tokens are cached and handed to the
model in place of the pixels (`mm_encoder_outputs`). Exact: encoder and projector have no dropout and no trained weight
(`assert_frozen` checks both), and an image is identified by the bytes of its pixels. The cache has a byte limit and
drops the least recently used.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

#: Bytes of image tokens that are kept: some 1,600 images at MedGemma's width (256 tokens of 2,560 numbers, bfloat16).
LIMIT = 2 * 2**30


@dataclass(frozen=True)
class Pixels:
    """What the processor made of an image: pixels, for Qwen2.5-VL also their grid (3,), and a key that names both."""

    pixels: torch.Tensor
    grid: torch.Tensor | None
    key: bytes


def pixels_of(inputs: Mapping[str, Any]) -> list[Pixels]:
    """The images of a batch with one image a row, from `pixel_values` and, for Qwen2.5-VL, `image_grid_thw`."""
    pixels, grids = inputs["pixel_values"], inputs.get("image_grid_thw")
    if grids is None:
        parts: Sequence[torch.Tensor] = pixels.unbind(0)
        each: Sequence[torch.Tensor | None] = [None] * len(parts)
    else:
        parts, each = pixels.split(grids.prod(dim=-1).tolist()), grids.unbind(0)
    images: list[Pixels] = []
    for part, grid in zip(parts, each, strict=True):
        last = images[-1] if images else None
        repeated = last is not None and part.shape == last.pixels.shape and torch.equal(part, last.pixels)
        images.append(Pixels(part, grid, last.key if last is not None and repeated else _key(part, grid)))
    return images


def _key(pixels: torch.Tensor, grid: torch.Tensor | None) -> bytes:
    shape = tuple(pixels.shape if grid is None else grid.tolist())
    seen = blake2b(repr((shape, pixels.dtype)).encode(), digest_size=16)
    seen.update(pixels.detach().cpu().contiguous().view(torch.uint8).numpy())
    return seen.digest()


def grids_of(images: Sequence[Pixels]) -> torch.Tensor | None:
    """The images' grids (B, 3), None for a family without any."""
    grids = [image.grid for image in images if image.grid is not None]
    return torch.stack(grids) if grids else None


@torch.no_grad()
def embed(model: PreTrainedModel, images: Sequence[Pixels]) -> list[torch.Tensor]:
    """The projected image tokens (cells, hidden) of each image, by the tower."""
    grids, pixels = grids_of(images), [image.pixels for image in images]
    if grids is not None:
        seen = model.model.get_image_features(torch.cat(pixels), grids, return_dict=True)
    else:
        seen = model.model.get_image_features(torch.stack(pixels), return_dict=True)
    # Cloned, since a slice would keep the tokens of the whole batch alive.
    return [tokens.clone() for tokens in seen.pooler_output]


class EmbeddingCache:
    """The projected image tokens (cells, hidden) of the images seen so far, for one model.

    A trainer calls `assert_frozen` first: tokens kept from before a step have to be those after it.
    """

    def __init__(self, model: PreTrainedModel, limit: int = LIMIT) -> None:
        self.model, self.limit, self.size = model, limit, 0
        self.kept: OrderedDict[bytes, torch.Tensor] = OrderedDict()

    def __call__(self, images: Sequence[Pixels]) -> list[torch.Tensor]:
        """The tokens of each image, in order; the tower runs once for each new one."""
        new = list({image.key: image for image in images if image.key not in self.kept}.values())
        fresh = dict(zip((image.key for image in new), embed(self.model, new), strict=True)) if new else {}
        tokens = [fresh[image.key] if image.key in fresh else self.kept[image.key] for image in images]
        for image in images:
            if image.key in self.kept:
                self.kept.move_to_end(image.key)
        for key, value in fresh.items():
            self.kept[key] = value
            self.size += value.nbytes
        while self.size > self.limit:
            self.size -= self.kept.popitem(last=False)[1].nbytes
        return tokens


def encoder_outputs(model: PreTrainedModel, tokens: Sequence[torch.Tensor]) -> dict[str, BaseModelOutputWithPooling]:
    """`mm_encoder_outputs` for a batch: Qwen2.5-VL takes a tensor an image, Gemma 3 one for the batch."""
    packed = tuple(tokens) if model.config.model_type == "qwen2_5_vl" else torch.stack(list(tokens))
    return {"image": BaseModelOutputWithPooling(pooler_output=packed)}


def assert_frozen(model: PreTrainedModel) -> None:
    """Raise AssertionError if a weight outside the language model trains, or the tower drops anything out."""
    trains = [name for name, w in model.named_parameters() if w.requires_grad and "language_model" not in name]
    assert not [name for name in trains if "lm_head" not in name], f"image tokens would change: {trains[:3]} train"
    shares = {name: getattr(model.config.vision_config, name, 0.0) for name in ("attention_dropout", "dropout")}
    assert not any(shares.values()), f"image tokens would change: {shares}"
