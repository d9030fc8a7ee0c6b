"""The reward function that TRL calls: a reward by its name, its state in the checkpoints, its terms in the log."""

import builtins
import contextlib
import io
import json
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerState

from chexreason import processes
from chexreason.completions import parse_completion
from chexreason.config import Profile, overridden
from chexreason.errors import UserError, unknown
from chexreason.files import write_atomically
from chexreason.prompts import Prompt
from chexreason.rewards import REWARDS, Labels, Reward, Terms, names_of

#: Where a checkpoint keeps the state of its reward.
STATE = "reward.json"


def reward_of(name: str, profile: Profile) -> Reward:
    """The reward of that name with the profile's constants; UserError for an unknown one, or an unknown constant."""
    if name not in REWARDS:
        raise unknown("reward", name, REWARDS, "chexreason/rewards.py, or a file given by --reward")
    return overridden(profile.overrides, name, REWARDS[name], profile.name)


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Nothing is printed or logged meanwhile, whatever was bound to the terminal before."""
    with contextlib.ExitStack() as held:
        held.enter_context(contextlib.redirect_stdout(io.StringIO()))
        held.enter_context(contextlib.redirect_stderr(io.StringIO()))
        held.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        with open(os.devnull, "wb") as nowhere:
            for terminal in (1, 2):
                kept = os.dup(terminal)
                held.callback(os.close, kept)
                held.callback(os.dup2, kept, terminal)
                os.dup2(nowhere.fileno(), terminal)
        yield


class Scorer(TrainerCallback):
    """The reward function that TRL calls: a reward with its state, and the mean of each of its terms."""

    def __init__(self, name: str, reward: Reward, profile: Profile, prompt: Prompt, ends: set[int]) -> None:
        self.__name__, self.reward, self.prompt, self.ends = name, reward, prompt, ends
        self.limit, self.private = profile.grpo.max_completion_length, profile.rows != "results"
        self.terms: list[Terms] = []
        self.names = names_of(type(reward))

    def __call__(
        self, completions: list[Any], completion_ids: list[list[int]], truth: list[str], **_: Any
    ) -> list[float]:
        """Score each completion against the labels of its study.

        Each of several processes scores all their completions, in one order, so that they hold the same state.
        """
        own = list(zip(completions, completion_ids, truth, strict=True))
        totals = []
        for [turn], ids, labels in own if processes.count() == 1 else gather_object(own):
            cut = len(ids) >= self.limit and not self.ends.intersection(ids)
            self.terms.append(self._terms(turn["content"], cut, frozenset(labels.split(";"))))
            totals.append(float(sum(self.terms[-1].values())))
        first = processes.rank() * len(own)
        return totals[first : first + len(own)]

    def fit(self, truths: list[Labels]) -> None:
        """Show the reward the labels of the training studies."""
        with self._asked("ends"):
            self.reward.fit(truths)

    def go_on(self, checkpoint: Path) -> None:
        """Give the reward back the state that it had at a checkpoint."""
        with self._asked("ends"):
            self.reward.load_state_dict(json.loads((checkpoint / STATE).read_text(encoding="utf-8")))

    def _terms(self, text: str, cut: bool, truth: Labels) -> Terms:
        """The reward's terms for a completion; UserError that names it if there are none, or others than usual."""
        parsed = parse_completion(text, self.prompt.answer, cut)
        wanted, about = "returns the same named finite terms each time", f" for {text!r}, recorded: {sorted(truth)}"
        with self._asked(wanted, about):
            terms = self.reward(parsed, truth, text)
            usable = self.names == set(terms) and all(math.isfinite(value) for value in terms.values())
            values = {name: float(value) for name, value in terms.items()} if usable else {}
        if not usable:
            raise self._refused(wanted, terms, about)
        return values

    @contextlib.contextmanager
    def _asked(self, wanted: str, about: str = "") -> Iterator[None]:
        """Anybody's code at work; UserError for whatever it raises. About patients, what it prints is not heard."""
        try:
            with unheard() if self.private else contextlib.nullcontext():
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- it is raised again
            raise self._refused(wanted, error, about) from (None if self.private else error)

    def _refused(self, wanted: str, found: object, about: str) -> UserError:
        kind = type(found).__name__
        got = f"{kind}: {found}{about}" if isinstance(found, BaseException) else f"{found!r}{about}"
        if self.private:  # what was raised or returned may quote the completion, and so may its class
            kind = kind if getattr(builtins, kind, None) is type(found) else "an error"
            other = isinstance(found, dict) and found.keys() != self.names
            kind += f" with other names than {', '.join(sorted(self.names))}" * other
            got = f"{kind}, not shown since patients' rows may stand in it"
        return UserError(f"a reward {self.__name__} that {wanted}", got, "correct the reward")

    def on_save(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """The reward's state, beside the checkpoint just written."""
        if state.is_world_process_zero:
            place = Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
            with self._asked("keeps its state as plain data"):
                text = json.dumps(self.reward.state_dict()).encode()
            write_atomically(place, text)

    def on_log(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """The mean of each term since the last log, into the trainer's own log."""
        if self.terms and state.log_history:
            means = pd.DataFrame(self.terms).mean()
            state.log_history[-1] |= {f"terms/{name}": float(value) for name, value in means.items()}
            self.terms.clear()
