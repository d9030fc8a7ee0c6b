"""Image tokens once a film: the vision tower is frozen, so its output for a film never changes (section 3.2.1).

TRL runs the tower for every completion in every pass. Here a film's projected tokens are kept and
handed to the model in place of its pixels (`mm_encoder_outputs`). Exact: the tower and the projector
have no dropout and no weight that trains (`assert_frozen` checks both), and a film is known by
the bytes of its pixels, so two films share tokens only if the tower would see the same numbers. Memory is
bounded; the film that was not used for longest goes first.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

#: Bytes of image tokens that are kept: some 1,600 films at MedGemma's width (256 tokens of 2,560 numbers, bfloat16).
LIMIT = 2 * 2**30


@dataclass(frozen=True)
class Film:
    """What the processor made of a film: pixels, for Qwen2.5-VL also their grid (3,), and a key that names both."""

    pixels: torch.Tensor
    grid: torch.Tensor | None
    key: bytes


def films_of(inputs: Mapping[str, Any]) -> list[Film]:
    """The films of a batch with one film a row, from `pixel_values` and, for Qwen2.5-VL, `image_grid_thw`."""
    pixels, grids = inputs["pixel_values"], inputs.get("image_grid_thw")
    if grids is None:
        parts: Sequence[torch.Tensor] = pixels.unbind(0)
        each: Sequence[torch.Tensor | None] = [None] * len(parts)
    else:
        parts, each = pixels.split(grids.prod(dim=-1).tolist()), grids.unbind(0)
    films: list[Film] = []
    for part, grid in zip(parts, each, strict=True):
        last = films[-1] if films else None
        repeated = last is not None and part.shape == last.pixels.shape and torch.equal(part, last.pixels)
        films.append(Film(part, grid, last.key if last is not None and repeated else _key(part, grid)))
    return films


def _key(pixels: torch.Tensor, grid: torch.Tensor | None) -> bytes:
    shape = tuple(pixels.shape if grid is None else grid.tolist())
    seen = blake2b(repr((shape, pixels.dtype)).encode(), digest_size=16)
    seen.update(pixels.detach().cpu().contiguous().view(torch.uint8).numpy())
    return seen.digest()


def grids_of(films: Sequence[Film]) -> torch.Tensor | None:
    """The films' grids (B, 3), None for a family without any."""
    grids = [film.grid for film in films if film.grid is not None]
    return torch.stack(grids) if grids else None


@torch.no_grad()
def tokens_of(model: PreTrainedModel, films: Sequence[Film]) -> list[torch.Tensor]:
    """The projected image tokens (cells, hidden) of each film, by the tower."""
    grids, pixels = grids_of(films), [film.pixels for film in films]
    if grids is not None:
        seen = model.model.get_image_features(torch.cat(pixels), grids, return_dict=True)
    else:
        seen = model.model.get_image_features(torch.stack(pixels), return_dict=True)
    # Cloned, since a slice would keep the tokens of the whole batch alive.
    return [tokens.clone() for tokens in seen.pooler_output]


class FilmTokens:
    """The projected image tokens (cells, hidden) of the films seen so far, for one model.

    A trainer calls `assert_frozen` first: tokens kept from before a step have to be those after it.
    """

    def __init__(self, model: PreTrainedModel, limit: int = LIMIT) -> None:
        self.model, self.limit, self.size = model, limit, 0
        self.kept: OrderedDict[bytes, torch.Tensor] = OrderedDict()

    def __call__(self, films: Sequence[Film]) -> list[torch.Tensor]:
        """The tokens of each film, in order; the tower runs once for each new one."""
        new = list({film.key: film for film in films if film.key not in self.kept}.values())
        fresh = dict(zip((film.key for film in new), tokens_of(self.model, new), strict=True)) if new else {}
        tokens = [fresh[film.key] if film.key in fresh else self.kept[film.key] for film in films]
        for film in films:
            if film.key in self.kept:
                self.kept.move_to_end(film.key)
        for key, value in fresh.items():
            self.kept[key] = value
            self.size += value.nbytes
        while self.size > self.limit:
            self.size -= self.kept.popitem(last=False)[1].nbytes
        return tokens


def in_place_of_pixels(model: PreTrainedModel, tokens: Sequence[torch.Tensor]) -> dict[str, BaseModelOutputWithPooling]:
    """`mm_encoder_outputs` for a batch: Qwen2.5-VL takes a tensor a film, Gemma 3 one for the batch."""
    packed = tuple(tokens) if model.config.model_type == "qwen2_5_vl" else torch.stack(list(tokens))
    return {"image": BaseModelOutputWithPooling(pooler_output=packed)}


def assert_frozen(model: PreTrainedModel) -> None:
    """Raise AssertionError if a weight outside the language model trains, or the tower drops anything out."""
    trains = [name for name, w in model.named_parameters() if w.requires_grad and "language_model" not in name]
    assert not [name for name in trains if "lm_head" not in name], f"image tokens would change: {trains[:3]} train"
    shares = {name: getattr(model.config.vision_config, name, 0.0) for name in ("attention_dropout", "dropout")}
    assert not any(shares.values()), f"image tokens would change: {shares}"
