"""What is trained: each arm differs from the paper's recipe in what its line says, and in nothing else.

A seed decides which studies there are at all, their order, the fresh weights and every sampled answer. An arm's
`question` is the plan's (book/experiment_plan.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chexreason.errors import unknown
from companion.experiment.patients import OWN, WORLDS, World

#: The profile that all arms and seeds vary.
PROFILE = Path(__file__).with_name("experiment.yml")
#: Trainings of each arm: of the primary question, of the others, and of the neighbours' recipes.
MANY, SOME, FEW = 10, 5, 3
#: Answers to each image of a hospital's own patients: for the primary question at A and C, and at B; for the others.
ANSWERS, AT_B, FEWER = 16, 8, 4
#: Answers at another hospital than the patients' own, and to each validation study; to the one black image.
ELSEWHERE, VALIDATION, BLACK = 2, 4, 256
#: Validation studies whose sampled answers the divergence between two policies is taken from.
DIVERGENCE = 64
#: Studies of the arms that ask which mechanism leads back to the base.
SHORT = 400


def draw_at(draw: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A request for images as a seed has it: others than any other seed's."""
    return {**draw, "seed": draw["seed"] + 1000 * (seed + 1)}


@dataclass(frozen=True)
class Arm:
    """One way to train. `start` is the arm whose adapter it goes on from; None is the untouched base model."""

    question: int
    what: str
    stage: str | None  # sft, grpo, blend (an adapter between two others) or None: nothing is trained
    seeds: int
    base: str = "medgemma"
    prompt: str = "free_reasoning"
    start: str | None = None
    reward: str = "hard"
    credit: str = "report"  # what a reward is held against: a convention, "visible", or "placebo"
    studies: str = "A"  # whose are rewarded: a hospital's, two hospitals' halves in order, "diverse", or "medium"
    share: float = 0.0  # of a blend: how far it lies from the arm that its start went on from
    sizes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # of its stage, in TRL's names
    constants: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # of the reward
    trainer: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # of `VariantTrainer`
    worlds: tuple[World, ...] = OWN

    @property
    def asked(self) -> str:
        """Which adapter is asked: of GRPO the last one, of fine-tuning and of blends the only one."""
        return "last" if self.stage == "grpo" else "best"

    def answers(self, world: World) -> int:
        """How many answers to each image of a world."""
        if world not in OWN:
            return ELSEWHERE
        if self.question != 1:
            return FEWER
        return AT_B if world.population == "B" else ANSWERS


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
                if reward == "zero" and scaled != "none":
                    continue  # without a reward all advantages are zero, scaled or not
                arms[f"back-{reference}-{scale}-{reward}"] = _grpo(
                    2, f"reference: the {'untouched base' if untouched else 'SFT checkpoint'}, advantages {scale}, "
                    f"{reward} reward", reward=reward, sizes={"rl": SHORT}, settings={"scale_rewards": scaled},
                    trainer={"untouched": untouched},
                )  # fmt: skip
    return arms


def _neighbours() -> dict[str, Arm]:
    """Question 6: each arm's line says whose recipe it is and what was left out."""
    ordered, wide = {"shuffle_dataset": False}, {"num_generations": 16, "studies_per_step": 2}
    nv = {"loss_type": "grpo", "scale_rewards": "group", "beta": 0.0, "epsilon": 0.2, "epsilon_high": 0.2,
          "temperature": 1.0, "top_p": 1.0, "num_iterations": 1}  # fmt: skip
    few: dict[str, Any] = {"seeds": FEW}
    return {
        "nv-recipe": _grpo(6, "NV-Reason's public GRPO configuration and reward; not its batch, learning rate, mask",
                           reward="nv_reason", sizes={"rl": 250}, settings=wide | nv, **few),
        "words": _grpo(6, "DiTPO (2603.04022): finding words weigh 3 times; no gradient weights, no BLEU phase",
                       trainer={"finding_words": 3.0}, **few),
        "diverse": _grpo(6, "DiTPO's diverse fifth, farthest first by label sets, five passes; no hard cases",
                         studies="diverse", settings={"num_train_epochs": 5}, **few),
        "medium": _grpo(6, "DC-SFT, DAPO, CVeDRL: studies where answers differ before training; none drawn meanwhile",
                        studies="medium", **few),
        "wide": _grpo(6, "BroRL (2510.01180): 16 answers to a quarter of the studies; not hundreds",
                      sizes={"rl": 250}, settings=wide, **few),
        "narrow": _grpo(6, "2-GRPO (2510.00977): 2 answers to each study, in two passes; not divided by their spread",
                        settings={"num_generations": 2, "studies_per_step": 16, "num_train_epochs": 2}, **few),
        "process": _grpo(6, "ChestX-Reasoner (2504.20930): the findings argued for count, too; no mined steps",
                         reward="process", **few),
        "mixed": _grpo(6, "hospitals A and B, half each, shuffled: the control of the two orders", studies="AB", **few),
        "a-then-b": _grpo(6, "AceReason's stages (2505.16400): A, then B; no longer lengths, beta as in the paper",
                          studies="AB", settings=ordered, **few),
        "b-then-a": _grpo(6, "the same, B first", studies="BA", settings=ordered, **few),
        **{f"blend-{share}": Arm(6, f"WARP, WiSE-FT: {share} % of the way from sft to beta-0.0; one step, no average",
                                 "blend", start="beta-0.0", share=share / 100, **few)
           for share in (25, 50, 75)},
        "sft-only-label": Arm(6, "fine-tuned on labels alone", "sft", prompt="only_label", **few),
        "no-think": _grpo(6, "Med-R1 (2503.13939): labels without reasoning, no length rule", prompt="only_label",
                          start="sft-only-label", constants={"min_length": 0}, **few),
        "sft-think-after": Arm(6, "fine-tuned on answers before their reasoning", "sft", prompt="think_after", **few),
        "think-after": _grpo(6, "Med-R1's think-after: the answer, then its reasoning", prompt="think_after",
                             start="sft-think-after", reward="think_after", **few),
    }  # fmt: skip


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
            ("report", "hospital A's convention"), ("radiologist", "hospital B's convention"),
            ("text-mined", "hospital C's convention"), ("visible", "what was drawn"),
        )
    },
    "sft-more": Arm(4, "fine-tuned on the rewarded studies as well", "sft", SOME, sizes={"sft": 3000, "rl": 0}),
    "sft-on": Arm(4, "SFT goes on for one pass over the rewarded studies", "sft", SOME, start="sft",
                  settings={"num_train_epochs": 1, "validation_share": 0.001}),
    "placebo": _grpo(4, "rewarded by the labels of a study drawn at random", credit="placebo"),
    "raft": _grpo(4, "answers above their group's mean alone", trainer={"positive_only": True}),
    "from-base": _grpo(4, "GRPO from the untouched base", start=None),
    **{f"beta-{beta}": _grpo(5, f"KL weight {beta}", settings={"beta": beta}) for beta in (0.0, 0.01, 0.05)},
    **_neighbours(),
}  # fmt: skip


def get(name: str) -> Arm:
    """The arm of this name; raises UserError for an unknown one."""
    if name not in ARMS:
        raise unknown("arm", name, ARMS, "companion/experiment/plan.py")
    return ARMS[name]


def needs(name: str) -> list[str]:
    """The arms that must have been trained before this one, in order.

    >>> needs("blend-50")
    ['sft', 'beta-0.0']
    """
    start = get(name).start
    return [] if start is None else [*needs(start), start]
