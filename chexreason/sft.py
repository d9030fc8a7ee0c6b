"""Supervised fine-tuning on teacher traces (paper, section 3.2.1, equation 1; Tables 2 and 3).

TRL's `SFTTrainer` does the training. The loss counts the answer's tokens only: prompt, image placeholders and padding
carry the label -100. LoRA touches the language model only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from transformers import EarlyStoppingCallback, PrinterCallback, set_seed
from trl import SFTConfig, SFTTrainer

from chexreason import cohorts, models, processes, prompts, records, resume, runs, study, traces, training
from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data import splits
from chexreason.data.study import Study
from chexreason.examples import examples
from chexreason.files import digest_of
from chexreason.models import Loaded, add_lora
from chexreason.prompts import Prompt
from chexreason.recipe import SFT


def arguments(settings: SFT, folder: Path, seed: int, more: Mapping[str, Any] | None = None) -> SFTConfig:
    """The settings as TRL takes them, and the `more` that a profile sets by TRL's own names."""
    return training.arguments(
        SFTConfig, settings, more or {}, folder, seed,
        per_device_eval_batch_size=settings.per_device_train_batch_size,
        gradient_accumulation_steps=training.accumulation(
            settings.studies_per_step, settings.per_device_train_batch_size
        ),
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=settings.early_stopping_patience + 1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,  # how many epochs were no better
        completion_only_loss=True,
        max_length=None,  # cutting a sequence could cut image tokens
    )  # fmt: skip


def train(
    loaded: Loaded, studies: Sequence[Study], traces: Sequence[str], prompt: Prompt, profile: Profile, folder: Path
) -> SFTTrainer:
    """Fine-tune on (study, trace) pairs; goes on from the last checkpoint in `folder` if there is one."""
    settings, seed = profile.sft, profile.seed
    set_seed(seed)
    fit, held_out = splits.split_by_patient(studies, settings.validation_share, np.random.default_rng(seed))
    trace_of = {study.key: trace for study, trace in zip(studies, traces, strict=True)}
    progress = processes.Progress(f"SFT {loaded.family.name} {prompt.name}", ("loss", "mean_token_accuracy"))
    trainer: SFTTrainer = training.trainer(
        profile.engine("sft", SFTTrainer),
        model=add_lora(loaded, profile.lora, profile.more("lora")),
        args=arguments(settings, folder, seed, profile.more("sft")),
        train_dataset=examples(fit, prompt, [trace_of[study.key] for study in fit]),
        eval_dataset=examples(held_out, prompt, [trace_of[study.key] for study in held_out]),
        processing_class=loaded.processor,
        callbacks=[EarlyStoppingCallback(settings.early_stopping_patience), progress],
    )
    trainer.remove_callback(PrinterCallback)  # our bar shows the same values
    resume.go_on(trainer, resume.last_checkpoint(folder))
    return trainer


def train_all(profile: Profile) -> list[runs.Run]:
    """Tables 2 and 3 and Figure 1: each base model in each format of the study, trained and scored."""
    with processes.first_before_others():
        chosen, validation = cohorts.choose(profile, "sft"), cohorts.choose(profile, "validation")
    splits.assert_disjoint(chosen.studies, validation.studies)
    done = [
        run(profile, f"02-sft-{base}-{name}", base, prompts.get(name), chosen, validation)
        for base in profile.study["sft"]["models"]
        for name in profile.study["sft"]["prompts"]
    ]
    return [one for one in done if one]


def run(
    profile: Profile, run_id: str, base: str, prompt: Prompt, chosen: Cohort, validation: Cohort
) -> runs.Run | None:
    """Teach a base model one format and score it; its adapter is left in the run's checkpoints, in ``best``.

    None where several processes only trained (`resume.run`).
    """
    lessons = traces.of(chosen, prompt, profile)
    settings = {**asdict(profile.lora), **profile.more("lora"), **asdict(profile.sft), **profile.more("sft")}
    this = records.plan(
        profile, run_id, "sft", f"{base}_sft", base, prompt, validation, sft=settings,
        facts={"n_train": len(chosen.studies)}, trained_left_out=records.lacking(chosen),
        inputs={"sft_studies": chosen.digest, "traces": digest_of(lessons)},
    )  # fmt: skip

    def start(folder: Path) -> SFTTrainer:
        bf16, bits = profile.sft.bf16, profile.sft.load_in_bits
        loaded = models.load(base, profile.models[base], bf16=bf16, bits=bits)
        return train(loaded, chosen.studies, lessons, prompt, profile, folder)

    def score(end: Mapping[str, Any]) -> runs.Run:
        best = this.checkpoints / "best"  # of the lowest validation loss; the last where none is a number
        resume.keep(this.checkpoints / f"checkpoint-{end['best_global_step'] or end['global_step']}", best)
        load, history = study.loader(profile, base, best), runs.history_table(end["log_history"])
        return study.ask(this, prompt, validation, load, f"score {run_id}", history)

    return resume.run(this, start, score)
