"""What some arms change in TRL's trainer, and a reward of nothing."""

from typing import Any

from chexreason.completions import Parsed
from chexreason.rewards import Labels, Terms, reward
from companion.speed.grpo import FastGRPOTrainer


@reward("zero")
def zero(answer: Parsed, truth: Labels, text: str) -> Terms:
    """Nothing for any answer: all that acts is the divergence from the reference."""
    return {"zero": 0.0}


class VariantTrainer(FastGRPOTrainer):
    """GRPO with another reference policy, or with the better answers of a group alone.

    `untouched`: the reference is the base model instead of the adapter that training starts from, as TRL had it for a
    trained adapter before its pull request 4723. `positive_only`: answers below their group's mean leave the loss
    (RAFT, arXiv:2504.11343).
    """

    def __init__(self, *words: Any, untouched: bool = False, positive_only: bool = False, **named: Any) -> None:
        super().__init__(*words, **named)
        self.positive_only = positive_only
        if untouched:
            for name, weight in self.model.named_parameters():
                if ".ref." in name and "lora_B" in name:
                    weight.data.zero_()  # an adapter whose update is nothing

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        batch = super()._generate_and_score_completions(inputs)
        if self.positive_only:
            batch["advantages"] = batch["advantages"].clamp(min=0)
        return batch
