"""A training that is stopped, however, goes on to the weights of an unbroken one, or says in one line why not.

A checkpoint counts when it was sealed after all else of it was written; otherwise the one before it is taken.
"""

import errno
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback, TrainerState

from chexreason import processes, runs, study
from chexreason.errors import UserError
from chexreason.files import seal, whole, write_atomically

#: What torch, safetensors and the system say of a file that could not be written to its end.
UNWRITTEN = ("PytorchStreamWriter", "inline_container", "I/O error", *map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))


def run(
    this: runs.Plan, train: Callable[[Path], Trainer], score: Callable[[dict[str, Any]], runs.Run]
) -> runs.Run | None:
    """Train into the run's checkpoint folder, unless that has ended before, and score what the last checkpoint holds.

    A folder of other settings is emptied first. Several processes only train, and get None: the next process by itself
    finds the last checkpoint.
    """

    def compute() -> runs.Run | None:
        folder, marker = this.checkpoints, this.checkpoints / "plan.sha256"
        with processes.first_before_others():
            if not marker.is_file() or marker.read_bytes() != this.digest.encode():
                if folder.exists():
                    shutil.rmtree(folder)  # whole: what is left of another training would pass for this one's
                write_atomically(marker, this.digest.encode())
        if ended(folder) is None:
            train(folder)
        if processes.count() > 1:
            return None
        end = ended(folder)
        assert end, "a training saves its last step"
        return score(end)

    return study.once(this, compute)


def ended(folder: Path) -> dict[str, Any] | None:
    """The trainer's state at the end of a training; None if it has not ended, or its last checkpoint is damaged."""
    last = next(reversed(checkpoints(folder)), None)
    state = state_of(last) if last and whole(last) else None
    return state if state and state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"] else None


def state_of(checkpoint: Path) -> dict[str, Any]:
    """The trainer's state in a checkpoint."""
    state: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return state


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a training by step, those included that are not whole."""
    found = (path for path in folder.glob("checkpoint-*") if path.is_dir() and not path.is_symlink())
    return sorted((path for path in found if path.name.removeprefix("checkpoint-").isdecimal()), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint was saved at."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def last_checkpoint(folder: Path, every: int = 1) -> Path | None:
    """The last whole checkpoint at a multiple of `every` steps, to go on from; removes those behind it."""
    with processes.first_before_others():
        for checkpoint in reversed(checkpoints(folder)):
            if step_of(checkpoint) % every == 0 and whole(checkpoint):
                return checkpoint
            shutil.rmtree(checkpoint)
    return None


def rollout_steps(arguments: Any) -> int:
    """Optimizer steps after which a new rollout batch begins: only there can a training be taken up again.

    In between, the completions that the next step uses would be in no checkpoint.
    """
    passes, at_once = arguments.steps_per_generation * arguments.num_iterations, arguments.gradient_accumulation_steps
    return math.lcm(passes, at_once) // at_once


def order_from(trainer: Any, checkpoint: Path) -> None:
    """Let TRL's sampler draw each epoch's order from where it was at a checkpoint: its one stream is saved in none."""
    sampler_of, epochs = trainer._get_train_sampler, int(state_of(checkpoint)["epoch"])

    def sampler_there(*given: Any) -> Any:
        sampler = sampler_of(*given)
        for _ in range(epochs):
            next(iter(sampler))
        return sampler

    trainer._get_train_sampler = sampler_there


class Sealed(TrainerCallback):
    """Seals each checkpoint when all else has been written; the trainer's last callback.

    A checkpoint needs the one that training would load at its end, or else the one before it, which is scored, too.
    """

    def on_save(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Seal the checkpoint just written, by all processes."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            *others, this = checkpoints(Path(args.output_dir))[-2:]
            needs = others[-1].name if others and not args.save_total_limit else None
            if state.best_global_step not in (None, state.global_step):
                needs = f"checkpoint-{state.best_global_step}"
            seal(this, needs)


def go_on(trainer: Trainer, checkpoint: Path | None) -> None:
    """Train to the end, from a checkpoint if there is one. Raises UserError for a disk too full for a checkpoint."""
    trainer.add_callback(Sealed())
    try:
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    except (OSError, RuntimeError, SafetensorError) as error:
        if not any(sign in str(error) for sign in UNWRITTEN):
            raise
        got = f"a file of {Path(trainer.args.output_dir).name} that could not be written whole"
        raise UserError("room for a checkpoint", got, "free some space, then run the same command again") from error


def keep(checkpoint: Path, place: Path) -> None:
    """Copy the adapter of a checkpoint to `place`, from where other runs start."""
    shutil.rmtree(place, ignore_errors=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        write_atomically(place / name, (checkpoint / name).read_bytes())
    seal(place)
