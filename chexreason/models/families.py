"""The model families of the paper, one record each.

A family says which transformers class reads its checkpoints, which commit of the published weights is meant, how many
pixels of an image it may look at, and which modules LoRA touches. The pattern is a regular expression on full module
names because a list of endings would also hit the vision encoders: SigLIP has its own q/k/v_proj, Qwen's vision blocks
their own gate/up/down_proj.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import (
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.processing_utils import ProcessorMixin

LORA_TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


class QwenFilmProcessor(Qwen2_5_VLProcessor):
    """`Qwen2_5_VLProcessor` for still images: no video processor, which would need torchvision."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        # The parent's __init__ would ask for the video processor; the grandparent's does not.
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors that a call returns."""
        return [*ProcessorMixin.model_input_names.fget(self), "mm_token_type_ids"]


@dataclass(frozen=True)
class Family:
    """One model family.

    `revision` is the commit of `hub_id` that the study uses, `model_type` what a checkpoint's config.json must say.
    `image_tokens` are the control tokens that a sampler must never emit: one more of them than there are image features
    breaks the model. `film_pixels` is the (least, most) pixels of an image, None where the processor fixes it.
    """

    name: str
    title: str
    hub_id: str
    revision: str
    model_type: str
    model_class: Any  # a class with `from_pretrained`; transformers' own types are partial
    processor_class: Any
    image_tokens: tuple[str, ...]
    image_pixels: tuple[int, int] | None
    lora_targets: str = LORA_TARGETS

    def revision_of(self, source: str) -> str:
        """The pinned commit for the published weights; the latest of any other hub id; no matter for a folder."""
        return self.revision if source == self.hub_id else "main"


# 256 to 512 visual tokens of 28 x 28 pixels each (paper, section 3.2.1).
QWEN_PIXELS = (256 * 28 * 28, 512 * 28 * 28)
QWEN_IMAGE_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
GEMMA_IMAGE_TOKENS = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")

# The commits were not read from the hub, which was out of reach here: each is the one that several public repositories
# name as this model's, found by searching their text. A commit that does not exist is refused by the hub.
FAMILIES: Mapping[str, Family] = {
    "medgemma": Family(
        "medgemma", "MedGemma-4B", "google/medgemma-4b-it", "290cda5eeccbee130f987c4ad74a59ae6f196408", "gemma3",
        Gemma3ForConditionalGeneration, Gemma3Processor, GEMMA_IMAGE_TOKENS, None,
    ),
    "qwen": Family(
        "qwen", "Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct", "66285546d2b821cf421d4f5eb2576359d3770cd3",
        "qwen2_5_vl", Qwen2_5_VLForConditionalGeneration, QwenFilmProcessor, QWEN_IMAGE_TOKENS, QWEN_PIXELS,
    ),
    "nv_reason": Family(
        "nv_reason", "NV-Reason-CXR-3B", "nvidia/NV-Reason-CXR-3B", "056bd0383b35226554da9dc5866e095df174ae19",
        "qwen2_5_vl", Qwen2_5_VLForConditionalGeneration, QwenFilmProcessor, QWEN_IMAGE_TOKENS, QWEN_PIXELS,
    ),
}  # fmt: skip
