"""The four stages of the study: prompting, SFT, GRPO and generalization (paper, sections 4.1 to 4.4; Tables 1 to 6).

Which runs make up a stage stands in the profile's `study`. A run that this machine has finished is read, not repeated;
a training that was stopped goes on from its last checkpoint.
"""

import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from chexreason import cohorts, evaluate, grpo, models, prompts, runs, sft, traces, training
from chexreason.cohorts import Chosen
from chexreason.config import Profile
from chexreason.data import SOURCES, splits
from chexreason.files import digest_of, file_digest
from chexreason.models import Loaded
from chexreason.models.lora import with_adapter
from chexreason.prompts import Prompt
from chexreason.recipe import plain
from chexreason.rewards import constants


def run_prompting(profile: Profile) -> list[runs.Run]:
    """Table 1: each prompt of the study on its untouched base model, on the validation studies."""
    base, names = profile.study["prompting"]["model"], profile.study["prompting"]["prompts"]
    chosen, load, done = cohorts.choose(profile, "validation"), _loader(profile, base), []
    for k, name in enumerate(names, start=1):
        prompt = prompts.get(name)
        this = plan(profile, f"01-prompting-{name}", "prompting", base, base, prompt, chosen)
        done.append(_ask(this, prompt, chosen, load, f"prompt {k} of {len(names)}, {name}"))
    return done


def run_sft(profile: Profile) -> list[runs.Run]:
    """Tables 2 and 3 and Figure 1: each base model in each format of the study, trained and scored."""
    with training.first_before_others():
        chosen, validation = cohorts.choose(profile, "sft"), cohorts.choose(profile, "validation")
    splits.assert_disjoint(chosen.studies, validation.studies)
    done = [
        train_sft(profile, f"02-sft-{base}-{name}", base, prompts.get(name), chosen, validation)
        for base in profile.study["sft"]["models"]
        for name in profile.study["sft"]["prompts"]
    ]
    return [run for run in done if run]


def run_grpo(profile: Profile) -> list[runs.Run]:
    """Table 4 and Figures 2 and 3: each reward of the study, from its SFT checkpoint, trained and scored."""
    study, uncertain = profile.study["grpo"], profile.decoding.uncertain
    for name in study["rewards"]:
        grpo.reward_of(name, profile)  # an unknown one ends here, before anything is trained
    with training.first_before_others():
        chosen, validation = cohorts.choose(profile, "rl"), cohorts.choose(profile, "validation")
    prompt, inputs = prompts.get(study["prompt"]), {"rl_studies": chosen.digest}
    tasks = [grpo.Task.recorded(chosen.studies, prompt, name, uncertain) for name in study["rewards"]]
    done = [train_grpo(profile, f"03-grpo-{task.reward}", study["start"], task, validation, inputs) for task in tasks]
    return [run for run in done if run]


def run_generalization(profile: Profile) -> list[runs.Run]:
    """Tables 5 and 6: each model of the study on each of its test sets."""
    study, done = profile.study["generalization"], []
    test_sets = [cohorts.choose(profile, name) for name in study["test_sets"]]
    for k, (model, about) in enumerate(study["models"].items(), start=1):
        base, prompt = about["base"], prompts.get(about["prompt"])
        adapter = profile.cache / "checkpoints" / about["adapter"] / "best" if about.get("adapter") else None
        inputs = {"adapter": file_digest(runs.need(adapter))} if adapter else {}
        load = _loader(profile, base, adapter)
        for chosen in test_sets:
            run_id = f"04-generalization-{model}-{chosen.dataset}"
            this = plan(profile, run_id, "generalization", model, base, prompt, chosen, inputs=inputs)
            label = f"model {k} of {len(study['models'])}, {model} on {chosen.dataset}"
            done.append(_ask(this, prompt, chosen, load, label))
    return done


def _loader(profile: Profile, base: str, adapter: Path | None = None) -> Callable[[], Loaded]:
    """Loads the model, with its adapter, when it is first needed; once."""
    load = functools.partial(models.load, base, profile.models[base])
    return functools.cache(lambda: with_adapter(load(), adapter) if adapter else load())


def _ask(this: runs.Plan, prompt: Prompt, chosen: Chosen, load: Callable[[], Loaded], label: str) -> runs.Run:
    if finished := this.finished():
        return finished
    scores, rows = evaluate.evaluate(load(), chosen, prompt, this.profile, label)
    return finish(this, chosen, scores.to_frame(), rows)


def train_sft(
    profile: Profile, run_id: str, base: str, prompt: Prompt, chosen: Chosen, validation: Chosen
) -> runs.Run | None:
    """Teach a base model one format and score it; its adapter is left in the run's checkpoints, in ``best``.

    None where several processes only trained (`training.trained`).
    """
    lessons = traces.of(chosen, prompt, profile)
    settings = {**plain(profile.lora), **profile.more("lora"), **plain(profile.sft), **profile.more("sft")}
    this = plan(
        profile, run_id, "sft", f"{base}_sft", base, prompt, validation, sft=settings,
        facts={"n_train": len(chosen.studies)},
        inputs={"sft_studies": chosen.digest, "traces": digest_of(lessons)},
    )  # fmt: skip
    if finished := this.finished():
        return finished

    def train(folder: Path) -> Any:
        loaded = models.load(base, profile.models[base], bf16=profile.sft.bf16)
        return sft.train(loaded, chosen.studies, lessons, prompt, profile, folder)

    history = training.trained(this, train)
    if history is None:
        return None
    load = _loader(profile, base, this.checkpoints / "best")
    scores, rows = evaluate.evaluate(load(), validation, prompt, profile, f"score {run_id}")
    return finish(this, validation, scores.to_frame(), rows, history=history)


def train_grpo(
    profile: Profile, run_id: str, start_run: str, task: grpo.Task, validation: Chosen, inputs: Mapping[str, str]
) -> runs.Run | None:
    """Train the study's model from a run's adapter and score its checkpoints; ``best`` is that of the best macro-F1.

    `inputs` are the digests of what the task was made from. None where several processes only trained.
    """
    start = runs.need(profile.cache / "checkpoints" / start_run / "best")
    base = profile.study["grpo"]["model"]
    this = plan(
        profile, run_id, "grpo", "chexreason", base, task.prompt, validation,
        grpo={**plain(profile.grpo), **profile.more("grpo")},
        reward=constants(grpo.reward_of(task.reward, profile)),
        facts={"reward": task.reward, "n_train": len(task.studies)},
        inputs={"start": file_digest(start), "credit": digest_of([sorted(c) for c in task.credit]), **inputs},
    )  # fmt: skip
    if finished := this.finished():
        return finished

    def train(folder: Path) -> Any:
        loaded = models.load(base, profile.models[base], bf16=profile.grpo.bf16)
        return grpo.train(loaded, start, task, profile, folder)

    history = training.trained(this, train)
    if history is None:
        return None
    scored = {}
    for checkpoint in training.checkpoints(this.checkpoints):
        load, label = _loader(profile, base, checkpoint), f"score {run_id}, {checkpoint.name}"
        scored[checkpoint] = evaluate.evaluate(load(), validation, task.prompt, profile, label)
    best = max(scored, key=lambda checkpoint: scored[checkpoint][0].macro["f1"])
    kept = {"best": best, "last": list(scored)[-1]}
    for name, checkpoint in kept.items():
        shutil.rmtree(this.checkpoints / name, ignore_errors=True)
        shutil.copytree(checkpoint, this.checkpoints / name, ignore=shutil.ignore_patterns("ref", "optimizer.pt"))
    table = pd.concat([scored[which][0].to_frame().assign(checkpoint=name) for name, which in kept.items()])
    course = [
        {"step": training.step_of(checkpoint), "metric": f"validation/{kind}_f1", "value": getattr(scores, kind)["f1"]}
        for checkpoint, (scores, _) in scored.items()
        for kind in ("macro", "micro")
    ]
    return finish(this, validation, table, scored[best][1], history=pd.concat([history, pd.DataFrame(course)]))


def plan(
    profile: Profile, run_id: str, stage: str, model: str, base: str, prompt: Prompt, chosen: Chosen, *,
    facts: Mapping[str, Any] | None = None, inputs: Mapping[str, str] | None = None, **settings: Any,
) -> runs.Plan:  # fmt: skip
    """A run's plan with the facts that every stage states."""
    source = profile.models[base]
    pinned = f"{source}@{models.FAMILIES[base].revision_of(source)}"
    about = {
        "stage": stage,
        "model": model,
        "base_model": base,
        "prompt": f"{prompt.name} v{prompt.version}",
        "dataset": chosen.dataset,
        "split": cohorts.place_of(chosen.name)[1],
        "label_set": SOURCES[chosen.dataset].scored_on,
        **(facts or {}),
    }
    made_from = {
        "model": file_digest(Path(source)) if Path(source).is_dir() else pinned,
        "studies": chosen.digest,
        "prompt": digest_of(prompt.text),
        **(inputs or {}),
    }
    used = {"decoding": plain(profile.decoding), "engines": dict(profile.engines), **settings}
    return runs.Plan(profile, run_id, about, used, made_from)


def finish(this: runs.Plan, chosen: Chosen, scores: pd.DataFrame, rows: pd.DataFrame, **more: Any) -> runs.Run:
    """Write a scored run; names of unreadable images only where rows may be shown."""
    names = [path.name for path in chosen.unreadable] if this.profile.rows == "results" else []
    return runs.finish(
        this, metrics=scores, predictions=rows, sources=[(chosen.dataset, chosen.root)],
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu", n=len(chosen.studies),
        unreadable={"count": len(chosen.unreadable), "names": names}, left_out=dict(chosen.left_out), **more,
    )  # fmt: skip
