"""Second stage of pre-training: the language model learns to say what the frozen vision encoder sees.

The image tokens of every picture are computed once and handed to the model in place of the pixels
(`mm_encoder_outputs`), so a step costs only the language model. Each batch holds one lesson, so
that nothing but the answers is padded.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.processing_utils import ProcessorMixin

from chexreason.models import chat
from companion.phantoms.pretrain.lessons import About, Lesson
from companion.phantoms.pretrain.vision_encoder import features, fit, pixels


@torch.inference_mode()
def image_tokens(model: PreTrainedModel, processor: ProcessorMixin, images: np.ndarray) -> torch.Tensor:
    """The projected image tokens of images (N, px, px): (N, cells, hidden), half precision."""
    parts = []
    for i in tqdm(range(0, len(images), 100), desc="image tokens", unit="batch", mininterval=10):
        parts.append(features(model, pixels(processor, images[i : i + 100])).half())
    return torch.cat(parts)


def tensors(
    processor: ProcessorMixin, lesson: Lesson, answers: Sequence[str], image: np.ndarray
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """(model inputs without pixels, labels) for B answers; labels are -100 outside the answers.

    Any `image` (px, px) will do: how many tokens stand for it depends on its size alone.
    """
    prompt = processor.apply_chat_template(chat(lesson.text), add_generation_prompt=True, tokenize=False)
    # What closes an answer in the family's chat format; the line break after it is not taught.
    end = processor.apply_chat_template(chat("x", "y"), tokenize=False).rsplit("y", 1)[1].rstrip("\n")
    inputs = processor(
        images=[[np.repeat(image[None], 3, axis=0)]] * len(answers), text=[prompt + answer + end for answer in answers],
        return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False,
        input_data_format="channels_first",
    )  # fmt: skip
    ids_BT, mask_BT = inputs["input_ids"], inputs["attention_mask"]
    taught = [len(processor.tokenizer(answer + end, add_special_tokens=False)["input_ids"]) for answer in answers]
    start = mask_BT.sum(1) - torch.tensor(taught)  # the same for all: they share the prompt
    answered_BT = (torch.arange(ids_BT.shape[1]) >= start[:, None]) & mask_BT.bool()
    labels_BT = torch.where(answered_BT, ids_BT, torch.tensor(-100))[:, int(start.min()) :]
    return {name: value for name, value in inputs.items() if name not in ("pixel_values", "num_crops")}, labels_BT


def loss_of(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], labels: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Mean negative log-likelihood of the answers, given image tokens (B, cells, hidden)."""
    # Qwen2.5-VL hands its image tokens on as one tensor a picture, Gemma 3 as one for the batch.
    per_picture = model.config.model_type == "qwen2_5_vl"
    seen = BaseModelOutputWithPooling(pooler_output=tuple(tokens.float()) if per_picture else tokens.float())
    keep = labels.shape[1] + 1
    logits = model(**inputs, mm_encoder_outputs={"image": seen}, logits_to_keep=keep, use_cache=False).logits[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)


def train(
    model: PreTrainedModel, processor: ProcessorMixin, images: np.ndarray, about: Sequence[About],
    stages: Sequence[tuple[int, int, Sequence[Lesson]]], *, seed: int, keep: Path, label: str = "language",
) -> float:  # fmt: skip
    """Train the language model through stages of (steps, batch, lessons); returns the last mean loss.

    Resumes from `keep` if that file is there.
    """
    tokens_N = image_tokens(model, processor, images)
    weights = [p for name, p in model.named_parameters() if ".language_model." in name or "lm_head" in name]
    plan = [(batch, lessons) for steps, batch, lessons in stages for _ in range(steps)]

    def loss(step: int, rng: np.random.Generator) -> torch.Tensor:
        batch, lessons = plan[step]
        share = np.array([lesson.weight for lesson in lessons])
        lesson = lessons[rng.choice(len(lessons), p=share / share.sum())]
        chosen = rng.choice(len(images), batch, replace=False)
        answers = [lesson.answer(about[i], rng) for i in chosen]
        return loss_of(model, *tensors(processor, lesson, answers, images[0]), tokens_N[chosen])

    model.train()
    last = fit(
        {"model": model}, weights, loss, steps=len(plan), seed=seed, keep=keep, learning_rate=2e-3, label=label,
        betas=(0.9, 0.98),
    )  # fmt: skip
    model.eval()
    return last
