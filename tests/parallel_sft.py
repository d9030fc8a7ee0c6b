"""One SFT run of a miniature, by itself or as one of several processes of `torchrun`.

Used by test_data_parallel.py: python tests/parallel_sft.py FOLDER stock|fast. Each process writes the trained
weights to FOLDER/<rank of processes>.pt, so that they can be compared.
"""

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from chexreason import models, prompts, sft
from chexreason.config import SFT, Speed
from chexreason.data.study import Study
from chexreason.labels import FINDINGS

STUDIES, TOGETHER = 18, 8
CHECKPOINT = Path(models.__file__).parents[1] / "checkpoints" / "qwen"


def run(folder: Path, fast: bool) -> dict[str, torch.Tensor]:
    """Train one epoch of two steps of eight studies, whoever shares them; returns what LoRA learnt."""
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    studies = []
    for k in range(STUDIES):
        film = folder / f"film-{rank}-{k}.png"
        Image.fromarray(rng.integers(0, 255, (168, 168), dtype=np.uint8)).save(film)
        studies.append(Study("mimic", f"p{k}", f"s{k}", film, "PA", "train", {FINDINGS[1 + k % 13]: 1.0}, FINDINGS))
    # Answers of unequal lengths: a mean of means over processes would not be the mean over tokens.
    answers = [f"<solution>{', '.join(FINDINGS[1 : 2 + k % 6])}</solution>" for k in range(STUDIES)]
    off = Speed(**{field.name: False for field in dataclasses.fields(Speed)})
    settings = SFT(
        epochs=1, lora_dropout=0.0, learning_rate=1e-3, warmup=0.0, schedule="constant", device_batch=1,
        effective_batch=TOGETHER // processes, validation_share=0.1,
    )  # fmt: skip
    if rank:  # else every process would write ``best`` at once
        sft._keep = lambda trainer, place: None
    trainer = sft.train(
        models.load("qwen", CHECKPOINT), studies, answers, prompts.get("only_label"), settings,
        folder / f"run-of-{processes}", 0, Speed() if fast else off,
    )  # fmt: skip
    assert trainer.state.global_step == 2
    return {name: w.detach().clone() for name, w in trainer.model.named_parameters() if w.requires_grad}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    learnt = run(place, sys.argv[2] == "fast")
    torch.save(learnt, place / f"{os.environ.get('RANK', '0')}-{os.environ.get('WORLD_SIZE', '1')}.pt")
