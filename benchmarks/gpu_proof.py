"""Whether the paper's study fits one GPU, and how long it takes: python benchmarks/gpu_proof.py

The real architectures with random weights (`stand_ins.py`) go through `chexreason.sft`, `chexreason.grpo` and
`chexreason.evaluate` with the settings of the profile `paper`, on phantom images. All answers have the longest length
allowed, so the times are upper bounds. Each part runs in a process of its own. Measured: seconds a step and peak
memory, into results/benchmarks/gpu.csv, beside what `companion.replication.memory` computes (`computed_gb`); projected
from them: the hours of the whole study, every training with all its epochs. Loading of weights, the teacher and the
book are not counted.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import stand_ins
import torch

from chexreason import config, evaluate, grpo, prompts, sft
from chexreason.config import Profile
from chexreason.errors import UserError, unknown
from chexreason.files import write_atomically
from chexreason.models import add_lora
from chexreason.processes import Progress
from companion.replication.hours import work
from companion.replication.memory import GB, need

RESULT = config.RESULTS / "benchmarks" / "gpu.csv"
#: Steps that are counted, after one that is not.
COUNTED = 4
#: The paper's card.
MEMORY_GB = 80.0
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
        group, _, name = setting.partition(".")
        changed = dataclasses.replace(getattr(profile, group), **{name: value}) if name else value
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
    """Seconds of an optimizer step, vision encoder included."""
    settings, prompt = dataclasses.replace(profile.sft, num_train_epochs=1), prompts.get("free_reasoning")
    fit = settings.studies_per_step * (counted + 1)
    held = max(1, round(fit * settings.validation_share / (1 - settings.validation_share)))
    made = stand_ins.studies(fit + held, folder)
    traces = [stand_ins.answer(loaded, study, prompt, profile.decoding.max_new_tokens) for study in made]
    facts = stand_ins.lengths(loaded, made, prompt)
    with step_times() as moments:
        sft.train(loaded, made, traces, prompt, dataclasses.replace(profile, seed=0, sft=settings), folder / "run")
    return {"seconds": (moments[counted] - moments[0]) / counted, "units": settings.studies_per_step,
            "images": len(made), **facts}  # fmt: skip


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
    assert length == settings.max_completion_length, f"completions of {length} tokens"
    return {"seconds": (moments[last] - moments[first]) / (batches - 1), "units": settings.studies_per_step,
            "images": len(made), **facts}  # fmt: skip


def measure_decode(loaded: Any, profile: Profile, folder: Path, counted: int) -> dict[str, float]:
    """Seconds of a batch of greedy answers."""
    prompt, settings = prompts.get("reasoning_a"), profile.decoding
    made, decoder = stand_ins.studies(2 * settings.batch_size, folder), profile.engine("decode", evaluate.generate)
    facts = stand_ins.lengths(loaded, made, prompt)
    for half in (made[: settings.batch_size], made[settings.batch_size :]):  # the first one warms up
        start = time.perf_counter()
        answers = evaluate.decode(loaded, half, prompt, settings, label="decode", engine=decoder)
        _wait()
    assert {one.tokens for one in answers} == {settings.max_new_tokens}
    return {"seconds": time.perf_counter() - start, "units": settings.batch_size, **facts}


MEASURES: Mapping[str, Callable[..., dict[str, float]]] = {
    "sft": measure_sft, "grpo": measure_grpo, "decode": measure_decode,
}  # fmt: skip


def once(part: str, family: str, options: str, tiny: bool) -> dict[str, Any]:
    """One part of one family in this process: a row of the table; out of memory is a result too."""
    profile = profile_with(options, tiny)
    tokens = profile.decoding.max_new_tokens
    row = {"family": family, "options": options, "part": part, "answer_tokens": tokens}
    with tempfile.TemporaryDirectory() as folder:
        loaded = (stand_ins.tiny if tiny else stand_ins.real)(family)
        try:
            row |= MEASURES[part](loaded, profile, Path(folder), 2 if tiny else COUNTED)
        except torch.OutOfMemoryError:
            row["seconds"] = math.nan
    row |= {"peak_gb": math.nan, "reserved_gb": math.nan, "device": "cpu", "device_gb": 0.0, "cuda": "none"}
    row["computed_gb"] = math.nan if tiny else computed_gb(profile, part, family, row)
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        memory = {"peak_gb": torch.cuda.max_memory_allocated(), "reserved_gb": torch.cuda.max_memory_reserved(),
                  "device_gb": about.total_memory}  # fmt: skip
        row |= {name: size / 1e9 for name, size in memory.items()}
        row |= {"device": about.name, "cuda": torch.version.cuda}
    return row | {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl", "peft")}


def computed_gb(profile: Profile, part: str, family: str, row: Mapping[str, Any]) -> float:
    """What is computed for a part as it ran, to stand beside `peak_gb`: no CUDA context, nothing reserved in vain."""
    images = row.get("images", 0)
    seen = dataclasses.replace(profile, sizes=dataclasses.replace(profile.sizes, sft=images, rl=images))
    parts = need(seen, family, "evaluate" if part == "decode" else part, prompt=row.get("prompt_tokens", 0))
    return sum(size for name, size in parts.items() if name != "overhead") / GB


def apart(part: str, family: str, options: str, tiny: bool) -> dict[str, Any]:
    """A part in a process of its own, so that none finds memory that another has left."""
    command = [sys.executable, __file__, "--child", part, "--family", family, "--options", options]
    ended = subprocess.run([*command, *(["--tiny"] if tiny else [])], stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise UserError(f"{part} of {family} to run", f"exit status {ended.returncode}", "see the lines above")
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def projected(measured: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Hours a stage, family and part; NaN where a part was not measured or did not fit."""
    each = measured.assign(each=measured["seconds"] / measured["units"])[["family", "part", "each"]]
    table = work(profile).merge(each, how="left", on=["family", "part"])
    return table.assign(hours=table["studies"] * table["each"] / 3600).drop(columns="each")


def verdict(measured: pd.DataFrame, profile: Profile, options: str, tiny: bool) -> str:
    """The projection as text, with the verdict on time and memory."""
    table = projected(measured, profile)
    lines = [f"\nProjected with the options {options}:", table.round(2).to_string(index=False)]
    if tiny:
        return "\n".join([*lines, "These are the miniatures: no number here says anything of the study."])
    missing = table[table["hours"].isna()]
    if len(missing):
        names = ", ".join(sorted(set(missing["family"] + " " + missing["part"])))
        lines.append(f"Not measured, or out of memory: {names}")
    total, peak = table["hours"].sum(skipna=True), measured["reserved_gb"].max()
    lines.append(f"{total:.1f} hours and {peak:.1f} GB at most")
    enough = "suffices" if not len(missing) and peak <= MEMORY_GB else "does NOT suffice"
    return "\n".join([*lines, f"The paper's card of {MEMORY_GB:.0f} GB {enough}."])


def save(table: pd.DataFrame, place: Path) -> pd.DataFrame:
    """The rows in the table, in place of older ones of the same family, options, part and device."""
    if place.is_file():
        keys = ["family", "options", "part", "device"]
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
    parser.add_argument("--child", choices=tuple(MEASURES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    try:
        if not args.tiny and not torch.cuda.is_available():
            do = "run this where there is one, or walk the path with --tiny"
            raise UserError("a GPU that torch sees", "none", do)
        if args.child:
            print(json.dumps(once(args.child, args.family, args.options, args.tiny)))
            return 0
        sets = {name: profile_with(name, False) for name in args.options.split(",")}
        rows = []
        for name, profile in sets.items():
            # The parts in which the study has work for a family: its GRPO is MedGemma's alone.
            asked = work(profile).groupby(["family", "part"])["studies"].sum()
            for family in [args.family] if args.family else ["medgemma", "qwen"]:
                for part in (part for part in MEASURES if (family, part) in asked):
                    row = apart(part, family, name, args.tiny)
                    hours = asked[family, part] * row["seconds"] / row.get("units", 1) / 3600
                    rows.append(row | {"study_hours": hours})
        place, table = args.out or (None if args.tiny else RESULT), pd.DataFrame(rows).round(4)
        table = save(table, place) if place else table
    except UserError as error:
        print(f"gpu_proof: {error}", file=sys.stderr)
        return 2
    shown = ["family", "options", "part", "seconds", "units", "peak_gb", "computed_gb", "film_tokens",
             "prompt_tokens", "answer_tokens"]  # fmt: skip
    print(table.reindex(columns=shown).to_string(index=False))
    for name in sets:
        print(verdict(table[table["options"] == name], profile_with("paper", False), name, args.tiny))
    return 0


if __name__ == "__main__":
    sys.exit(main())
