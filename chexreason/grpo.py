"""Group relative policy optimization from the SFT checkpoint (paper, section 3.2.2, equation 2; Table 4).

TRL's `GRPOTrainer` does the training. The small functions at the top state what it computes, so
that a reader can follow equation 2 line by line; the tests hold them against TRL's own loss. Two
places where the paper's text and its settings differ are decided by the settings: equation 2
divides by each completion's length, but the paper uses the Dr. GRPO normalisation (a constant
length); and its clip bounds are asymmetric.
"""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
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

from chexreason import cohorts, evaluate, models, prompts, rewards, runs
from chexreason.cohorts import Chosen
from chexreason.completions import parse_completion
from chexreason.config import GRPO, Profile
from chexreason.errors import unknown
from chexreason.examples import examples
from chexreason.fast.grpo import FastGRPOTrainer
from chexreason.files import file_digest, write_atomically
from chexreason.labels import positives
from chexreason.models import Loaded
from chexreason.models.lora import assert_language_only, with_adapter
from chexreason.prompts import Prompt
from chexreason.training import QUIET, Progress, device_options, fresh_folder, history_table, last_checkpoint

#: The SFT run that GRPO starts from, and that serves as the reference policy.
START = "02-sft-medgemma-free_reasoning"


# --- What the trainer computes (shapes: B completions, G of them a group, T tokens) ---


def advantages(rewards_B: torch.Tensor, group: int) -> torch.Tensor:
    """Reward minus its group's mean (B,); Dr. GRPO does not divide by the standard deviation."""
    groups = rewards_B.view(-1, group)
    return (groups - groups.mean(dim=1, keepdim=True)).view(-1)


def clipped_objective(ratio_BT: torch.Tensor, advantage_B: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """min(r A, clip(r, 1 - low, 1 + high) A) for each token (B, T); equation 2 without the KL term."""
    advantage_B1 = advantage_B[:, None]
    return torch.minimum(ratio_BT * advantage_B1, ratio_BT.clamp(1 - low, 1 + high) * advantage_B1)


def kl_estimate(logp_BT: torch.Tensor, reference_BT: torch.Tensor) -> torch.Tensor:
    """Schulman's estimate exp(d) - d - 1 with d = log pi_ref - log pi, for each token (B, T); never negative."""
    difference = reference_BT - logp_BT
    return difference.exp() - difference - 1


def loss(
    logp_BT: torch.Tensor, old_BT: torch.Tensor, reference_BT: torch.Tensor, advantage_B: torch.Tensor,
    mask_BT: torch.Tensor, settings: GRPO,
) -> torch.Tensor:  # fmt: skip
    """The Dr. GRPO loss of a batch: minus the summed objective over (completions x longest length).

    `mask_BT` is 1 on the tokens of a completion. The divisor is constant, so a long completion
    weighs more than in equation 2 and no length is favoured (Liu et al. 2025, arXiv:2503.20783).
    """
    ratio = (logp_BT - old_BT).exp()
    objective = clipped_objective(ratio, advantage_B, settings.clip_low, settings.clip_high)
    per_token = objective - settings.beta * kl_estimate(logp_BT, reference_BT)
    return -(per_token * mask_BT).sum() / (logp_BT.shape[0] * settings.max_tokens)


# --- Training ---


def arguments(settings: GRPO, folder: Path, seed: int, studies: int, silent: Sequence[int] = ()) -> GRPOConfig:
    """The settings in TRL's names; a rollout batch is `studies_per_step` x `generations` completions.

    `silent` are token ids that must never be sampled.
    """
    completions = settings.studies_per_step * settings.generations
    accumulation = completions // settings.device_batch
    steps = math.ceil(studies / settings.studies_per_step) * settings.epochs * settings.passes
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
        generation_kwargs={"suppress_tokens": list(silent)} if silent else None,
        disable_dropout=True,  # old, new and reference policy differ by their weights alone
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        optim="adamw_torch",
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip_norm,
        per_device_train_batch_size=settings.device_batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        max_steps=steps,
        save_strategy="steps",
        save_steps=max(1, math.ceil(steps / settings.checkpoints)),
        remove_unused_columns=False,
        seed=seed,
        data_seed=seed,
        **device_options(settings.precision, settings.checkpointing),
        **QUIET,
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
        """Score each completion against the study's recorded labels."""
        totals = []
        for completion, ids, labels in zip(completions, completion_ids, truth, strict=True):
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
        return totals


class KeepWindow(TrainerCallback):
    """Saves the reward's window with each checkpoint, logs the mean of each reward term."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The window beside the checkpoint just written."""
        place = Path(args.output_dir) / f"checkpoint-{state.global_step}" / "window.json"
        write_atomically(place, json.dumps(self.scorer.window.to_dict()).encode())

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The mean of each term since the last log, into the trainer's own log."""
        if self.scorer.terms and state.log_history:
            means = pd.DataFrame(self.scorer.terms).mean()
            state.log_history[-1] |= {f"terms/{name}": float(value) for name, value in means.items()}
            self.scorer.terms.clear()


def trainer_for(
    loaded: Loaded, start: Path, chosen: Chosen, prompt: Prompt, reward: str, profile: Profile, folder: Path
) -> GRPOTrainer:
    """TRL's trainer, ready to train the adapter `start`, of which it keeps a frozen copy as the reference."""
    settings, seed = profile.grpo, profile.seed
    set_seed(seed)
    model = PeftModel.from_pretrained(loaded.model, str(start), is_trainable=True)
    assert_language_only(model)
    truth = [";".join(sorted(positives(s.labels, profile.decoding.uncertain))) for s in chosen.studies]
    ends = loaded.model.generation_config.eos_token_id
    frequencies = rewards.label_frequencies(frozenset(labels.split(";")) for labels in truth)
    scorer = Scorer(reward, profile, prompt, frequencies, set(ends if isinstance(ends, list) else [ends]))
    trainer = FastGRPOTrainer(
        speed=profile.speed,
        model=model,
        reward_funcs=scorer,
        args=arguments(settings, folder, seed, len(chosen.studies), models.image_token_ids(loaded)),
        train_dataset=examples(chosen.studies, prompt, truth=truth),
        processing_class=loaded.processor,
        callbacks=[Progress(f"GRPO {reward}", ("reward", "kl", "completions/mean_length")), KeepWindow(scorer)],
    )
    trainer.remove_callback(PrinterCallback)  # our bar shows the same values
    return trainer


def train(
    loaded: Loaded, start: Path, chosen: Chosen, prompt: Prompt, reward: str, profile: Profile, folder: Path
) -> GRPOTrainer:
    """Train from the adapter `start`; goes on from the last checkpoint in `folder`, the window included."""
    trainer = trainer_for(loaded, start, chosen, prompt, reward, profile, folder)
    checkpoint = last_checkpoint(folder)
    if checkpoint:
        window = json.loads((Path(checkpoint) / "window.json").read_text(encoding="utf-8"))
        trainer.reward_funcs[0].window = rewards.Window.from_dict(window)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def train_all(profile: Profile) -> list[runs.Run]:
    """Table 4 and Figures 2 and 3: both rewards, each from the Free Reasoning SFT checkpoint."""
    cohorts.prepare(profile)
    chosen, validation = cohorts.choose(profile, "rl"), cohorts.choose(profile, "validation")
    return [_run(profile, reward, chosen, validation) for reward in ("nuanced", "hard")]


def _run(profile: Profile, reward: str, chosen: Chosen, validation: Chosen) -> runs.Run:
    prompt = prompts.get("free_reasoning")
    start = runs.need(profile.cache / "checkpoints" / START / "best")
    this = evaluate.plan(
        profile, f"03-grpo-{reward}", "grpo", "chexreason", "medgemma", prompt, validation,
        grpo=asdict(profile.grpo), reward=asdict(getattr(profile, reward)),
        facts={"reward": reward, "n_train": len(chosen.studies)},
        inputs={"start": file_digest(start), "rl_studies": chosen.digest},
    )  # fmt: skip
    if run := this.finished():
        return run
    folder = fresh_folder(this)
    loaded = models.load("medgemma", profile.models["medgemma"], precision=profile.grpo.precision)
    trainer = train(loaded, start, chosen, prompt, reward, profile, folder)
    scored = [
        (checkpoint, *_score(profile, checkpoint, prompt, validation))
        for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    ]
    best = max(scored, key=lambda entry: entry[1].macro["f1"])
    shutil.rmtree(folder / "best", ignore_errors=True)
    shutil.copytree(best[0], folder / "best", ignore=shutil.ignore_patterns("ref", "optimizer.pt"))
    table = pd.concat(
        [entry[1].to_frame().assign(checkpoint=name) for name, entry in (("best", best), ("last", scored[-1]))]
    )
    history = pd.concat([history_table(trainer.state.log_history), _validation_history(scored)])
    return evaluate.finish(this, validation, table, best[2], history=history)


def _score(profile: Profile, checkpoint: Path, prompt: Prompt, validation: Chosen) -> tuple[Any, pd.DataFrame]:
    loaded = with_adapter(models.load("medgemma", profile.models["medgemma"]), checkpoint)
    label = f"score {checkpoint.parent.name}, {checkpoint.name}"
    return evaluate.evaluate(loaded, validation, prompt, profile.decoding, label=label, speed=profile.speed)


def _validation_history(scored: list[tuple[Path, Any, pd.DataFrame]]) -> pd.DataFrame:
    rows = [
        {"step": int(path.name.split("-")[1]), "metric": f"validation/{kind}_f1", "value": getattr(scores, kind)["f1"]}
        for path, scores, _ in scored
        for kind in ("macro", "micro")
    ]
    return pd.DataFrame(rows)
