"""Trainers on the miniature for the page about the reference policy (book/reference.md)."""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed
from trl import GRPOTrainer

from chexreason import config, data, files, grpo, models, prompts
from chexreason.data.image import open_image
from companion.phantoms.writers import write_tree

MODEL = "medgemma"
#: Studies of a rollout batch, tokens of a completion, and the standard deviation of the stand-in's weights.
STUDIES, TOKENS, SPREAD = 4, 12, 0.05


def miniature(
    folder: Path, engine: Mapping[str, Any] | None = None, **settings: Any
) -> tuple[GRPOTrainer, dict[str, torch.Tensor]]:
    """A trainer that goes on from an adapter saved in `folder`, and one image with its question as tensors.

    The adapter's weights are random: any that change the model can stand in for those of fine-tuning. `engine` names
    another trainer than TRL's own, as a profile does; `settings` are GRPO's.
    """
    profile = config.load_profile("smoke", cache=folder / "cache")
    policy = replace(profile.grpo, max_completion_length=TOKENS, **settings)
    profile = replace(profile, engines={"grpo": dict(engine)} if engine else {}, grpo=policy)
    prompt, source, start = prompts.get("only_label"), profile.models[MODEL], folder / "start"
    write_tree(folder / "images", "A", {"train": STUDIES}, profile.seed, progress=False)
    studies = data.load("mimic", folder / "images", "train").studies
    if not files.whole(start):
        set_seed(profile.seed)
        adapter = models.add_lora(models.load(MODEL, source), profile.lora)
        for name, weight in adapter.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(0, SPREAD)
        adapter.save_pretrained(str(start))
        files.seal(start)
    loaded = models.load(MODEL, source)
    task = grpo.Task.recorded(studies, prompt, "hard", profile.decoding.uncertain)
    trainer = grpo.trainer_for(loaded, start, task, profile, folder / "training")
    return trainer, models.encode(loaded, [open_image(studies[0].image)], prompt.text)


def first_logged(trainer: GRPOTrainer) -> float:
    """The `kl` that TRL logs at the first step, which is taken."""
    trainer.args.max_steps = 1
    with contextlib.redirect_stderr(io.StringIO()):  # the progress bar
        trainer.train()
    return float(trainer.state.log_history[0]["kl"])
