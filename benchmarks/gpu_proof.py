"""Whether the paper's study fits one GPU, and how long it takes: python benchmarks/gpu_proof.py

The real architectures with random weights (`stand_ins.py`) go through `chexreason.sft`, `chexreason.grpo` and
`chexreason.evaluate` with the settings of the profile `paper`, on phantom films. All answers have the longest
length allowed, so the times are upper bounds. Each part runs in a process of its own. Measured: seconds a
step and peak memory, into results/benchmarks/gpu.csv; projected from them: the hours of the whole study.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hours
import pandas as pd
import stand_ins
import torch

from chexreason import config, evaluate, grpo, prompts, sft
from chexreason.config import Profile
from chexreason.errors import UserError, unknown
from chexreason.files import write_atomically
from chexreason.models.lora import add_lora
from chexreason.processes import Progress

RESULT = config.RESULTS / "benchmarks" / "gpu.csv"
#: Steps that are counted, after one that is not.
COUNTED = 4
PARTS = ("sft", "grpo", "decode")
#: What may be changed for a smaller card, or to be faster; none of it changes what is computed but for rounding.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "40gb": {"grpo.per_device_train_batch_size": 2, "decoding.batch_size": 8},
    "24gb": {"grpo.per_device_train_batch_size": 1, "decoding.batch_size": 4},
    "decode-64": {"decoding.batch_size": 64},
    "no-checkpointing": {"sft.gradient_checkpointing": False, "grpo.gradient_checkpointing": False},
    "stock": {"engines": {}},  # the libraries as they come
}
#: For `--tiny`: the same path, so short that a processor walks it.
SHORT = {"sft.studies_per_step": 2, "grpo.studies_per_step": 2, "grpo.max_completion_length": 12,
         "decoding.max_new_tokens": 12, "decoding.batch_size": 2}  # fmt: skip


def profile_with(options: str, tiny: bool) -> Profile:
    """The profile `paper` with a set of options; raises UserError for an unknown one."""
    if options not in OPTIONS:
        raise unknown("set of options", options, OPTIONS, "benchmarks/gpu_proof.py")
    profile = config.load_profile("paper", unset=True)
    for setting, value in {**OPTIONS[options], **(SHORT if tiny else {})}.items():
        if setting == "engines":
            profile = dataclasses.replace(profile, engines=value)
            continue
        group, _, name = setting.partition(".")
        changed = dataclasses.replace(getattr(profile, group), **{name: value})
        profile = dataclasses.replace(profile, **{group: changed})
    return profile


@contextmanager
def step_times() -> Iterator[list[float]]:
    """The moments at which optimizer steps of our trainers end; the GPU has then done its work."""
    moments: list[float] = []
    plain = Progress.on_step_end

    def timed(self: Progress, *args: Any, **kwargs: Any) -> None:
        _wait()
        moments.append(time.perf_counter())
        plain(self, *args, **kwargs)

    with patch.object(Progress, "on_step_end", timed):
        yield moments


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure_sft(loaded: Any, profile: Profile, folder: Path, counted: int) -> dict[str, float]:
    """Seconds of an optimizer step of `effective_batch` studies, vision tower included."""
    settings, prompt = dataclasses.replace(profile.sft, num_train_epochs=1), prompts.get("free_reasoning")
    fit = settings.studies_per_step * (counted + 1)
    made = stand_ins.studies(
        fit + max(1, round(fit * settings.validation_share / (1 - settings.validation_share))), folder
    )
    traces = [stand_ins.answer(loaded, study, prompt, profile.decoding.max_new_tokens) for study in made]
    facts = stand_ins.lengths(loaded, made, prompt)
    with step_times() as moments:
        sft.train(loaded, made, traces, prompt, dataclasses.replace(profile, seed=0, sft=settings), folder / "run")
    return {"seconds": (moments[counted] - moments[0]) / counted, "units": settings.studies_per_step, **facts}


def measure_grpo(loaded: Any, profile: Profile, folder: Path, counted: int) -> dict[str, float]:
    """Seconds of a rollout batch: sampling, both passes over it and the reference's log-probabilities."""
    prompt, settings = prompts.get("free_reasoning"), profile.grpo
    batches = max(2, counted // 2)
    made = stand_ins.studies(settings.studies_per_step * batches, folder)
    facts = stand_ins.lengths(loaded, made, prompt)
    fresh = add_lora(loaded, profile.lora)
    fresh.save_pretrained(folder / "start", save_embedding_layers=False)
    loaded = dataclasses.replace(loaded, model=fresh.unload())
    task = grpo.Task.recorded(made, prompt, "nuanced", profile.decoding.uncertain)
    # A checkpoint at the end only; a run of 1,000 studies writes four.
    trainer = grpo.trainer_for(loaded, folder / "start", task, profile, folder / "run")
    trainer.args.save_strategy = "no"
    trainer.generation_config.suppress_tokens = stand_ins.silent(loaded)
    with step_times() as moments:
        trainer.train()
    first, last = settings.num_iterations - 1, settings.num_iterations * batches - 1
    [*_, length] = [e["completions/mean_length"] for e in trainer.state.log_history if "completions/mean_length" in e]
    assert length == settings.max_completion_length, (
        f"completions of {length} tokens, not of {settings.max_completion_length}"
    )
    return {"seconds": (moments[last] - moments[first]) / (batches - 1), "units": settings.studies_per_step, **facts}


def measure_decode(loaded: Any, profile: Profile, folder: Path, counted: int) -> dict[str, float]:
    """Seconds of a batch of greedy answers."""
    prompt, batch = prompts.get("reasoning_a"), profile.decoding.batch_size
    made = stand_ins.studies(2 * batch, folder)
    facts = stand_ins.lengths(loaded, made, prompt)
    evaluate.decode(
        loaded,
        made[:batch],
        prompt,
        profile.decoding,
        label="warm-up",
        engine=profile.engine("decode", evaluate.generate),
    )
    start = time.perf_counter()
    answers = evaluate.decode(
        loaded,
        made[batch:],
        prompt,
        profile.decoding,
        label="decode",
        engine=profile.engine("decode", evaluate.generate),
    )
    _wait()
    assert {one.tokens for one in answers} == {profile.decoding.max_new_tokens}
    return {"seconds": time.perf_counter() - start, "units": batch, **facts}


MEASURES: Mapping[str, Callable[..., dict[str, float]]] = {
    "sft": measure_sft, "grpo": measure_grpo, "decode": measure_decode,
}  # fmt: skip


def once(part: str, family: str, options: str, tiny: bool) -> dict[str, Any]:
    """One part of one family in this process: a row of the table; out of memory is a result too."""
    profile = profile_with(options, tiny)
    row: dict[str, Any] = {
        "family": family,
        "options": options,
        "part": part,
        "answer_tokens": profile.decoding.max_new_tokens,
    }
    with tempfile.TemporaryDirectory() as folder:
        loaded = (stand_ins.tiny if tiny else stand_ins.real)(family)
        try:
            found = MEASURES[part](loaded, profile, Path(folder), 2 if tiny else COUNTED)
        except torch.OutOfMemoryError:
            found = {"seconds": float("nan")}
    cuda = torch.cuda.is_available()
    memory = {"peak_gb": torch.cuda.max_memory_allocated() / 1e9, "reserved_gb": torch.cuda.max_memory_reserved() / 1e9}
    return row | found | (memory if cuda else dict.fromkeys(memory, float("nan"))) | device()


def parts_of(family: str) -> list[str]:
    """The parts in which the study has work for a family: its GRPO is MedGemma's alone."""
    asked = hours.counts(config.load_profile("paper", unset=True))
    return [part for part in PARTS if any((family, part) == key[1:] for key in asked)]


def device() -> dict[str, Any]:
    """What the numbers were taken on."""
    cuda = torch.cuda.is_available()
    about = torch.cuda.get_device_properties(0) if cuda else None
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl", "peft")}
    return {"device": about.name if about else "cpu", "device_gb": about.total_memory / 1e9 if about else 0.0,
            "cuda": torch.version.cuda or "none", **versions}  # fmt: skip


def apart(part: str, family: str, options: str, tiny: bool) -> dict[str, Any]:
    """A part in a process of its own, so that none finds memory that another has left."""
    command = [sys.executable, __file__, "--child", part, "--family", family, "--options", options]
    ended = subprocess.run([*command, *(["--tiny"] if tiny else [])], stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise UserError(f"{part} of {family} to run", f"exit status {ended.returncode}", "see the lines above")
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def save(rows: list[dict[str, Any]], place: Path) -> pd.DataFrame:
    """The rows in the table, in place of older ones of the same family, options, part and device."""
    keys = ["family", "options", "part", "device"]
    table = pd.DataFrame(rows).round(4)
    if place.is_file():
        table = pd.concat([pd.read_csv(place), table]).drop_duplicates(keys, keep="last")
    write_atomically(place, table.to_csv(index=False).encode())
    return table


def main() -> int:
    """Measure what is asked for, write the table, print the projected hours."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--family", choices=("medgemma", "qwen"), help="one family (default: both)")
    parser.add_argument("--options", default="paper", help=f"some of {', '.join(OPTIONS)}, with commas between")
    parser.add_argument("--tiny", action="store_true", help="the miniatures, on any machine: does the path run?")
    parser.add_argument("--out", type=Path, help="the table (default: results/benchmarks/gpu.csv; none with --tiny)")
    parser.add_argument("--child", choices=PARTS, help=argparse.SUPPRESS)
    words = parser.parse_args()
    try:
        if not words.tiny and not torch.cuda.is_available():
            raise UserError(
                "a GPU that torch sees", "none", "run this where there is one, or walk the path with --tiny"
            )
        if words.child:
            print(json.dumps(once(words.child, words.family, words.options, words.tiny)))
            return 0
        sets = words.options.split(",")
        for name in sets:
            profile_with(name, words.tiny)
        families = [words.family] if words.family else ["medgemma", "qwen"]
        rows = [
            apart(part, family, name, words.tiny) for name in sets for family in families for part in parts_of(family)
        ]
        for row in rows:
            row["study_hours"] = hours.of_part(row, profile_with(row["options"], False))
        place = words.out or (None if words.tiny else RESULT)
        table = save(rows, place) if place else pd.DataFrame(rows)
    except UserError as error:
        print(f"gpu_proof: {error}", file=sys.stderr)
        return 2
    shown = [
        "family",
        "options",
        "part",
        "seconds",
        "units",
        "peak_gb",
        "film_tokens",
        "prompt_tokens",
        "answer_tokens",
    ]
    print(table.reindex(columns=shown).to_string(index=False))
    for name in sets:
        print(hours.told(table[table["options"] == name], profile_with("paper", False), name, words.tiny))
    return 0


if __name__ == "__main__":
    sys.exit(main())
