"""An arm of the experiment: GRPO whose advantage counts more on the answer's tokens than on the reasoning's."""

from typing import Any

import torch

from companion.speed.grpo import FastGRPOTrainer


class AnswerWeighted(FastGRPOTrainer):
    """GRPO whose advantage counts more on the tokens of the answer block than on those of the reasoning.

    Equation 2 gives all tokens of a completion the same advantage (weight 1). TRL leaves room for one advantage a
    token; the weights of a completion are scaled to a mean of 1, so the step size stays. `opens` is the tag that the
    answer begins with.
    """

    def __init__(self, *words: Any, answer_weight: float, opens: str = "<solution>", **named: Any) -> None:
        super().__init__(*words, **named)
        self.answer_weight, self.opens = answer_weight, opens

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        batch = super()._generate_and_score_completions(inputs)
        weight_BT = self._weights(batch["completion_ids"], batch["completion_mask"])
        return {**batch, "advantages": batch["advantages"].unsqueeze(1) * weight_BT}

    def _weights(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """`answer_weight` from the answer's opening tag on, 1 before; mean 1 over a completion's tokens (B, T)."""
        weight_BT = torch.ones(ids_BT.shape, device=ids_BT.device)
        for row, ids_T in enumerate(ids_BT.tolist()):
            text = ""
            for place, token in enumerate(ids_T):
                if self.opens in text:
                    weight_BT[row, place:] = self.answer_weight
                    break
                text += self.processing_class.tokenizer.decode([token])
        mean_B1 = (weight_BT * mask_BT).sum(1, keepdim=True) / mask_BT.sum(1, keepdim=True).clamp(min=1)
        return weight_BT / mean_B1
