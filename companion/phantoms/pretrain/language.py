"""Second stage of pre-training: the language model learns to say what the frozen tower sees.

The image tokens of every picture are computed once and handed to the model in place of the pixels
(`mm_encoder_outputs`), so a step costs only the language model. Each batch holds one lesson, so
that nothing but the answers is padded.
"""

import math
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
from companion.phantoms.pretrain.tower import SAVE_EVERY, features, pixels


@torch.inference_mode()
def image_tokens(model: PreTrainedModel, processor: ProcessorMixin, films: np.ndarray) -> torch.Tensor:
    """The projected image tokens of films (N, px, px): (N, cells, hidden), half precision."""
    parts = []
    for i in tqdm(range(0, len(films), 100), desc="image tokens", unit="batch", mininterval=10):
        parts.append(features(model, pixels(processor, films[i : i + 100])).half())
    return torch.cat(parts)


class Reader:
    """Turns (lesson, answers) into tensors; a lesson's prompt is tokenised once."""

    def __init__(self, processor: ProcessorMixin, film: np.ndarray) -> None:
        self.processor, self.film = processor, film
        self.prompts: dict[str, dict[str, torch.Tensor]] = {}
        template = processor.apply_chat_template(chat("x", "y"), tokenize=False)
        #: What closes an answer in the family's chat format.
        self.end = template.rsplit("y", 1)[1].rstrip("\n")

    def prompt(self, text: str) -> dict[str, torch.Tensor]:
        """The prompt's tensors for one picture."""
        if text not in self.prompts:
            rendered = self.processor.apply_chat_template(chat(text), add_generation_prompt=True, tokenize=False)
            rgb = np.repeat(self.film[None], 3, axis=0)
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
    model: PreTrainedModel, processor: ProcessorMixin, films: np.ndarray, about: Sequence[About],
    stages: Sequence[tuple[int, int, Sequence[Lesson]]], *, seed: int, keep: Path, learning_rate: float = 2e-3,
    label: str = "language",
) -> float:  # fmt: skip
    """Train the language model through stages of (steps, batch, lessons); returns the last mean loss.

    Goes on from `keep` if that file is there.
    """
    tokens_N = image_tokens(model, processor, films)
    reader = Reader(processor, films[0])
    weights = [p for name, p in model.named_parameters() if ".language_model." in name or "lm_head" in name]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.05, betas=(0.9, 0.98))
    plan = [(batch, lessons) for steps, batch, lessons in stages for _ in range(steps)]
    step = _resume(keep, model, optimizer)
    model.train()
    recent: list[float] = []
    bar = tqdm(range(step, len(plan)), desc=label, unit="step", initial=step, total=len(plan), mininterval=10)
    for step in bar:
        rng = np.random.default_rng([seed, step])
        batch, lessons = plan[step]
        for group in optimizer.param_groups:
            group["lr"] = (
                learning_rate * min(1, (step + 1) / 50) * (0.02 + 0.98 * math.cos(math.pi / 2 * step / len(plan)) ** 2)
            )
        share = np.array([lesson.weight for lesson in lessons])
        lesson = lessons[rng.choice(len(lessons), p=share / share.sum())]
        chosen = rng.choice(len(films), batch, replace=False)
        inputs, labels = reader.batch(lesson, [lesson.answer(about[i], rng) for i in chosen])
        loss = loss_of(model, inputs, labels, tokens_N[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        recent = [*recent[-49:], loss.item()]
        bar.set_postfix(loss=f"{np.mean(recent):.3f}", refresh=False)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == len(plan):
            aside = keep.with_suffix(".partial")
            torch.save({"step": step + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, aside)
            aside.replace(keep)
            tqdm.write(f"{label}: step {step + 1}, mean loss {np.mean(recent):.3f}")
    model.eval()
    return float(np.mean(recent)) if recent else float("nan")


def _resume(keep: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> int:
    if not keep.is_file():
        return 0
    state = torch.load(keep, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
