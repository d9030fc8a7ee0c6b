"""TRL's GRPO trainer with less repeated work; every formula is TRL's (section 3.2.2, equation 2).

Four things are replaced, each with a switch:

* completions are sampled by `decoding`, from merged weights (`lora`);
* a batch's log-probabilities come from `prefix_tree`;
* old-policy log-probabilities: while no weight has moved since the rollout, the first pass computes them anyway, so the
  extra pass is left out. Exact, because dropout is off and a rollout batch is one optimizer step (TRL does the same
  where it makes one pass only);
* order: TRL shuffles the completions of a rollout batch, here groups stay together. Exact, because a rollout batch is
  one optimizer step, whose gradient is a sum over completions with one divisor (`ORDERLESS`).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from trl import GRPOTrainer
from trl.trainer.utils import pad, split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid

from companion.speed.decoding import decode, nucleus, prefill, processors
from companion.speed.embeddings import EmbeddingCache, Pixels, assert_frozen, pixels_of
from companion.speed.lora import fuse, merged
from companion.speed.parallel import average_gradients
from companion.speed.prefix_tree import build_trees, log_probabilities
from companion.speed.switches import ALL, Speed

#: Bytes of image tokens cached: an image is not seen again after its rollout batch.
ROLLOUT = 2**28

#: Losses whose divisor does not depend on which completions are in a slice of the rollout batch.
ORDERLESS = ("grpo", "dr_grpo", "dapo")


class FastGRPOTrainer(GRPOTrainer):
    """`GRPOTrainer` for one image a prompt; `speed` says which work is saved."""

    _buffered_inputs: list[dict[str, Any]] | None

    def __init__(self, *args: Any, speed: Speed = ALL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.speed = speed
        if speed.fused_adapters:
            fuse(self.accelerator.unwrap_model(self.model))
        base = self.accelerator.unwrap_model(self.model).get_base_model()
        assert_frozen(base)
        self.tokens = EmbeddingCache(base, limit=ROLLOUT)
        self.latest: torch.Tensor | None = None  # log-probabilities of the last pass, detached
        rollout = self.args.steps_per_generation == self.args.gradient_accumulation_steps
        drops = any(m.p for m in self.model.modules() if isinstance(m, torch.nn.Dropout))
        sdpa = base.config.get_text_config()._attn_implementation == "sdpa"
        self.last_layer = speed.last_layer and not self.args.gradient_checkpointing
        whole = rollout and not self.mask_truncated_completions  # a tree has a token of each completion
        self.shares_prompt = speed.shared_prompt and whole and sdpa and self.loss_type in ORDERLESS
        self.share_prefill = (
            speed.share_prefill and sdpa and self.top_k == 0 and self.min_p is None and not self.use_vllm
        )
        # vLLM's log-probabilities differ by rounding, so TRL needs the old ones before the first pass.
        wanted = self.use_vllm or self.num_iterations == 1
        self.first_is_old = speed.reuse_first_logprobs and rollout and not drops and not wanted

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's step; several processes share its gradient."""
        loss = super().training_step(*args, **kwargs)
        average_gradients(self)
        return loss

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        if not self.shares_prompt or not self.model.training:
            return super()._prepare_inputs(generation_batch)
        slices = self.args.steps_per_generation
        if self._step % (slices * self.num_iterations) == 0 or self._buffered_inputs is None:
            rollout = split_pixel_values_by_grid(self._generate_and_score_completions(generation_batch))
            self._buffered_inputs = [unsplit_pixel_values_by_grid(part) for part in split_tensor_dict(rollout, slices)]
        return self._buffered_inputs[self._step % slices]

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: dict[str, Any], num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], None]:  # fmt: skip
        if not self.share_prefill:
            return super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        device = self.accelerator.device
        seen = {name: value for name, value in multimodal_fields.items() if name in ("pixel_values", "image_grid_thw")}
        images = pixels_of({name: torch.as_tensor(np.asarray(value)).to(device) for name, value in seen.items()})
        first: dict[tuple[bytes, tuple[int, ...]], int] = {}
        rows = [
            first.setdefault((image.key, tuple(ids)), len(first)) for image, ids in zip(images, prompt_ids, strict=True)
        ]
        one_each = [rows.index(prompt) for prompt in range(len(first))]
        types = next(name for name in ("token_type_ids", "mm_token_type_ids") if name in multimodal_fields)

        def padded(lists: Sequence[Sequence[int]], value: int) -> torch.Tensor:
            tensors = [torch.tensor(lists[row]) for row in one_each]
            return pad(tensors, padding_value=value, padding_side="left").to(device)

        inputs = {
            "input_ids": padded(prompt_ids, self._tokenizer.pad_token_id),
            "attention_mask": padded([[1] * len(ids) for ids in prompt_ids], 0),
            types: padded(multimodal_fields[types], 0),
        }
        return self._sampled(inputs, [images[row] for row in one_each], rows), None

    def _sampled(self, inputs: dict[str, torch.Tensor], images: list[Pixels], rows: list[int]) -> list[list[int]]:
        """The completions' tokens, by `decoding` under TRL's generation settings."""
        peft = self.accelerator.unwrap_model(self.model)
        base, training = peft.get_base_model(), peft.training
        peft.eval()  # no activation checkpointing, which would drop the cache
        with merged(peft) if self.speed.merged_sampling else nullcontext(), self.accelerator.autocast():
            batch = prefill(base, inputs, images, self.tokens(images), self.max_completion_length)
            batch.take(rows)
            answers = batch.answers
            decode(
                base, batch, choose=nucleus(self.temperature, self.top_p), change=processors(self.generation_config),
                most=self.max_completion_length, ends=self.eos_token_ids,
            )  # fmt: skip
        peft.train(training)
        return answers

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, logits_to_keep: int,
        batch_size: int | None = None, compute_entropy: bool = False, compute_aux_loss: bool = False, **pixels: Any,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:  # fmt: skip
        if self.first_is_old and not torch.is_grad_enabled() and self._is_policy(model) and not compute_entropy:
            return None, None, None  # the first pass computes them
        if self.shares_prompt:
            found = self._shared(model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, pixels)
        else:
            found = super()._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **pixels,
            )
        self.latest = found[0].detach()
        return found

    def _is_policy(self, model: Any) -> bool:
        """Whether the adapter in training is active, and neither the reference's nor none."""
        peft = self.accelerator.unwrap_model(model)
        return peft.has_active_enabled_adapter and peft.active_adapter != "ref"

    def _shared(
        self, model: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, keep: int, rows: int | None, entropy: bool,
        inputs: dict[str, Any],
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:  # fmt: skip
        base = self.accelerator.unwrap_model(model).get_base_model()
        images = pixels_of(inputs)
        kinds = inputs["mm_token_type_ids"] if inputs.get("token_type_ids") is None else inputs["token_type_ids"]
        rows = rows or len(ids_BT)
        parts = []
        for start in range(0, len(ids_BT), rows):
            part = slice(start, start + rows)
            trees = build_trees(ids_BT[part], mask_BT[part], keep, images[part], kinds[part])
            with self.accelerator.autocast():
                parts.append(log_probabilities(base, trees, self.tokens, self.temperature, entropy, self.last_layer))
        log_probs = torch.cat([part["log_probs"] for part in parts])
        return log_probs, torch.cat([part["entropy"] for part in parts]) if entropy else None, None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        loss = super()._compute_loss(model, inputs)
        if self.first_is_old and "old_per_token_logps" not in inputs:
            inputs["old_per_token_logps"] = self.latest
        return loss
