"""The reward function that TRL calls: a reward by its name, its state in the checkpoints, its terms in the log."""

import json
import math
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
from chexreason.labels import FINDINGS
from chexreason.prompts import Prompt
from chexreason.rewards import REWARDS, Labels, Reward, Terms

#: Where a checkpoint keeps the state of its reward.
STATE = "reward.json"


def reward_of(name: str, profile: Profile) -> Reward:
    """The reward of that name with the profile's constants; UserError for an unknown one, or an unknown constant."""
    if name not in REWARDS:
        raise unknown("reward", name, REWARDS, "chexreason/rewards.py, or a file given by --reward")
    return overridden(profile.overrides, name, REWARDS[name], profile.name)


class Scorer(TrainerCallback):
    """The reward function that TRL calls: a reward with its state, and the mean of each of its terms."""

    def __init__(self, name: str, reward: Reward, profile: Profile, prompt: Prompt, ends: set[int]) -> None:
        self.__name__, self.reward, self.prompt, self.ends = name, reward, prompt, ends
        self.limit, self.private = profile.grpo.max_completion_length, profile.rows != "results"
        self.terms: list[Terms] = []
        state = reward.state_dict()
        text = "".join(f"<{name}>{FINDINGS[0]}</{name}>" for name in prompt.answer.blocks)
        self.names = set(self._terms(text, False, frozenset(FINDINGS[:1]), made_up=True))
        reward.load_state_dict(state)

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

    def _terms(self, text: str, cut: bool, truth: Labels, made_up: bool = False) -> Terms:
        """The reward's terms for a completion; their names are those for a made-up one, so none quotes a patient's.

        Raises UserError that names the completion if there are none, or others.
        """
        private = self.private and not made_up
        parsed = parse_completion(text, self.prompt.answer, cut)
        try:
            terms = self.reward(parsed, truth, text)
            usable = bool(terms) and all(math.isfinite(value) for value in terms.values())
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- anybody's code, whose error is raised again
            raise self._refused(text, truth, error, private) from (None if private else error)
        if not usable or not (made_up or self.names == set(terms)):
            raise self._refused(text, truth, terms, private)
        return terms

    def _refused(self, text: str, truth: Labels, found: object, private: bool) -> UserError:
        kind, wanted = type(found).__name__, f"the same named finite terms from the reward {self.__name__} each time"
        if private:  # what was raised or returned may quote the completion, and so may its class
            kind = kind if type(found).__module__ == "builtins" else "an error"
            return UserError(wanted, f"{kind} for a completion about a patient, not shown", "correct the reward")
        got = f"{kind}: {found}" if isinstance(found, BaseException) else repr(found)
        return UserError(wanted, f"{got} for {text!r}, recorded: {sorted(truth)}", "correct the reward")

    def on_save(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """The reward's state, beside the checkpoint just written."""
        if state.is_world_process_zero:
            place = Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
            write_atomically(place, json.dumps(self.reward.state_dict()).encode())

    def on_log(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """The mean of each term since the last log, into the trainer's own log."""
        if self.terms and state.log_history:
            means = pd.DataFrame(self.terms).mean()
            state.log_history[-1] |= {f"terms/{name}": float(value) for name, value in means.items()}
            self.terms.clear()
