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

from chexreason import cohorts, evaluate, models, prompts, runs, training
from chexreason.cohorts import Chosen
from chexreason.completions import parse_completion
from chexreason.config import Profile, overridden
from chexreason.data.study import Study
from chexreason.engines import engine
from chexreason.errors import UserError, unknown
from chexreason.examples import examples
from chexreason.files import digest_of, file_digest, write_atomically
from chexreason.labels import positives
from chexreason.models import Loaded
from chexreason.models.lora import assert_language_only, with_adapter
from chexreason.prompts import Prompt
from chexreason.recipe import GRPO, VLLM_MEMORY, plain, vllm_silence
from chexreason.rewards import REWARDS, Labels, Reward, Terms, constants

#: Settings that are no options of TRL's.
OURS = ("studies_per_step", "checkpoints")
#: Where a checkpoint keeps the state of its reward.
STATE = "reward.json"


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
    quiet = vllm_silence(silent) if settings.use_vllm else {"suppress_tokens": list(silent)}
    return GRPOConfig(**{
        "output_dir": str(folder),
        "seed": seed,
        "data_seed": seed,
        "top_k": 0,
        "generation_kwargs": quiet if silent else None,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": VLLM_MEMORY,
        "gradient_accumulation_steps": passes,
        "steps_per_generation": passes,
        "max_steps": steps,
        "save_strategy": "steps",
        "save_steps": max(1, math.ceil(steps / settings.checkpoints)),
        **training.options(GRPOConfig, settings, OURS, more or {}),
    })  # fmt: skip


class Scorer:
    """The reward function that TRL calls: a reward of `rewards` with its state, and the mean of each of its terms."""

    def __init__(self, name: str, reward: Reward, profile: Profile, prompt: Prompt, ends: set[int]) -> None:
        self.__name__, self.reward, self.prompt, self.ends = name, reward, prompt, ends
        self.limit, self.private = profile.grpo.max_completion_length, profile.rows != "results"
        self.terms: list[Terms] = []

    def __call__(
        self, completions: list[Any], completion_ids: list[list[int]], truth: list[str], **_: Any
    ) -> list[float]:
        """Score each completion against the labels of its study.

        Each of several processes scores all their completions, in one order, so that they hold the same state.
        """
        own = list(zip(completions, completion_ids, truth, strict=True))
        totals = []
        for completion, ids, labels in own if training.processes() == 1 else gather_object(own):
            text = completion[0]["content"] if not isinstance(completion, str) else completion
            cut = len(ids) >= self.limit and not self.ends.intersection(ids)
            self.terms.append(self._terms(text, cut, frozenset(labels.split(";"))))
            totals.append(float(sum(self.terms[-1].values())))
        first = int(os.environ.get("RANK", "0")) * len(own)
        return totals[first : first + len(own)]

    def _terms(self, text: str, cut: bool, truth: Labels) -> Terms:
        """What the reward says of a completion. Raises UserError that names the completion if that is no terms."""
        parsed = parse_completion(text, self.prompt.answer, cut)
        try:
            terms = self.reward(parsed, truth, text)
        except Exception as error:  # a reward is anybody's code; the error is raised again, with the completion
            raise self._refused(text, truth, f"{type(error).__name__}: {error}") from error
        if not isinstance(terms, Mapping) or not terms or not all(_is_finite(value) for value in terms.values()):
            raise self._refused(text, truth, repr(terms))
        return terms

    def _refused(self, text: str, truth: Labels, what: str) -> UserError:
        said = "a completion about a patient, not shown" if self.private else f"{text!r}, recorded: {sorted(truth)}"
        return UserError(
            f"named finite terms from the reward {self.__name__}", f"{what} for {said}", "correct the reward"
        )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


class KeepReward(TrainerCallback):
    """Saves the reward's state with each checkpoint, logs the mean of each of its terms."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The state beside the checkpoint just written."""
        place = Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
        if state.is_world_process_zero:
            write_atomically(place, json.dumps(self.scorer.reward.state_dict()).encode())

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The mean of each term since the last log, into the trainer's own log."""
        if self.scorer.terms and state.log_history:
            means = pd.DataFrame(self.scorer.terms).mean()
            state.log_history[-1] |= {f"terms/{name}": float(value) for name, value in means.items()}
            self.scorer.terms.clear()


def reward_of(name: str, profile: Profile) -> Reward:
    """The reward of that name with the profile's constants; UserError for an unknown one, or an unknown constant."""
    if name not in REWARDS:
        raise unknown("reward", name, REWARDS, "chexreason/rewards.py, or a file given by --reward")
    made = REWARDS[name]
    return overridden(profile.overrides, name, made, profile.name) if isinstance(made, type) else made()


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
    reward = reward_of(task.reward, profile)
    reward.fit(task.credit)
    scorer = Scorer(task.reward, reward, profile, task.prompt, evaluate.end_tokens(loaded))
    trainer = engine(profile, "grpo", GRPOTrainer)(
        model=model,
        reward_funcs=scorer,
        args=arguments(settings, folder, seed, len(task.studies), models.image_token_ids(loaded), profile.more("grpo")),
        train_dataset=examples(task.studies, task.prompt, truth=[";".join(sorted(names)) for names in task.credit]),
        processing_class=loaded.processor,
        callbacks=[
            training.Progress(f"GRPO {task.reward}", ("reward", "kl", "completions/mean_length")),
            KeepReward(scorer),
        ],
    )
    trainer.remove_callback(PrinterCallback)  # our bar shows the same values
    return trainer


def train(loaded: Loaded, start: Path, task: Task, profile: Profile, folder: Path) -> GRPOTrainer:
    """Train from the adapter `start`; goes on from the last checkpoint in `folder`, the reward's state included."""
    trainer = trainer_for(loaded, start, task, profile, folder)
    checkpoint = training.last_checkpoint(folder)
    if checkpoint:
        state = json.loads((Path(checkpoint) / STATE).read_text(encoding="utf-8"))
        trainer.reward_funcs[0].reward.load_state_dict(state)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def train_all(profile: Profile) -> list[runs.Run]:
    """Table 4 and Figures 2 and 3: each reward of the study, from its SFT checkpoint (see `run`)."""
    study, uncertain = profile.study["grpo"], profile.decoding.uncertain
    for name in study["rewards"]:
        reward_of(name, profile)  # an unknown one ends here, before anything is trained
    with training.first_before_others():
        chosen, validation = cohorts.choose(profile, "rl"), cohorts.choose(profile, "validation")
    prompt, inputs = prompts.get(study["prompt"]), {"rl_studies": chosen.digest}
    tasks = [Task.recorded(chosen.studies, prompt, name, uncertain) for name in study["rewards"]]
    done = [run(profile, f"03-grpo-{task.reward}", study["start"], task, validation, inputs) for task in tasks]
    return [one for one in done if one]


def run(
    profile: Profile, run_id: str, start_run: str, task: Task, validation: Chosen, inputs: Mapping[str, str]
) -> runs.Run | None:
    """Train the study's model from a run's adapter and score its checkpoints; ``best`` is that of the best macro-F1.

    `inputs` are the digests of what the task was made from. Several processes only train, and return None: the next
    process by itself finds that done, and scores.
    """
    start = runs.need(profile.cache / "checkpoints" / start_run / "best")
    base = profile.study["grpo"]["model"]
    this = evaluate.plan(
        profile, run_id, "grpo", "chexreason", base, task.prompt, validation,
        grpo={**plain(profile.grpo), **profile.more("grpo")}, reward=constants(reward_of(task.reward, profile)),
        facts={"reward": task.reward, "n_train": len(task.studies)},
        inputs={"start": file_digest(start), "credit": digest_of([sorted(c) for c in task.credit]), **inputs},
    )  # fmt: skip
    if finished := this.finished():
        return finished
    with training.first_before_others():
        folder = training.fresh_folder(this)

    def reinforce() -> GRPOTrainer:
        loaded = models.load(base, profile.models[base], bf16=profile.grpo.bf16)
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
    base = profile.study["grpo"]["model"]
    loaded = with_adapter(models.load(base, profile.models[base]), checkpoint)
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
