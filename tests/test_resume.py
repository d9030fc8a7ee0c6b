"""A training that is stopped, wherever and however, ends with the weights and the results of one that was not."""

import dataclasses
import json
import resource
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from transformers import TrainerCallback

from chexreason import config, files, grpo, prompts, resume, runs, sft, study, traces
from chexreason.cohorts import Cohort
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from companion.speed.sft import FastSFTTrainer

SFT, GRPO, PROMPT = "02-sft-x", "03-grpo-x", prompts.get("only_label")
#: Validation losses of the epochs: with a patience of two, the third is the last and the first the best.
LOSSES = [1.0, 1.2, 1.1, 0.5]


@pytest.fixture(scope="module", autouse=True)
def _prescribed_losses():
    measured = FastSFTTrainer.evaluation_loop

    def prescribed(self, *args, **kwargs):
        output = measured(self, *args, **kwargs)
        output.metrics["eval_loss"] = LOSSES[round(self.state.epoch) - 1]
        return output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastSFTTrainer, "evaluation_loop", prescribed)
        yield


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Cohort:
    """Ten studies with images of noise, all with edema."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for k in range(10):
        Image.fromarray(rng.integers(0, 255, (180, 180), dtype=np.uint8)).save(root / f"{k}.png")
    made = (Study("nih", f"{k}", f"{k}", root / f"{k}.png", "PA", "train", {"Edema": 1.0}, FINDINGS) for k in range(10))
    return Cohort("validation", "nih", root, tuple(made), (), {})


@pytest.fixture(scope="module")
def at(checkpoints, shown):
    """The smoke profile with a place of its own: SFT of 2 steps an epoch, GRPO of 2 epochs with 4 steps each."""
    small = config.load_profile("smoke")
    small = dataclasses.replace(
        small,
        models={"medgemma": str(checkpoints / "medgemma")},
        sft=dataclasses.replace(
            small.sft, num_train_epochs=4, per_device_train_batch_size=2, studies_per_step=4, validation_share=0.3
        ),
        grpo=dataclasses.replace(
            small.grpo, studies_per_step=2, num_train_epochs=2, per_device_train_batch_size=4, checkpoints=4,
            max_completion_length=8,
        ),
        decoding=dataclasses.replace(small.decoding, max_new_tokens=8),
    )  # fmt: skip

    def place(root) -> config.Profile:
        profile = dataclasses.replace(small, results=root / "results", cache=root / "cache")
        lessons = [{"study": one.key, "trace": "<solution>Edema</solution>"} for one in shown.studies]
        text = "".join(f"{json.dumps(lesson)}\n" for lesson in lessons)
        files.write_atomically(traces.place(profile, PROMPT), text.encode())
        return profile

    return place


def run(run_id: str, profile: config.Profile, shown: Cohort) -> runs.Run:
    validation = dataclasses.replace(shown, studies=shown.studies[:2])
    if run_id == SFT:
        return sft.run(profile, SFT, "medgemma", PROMPT, shown, validation)
    task = grpo.Task.recorded(shown.studies[:4], PROMPT, "nuanced", "zeros")
    return grpo.run(profile, GRPO, SFT, task, validation, {})


@pytest.fixture(scope="module")
def unbroken(at, shown, tmp_path_factory):
    """The folder of an unbroken SFT and of an unbroken GRPO that starts from it."""
    root = tmp_path_factory.mktemp("unbroken")
    for run_id in (SFT, GRPO):
        run(run_id, at(root), shown)
    return root


def left(root: Path, run_id: str) -> dict[str, bytes]:
    """All that a run leaves which must be the same: every weight, every score, every answer, the history."""
    weights = (root / "cache" / "checkpoints" / run_id).rglob("adapter_model.safetensors")
    results = ((root / "results" / run_id) / name for name in ("metrics.csv", "history.csv", "predictions.csv.gz"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in [*weights, *results]}


class Stop(TrainerCallback):
    """Ends the training at an event of a step."""

    def __init__(self, event: str, step: int) -> None:
        def stop(args, state, control, **_) -> None:
            if state.global_step == step:
                raise KeyboardInterrupt

        setattr(self, event, stop)


@pytest.mark.parametrize(
    ("run_id", "stops"),
    [
        (SFT, [("on_step_end", 1), ("on_save", 2), ("on_epoch_begin", 2), ("on_step_end", 3), ("on_epoch_begin", 4),
               ("on_save", 6), ("on_train_end", 6)]),
        (GRPO, [("on_step_end", 1), ("on_save", 2), ("on_step_begin", 2), ("on_step_end", 3), ("on_epoch_begin", 4),
                ("on_step_end", 7), ("on_save", 8), ("on_train_end", 8)]),
    ],
)  # fmt: skip
def test_a_training_that_is_stopped_again_and_again_ends_as_the_unbroken_one(
    at, shown, unbroken, tmp_path, monkeypatch, run_id, stops
) -> None:
    profile = at(tmp_path)
    if run_id == GRPO:
        shutil.copytree(unbroken / "cache" / "checkpoints" / SFT, profile.cache / "checkpoints" / SFT)
    go_on, left_to_stop = resume.go_on, iter(stops)

    def stopped(trainer, checkpoint) -> None:
        trainer.add_callback(Stop(*next(left_to_stop)))
        go_on(trainer, checkpoint)

    monkeypatch.setattr(resume, "go_on", stopped)
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            run(run_id, profile, shown)
    monkeypatch.setattr(resume, "go_on", None)  # it has ended: what follows only reads
    run(run_id, profile, shown)
    whole = left(unbroken, run_id)
    assert left(tmp_path, run_id) == whole
    assert len([name for name in whole if "checkpoint-" in name and "/ref/" not in name]) == {SFT: 3, GRPO: 4}[run_id]


def test_a_checkpoint_with_any_file_torn_or_missing_is_removed_and_the_one_before_is_taken(unbroken, tmp_path) -> None:
    trained = unbroken / "cache" / "checkpoints" / GRPO
    for k, name in enumerate(sorted(path.name for path in (trained / "checkpoint-8").iterdir() if path.is_file())):
        folder = shutil.copytree(trained, tmp_path / name)
        assert resume.ended(folder)["global_step"] == 8
        torn = folder / "checkpoint-8" / name
        torn.write_bytes(torn.read_bytes()[:10]) if k % 2 else torn.unlink()
        assert resume.ended(folder) is None
        assert resume.last_checkpoint(folder, 2) == folder / "checkpoint-6", name
        assert not torn.parent.exists()
    shutil.rmtree(folder / "checkpoint-4")  # which would be missing among those that are scored
    assert resume.last_checkpoint(folder, 2) == folder / "checkpoint-2"
    assert resume.last_checkpoint(folder, 4) is None, "step 2 is between two rollout batches of four steps"


@pytest.mark.parametrize(
    ("run_id", "torn"), [(SFT, "best/adapter_model.safetensors"), (GRPO, "checkpoint-8/trainer_state.json")]
)
def test_what_is_torn_after_the_run_is_made_anew(at, shown, unbroken, tmp_path, run_id, torn) -> None:
    shutil.copytree(unbroken, tmp_path / "copy")
    profile = at(tmp_path / "copy")
    folder = profile.cache / "checkpoints" / run_id
    assert run(run_id, profile, shown).info["started"] == runs.read(unbroken / "results" / run_id).info["started"]
    (folder / torn).write_bytes(b"")
    (folder / "best" / files.SEAL).write_text("{")
    with pytest.raises(UserError, match=f"the checkpoint of {run_id}, got a damaged one at .* Run the stage before"):
        runs.need(folder / "best")
    run(run_id, profile, shown)
    assert runs.need(folder / "best")
    assert left(tmp_path / "copy", run_id) == left(unbroken, run_id)


@pytest.mark.parametrize("room", [500_000, 1_200_000])  # less than an adapter, less than an optimizer's state
def test_a_full_disk_ends_in_one_line_and_leaves_no_checkpoint_that_counts(at, shown, tmp_path, room) -> None:
    profile, (soft, hard) = at(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(UserError, match=r"room for a checkpoint, got a file of 02-sft-x .*\. Free some space"):
            run(SFT, profile, shown)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert resume.last_checkpoint(profile.cache / "checkpoints" / SFT) is None


@pytest.mark.parametrize(("other", "times"), [("cache", 1), ("cache of another seed", 2)])
def test_a_second_command_waits_and_finds_what_its_own_cache_knows(at, tmp_path, capsys, other, times) -> None:
    begun, go, computed, long = threading.Event(), threading.Event(), [], 3600.0
    table = pd.DataFrame({"value": [1]})

    def command(cache: str) -> None:
        plan = runs.Plan(dataclasses.replace(at(tmp_path), cache=tmp_path / cache), "01-x", {}, {})

        def compute() -> runs.Run:
            computed.append(plan)
            begun.set()
            assert go.wait(long)
            return runs.finish(plan, metrics=table, predictions=table)

        assert study.once(plan, compute).run_id == "01-x"

    first, second = (threading.Thread(target=command, args=[cache], daemon=True) for cache in ("cache", other))
    first.start()
    assert begun.wait(long)
    second.start()
    while "waiting for another command that is at work on 01-x" not in capsys.readouterr().err:
        assert second.is_alive()
        assert len(computed) == 1
        time.sleep(0.05)
    go.set()
    first.join(long)
    second.join(long)
    assert len(computed) == times
