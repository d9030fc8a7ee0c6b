"""What is trained: each arm differs from the paper's recipe in what its line says, and in nothing else.

A seed decides which studies are drawn, their order, the fresh weights and every sampled answer. An arm's `question` is
the plan's (book/plan.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from chexreason.errors import unknown
from companion.experiment.patients import OWN, WORLDS, World

#: Trainings of each arm: of the primary question, of the others, and of the neighbours' recipes.
MANY, SOME, FEW = 10, 5, 3
#: Answers to each image: for the primary question, for the others, and at another hospital than the patients' own.
ANSWERS, FEWER, ELSEWHERE = 8, 4, 2
#: Studies of the arms that ask which mechanism leads back to the base.
SHORT = 400


@dataclass(frozen=True)
class Arm:
    """One way to train. `start` is the arm whose adapter it goes on from; None is the untouched base model."""

    question: int
    what: str
    stage: str | None  # sft, grpo or None: nothing is trained
    seeds: int
    base: str = "medgemma"
    prompt: str = "free_reasoning"
    start: str | None = None
    reward: str = "hard"
    credit: str = "report"  # what a reward is held against: a convention, "visible", or "placebo"
    sizes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # of GRPO, in TRL's names
    trainer: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # of `VariantTrainer`
    worlds: tuple[World, ...] = OWN


def _grpo(
    question: int, what: str, seeds: int = SOME, reward: str = "hard", start: str | None = "sft", **more: Any
) -> Arm:
    return Arm(question, what, "grpo", seeds, start=start, reward=reward, **more)


def _mechanism() -> dict[str, Arm]:
    """Question 2: reference x scaling of the advantages x reward, all of them on fewer studies."""
    arms = {}
    for reference, untouched in (("sft", False), ("base", True)):
        for scale, scaled in (("plain", "none"), ("scaled", "group")):
            for reward in ("hard", "nuanced", "zero"):
                if reward == "zero" and not (untouched and scaled == "none"):
                    continue  # without a reward all advantages are zero, scaled or not; and nothing pulls at all
                arms[f"back-{reference}-{scale}-{reward}"] = _grpo(
                    2, f"reference: the {'untouched base' if untouched else 'SFT checkpoint'}, advantages {scale}, "
                    f"{reward} reward", reward=reward, sizes={"rl": SHORT}, settings={"scale_rewards": scaled},
                    trainer={"untouched": untouched},
                )  # fmt: skip
    return arms


#: Arm -> what it is, in the order in which they are run.
ARMS: dict[str, Arm] = {
    "base": Arm(1, "the base model, untouched", None, 1, worlds=WORLDS),
    "sft": Arm(1, "fine-tuned on free reasoning", "sft", MANY, worlds=WORLDS),
    "hard": _grpo(1, "GRPO with equation 3", MANY, worlds=WORLDS),
    "nuanced": _grpo(1, "GRPO with equation 4", MANY, "nuanced", worlds=WORLDS),
    **_mechanism(),
    **{
        f"credit-{name}": _grpo(3, f"rewarded by {whose}", credit=name)
        for name, whose in (
            ("radiologist", "hospital B's convention"), ("text-mined", "hospital C's convention"),
            ("visible", "what was drawn"),
        )
    },
    "sft-more": Arm(4, "fine-tuned on the rewarded studies as well", "sft", SOME, sizes={"sft": 3000, "rl": 0}),
    "placebo": _grpo(4, "rewarded by another study's labels", credit="placebo"),
    "raft": _grpo(4, "answers above their group's mean alone", trainer={"positive_only": True}),
    "from-base": _grpo(4, "GRPO from the untouched base", start=None),
    **{f"beta-{beta}": _grpo(5, f"KL weight {beta}", settings={"beta": beta}) for beta in (0.0, 0.01, 0.05)},
}  # fmt: skip


def get(name: str) -> Arm:
    """The arm of this name; raises UserError for an unknown one."""
    if name not in ARMS:
        raise unknown("arm", name, ARMS, "companion/experiment/plan.py")
    return ARMS[name]
