"""What is trained: each arm differs from the paper's recipe in what its line says, and in nothing else.

Questions: `cells` (images, labels or patients?), `scaffold` (Tables 2 and 3), `collapse` (section 3.2.2's stabilisers),
`cures` (section 5's proposals and others'), `ceiling` (what picking with the answer key would give), `dose` (longer
reinforcement). Checkpoint choice is asked of every GRPO arm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from chexreason.errors import unknown

#: Seeds 0 to 4 for the main question, 0 to 2 elsewhere.
MANY, FEW = 5, 3
SFT = "sft-medgemma-free_reasoning"


@dataclass(frozen=True)
class Arm:
    """One way to train. `start` is the arm whose adapter it goes on from; without a stage that one is asked."""

    question: str
    what: str
    stage: str | None  # sft, grpo or None
    seeds: int
    base: str = "medgemma"
    prompt: str = "free_reasoning"
    start: str | None = None
    reward: str = "hard"
    credit: str = "recorded"  # what a reward is held against: the recorded labels, or the visible truth
    hospitals: tuple[str, ...] = ("A",)  # whose images are rewarded, in this order
    samples: int = 0  # sampled answers an image, of which the best is kept; 0 answers greedily
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # GRPO or reward setting -> value

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The adapters that are asked about the test worlds."""
        return {"sft": ("best",), "grpo": ("best", "last"), None: ("best",)}[self.stage]


def _grpo(question: str, what: str, reward: str, seeds: int = FEW, **changes: Any) -> Arm:
    return Arm(question, what, "grpo", seeds, start=SFT, reward=reward, changes=MappingProxyType(changes))


#: A name's end -> what the paper's recipe is changed to, and how; only the second reward has a window.
_COLLAPSE: dict[str, tuple[str, dict[str, Any]]] = {
    "no-kl": ("without the KL term", {"beta": 0.0}),
    "symmetric": (", both clip bounds 0.15", {"epsilon_high": 0.15}),
    "scaled": ("with GRPO's own normalisation in place of Dr. GRPO's", {"loss_type": "grpo", "scale_rewards": "group"}),
    "no-window": ("without the window's penalties", {"repetition": 0.0, "collapse": 0.0}),
}
#: Arm name -> arm.
ARMS: dict[str, Arm] = {
    "base": Arm("cells", "the base model as it is", None, 1),
    SFT: Arm("cells", "fine-tuned on free reasoning", "sft", MANY),
    "grpo-hard": _grpo("cells", "GRPO with equation 3", "hard", MANY),
    "grpo-nuanced": _grpo("cells", "GRPO with equation 4", "nuanced", MANY),
    **{
        f"sft-{base}-{name}": Arm("scaffold", f"{base} taught {name}", "sft", FEW, base=base, prompt=name)
        for base in ("medgemma", "qwen")
        for name in ("only_label", "free_reasoning", "reasoning_narrative", "reasoning_a")
        if f"sft-{base}-{name}" != SFT
    },
    **{
        f"{reward}-{name}": _grpo("collapse", f"{equation} {what}".replace(" ,", ","), reward, **changes)
        for reward, equation in (("hard", "equation 3"), ("nuanced", "equation 4"))
        for name, (what, changes) in _COLLAPSE.items()
        if (reward, name) != ("hard", "no-window")
    },
    "cure-two-hospitals": Arm(
        "cures", "images of hospital A first, then as many of B, each with its own labels", "grpo", FEW,
        start=SFT, hospitals=("A", "B"), changes=MappingProxyType({"shuffle_dataset": False}),
    ),
    "cure-visible": Arm(
        "cures", "rewarded for what can be seen, whatever a convention records", "grpo", FEW,
        start=SFT, credit="visible",
    ),
    "cure-answer-weight": _grpo("cures", "tokens of the answer weigh three times", "hard", answer_weight=3.0),
    "best-of-four": Arm(
        "ceiling", "fine-tuned only; of four sampled answers the best, picked with the answer key", None, FEW,
        start=SFT, samples=4,
    ),
    "cure-no-think": Arm(
        "cures", "no reasoning: fine-tuned on labels alone, then GRPO", "grpo", FEW,
        prompt="only_label", start="sft-medgemma-only_label", changes=MappingProxyType({"min_length": 0}),
    ),
    "hard-longer": _grpo("dose", "GRPO with equation 3, four times as long", "hard", num_train_epochs=4),
    "nuanced-bare-longer": _grpo(
        "dose", "equation 4 without KL, wide clip, Dr. GRPO's normalisation and window, four times as long", "nuanced",
        num_train_epochs=4, **{name: value for _, changes in _COLLAPSE.values() for name, value in changes.items()},
    ),
}  # fmt: skip


#: Arms that are run again when the code has changed (`again`): between them they pass through all of it.
AGAIN = ("base", "sft-qwen-only_label", "grpo-hard", "grpo-nuanced", "cure-answer-weight", "best-of-four")


def get(name: str) -> Arm:
    """The arm of this name; raises UserError for an unknown one."""
    if name not in ARMS:
        raise unknown("arm", name, ARMS, "companion/experiment/arms.py")
    return ARMS[name]


def seeds_of(name: str) -> range:
    """The seeds of an arm: as many as it, or any arm that goes on from it, asks for.

    >>> seeds_of("sft-medgemma-free_reasoning"), seeds_of("sft-medgemma-only_label")
    (range(0, 5), range(0, 3))
    """
    return range(max(arm.seeds for key, arm in ARMS.items() if key == name or arm.start == name))


def needs(name: str) -> list[str]:
    """The arms that must have been trained before this one, in order."""
    start = get(name).start
    return [] if start is None else [*needs(start), start]
