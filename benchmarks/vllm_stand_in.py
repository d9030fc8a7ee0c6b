"""Small models that vLLM takes, for `vllm_agreement.py --stand-in`: a miniature with other attention heads.

vLLM asks for what the miniatures lack and the published checkpoints have: heads of a width that its kernels know,
Gemma's newline tokens, Qwen's processor for videos, the vision encoder's weights under their published names. All
other weights are the miniature's; the new heads learn for some minutes, until answers have the asked form and end.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.processing_utils import ProcessorMixin

from chexreason import models
from companion.phantoms.pretrain import language, lessons
from companion.phantoms.pretrain.make import CHECKPOINTS
from companion.phantoms.pretrain.pool import Request, pool

NEWLINES = ["\n" * count for count in range(1, 5)]
HEAD = 64
PICTURES, STEPS, BATCH = 400, 300, 16


def write(name: str, folder: Path) -> None:
    """Make the stand-in of a family and write model and processor to a folder, in the published format."""
    small = models.load(name, CHECKPOINTS / name)
    torch.manual_seed(0)
    model, processor = _with_other_heads(small.model, small.processor), small.processor
    images, _, about = pool(Request("A", PICTURES, 404, enrichment=6.0), folder)
    lesson = lessons.instructions(lessons.visible, {"free_reasoning": 1.0})
    language.train(model, processor, images, about, [(STEPS, BATCH, lesson)], seed=0, keep=folder / "language.pt")
    model.save_pretrained(folder)
    if name == "medgemma":
        weights = load_file(folder / "model.safetensors")
        renamed = {_published_name(key): value for key, value in weights.items()}
        save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
        processor.save_pretrained(folder)
    else:
        _with_videos(processor).save_pretrained(folder)


def _with_other_heads(small: PreTrainedModel, processor: ProcessorMixin) -> PreTrainedModel:
    """The miniature with random heads of 64 in the language model, all other weights as they were."""
    config = type(small.config).from_dict(small.config.to_dict())
    text = config.get_text_config()
    if config.model_type == "gemma3":
        processor.tokenizer.add_tokens(NEWLINES)
        text.head_dim = text.query_pre_attn_scalar = HEAD
    else:
        text.num_attention_heads, text.num_key_value_heads = text.hidden_size // HEAD, 1
        text.rope_parameters["mrope_section"] = [HEAD // 8, 3 * HEAD // 16, 3 * HEAD // 16]
    model = type(small)(config).eval()
    mine = model.state_dict()
    for name, value in small.state_dict().items():
        if mine[name].shape == value.shape:
            mine[name].copy_(value)
    model.generation_config = small.generation_config
    return model


def _published_name(key: str) -> str:
    """A weight's name in Gemma 3's published checkpoints."""
    key = key.removeprefix("model.")
    for part, inner in (("vision_tower.", "vision_model."), ("language_model.", "model.")):
        if key.startswith(part) and not key.startswith(part + inner):
            return part + inner + key.removeprefix(part)
    return key


def _with_videos(processor: ProcessorMixin) -> ProcessorMixin:
    """The processor with the part for videos that the published one has; it needs torchvision, which vLLM brings."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLVideoProcessor

    images = processor.image_processor
    videos = Qwen2VLVideoProcessor(
        patch_size=images.patch_size, merge_size=images.merge_size, temporal_patch_size=images.temporal_patch_size
    )
    return Qwen2_5_VLProcessor(images, processor.tokenizer, videos, chat_template=processor.chat_template)
