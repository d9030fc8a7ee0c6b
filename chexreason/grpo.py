"""Group relative policy optimization from the SFT checkpoint (paper, section 3.2.2, equation 2; Table 4).

TRL's `GRPOTrainer` does the training; `objective` states what it computes. Where the paper's text and its settings
differ, the settings decide: equation 2 divides by each completion's length, but the paper uses the Dr. GRPO
normalisation (a constant length); and its clip bounds are asymmetric.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from peft import PeftModel
from transformers import PrinterCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

from chexreason import cohorts, evaluate, models, processes, prompts, records, resume, runs, study, training
from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.examples import examples
from chexreason.files import digest_of
from chexreason.labels import positives
from chexreason.models import Loaded, assert_language_only
from chexreason.prompts import Prompt
from chexreason.recipe import GRPO
from chexreason.rewards import constants
from chexreason.scorer import Scorer, reward_of


def arguments(
    settings: GRPO, folder: Path, seed: int, studies: int, silent: Sequence[int] = (),
    more: Mapping[str, Any] | None = None,
) -> GRPOConfig:  # fmt: skip
    """The settings as TRL takes them, and the `more` that a profile sets by TRL's own names.

    A rollout batch is `studies_per_step` x `num_generations` completions. `silent` are token ids that must never be
    sampled.
    """
    completions = settings.studies_per_step * settings.num_generations
    passes = training.accumulation(completions, settings.per_device_train_batch_size)
    steps = math.ceil(studies / settings.studies_per_step) * settings.num_train_epochs * settings.num_iterations
    quiet = models.vllm_silence(silent) if settings.use_vllm else {"suppress_tokens": list(silent)}
    usual = {"top_k": 0, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": models.VLLM_MEMORY}
    made: GRPOConfig = training.arguments(
        GRPOConfig, settings, usual | dict(more or {}), folder, seed,
        generation_kwargs=quiet if silent else None,
        gradient_accumulation_steps=passes,
        steps_per_generation=passes,
        max_steps=steps,
        save_strategy="steps",
        save_steps=math.ceil(steps / settings.checkpoints),
    )  # fmt: skip
    lasts = resume.rollout_steps(made)
    made.save_steps = lasts * math.ceil(made.save_steps / lasts)
    return made


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
    set_seed(profile.seed)
    model = PeftModel.from_pretrained(loaded.model, str(start), is_trainable=True)
    assert_language_only(model)
    scorer = Scorer(task.reward, reward_of(task.reward, profile), profile, task.prompt, evaluate.end_tokens(loaded))
    scorer.fit(list(task.credit))
    progress = processes.Progress(f"GRPO {task.reward}", ("reward", "kl", "completions/mean_length"))
    silent, more = models.image_token_ids(loaded), profile.more("grpo")
    trainer: GRPOTrainer = training.trainer(
        profile.engine("grpo", GRPOTrainer),
        model=model,
        reward_funcs=scorer,
        args=arguments(profile.grpo, folder, profile.seed, len(task.studies), silent, more),
        train_dataset=examples(task.studies, task.prompt, truth=[";".join(sorted(names)) for names in task.credit]),
        processing_class=loaded.processor,
        callbacks=[progress, scorer],
    )
    trainer.remove_callback(PrinterCallback)  # our bar shows the same values
    return trainer


def begins_at_reference(trainer: GRPOTrainer) -> None:
    """Raise UserError unless the reference is what training starts from, so that the divergence of step 1 is 0.

    TRL before its pull request 4723 took the base model without the adapter.
    """
    weights = dict(trainer.model.named_parameters())
    copies = [
        (weight, weights[name.replace(".ref.", ".default.")]) for name, weight in weights.items() if ".ref." in name
    ]
    if trainer.beta and not (copies and all(torch.equal(copy, own) for copy, own in copies)):
        wanted, do = "the SFT checkpoint as the reference of GRPO", "install the TRL that constraints.txt pins"
        raise UserError(wanted, "another policy", do)


def train(loaded: Loaded, start: Path, task: Task, profile: Profile, folder: Path) -> GRPOTrainer:
    """Train from the adapter `start`; goes on from the last checkpoint in `folder`, the reward's state included."""
    trainer = trainer_for(loaded, start, task, profile, folder)
    if not getattr(trainer, "other_reference", False):  # an engine may want another one
        begins_at_reference(trainer)
    checkpoint = resume.last_checkpoint(folder, resume.rollout_steps(trainer.args))
    if checkpoint:
        trainer.reward_funcs[0].go_on(checkpoint)
        resume.order_from(trainer, checkpoint)
    resume.go_on(trainer, checkpoint)
    return trainer


def train_all(profile: Profile) -> list[runs.Run]:
    """Table 4 and Figures 2 and 3: each reward of the study, from its SFT checkpoint, trained and scored."""
    about, uncertain = profile.study["grpo"], profile.decoding.uncertain
    for name in about["rewards"]:
        reward_of(name, profile)  # an unknown one ends here, before anything is trained
    with processes.first_before_others():
        chosen, validation = cohorts.choose(profile, "rl"), cohorts.choose(profile, "validation")
    prompt, inputs = prompts.get(about["prompt"]), {"rl_studies": chosen.digest}
    tasks = [Task.recorded(chosen.studies, prompt, name, uncertain) for name in about["rewards"]]
    start, lacking = about["start"], records.lacking(chosen)
    done = [run(profile, f"03-grpo-{task.reward}", start, task, validation, inputs, lacking) for task in tasks]
    return [one for one in done if one]


def run(
    profile: Profile, run_id: str, start_run: str, task: Task, validation: Cohort, inputs: Mapping[str, str],
    lacking: Mapping[str, int] | None = None,
) -> runs.Run | None:  # fmt: skip
    """Train the study's model from a run's adapter and score its checkpoints; ``best`` is that of the best macro-F1.

    `inputs` are the digests of what the task was made from, `lacking` what it lacks (`records.lacking`). None where
    several processes only trained.
    """
    start = runs.need(profile.cache / "checkpoints" / start_run / "best")
    base = profile.study["grpo"]["model"]
    this = records.plan(
        profile, run_id, "grpo", "chexreason", base, task.prompt, validation,
        grpo={**asdict(profile.grpo), **profile.more("grpo")},
        reward=constants(reward_of(task.reward, profile)),
        facts={"reward": task.reward, "n_train": len(task.studies)}, trained_left_out=lacking,
        inputs={"start": runs.adapter_digest(start), "credit": digest_of([sorted(c) for c in task.credit]), **inputs},
    )  # fmt: skip

    def reinforce(folder: Path) -> GRPOTrainer:
        bf16, bits = profile.grpo.bf16, profile.grpo.load_in_bits
        loaded = models.load(base, profile.models[base], bf16=bf16, bits=bits)
        return train(loaded, start, task, profile, folder)

    def score(end: Mapping[str, Any]) -> runs.Run:
        scored = {}
        for checkpoint in resume.checkpoints(this.checkpoints):
            load, label = study.loader(profile, base, checkpoint), f"score {run_id}, {checkpoint.name}"
            scored[checkpoint] = evaluate.evaluate(load(), validation, task.prompt, profile, label)
        best = max(scored, key=lambda checkpoint: scored[checkpoint][0].macro["f1"])
        kept = {"best": best, "last": list(scored)[-1]}
        for name, checkpoint in kept.items():
            resume.keep(checkpoint, this.checkpoints / name)
        table = pd.concat([scored[which][0].to_frame().assign(checkpoint=name) for name, which in kept.items()])
        course = [
            {"step": resume.step_of(which), "metric": f"validation/{kind}_f1", "value": getattr(scores, kind)["f1"]}
            for which, (scores, _) in scored.items()
            for kind in ("macro", "micro")
        ]
        history = pd.concat([runs.history_table(end["log_history"]), pd.DataFrame(course)])
        return records.finish(this, validation, table, scored[best][1], history=history)

    return resume.run(this, reinforce, score)
