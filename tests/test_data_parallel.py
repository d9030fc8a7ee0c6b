"""Two processes that share a step learn what one learns: `torchrun` with gloo, on the processor.

As a script each process writes what it holds after each training to FOLDER/<rank>.pt.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from chexreason import grpo, models, processes, prompts, sft
from chexreason.config import load_profile
from chexreason.data.study import Study
from chexreason.labels import FINDINGS
from chexreason.models import add_lora
from chexreason.recipe import GRPO, SFT, LoRA

STUDIES, TOGETHER = 9, 4
ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = ROOT / "companion" / "phantoms" / "checkpoints" / "qwen"


def images(folder: Path) -> list[Study]:
    """The same studies for every process, each with files of its own."""
    rng = np.random.default_rng(0)
    studies = []
    for k in range(STUDIES):
        image = folder / f"image-{os.environ.get('RANK', '0')}-{k}.png"
        Image.fromarray(rng.integers(0, 255, (168, 168), dtype=np.uint8)).save(image)
        studies.append(Study("mimic", f"p{k}", f"s{k}", image, "PA", "train", {FINDINGS[1 + k % 13]: 1.0}, FINDINGS))
    return studies


def fine_tune(folder: Path) -> torch.nn.Module:
    """Two steps of four studies. Their answers differ in length: a mean of means would not be the mean over tokens."""
    answers = [f"<solution>{', '.join(FINDINGS[1 : 2 + k % 6])}</solution>" for k in range(STUDIES)]
    settings = SFT(
        num_train_epochs=1, learning_rate=1e-3, warmup_steps=0.0, lr_scheduler_type="constant",
        per_device_train_batch_size=1, studies_per_step=TOGETHER, validation_share=0.1,
    )  # fmt: skip
    profile = dataclasses.replace(
        load_profile("demo"), seed=0, sft=settings, lora=LoRA(lora_dropout=0.0),
        engines={"sft": "companion.speed.sft.FastSFTTrainer"},
    )  # fmt: skip
    run = folder / f"run-of-{processes.count()}"
    loaded, prompt = models.load("qwen", CHECKPOINT), prompts.get("only_label")
    trainer = sft.train(loaded, images(folder), answers, prompt, profile, run)
    assert trainer.state.global_step == 2
    return trainer.model


def reinforce(folder: Path) -> tuple[torch.nn.Module, dict[str, object]]:
    """Two rollout batches of two studies. What is sampled follows from the image alone, whoever samples it."""
    start = folder / f"start-{os.environ.get('RANK', '0')}"
    torch.manual_seed(0)
    add_lora(models.load("qwen", CHECKPOINT), LoRA()).save_pretrained(start)
    profile = dataclasses.replace(
        load_profile("demo"), engines={"grpo": "companion.speed.grpo.FastGRPOTrainer"},
        grpo=GRPO(studies_per_step=2, per_device_train_batch_size=4, learning_rate=1e-3, warmup_steps=0.0,
                  lr_scheduler_type="constant", max_completion_length=24, shuffle_dataset=False),
    )  # fmt: skip
    loaded = models.load("qwen", CHECKPOINT)
    task = grpo.Task.recorded(images(folder)[:4], prompts.get("only_label"), "nuanced", "zeros")
    trainer = grpo.trainer_for(loaded, start, task, profile, folder / f"grpo-of-{processes.count()}")
    encode = loaded.processor.tokenizer.encode

    def sample(prompt_ids, images, fields, num_generations, has_tool_images=False):
        told = []
        for place, [image] in enumerate(images):
            k = place % num_generations
            first = 1 + (int(np.asarray(image)[0, 0].flat[0]) + k) % 5
            names = FINDINGS[first : first + 1 + k]
            told.append(encode(f"<solution>{', '.join(names)}</solution>")[:24])
        return told, None

    trainer._generate_single_turn = sample
    trainer.train()
    return trainer.model, trainer.reward_funcs[0].reward.state_dict()


def learnt(folder: Path, what: str) -> dict[str, Any]:
    """The weights after one training, and after GRPO the reward's window."""
    folder.mkdir(parents=True, exist_ok=True)
    model, window = (fine_tune(folder), None) if what == "sft" else reinforce(folder)
    weights = {name: w.detach().clone() for name, w in model.named_parameters() if w.requires_grad}
    return {"weights": weights, "window": window}


def test_two_processes_learn_what_one_learns(tmp_path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [*launch, __file__, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    shared = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for training in ("sft", "grpo"):
        alone = learnt(tmp_path / "alone" / training, training)
        moved = [name for name, weight in alone["weights"].items() if "lora_B" in name and weight.any()]
        assert len(moved) > len(alone["weights"]) // 3, f"nothing was learnt by {training}"
        for held in shared:
            assert held[training]["window"] == alone["window"]
            for name, weight in alone["weights"].items():
                torch.testing.assert_close(held[training]["weights"][name], weight, rtol=1e-3, atol=1e-5)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    held = {training: learnt(place / training, training) for training in ("sft", "grpo")}
    torch.save(held, place / f"{os.environ['RANK']}.pt")
