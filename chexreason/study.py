"""Runs of the study, and the two stages that ask a model and train none: prompting and generalization.

Tables 1, 5 and 6 (paper, sections 4.1 and 4.4). Which runs make up a stage stands in the profile's `study`. A run that
this machine has finished is read, not repeated.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from chexreason import cohorts, evaluate, models, prompts, runs
from chexreason.cohorts import Chosen
from chexreason.config import Profile
from chexreason.data import SOURCES
from chexreason.files import digest_of, file_digest
from chexreason.models import Loaded
from chexreason.models.lora import with_adapter
from chexreason.prompts import Prompt
from chexreason.recipe import plain


def prompting(profile: Profile) -> list[runs.Run]:
    """Table 1: each prompt of the study on its untouched base model, on the validation studies."""
    base, names = profile.study["prompting"]["model"], profile.study["prompting"]["prompts"]
    chosen, load, done = cohorts.choose(profile, "validation"), loader(profile, base), []
    for k, name in enumerate(names, start=1):
        prompt = prompts.get(name)
        this = plan(profile, f"01-prompting-{name}", "prompting", base, base, prompt, chosen)
        done.append(ask(this, prompt, chosen, load, f"prompt {k} of {len(names)}, {name}"))
    return done


def generalization(profile: Profile) -> list[runs.Run]:
    """Tables 5 and 6: each model of the study on each of its test sets."""
    study, done = profile.study["generalization"], []
    test_sets = [cohorts.choose(profile, name) for name in study["test_sets"]]
    for k, (model, about) in enumerate(study["models"].items(), start=1):
        base, prompt = about["base"], prompts.get(about["prompt"])
        adapter = profile.cache / "checkpoints" / about["adapter"] / "best" if about.get("adapter") else None
        inputs = {"adapter": file_digest(runs.need(adapter))} if adapter else {}
        load = loader(profile, base, adapter)
        for chosen in test_sets:
            run_id = f"04-generalization-{model}-{chosen.dataset}"
            this = plan(profile, run_id, "generalization", model, base, prompt, chosen, inputs=inputs)
            label = f"model {k} of {len(study['models'])}, {model} on {chosen.dataset}"
            done.append(ask(this, prompt, chosen, load, label))
    return done


def ask(
    this: runs.Plan, prompt: Prompt, chosen: Chosen, load: Callable[[], Loaded], label: str,
    history: pd.DataFrame | None = None,
) -> runs.Run:  # fmt: skip
    """The run, finished before or now: the model is loaded, asked about the cohort and scored."""
    if finished := this.finished():
        return finished
    scores, rows = evaluate.evaluate(load(), chosen, prompt, this.profile, label)
    return finish(this, chosen, scores.to_frame(), rows, history)


def loader(profile: Profile, base: str, adapter: Path | None = None) -> Callable[[], Loaded]:
    """Loads the model, with its adapter, when it is first needed; once."""
    load = functools.partial(models.load, base, profile.models[base])
    return functools.cache(lambda: with_adapter(load(), adapter) if adapter else load())


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


def finish(
    this: runs.Plan, chosen: Chosen, scores: pd.DataFrame, rows: pd.DataFrame, history: pd.DataFrame | None
) -> runs.Run:
    """Write a scored run; names of unreadable images only where rows may be shown."""
    names = [path.name for path in chosen.unreadable] if this.profile.rows == "results" else []
    return runs.finish(
        this, metrics=scores, predictions=rows, sources=[(chosen.dataset, chosen.root)],
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu", n=len(chosen.studies),
        unreadable={"count": len(chosen.unreadable), "names": names}, left_out=dict(chosen.left_out), history=history,
    )  # fmt: skip
