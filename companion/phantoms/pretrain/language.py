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


class Reader:
    """Turns (lesson, answers) into tensors; a lesson's prompt is tokenised once."""

    def __init__(self, processor: ProcessorMixin, image: np.ndarray) -> None:
        self.processor, self.image = processor, image
        self.prompts: dict[str, dict[str, torch.Tensor]] = {}
        template = processor.apply_chat_template(chat("x", "y"), tokenize=False)
        #: What closes an answer in the family's chat format.
        self.end = template.rsplit("y", 1)[1].rstrip("\n")

    def prompt(self, text: str) -> dict[str, torch.Tensor]:
        """The prompt's tensors for one picture."""
        if text not in self.prompts:
            rendered = self.processor.apply_chat_template(chat(text), add_generation_prompt=True, tokenize=False)
            rgb = np.repeat(self.image[None], 3, axis=0)
            self.prompts[text] = dict(
                self.processor(images=[[rgb]], text=[rendered], return_tensors="pt", add_special_tokens=False,
                               input_data_format="channels_first")
            )  # fmt: skip
        return self.prompts[text]

    def batch(self, lesson: Lesson, answers: Sequence[str]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """(model inputs without pixels, labels) for B answers; labels are -100 outside the answers."""
        prompt = self.prompt(lesson.text)
        tokenizer = self.processor.tokenizer
        ids = [tokenizer(answer + self.end, add_special_tokens=False)["input_ids"] for answer in answers]
        longest = max(map(len, ids))
        answer_BT = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in ids])
        mask_BT = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
        inputs: dict[str, torch.Tensor] = {}
        for name, value in prompt.items():
            if name in ("pixel_values", "num_crops"):
                continue
            repeated = value.expand(len(answers), -1)
            fill = {"input_ids": answer_BT, "attention_mask": mask_BT}.get(name, torch.zeros_like(answer_BT))
            inputs[name] = repeated if name == "image_grid_thw" else torch.cat([repeated, fill], dim=1)
        labels = torch.where(mask_BT.bool(), answer_BT, torch.tensor(-100))
        return inputs, labels


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
    reader = Reader(processor, images[0])
    weights = [p for name, p in model.named_parameters() if ".language_model." in name or "lm_head" in name]
    plan = [(batch, lessons) for steps, batch, lessons in stages for _ in range(steps)]

    def loss(step: int, rng: np.random.Generator) -> torch.Tensor:
        batch, lessons = plan[step]
        share = np.array([lesson.weight for lesson in lessons])
        lesson = lessons[rng.choice(len(lessons), p=share / share.sum())]
        chosen = rng.choice(len(images), batch, replace=False)
        inputs, labels = reader.batch(lesson, [lesson.answer(about[i], rng) for i in chosen])
        return loss_of(model, inputs, labels, tokens_N[chosen])

    model.train()
    last = fit(
        {"model": model}, weights, loss, steps=len(plan), seed=seed, keep=keep, learning_rate=2e-3, label=label,
        betas=(0.9, 0.98),
    )  # fmt: skip
    model.eval()
    return last
