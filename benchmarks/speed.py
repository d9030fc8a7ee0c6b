"""How much sooner than TRL and transformers as they come: python benchmarks/speed.py

Each task runs in processes of its own, stock and ours in turn; `benchmarks/README.md` has the method.
Writes the table of ratios to results/benchmarks/speed.csv and the time by stage of some tasks to stages.csv there.
"""

import argparse
import dataclasses
import functools
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from peak_memory import together

from chexreason import cohorts, config, data, prompts
from chexreason.config import Profile
from chexreason.data.study import Study
from companion.phantoms.prepare import prepare
from companion.speed.switches import Speed
from companion.workflow import provenance

PLACE = config.RESULTS / "benchmarks"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SWITCHES = [field.name for field in dataclasses.fields(Speed)]
STOCK = Speed(**dict.fromkeys(SWITCHES, False))

SFT_SWITCHES = ("answers_only", "cache_image_embeddings", "fused_adapters", "batch_masks", "last_layer")
DECODE_SWITCHES = (
    "continuous_batching",
    "continuous_batching+speculative",
    "onednn_weights",
    "multiprocess",
)  # drafts need rows

#: Tasks that get all cores, and are compared by the clock on the wall; the others by processor seconds on one.
ALL_CORES = ("decode", "decode-qwen")

#: task -> (what is measured, family, the switches that concern it)
TASKS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "grpo": ("GRPO, a rollout batch of 8 studies x 4 completions, two passes", "medgemma",
             ("shared_prompt", "reuse_first_logprobs", "share_prefill", "merged_sampling", "fused_adapters",
              "last_layer")),
    "sft": ("SFT, 32 studies, 3 epochs", "medgemma", SFT_SWITCHES),
    "sft-qwen": ("SFT, 32 studies, 3 epochs", "qwen", SFT_SWITCHES),
    "decode": ("greedy answers to 500 studies", "medgemma", DECODE_SWITCHES),
    "decode-qwen": ("greedy answers to 500 studies", "qwen", DECODE_SWITCHES),
    "bootstrap": ("paired bootstrap, 10,000 resamples, 5 models, 14 findings, 500 studies", "", ()),
}  # fmt: skip


def speed_of(side: str) -> Speed:
    """The switches of a side: stock, ours, those that are on alone with + between them, or "all but" one."""
    if side.startswith("all but "):
        return dataclasses.replace(Speed(), **{side.removeprefix("all but "): False})
    alone = dict.fromkeys(side.split("+"), True)
    return {"stock": STOCK, "ours": Speed()}.get(side) or dataclasses.replace(STOCK, **alone)


def engines_of(side: str) -> dict[str, Any]:
    """The trainers and the decoder of a side; stock is TRL and transformers as they come."""
    names = {"decode": "decoding.generate", "sft": "sft.FastSFTTrainer", "grpo": "grpo.FastGRPOTrainer"}
    speed = speed_of(side)
    return {} if side == "stock" else {k: {"name": f"companion.speed.{v}", "speed": speed} for k, v in names.items()}


class Stages:
    """Seconds a stage, by wrapping methods; a stage that runs inside another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.inner = [0.0]
        self.undo: list[Callable[[], None]] = []

    def wrap(self, owner: Any, method: str, stage: Callable[..., str]) -> None:
        """Time a method of an object under the stage that `stage` names from its arguments."""
        plain = getattr(owner, method)

        @functools.wraps(plain)  # `generate` looks at the parameters' names
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.inner.append(0.0)
            start = time.process_time()
            try:
                return plain(*args, **kwargs)
            finally:
                whole = time.process_time() - start
                name, inside = stage(*args, **kwargs), self.inner.pop()
                self.seconds[name] = self.seconds.get(name, 0.0) + whole - inside
                self.inner[-1] += whole

        setattr(owner, method, timed)
        self.undo.append(lambda: setattr(owner, method, plain))

    def taken(self) -> dict[str, float]:
        """The seconds so far; from now on nothing is timed, or a module's function would go on in the next round."""
        for restore in reversed(self.undo):
            restore()
        return dict(self.seconds)


Task = tuple[Callable[[], Any], Callable[[], dict[str, Any]]]  # what is timed; facts about it afterwards


def grpo(profile: Profile, family: str, folder: Path, turn: int) -> Task:
    """A rollout batch of its own in each round, from a fresh adapter on the pre-trained miniature."""
    import torch

    from chexreason import grpo as trains
    from chexreason import models

    settings = profile.grpo
    models.add_lora(models.load(family, profile.models[family]), profile.lora).save_pretrained(folder / "start")
    chosen = cohorts.choose(profile, "rl")
    n = settings.studies_per_step
    first = turn * n % len(chosen.studies)
    studies, prompt = chosen.studies[first : first + n], prompts.get("free_reasoning")
    task = trains.Task.recorded(studies, prompt, "nuanced", profile.decoding.uncertain)
    loaded = models.load(family, profile.models[family])
    trainer = trains.trainer_for(loaded, folder / "start", task, profile, folder / "run")
    stages = Stages()
    stages.wrap(trainer, "_generate_single_turn", lambda *_: "sampling")
    stages.wrap(
        trainer, "_get_per_token_logps_and_entropies",
        lambda *_, **__: "forward" if torch.is_grad_enabled() else "old and reference log-probabilities",
    )  # fmt: skip
    stages.wrap(trainer.accelerator, "backward", lambda *_, **__: "backward")
    stages.wrap(trainer.model.get_base_model().model, "get_image_features", lambda *_, **__: "vision tower")
    stages.wrap(trainer, "train", lambda: "rest")

    def facts() -> dict[str, Any]:
        [length] = [e["completions/mean_length"] for e in trainer.state.log_history if "completions/mean_length" in e]
        return {"stages": stages.taken(), "units": length * n * settings.num_generations}

    return lambda: trainer.train(), facts


def sft(profile: Profile, family: str, folder: Path, turn: int) -> Task:
    """An SFT run on the rule-based teacher's traces."""

    from chexreason import models, traces
    from chexreason import sft as trains

    prompt = prompts.get("free_reasoning")
    chosen = cohorts.choose(profile, "sft")
    lessons = traces.of(chosen, prompt, profile)
    loaded = models.load(family, profile.models[family])
    settings = dataclasses.replace(profile.sft, num_train_epochs=3, early_stopping_patience=3)
    profile = dataclasses.replace(profile, sft=settings)
    some = slice(32 * turn % 128, 32 * turn % 128 + 32)
    studies, lessons = list(chosen.studies[some]), lessons[some]
    return (
        lambda: trains.train(loaded, studies, lessons, prompt, profile, folder),
        lambda: {"units": 1.0},
    )


def decode(profile: Profile, family: str, folder: Path, turn: int) -> Task:
    """Greedy decoding of 500 studies, with the digest of what was said."""
    from chexreason import evaluate, models
    from chexreason.files import digest_of
    from companion.speed.speculative import GUESSED

    studies: list[Study] = []
    for name, split in (("mimic", None), ("chexpert", None)):
        studies += data.load(name, profile.data[name].root, split).studies
    loaded = models.load(family, profile.models[family])
    some = studies[:500]
    said: list[Any] = []

    def run() -> None:
        prompt = prompts.get("free_reasoning")
        said.extend(
            evaluate.decode(
                loaded,
                some,
                prompt,
                profile.decoding,
                label="decode",
                engine=profile.engine("decode", evaluate.generate),
            )
        )

    def step(*_: Any, **inputs: Any) -> str:
        tokens = inputs["inputs_embeds"] if inputs.get("input_ids") is None else inputs["input_ids"]
        return "new tokens" if tokens.shape[1] <= 1 + GUESSED else "prompts"

    stages = Stages()
    stages.wrap(models, "encode", lambda *_, **__: "images and words to tensors")
    stages.wrap(loaded.model.model, "get_image_features", lambda *_, **__: "vision tower")
    stages.wrap(loaded.model.model.language_model, "forward", step)
    stages.wrap(evaluate, "decode", lambda *_, **__: "rest")

    def facts() -> dict[str, Any]:
        return {"units": 1.0, "stages": stages.taken(), "digest": digest_of([dataclasses.asdict(one) for one in said])}

    return run, facts


def bootstrap(profile: Profile, family: str, folder: Path, turn: int) -> Task:
    """F1 in each resample: of each finding, micro, macro; scikit-learn's loop runs a hundredth and is multiplied."""
    from sklearn.metrics import f1_score

    from companion.evidence import stats

    rng = np.random.default_rng(0)
    true = rng.random((500, 14)) < 0.2
    preds = [true ^ (rng.random(true.shape) < 0.2) for _ in range(5)]
    patients = np.array([f"p{i}" for i in rng.integers(400, size=500)])
    rows = pd.Series(range(500)).groupby(patients).apply(np.array).tolist()

    def ours() -> None:
        stats.resampled_f1(true, preds, patients, np.random.default_rng(0), resamples=10_000)

    def loop() -> None:
        scores = np.full((10_000, len(preds), 14), np.nan)  # what the whole loop would hold
        micro = np.full(scores.shape[:2], np.nan)
        for resample in range(100):
            draw = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
            for model, pred in enumerate(preds):
                scores[resample, model] = f1_score(true[draw], pred[draw], average=None, zero_division=0)
                micro[resample, model] = f1_score(true[draw], pred[draw], average="micro", zero_division=0)
        scores.mean(axis=-1)

    return (loop, lambda: {"units": 0.01}) if not profile.engines else (ours, lambda: {"units": 1.0})


def once(task: str, side: str, turn: int) -> dict[str, Any]:
    """Run a task on one side and say what it took."""
    profile = dataclasses.replace(config.load_profile("demo"), engines=engines_of(side))
    prepare(profile)
    kinds = {"grpo": grpo, "sft": sft, "decode": decode, "bootstrap": bootstrap}
    with tempfile.TemporaryDirectory() as folder:
        run, facts = kinds[task.split("-")[0]](profile, TASKS[task][1], Path(folder), turn)
        gc.collect()
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = memory("VmHWM")
        return {
            "side": side,
            "round": turn,
            "wall": wall,
            "cpu": cpu,
            "peak_mb": peak,
            "above_mb": peak - before,
        } | facts()


def memory(entry: str) -> float:
    """This process's entry of /proc/self/status in MB."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(entry + ":")]
    return int(line.split()[1]) / 1024


def apart(task: str, sides: list[str], rounds: int, cores: bool = False, watch: bool = False) -> list[dict[str, Any]]:
    """The rounds of these sides in turn, in a process of their own; on one thread, or as torch comes on all cores.

    To `watch` is to ask for the memory of the process and those that it has forked a hundred times a second.
    """
    command = [sys.executable, __file__, task, "--child", ",".join(sides), "--rounds", str(rounds)]
    env = dict(os.environ) if cores else os.environ | ONE_THREAD
    # Into files, since nobody reads while the memory is watched, and a pipe that is full would wait.
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        running = subprocess.Popen(command, env=env, stdout=said, stderr=complained)
        most = 0.0
        while running.poll() is None:
            most = max(most, together(psutil.Process(running.pid)) / 2**20 if watch else 0.0)
            time.sleep(0.01 if watch else 0.5)
        for file in (said, complained):
            file.seek(0)
        if running.returncode:
            raise SystemExit(f"{task} {sides} failed:\n{complained.read()[-3000:]}")
        rounds_of = list(json.loads(said.read().splitlines()[-1]))
    for one in rounds_of:
        one["above_mb"] += max(0.0, most - one["peak_mb"])
        one["peak_mb"] = max(one["peak_mb"], most)
    return rounds_of


def main() -> None:
    """Measure the tasks asked for and write the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("tasks", nargs="*", help=f"some of {', '.join(TASKS)}; all of them if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs")
    parser.add_argument("--switches", action="store_true", help="also each switch alone, and all but each")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        sides = arguments.child.split(",")
        turns = range(arguments.rounds)
        print(json.dumps([once(arguments.tasks[0], side, turn) for turn in turns for side in sides]))
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    for task in arguments.tasks or TASKS:
        sides = ["stock", "ours"]
        if arguments.switches:
            sides += [*TASKS[task][2], *(f"all but {name}" for name in TASKS[task][2] if "+" not in name)]
        cores = task in ALL_CORES
        found = pd.DataFrame(apart(task, sides, arguments.rounds + 1, cores))
        peaks = pd.DataFrame([apart(task, [side], 1, cores, watch=cores)[0] for side in sides])
        write(task, found[found["round"] > 0], peaks.set_index("side"))  # the first round warms up
        if "stages" in found:
            alone = pd.DataFrame(apart(task, sides[:2], 2)) if cores else found  # stages are seen in one process only
            write_stages(task, alone[alone["round"] > 0])
    print(pd.read_csv(PLACE / "speed.csv").to_string(index=False))


def write(task: str, found: pd.DataFrame, peaks: pd.DataFrame) -> None:
    """Put a task's rows into the tables, in place of its older ones."""
    what, family, _ = TASKS[task]
    if "digest" in found:
        assert (found.groupby("round")["digest"].nunique() == 1).all(), f"{task}: both sides have to say the same"
    each = found.assign(cpu=found["cpu"] / found["units"], wall=found["wall"] / found["units"])
    middle = each.groupby("side", sort=False)[["cpu", "wall"]].median()
    clock = "wall" if task in ALL_CORES else "cpu"
    stock = middle.loc["stock"]
    paired = each.pivot(index="round", columns="side", values=clock)
    for side, ours in middle.drop(index="stock").iterrows():
        ratios = paired["stock"] / paired[side]
        row = {
            "task": task, "what": what, "family": family, "switches": "all" if side == "ours" else side,
            "ratio": ratios.median(), "ratio_least": ratios.min(), "ratio_most": ratios.max(), "rounds": len(ratios),
            "stock_s": stock[clock] * found["units"].median(), "ours_s": ours[clock] * found["units"].median(),
            "clock": clock, "wall_ratio": stock["wall"] / ours["wall"],
            "stock_peak_mb": peaks["peak_mb"]["stock"], "ours_peak_mb": peaks["peak_mb"][side],
            "stock_above_mb": peaks["above_mb"]["stock"], "ours_above_mb": peaks["above_mb"][side],
            **machine(), "threads": os.cpu_count() if task in ALL_CORES else 1,
        }  # fmt: skip
        put(PLACE / "speed.csv", pd.DataFrame([row]), ["task", "switches"])


def write_stages(task: str, found: pd.DataFrame) -> None:
    """Put a task's seconds by stage into their table."""
    rows = [
        {"task": task, "side": side, "stage": stage, "cpu_s": seconds}
        for side, one in found.groupby("side", sort=False)
        for stage, seconds in pd.DataFrame(list(one["stages"])).fillna(0).median().items()
    ]
    put(PLACE / "stages.csv", pd.DataFrame(rows), ["task", "side", "stage"])


def put(path: Path, rows: pd.DataFrame, keys: list[str]) -> None:
    """Batch into a CSV file, in place of those with the same keys; each says which code it tells of."""
    rows = rows.assign(code=[provenance.measured_code(path.name, task) for task in rows["task"]])
    if path.is_file():
        old = pd.read_csv(path)
        fresh = set(rows[keys].itertuples(index=False, name=None))
        rows = pd.concat([old[[row not in fresh for row in old[keys].itertuples(index=False, name=None)]], rows])
    rows.dropna(axis=1, how="all").round(3).to_csv(path, index=False)


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "processor": names[0] if names else platform.machine(), "cores": os.cpu_count(),
        **{package: version(package) for package in ("torch", "transformers", "trl", "peft", "scikit-learn")},
    }  # fmt: skip


if __name__ == "__main__":
    main()
