"""What some arms change in TRL's trainers, the groups that all of them keep, and a reward of nothing."""

import json
from pathlib import Path
from typing import Any

import torch
from peft import load_peft_weights, set_peft_model_state_dict

from chexreason import runs
from chexreason.completions import Parsed
from chexreason.errors import UserError
from chexreason.rewards import Labels, Terms
from companion.experiment.mentions import of_finding_words
from companion.speed.grpo import FastGRPOTrainer
from companion.speed.sft import FastSFTTrainer

#: Beside a training's checkpoints, a line a completion: step, its number there, image, text, terms, advantage.
GROUPS = "groups.jsonl"


def zero(answer: Parsed, truth: Labels, text: str) -> Terms:
    """Nothing for any answer: all that acts is the divergence from the reference."""
    return {"zero": 0.0}


class OnwardTrainer(FastSFTTrainer):
    """SFT that goes on from an adapter instead of from a fresh one.

    `start` is where it lies, seen from the training's folder, and `digest` what it must be (`runs.adapter_digest`): the
    record of a run then names no folder of a machine, and another start is another run.
    """

    def __init__(self, *words: Any, start: str, digest: str, **named: Any) -> None:
        place = runs.need((Path(named["args"].output_dir) / start).resolve())
        if (got := runs.adapter_digest(place)) != digest:
            raise UserError(f"adapter {digest[:12]} at {start}", got[:12], "train the arm that it comes from again")
        loaded = set_peft_model_state_dict(named["model"], load_peft_weights(str(place), device="cpu"))
        if loaded.unexpected_keys:
            raise UserError("an adapter of the same form", loaded.unexpected_keys[0], "train it with the same settings")
        super().__init__(*words, **named)


class VariantTrainer(FastGRPOTrainer):
    """GRPO with another reference policy, with the better answers of a group alone, or with tokens of unequal weight.

    `untouched`: the reference is the base model instead of the adapter that training starts from, as TRL had it for a
    trained adapter before its pull request 4723. `positive_only`: answers below their group's mean leave the loss
    (RAFT, arXiv:2504.11343). `finding_words`: how much more the advantage counts on tokens of finding words, wherever
    they stand (DiTPO's rule, arXiv:2603.04022); TRL leaves room for one advantage a token.
    """

    def __init__(
        self, *words: Any, untouched: bool = False, positive_only: bool = False, finding_words: float = 1.0,
        **named: Any,
    ) -> None:  # fmt: skip
        super().__init__(*words, **named)
        self.positive_only, self.finding_words, self.other_reference = positive_only, finding_words, untouched
        if untouched:
            for name, weight in self.model.named_parameters():
                if ".ref." in name and "lora_B" in name:
                    weight.data.zero_()  # an adapter whose update is nothing

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        batch = super()._generate_and_score_completions(inputs)
        self._keep([Path(row["path"]).stem for row in inputs])
        if self.positive_only:
            batch["advantages"] = batch["advantages"].clamp(min=0)
        if self.finding_words != 1:
            weight_BT = self._weights(batch["completion_ids"], batch["completion_mask"])
            batch["advantages"] = batch["advantages"].unsqueeze(1) * weight_BT
        return batch

    def _keep(self, images: list[str]) -> None:
        """Append the completions of a rollout batch to `GROUPS`; a step that is done again stands there twice."""
        said, advantages, terms = (list(values)[-len(images) :] for values in (
            self._logs["completion"], self._logs["advantages"], self.reward_funcs[0].terms))  # fmt: skip
        with (Path(self.args.output_dir) / GROUPS).open("a", encoding="utf-8") as file:
            for k, (image, [turn], advantage, one) in enumerate(zip(images, said, advantages, terms, strict=True)):
                line = {"step": self.state.global_step, "number": k, "image": image, "completion": turn["content"],
                        "terms": dict(one), "advantage": round(advantage, 6)}  # fmt: skip
                file.write(json.dumps(line) + "\n")

    def _weights(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """`finding_words` on the tokens of finding words, 1 on others; scaled to mean 1 over a completion (B, T)."""
        decode = self.processing_class.tokenizer.decode
        heavy = [of_finding_words([decode([token]) for token in ids_T]) for ids_T in ids_BT.tolist()]
        weight_BT = 1 + (self.finding_words - 1) * torch.tensor(heavy, device=ids_BT.device)
        mean_B1 = (weight_BT * mask_BT).sum(1, keepdim=True) / mask_BT.sum(1, keepdim=True).clamp(min=1)
        return weight_BT / mean_B1
