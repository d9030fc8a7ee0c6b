"""The real architectures with random weights, and what they are asked in `gpu_proof.py`.

Nothing is fetched. Dimensions, layers, vocabulary and image sizes are the published ones; the values of the weights
are random, since time and memory do not depend on them. Words are split by the miniature's tokenizer, whose 2,048
ids are valid in the larger vocabulary; the control tokens' ids in the configuration are set to that tokenizer's. The
model still scores all 262,208 or 151,936 tokens at each step. Images are phantoms, enlarged to the size of a
radiograph's copy (1,024 pixels), so that the processor has its usual work.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, Gemma3Processor
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from chexreason import models
from chexreason.data.study import Study
from chexreason.labels import FINDINGS
from chexreason.models import FAMILIES, Loaded, QwenImageProcessor
from chexreason.prompts import Prompt
from companion.phantoms import draw, sample_case
from companion.phantoms.pretrain.make import CHECKPOINTS
from companion.phantoms.teacher.completion import write_completion
from companion.replication.published import config_of

IMAGE_PX, DRAWN_PX = 1024, 256
#: A published field of a configuration -> the miniature's token that stands for it.
CONTROL = {
    "gemma3": {"image_token_index": "<image_soft_token>", "boi_token_index": "<start_of_image>",
               "eoi_token_index": "<end_of_image>"},
    "qwen2_5_vl": {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
                   "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"},
}  # fmt: skip


def real(name: str, device: str = "cuda") -> Loaded:
    """A family's real architecture in bfloat16 on a device, with random weights."""
    family, small = FAMILIES[name], models.load_processor(FAMILIES[name], str(CHECKPOINTS / name))
    ids = small.tokenizer.convert_tokens_to_ids
    config = config_of(name)
    for field, token in CONTROL[family.model_type].items():
        setattr(config, field, ids(token))
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16).eval()
    pad, end = small.tokenizer.pad_token_id, small.tokenizer.eos_token_id
    for part in (config, config.get_text_config()):
        part.pad_token_id, part.eos_token_id = pad, end
    model.generation_config.update(pad_token_id=pad, eos_token_id=[end])
    return never_ending(Loaded(model, _processor(small, family.image_pixels), family, "random weights"))


def tiny(name: str) -> Loaded:
    """The miniature of a family: the same path on any machine."""
    return never_ending(models.load(name, CHECKPOINTS / name))


def _processor(small: Any, pixels: tuple[int, int] | None) -> Any:
    """The miniature's words with the published size of image."""
    if pixels is None:
        images = Gemma3ImageProcessorPil(size={"height": 896, "width": 896}, image_seq_length=256)
        made = Gemma3Processor(images, small.tokenizer, chat_template=small.chat_template, image_seq_length=256)
    else:
        images = Qwen2VLImageProcessorPil(min_pixels=pixels[0], max_pixels=pixels[1])
        made = QwenImageProcessor(images, small.tokenizer, chat_template=small.chat_template)
    made.tokenizer.padding_side = "left"
    return made


def silent(loaded: Loaded) -> list[int]:
    """Tokens that must not come: images, and every token that ends an answer, so that each has full length."""
    ends = np.atleast_1d(loaded.model.generation_config.eos_token_id).tolist()
    return sorted({*models.image_token_ids(loaded), *ends})


def never_ending(loaded: Loaded) -> Loaded:
    """The model, whose answers run to the longest that is allowed."""
    loaded.model.generation_config.suppress_tokens = silent(loaded)
    return loaded


def studies(n: int, folder: Path) -> list[Study]:
    """Studies of as many patients, with phantom images of 1,024 pixels in a folder."""
    made = []
    for k in range(n):
        case, image = sample_case(0, k, "A"), folder / f"{k}.png"
        Image.fromarray(draw(case, DRAWN_PX)).resize((IMAGE_PX, IMAGE_PX)).save(image)
        made.append(Study("mimic", f"p{k}", f"s{k}", image, "PA", "train", dict.fromkeys(case.truth, 1.0), FINDINGS))
    return made


def answer(loaded: Loaded, study: Study, prompt: Prompt, tokens: int) -> str:
    """A teacher's trace of at least so many tokens, ended by the study's labels."""
    sentence = "The heart is wide and the left base is dense. "
    length = len(loaded.processor.tokenizer(sentence, add_special_tokens=False)["input_ids"])
    return write_completion((sentence * (tokens // length + 1)).strip(), study.labels, prompt.answer)


def lengths(loaded: Loaded, some: Sequence[Study], prompt: Prompt) -> dict[str, int]:
    """Tokens of an image and of a prompt with its image, as the processor makes them."""
    inputs = models.encode(loaded, [Image.open(some[0].image)], prompt.text)
    image = loaded.model.config.image_token_id
    return {"film_tokens": int((inputs["input_ids"] == image).sum()), "prompt_tokens": inputs["input_ids"].shape[1]}
