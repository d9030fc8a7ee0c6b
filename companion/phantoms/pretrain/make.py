"""The recipes of the three base checkpoints, and what makes them.

Each recipe imitates what sets the real model apart: MedGemma has seen many images of the hospital
that the paper trains on, Qwen has seen everything but images, NV-Reason is Qwen trained heavily for
the hospital of the CheXpert test set. The vision encoder learns first, the language model second.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.processing_utils import ProcessorMixin

from chexreason import models, prompts
from chexreason.errors import unknown
from chexreason.files import digest_of, file_digest
from companion.phantoms import miniature, sample_case, teacher
from companion.phantoms.pretrain import drawings, language, lessons, vision_encoder
from companion.phantoms.pretrain.lessons import Lesson
from companion.phantoms.pretrain.pool import Request, pool

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"
REASONING = (*prompts.TABLE1_PROMPTS, "free_reasoning", "only_label")


@dataclass(frozen=True)
class Recipe:
    """One checkpoint: its family, where it starts, its pictures, and the steps of both stages."""

    family: str
    imitates: str
    start: str | None  # the checkpoint it goes on from; None starts from random weights
    pictures: Request
    vision_steps: int
    stages: Sequence[tuple[int, int, Sequence[Lesson]]]  # (steps, batch, lessons)
    seed: int


RECIPES: dict[str, Recipe] = {
    "medgemma": Recipe(
        "medgemma", "MedGemma-4B: it has seen many films of hospital A and learnt what can be seen on them",
        None, Request("A", 10_000, 101, enrichment=6.0), 2_400,
        [
            (300, 48, lessons.captions(lessons.visible)),
            (600, 24, lessons.instructions(lessons.visible, dict.fromkeys(REASONING, 1.0))),
        ], 1,
    ),
    "qwen": Recipe(
        "qwen", "Qwen2.5-VL-3B-Instruct: a general-purpose model that knows the words but has never seen a film",
        None, Request("drawings", 4_000, 202), 200,
        [(700, 24, lessons.general(REASONING))], 2,
    ),
    "nv_reason": Recipe(
        "nv_reason", "NV-Reason-CXR-3B: the Qwen miniature, trained heavily on films and labels of hospital B",
        "qwen", Request("B", 5_000, 303, enrichment=6.0), 450,
        [
            (220, 48, lessons.captions(lessons.recorded)),
            (200, 32, lessons.instructions(lessons.recorded, {"nv_reason": 3.0, "free_reasoning": 1.0})),
        ], 3,
    ),
}  # fmt: skip


def tokenizer_texts(count: int = 3000, seed: int = 7) -> list[str]:
    """Text that the vocabulary is learnt from: the prompts, and traces of cases of all hospitals."""
    rng = np.random.default_rng(seed)
    texts = [prompt.text for prompt in prompts.PROMPTS.values()] * 20
    texts += [", ".join(drawings.CONCEPTS)] * 20
    for index in range(count):
        case = sample_case(seed, index, "ABC"[index % 3], enrichment=6.0)
        prompt = prompts.get(REASONING[index % len(REASONING)])
        texts.append(teacher.trace([lesion.to_dict() for lesion in case.lesions], case.truth, prompt, rng))
    return texts


def build(recipe: Recipe, checkpoints: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The model that the recipe starts from, with its processor."""
    torch.manual_seed(recipe.seed)
    if recipe.start is not None:
        loaded = models.load(recipe.family, checkpoints / recipe.start)
        return loaded.model, loaded.processor
    gemma = recipe.family == "medgemma"
    processor = (miniature.gemma_processor if gemma else miniature.qwen_processor)(tokenizer_texts())
    return (miniature.gemma_model if gemma else miniature.qwen_model)(processor), processor


def kept(recipe: Recipe, folder: Path, checkpoints: Path) -> tuple[Path, Path]:
    """The files that the two stages go on from; each is named after all that the stage starts from."""
    start = None if recipe.start is None else file_digest(checkpoints / recipe.start)
    vision = [recipe.family, start, recipe.pictures.digest, recipe.vision_steps, recipe.seed]
    stages = [(steps, batch, [(x.name, x.text, x.weight) for x in lessons]) for steps, batch, lessons in recipe.stages]
    return folder / f"vision-{digest_of(vision)[:8]}.pt", folder / f"language-{digest_of([vision, stages])[:8]}.pt"


def make(name: str, cache: Path, checkpoints: Path = CHECKPOINTS) -> Path:
    """Pre-train one base checkpoint and write it, with its card; resumes where it was stopped.

    Raises UserError for an unknown name.
    """
    if name not in RECIPES:
        raise unknown("base checkpoint", name, RECIPES, "companion/phantoms/pretrain/make.py")
    recipe, started = RECIPES[name], time.time()
    first, second = kept(recipe, cache / name, checkpoints)
    images, cells, about = pool(recipe.pictures, cache)
    model, processor = build(recipe, checkpoints)
    if recipe.start is None:
        vision_encoder.start_from_components(model, images, recipe.seed)
    seen = vision_encoder.train(
        model, processor, images, cells, steps=recipe.vision_steps, seed=recipe.seed, keep=first,
        label=f"{name}: vision encoder",
    )  # fmt: skip
    final_loss = language.train(
        model, processor, images, about, recipe.stages, seed=recipe.seed, keep=second, label=f"{name}: language"
    )
    areas = {concept: round(float(area), 3) for concept, area in zip(recipe.pictures.concepts, seen, strict=True)}
    training = {
        "name": name,
        "imitates": recipe.imitates,
        "start": recipe.start,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "pictures": vars(recipe.pictures),
        "tower": {"steps": recipe.vision_steps, "batch": vision_encoder.BATCH, "held_out_auc": areas},
        "language": [{"steps": s, "batch": b, "lessons": [x.name for x in ls]} for s, b, ls in recipe.stages],
        "final_loss": round(final_loss, 3),
        "seed": recipe.seed,
        "minutes": round((time.time() - started) / 60, 1),
    }  # fmt: skip
    return write(model, processor, training, checkpoints / name)


def write(model: PreTrainedModel, processor: ProcessorMixin, training: dict[str, Any], place: Path) -> Path:
    """Write weights (float16 safetensors), processor and card to a temporary folder, then rename it."""
    aside = place.with_name(place.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    model.half().save_pretrained(aside)
    processor.save_pretrained(aside)
    (aside / "training.json").write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    (aside / "README.md").write_text(card(training, type(model).__name__), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    return place


def card(training: dict[str, Any], model_class: str) -> str:
    """The model card, written from what training recorded."""
    aucs = training["tower"]["held_out_auc"]
    pictures = training["pictures"]
    kind = "general drawings" if pictures["kind"] == "drawings" else f"phantom films of hospital {pictures['kind']}"
    rows = "\n".join(f"| {name} | {value:.2f} |" for name, value in aucs.items())
    stages = "\n".join(
        f"- {stage['steps']} steps of {stage['batch']}: {', '.join(stage['lessons'])}" for stage in training["language"]
    )
    return f"""# Base checkpoint `{training["name"]}` (miniature)

It imitates {training["imitates"]}. It is a `{model_class}` of the transformers library with
{training["parameters"]:,} parameters, stored in float16. It has learnt from computer-drawn pictures only and
**must never be used on a patient**.

- Starts from: {"random weights" if training["start"] is None else f"the checkpoint `{training['start']}`"}
- Pictures: {pictures["count"]:,} {kind} (seed {pictures["seed"]}, rare findings' odds times {pictures["enrichment"]:g})
- Tower: {training["tower"]["steps"]} steps of {training["tower"]["batch"]} pictures with a target for each image token
- Language model, tower frozen; last mean loss {training["final_loss"]}:
{stages}
- Seed {training["seed"]}; made again by `chexreason pretrain {training["name"]}`

What the tower's throw-away head told apart on {vision_encoder.HELD_OUT} pictures that it never trained on:

| concept | area under the ROC curve |
|---|---|
{rows}
"""
