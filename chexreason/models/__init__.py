"""Models by name: `load` gives the model, its processor and the modules that LoRA touches.

Nothing here knows whether a checkpoint is the real one or a miniature: both are folders (or hub
ids) with a config.json of the family's model type.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, PreTrainedModel
from transformers.processing_utils import ProcessorMixin

from chexreason.errors import UserError, unknown
from chexreason.models.families import FAMILIES, Family

__all__ = ["FAMILIES", "Family", "Loaded", "chat", "load"]


@dataclass(frozen=True)
class Loaded:
    """A model ready for use, with its processor and family."""

    model: PreTrainedModel
    processor: ProcessorMixin
    family: Family
    source: str

    @property
    def device(self) -> torch.device:
        """Where the model's weights lie."""
        return self.model.device


def dtype_for(bf16: bool) -> torch.dtype:
    """bfloat16 where asked for and the device computes in it, else float32."""
    return torch.bfloat16 if bf16 and torch.cuda.is_available() else torch.float32


def load(name: str, source: str | Path | None = None, *, bf16: bool = True) -> Loaded:
    """Load a base model of the family `name` from a folder or hub id (default: the published one).

    Raises UserError for an unknown family, a folder that is missing or incomplete, and a checkpoint
    of another family.
    """
    if name not in FAMILIES:
        raise unknown("model", name, FAMILIES, "chexreason/models/families.py")
    family = FAMILIES[name]
    place = str(source or family.hub_id)
    pinned: dict[str, Any] = {"revision": family.revision_of(place), "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(place, **pinned)
    except (OSError, ValueError) as error:
        raise UserError(
            f"a {family.title} checkpoint at {place}", str(error).splitlines()[0],
            "give its folder or hub id in the profile's `models`, and `hf auth login` if the weights are gated",
        ) from error  # fmt: skip
    if config.model_type != family.model_type:
        raise UserError(
            f"a checkpoint of type {family.model_type} for {family.title}", f"{config.model_type} at {place}",
            "name the right checkpoint in the profile's `models`",
        )  # fmt: skip
    try:
        model = family.model_class.from_pretrained(place, dtype=dtype_for(bf16), **pinned)
    except OSError as error:
        raise UserError(
            f"the weights of {family.title} at {place}", str(error).splitlines()[0],
            "fetch them again, or `chexreason pretrain` for a miniature",
        ) from error  # fmt: skip
    processor = load_processor(family, place)
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    loaded = Loaded(model, processor, family, place)
    model.generation_config.suppress_tokens = image_token_ids(loaded)
    return loaded


def load_processor(family: Family, source: str) -> ProcessorMixin:
    """The family's processor, with the paper's pixel limits where the family has any.

    A miniature's processor has one size of film and keeps it; the published one, from the hub or from a
    folder, takes a wide range of sizes and gets the paper's limits.
    """
    pinned: dict[str, Any] = {"revision": family.revision_of(source), "trust_remote_code": False}
    processor = family.processor_class.from_pretrained(source, **pinned)
    if family.film_pixels:
        _limit(processor.image_processor, *family.film_pixels)
    processor.tokenizer.padding_side = "left"
    return processor


def _limit(films: Any, least: int, most: int) -> None:
    """Give a film processor the limits in pixels, unless it has one size for all films.

    Set on the made processor: as arguments they would lose against the published file's own limits (`size`), or
    be handed on to each call, which newer transformers refuse (`min_pixels`).
    """
    if films.size["shortest_edge"] != films.size["longest_edge"]:
        films.size = type(films.size)(shortest_edge=least, longest_edge=most)


def image_token_ids(loaded: Loaded) -> list[int]:
    """Ids that a sampler must never emit: training would count them as images."""
    return sorted(loaded.processor.tokenizer.convert_tokens_to_ids(list(loaded.family.image_tokens)))


def chat(prompt: str, answer: str | None = None) -> list[dict[str, Any]]:
    """One user turn with a film, then the prompt; and the answer's turn if there is one."""
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
    if answer is None:
        return [user]
    return [user, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]


def encode(loaded: Loaded, films: list[Image.Image], prompt: str) -> dict[str, torch.Tensor]:
    """Tensors for a batch of (film, prompt): input_ids (B, T) padded on the left, pixel_values, ..."""
    text = loaded.processor.apply_chat_template(chat(prompt), add_generation_prompt=True, tokenize=False)
    batch = loaded.processor(
        images=[[film.convert("RGB")] for film in films],
        text=[text] * len(films),
        return_tensors="pt",
        padding=True,
        add_special_tokens=False,
    )
    return {name: value.to(loaded.device) for name, value in batch.items()}
