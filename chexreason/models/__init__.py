"""Models by name: `load` gives the model, its processor and its family.

Nothing here knows whether a checkpoint is the published one or a miniature: both are folders (or hub ids) with a
config.json of the family's model type.
"""

from collections.abc import Sequence
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


#: The share of a GPU's memory that vLLM may take; the rest is the trainer's, or the model's that was loaded before.
VLLM_MEMORY = 0.4


@dataclass(frozen=True)
class Loaded:
    """A model ready for use, with its processor and family."""

    model: PreTrainedModel
    processor: ProcessorMixin
    family: Family
    source: str

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device


def dtype_for(bf16: bool) -> torch.dtype:
    """bfloat16 where asked for and the device computes in it, else float32."""
    return torch.bfloat16 if bf16 and torch.cuda.is_available() else torch.float32


def load(name: str, source: str | Path | None = None, *, bf16: bool = True) -> Loaded:
    """Load a base model of the family `name` from a folder or hub id (default: the published one).

    Raises UserError for an unknown family, a checkpoint that is missing or incomplete, and one of another family.
    """
    if name not in FAMILIES:
        raise unknown("model", name, FAMILIES, "chexreason/models/families.py")
    family = FAMILIES[name]
    place = str(source or family.hub_id)
    pinned: dict[str, Any] = {"revision": family.revision_of(place), "trust_remote_code": False}
    try:
        found = AutoConfig.from_pretrained(place, **pinned).model_type
        if found != family.model_type:
            raise UserError(
                f"a checkpoint of type {family.model_type} for {family.title}", f"{found} at {place}",
                "name the right checkpoint in the profile's `models`",
            )  # fmt: skip
        model = family.model_class.from_pretrained(place, dtype=dtype_for(bf16), **pinned)
    except (OSError, ValueError) as error:
        raise UserError(
            f"the weights of a {family.title} checkpoint at {place}", str(error).splitlines()[0],
            "give its folder or hub id in the profile's `models`, `hf auth login` if the weights are gated, or "
            "`chexreason pretrain` for a miniature",
        ) from error  # fmt: skip
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    loaded = Loaded(model, load_processor(family, place), family, place)
    model.generation_config.suppress_tokens = image_token_ids(loaded)
    return loaded


def load_processor(family: Family, source: str) -> ProcessorMixin:
    """The family's processor, with the paper's pixel limits where the family has any.

    A miniature's processor has one size of image and keeps it. The limits are set on the made processor: as arguments
    they would lose against the published file's own (`size`), or be handed on to each call, which newer transformers
    refuse (`min_pixels`).
    """
    pinned: dict[str, Any] = {"revision": family.revision_of(source), "trust_remote_code": False}
    processor = family.processor_class.from_pretrained(source, **pinned)
    images = processor.image_processor
    if family.image_pixels and images.size["shortest_edge"] != images.size["longest_edge"]:
        least, most = family.image_pixels
        images.size = type(images.size)(shortest_edge=least, longest_edge=most)
    processor.tokenizer.padding_side = "left"
    return processor


def image_token_ids(loaded: Loaded) -> list[int]:
    """Ids that a sampler must never emit: training would count them as images."""
    return sorted(loaded.processor.tokenizer.convert_tokens_to_ids(list(loaded.family.image_tokens)))


def vllm_silence(tokens: Sequence[int]) -> dict[str, Any]:
    """vLLM's sampling option that keeps these tokens from being written; transformers calls it `suppress_tokens`."""
    return {"logit_bias": dict.fromkeys(tokens, -100.0)}


def chat(prompt: str, answer: str | None = None) -> list[dict[str, Any]]:
    """One user turn with an image, then the prompt; and the answer's turn if there is one."""
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
    return [user] if answer is None else [user, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]


def encode(loaded: Loaded, images: list[Image.Image], prompt: str) -> dict[str, torch.Tensor]:
    """Tensors for a batch of (image, prompt): input_ids (B, T) padded on the left, pixel_values, ..."""
    text = loaded.processor.apply_chat_template(chat(prompt), add_generation_prompt=True, tokenize=False)
    batch = loaded.processor(
        images=[[image.convert("RGB")] for image in images], text=[text] * len(images), return_tensors="pt",
        padding=True, add_special_tokens=False,
    )  # fmt: skip
    return {name: value.to(loaded.device) for name, value in batch.items()}
