"""Group relative policy optimization from the SFT checkpoint (paper, section 3.2.2, equation 2; Table 4).

TRL's `GRPOTrainer` does the training; `objective` states what it computes. Two places where the
paper's text and its settings differ are decided by the settings: equation 2 divides by each
completion's length, but the paper uses the Dr. GRPO normalisation (a constant length); and its clip
bounds are asymmetric.
"""

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate.utils import gather_object
from peft import PeftModel
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl import GRPOConfig, GRPOTrainer

from chexreason import cohorts, evaluate, models, prompts, rewards, runs, training
from chexreason.cohorts import Chosen
from chexreason.completions import parse_completion
from chexreason.config import Profile
from chexreason.data.study import Study
from chexreason.engines import engine
from chexreason.errors import unknown
from chexreason.examples import examples
from chexreason.files import digest_of, file_digest, write_atomically
from chexreason.hyperparameters import GRPO, VLLM_MEMORY, plain, vllm_silence
from chexreason.labels import positives
from chexreason.models import Loaded
from chexreason.models.lora import assert_language_only, with_adapter
from chexreason.prompts import Prompt

#: The SFT run that GRPO starts from, and that serves as the reference policy.
START = "02-sft-medgemma-free_reasoning"


def arguments(settings: GRPO, folder: Path, seed: int, studies: int, silent: Sequence[int] = ()) -> GRPOConfig:
    """The settings in TRL's names; a rollout batch is `studies_per_step` x `generations` completions.

    `silent` are token ids that must never be sampled.
    """
    completions = settings.studies_per_step * settings.generations
    passes = training.accumulation(completions, settings.device_batch)
    steps = math.ceil(studies / settings.studies_per_step) * settings.epochs * settings.passes
    quiet = vllm_silence(silent) if settings.vllm else {"suppress_tokens": list(silent)}
    return GRPOConfig(
        output_dir=str(folder),
        num_generations=settings.generations,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=0,
        beta=settings.beta,
        loss_type=settings.loss,
        scale_rewards=settings.scale_rewards,
        epsilon=settings.clip_low,
        epsilon_high=settings.clip_high,
        use_bias_correction_kl=False,  # equation 2 has the plain KL term; TRL's default weighs it by the ratio
        num_iterations=settings.passes,
        max_completion_length=settings.max_tokens,
        generation_kwargs=quiet if silent else None,
        use_vllm=settings.vllm,
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=VLLM_MEMORY,
        disable_dropout=settings.disable_dropout,
        mask_truncated_completions=settings.mask_truncated_completions,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        optim="adamw_torch",
        shuffle_dataset=settings.shuffle,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip_norm,
        per_device_train_batch_size=settings.device_batch,
        gradient_accumulation_steps=passes,
        steps_per_generation=passes,
        max_steps=steps,
        save_strategy="steps",
        save_steps=max(1, math.ceil(steps / settings.checkpoints)),
        remove_unused_columns=False,
        seed=seed,
        data_seed=seed,
        **training.device_options(settings.precision, settings.checkpointing),
        **training.QUIET,
    )


class Scorer:
    """The reward function that TRL calls; it holds the nuanced reward's window and the mean of each term."""

    def __init__(
        self, name: str, profile: Profile, prompt: Prompt, frequencies: Mapping[str, float], ends: set[int]
    ) -> None:
        if name not in rewards.REWARDS:
            raise unknown("reward", name, rewards.REWARDS, "chexreason/rewards.py")
        self.__name__ = name
        self.settings = getattr(profile, name)
        self.prompt, self.frequencies, self.ends = prompt, frequencies, ends
        self.limit = profile.grpo.max_tokens
        self.window = rewards.Window()
        self.terms: list[Mapping[str, float]] = []

    def __call__(
        self, completions: list[Any], completion_ids: list[list[int]], truth: list[str], **_: Any
    ) -> list[float]:
        """Score each completion against the study's recorded labels.

        Each of several processes scores all their completions, in one order, so that they hold the same window.
        """
        own = list(zip(completions, completion_ids, truth, strict=True))
        totals = []
        for completion, ids, labels in own if training.processes() == 1 else gather_object(own):
            text = completion[0]["content"] if not isinstance(completion, str) else completion
            cut = len(ids) >= self.limit and not self.ends.intersection(ids)
            parsed = parse_completion(text, self.prompt.answer, cut)
            reward = rewards.REWARDS[self.__name__](
                parsed,
                frozenset(labels.split(";")),
                length=len(text),
                settings=self.settings,
                window=self.window,
                frequencies=self.frequencies,
            )
            self.terms.append(reward.terms)
            totals.append(reward.total)
        first = int(os.environ.get("RANK", "0")) * len(own)
        return totals[first : first + len(own)]


class KeepWindow(TrainerCallback):
    """Saves the reward's window with each checkpoint, logs the mean of each reward term."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The window beside the checkpoint just written."""
        place = Path(args.output_dir) / f"checkpoint-{state.global_step}" / "window.json"
        if state.is_world_process_zero:
            write_atomically(place, json.dumps(self.scorer.window.to_dict()).encode())

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The mean of each term since the last log, into the trainer's own log."""
        if self.scorer.terms and state.log_history:
            means = pd.DataFrame(self.scorer.terms).mean()
            state.log_history[-1] |= {f"terms/{name}": float(value) for name, value in means.items()}
            self.scorer.terms.clear()


@dataclass(frozen=True)
class Task:
    """What is rewarded: the studies, the labels that each answer is held against, the question and the reward."""

    studies: Sequence[Study]
    credit: Sequence[frozenset[str]]
    prompt: Prompt
    reward: str

    @classmethod
    def recorded(cls, studies: Sequence[Study], prompt: Prompt, reward: str, uncertain: str) -> "Task":
        """The paper's task: each answer is held against the recorded labels, under an uncertainty policy."""
        return cls(studies, [positives(study.labels, uncertain) for study in studies], prompt, reward)


def trainer_for(loaded: Loaded, start: Path, task: Task, profile: Profile, folder: Path) -> GRPOTrainer:
    """TRL's trainer, ready to train the adapter `start`, of which it keeps a frozen copy as the reference."""
    settings, seed = profile.grpo, profile.seed
    set_seed(seed)
    model = PeftModel.from_pretrained(loaded.model, str(start), is_trainable=True)
    assert_language_only(model)
    ends = loaded.model.generation_config.eos_token_id
    frequencies = rewards.label_frequencies(task.credit)
    scorer = Scorer(task.reward, profile, task.prompt, frequencies, set(ends if isinstance(ends, list) else [ends]))
    trainer = engine(profile, "grpo", GRPOTrainer)(
        model=model,
        reward_funcs=scorer,
        args=arguments(settings, folder, seed, len(task.studies), models.image_token_ids(loaded)),
        train_dataset=examples(task.studies, task.prompt, truth=[";".join(sorted(names)) for names in task.credit]),
        processing_class=loaded.processor,
        callbacks=[
            training.Progress(f"GRPO {task.reward}", ("reward", "kl", "completions/mean_length")),
            KeepWindow(scorer),
        ],
    )
    trainer.remove_callback(PrinterCallback)  # our bar shows the same values
    return trainer


def train(loaded: Loaded, start: Path, task: Task, profile: Profile, folder: Path) -> GRPOTrainer:
    """Train from the adapter `start`; goes on from the last checkpoint in `folder`, the window included."""
    trainer = trainer_for(loaded, start, task, profile, folder)
    checkpoint = training.last_checkpoint(folder)
    if checkpoint:
        window = json.loads((Path(checkpoint) / "window.json").read_text(encoding="utf-8"))
        trainer.reward_funcs[0].window = rewards.Window.from_dict(window)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def train_all(profile: Profile) -> list[runs.Run]:
    """Table 4 and Figures 2 and 3: both rewards, each from the Free Reasoning SFT checkpoint (see `run`)."""
    with training.first_before_others():
        chosen, validation = cohorts.choose(profile, "rl"), cohorts.choose(profile, "validation")
    prompt, inputs = prompts.get("free_reasoning"), {"rl_studies": chosen.digest}
    tasks = [Task.recorded(chosen.studies, prompt, name, profile.decoding.uncertain) for name in ("nuanced", "hard")]
    done = [run(profile, f"03-grpo-{task.reward}", START, task, validation, inputs) for task in tasks]
    return [one for one in done if one]


def run(
    profile: Profile, run_id: str, start_run: str, task: Task, validation: Chosen, inputs: Mapping[str, str]
) -> runs.Run | None:
    """Train MedGemma from another run's adapter and score its checkpoints; ``best`` is that of the best macro-F1.

    `inputs` are the digests of what the task was made from. Several processes only train, and return None: the next
    process by itself finds that done, and scores.
    """
    start = runs.need(profile.cache / "checkpoints" / start_run / "best")
    this = evaluate.plan(
        profile, run_id, "grpo", "chexreason", "medgemma", task.prompt, validation,
        grpo=plain(profile.grpo), reward=plain(getattr(profile, task.reward)),
        facts={"reward": task.reward, "n_train": len(task.studies)},
        inputs={"start": file_digest(start), "credit": digest_of([sorted(c) for c in task.credit]), **inputs},
    )  # fmt: skip
    if finished := this.finished():
        return finished
    with training.first_before_others():
        folder = training.fresh_folder(this)

    def reinforce() -> GRPOTrainer:
        loaded = models.load("medgemma", profile.models["medgemma"], precision=profile.grpo.precision)
        return train(loaded, start, task, profile, folder)

    log = training.learnt(folder, reinforce)
    if training.processes() > 1:
        return None
    scored = [
        (checkpoint, *_score(profile, checkpoint, task.prompt, validation))
        for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    ]
    best = max(scored, key=lambda entry: entry[1].macro["f1"])
    for name, entry in (("best", best), ("last", scored[-1])):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(entry[0], folder / name, ignore=shutil.ignore_patterns("ref", "optimizer.pt"))
    table = pd.concat(
        [entry[1].to_frame().assign(checkpoint=name) for name, entry in (("best", best), ("last", scored[-1]))]
    )
    history = pd.concat([training.history_table(log), _validation_history(scored)])
    return evaluate.finish(this, validation, table, best[2], history=history)


def _score(profile: Profile, checkpoint: Path, prompt: Prompt, validation: Chosen) -> tuple[Any, pd.DataFrame]:
    loaded = with_adapter(models.load("medgemma", profile.models["medgemma"]), checkpoint)
    label = f"score {checkpoint.parent.name}, {checkpoint.name}"
    return evaluate.evaluate(
        loaded, validation, prompt, profile.decoding, label=label, engine=engine(profile, "decode", evaluate.generate)
    )


def _validation_history(scored: list[tuple[Path, Any, pd.DataFrame]]) -> pd.DataFrame:
    rows = [
        {"step": int(path.name.split("-")[1]), "metric": f"validation/{kind}_f1", "value": getattr(scores, kind)["f1"]}
        for path, scores, _ in scored
        for kind in ("macro", "micro")
    ]
    return pd.DataFrame(rows)
