"""Runs of the study, and the two stages that ask a model and train none: prompting and generalization.

Tables 1, 5 and 6 (paper, sections 4.1 and 4.4). Which runs make up a stage stands in the profile's `study`. A run that
this machine has finished is read, not repeated.
"""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd

from chexreason import cohorts, evaluate, models, processes, prompts, records, runs
from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.files import alone_at
from chexreason.models import Loaded, with_adapter
from chexreason.prompts import Prompt

T = TypeVar("T")


def prompting(profile: Profile) -> list[runs.Run]:
    """Table 1: each prompt of the study on its untouched base model, on the validation studies."""
    base, names = profile.study["prompting"]["model"], profile.study["prompting"]["prompts"]
    chosen, load, done = cohorts.choose(profile, "validation"), loader(profile, base), []
    for k, name in enumerate(names, start=1):
        prompt = prompts.get(name)
        this = records.plan(profile, f"01-prompting-{name}", "prompting", base, base, prompt, chosen)
        label = f"prompt {k} of {len(names)}, {name}"
        done.append(once(this, functools.partial(ask, this, prompt, chosen, load, label)))
    return done


def generalization(profile: Profile) -> list[runs.Run]:
    """Tables 5 and 6: each model of the study on each of its test sets."""
    study, done = profile.study["generalization"], []
    test_sets = [cohorts.choose(profile, name) for name in study["test_sets"]]
    for k, (model, about) in enumerate(study["models"].items(), start=1):
        base, prompt = about["base"], prompts.get(about["prompt"])
        adapter = profile.cache / "checkpoints" / about["adapter"] / "best" if about.get("adapter") else None
        inputs = {"adapter": runs.adapter_digest(runs.need(adapter))} if adapter else {}
        load = loader(profile, base, adapter)
        for chosen in test_sets:
            run_id = f"04-generalization-{model}-{chosen.dataset}"
            this = records.plan(profile, run_id, "generalization", model, base, prompt, chosen, inputs=inputs)
            label = f"model {k} of {len(study['models'])}, {model} on {chosen.dataset}"
            done.append(once(this, functools.partial(ask, this, prompt, chosen, load, label)))
    return done


def once(this: runs.Plan, compute: Callable[[], T]) -> runs.Run | T:
    """The run, finished before or computed now; a second command on the same run waits, and then finds it finished."""
    with contextlib.ExitStack() as held:
        with processes.first_before_others():
            if processes.rank() == 0:
                held.enter_context(alone_at(this.run_id, this.profile.cache, this.profile.results))
        return this.finished() or compute()


def ask(
    this: runs.Plan, prompt: Prompt, chosen: Cohort, load: Callable[[], Loaded], label: str,
    history: pd.DataFrame | None = None,
) -> runs.Run:  # fmt: skip
    """Load the model, ask it about the cohort and score it."""
    scores, rows = evaluate.evaluate(load(), chosen, prompt, this.profile, label)
    return records.finish(this, chosen, scores.to_frame(), rows, history)


def loader(profile: Profile, base: str, adapter: Path | None = None) -> Callable[[], Loaded]:
    """Loads the model, with its adapter, when it is first needed; once."""
    load = functools.partial(models.load, base, profile.models[base], bits=profile.decoding.load_in_bits)
    return functools.cache(lambda: with_adapter(load(), adapter) if adapter else load())
