"""TRL's SFT trainer with less repeated work; the loss is TRL's (section 3.2.1, equation 1).

`compute_loss` gets a stand-in for the model that puts cached image tokens in place of pixels (`embeddings`) and scores
the answer tokens only (`scoring`); loss, metrics and logging remain TRL's code. `Remembered` keeps what the collator
made of a row, so that from the second epoch on no text is tokenised and no image resized again. Exact: a row is the
same in each epoch, and rows are padded as TRL pads them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from trl import SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from companion.speed.attention import masks, places
from companion.speed.embeddings import EmbeddingCache, Pixels, assert_frozen, encoder_outputs, grids_of, pixels_of
from companion.speed.lora import fuse
from companion.speed.parallel import average_gradients
from companion.speed.scoring import only_at, score
from companion.speed.switches import ALL, Speed


class Remembered:
    """A collator that collates each row once: `kept` holds its tensors (T,) and its image, by path and answer."""

    def __init__(self, collator: Callable[[list[Any]], Mapping[str, Any]], pad: int, tokens: EmbeddingCache) -> None:
        self.collator, self.tokens = collator, tokens
        self.fill = {"input_ids": pad, "labels": -100}  # and 0 for the masks and token types
        self.kept: dict[tuple[str, str], tuple[dict[str, torch.Tensor], Pixels]] = {}

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch that the collator would make, with `image_tokens` (a tensor an image) for `pixel_values`."""
        keys = [(example["path"], example["completion"][0]["content"][0]["text"]) for example in examples]
        rows = [self._row(key, example) for key, example in zip(keys, examples, strict=True)]
        batch: dict[str, Any] = {
            name: pad_sequence([row[name] for row, _ in rows], True, self.fill.get(name, 0)) for name in rows[0][0]
        }
        images = [image for _, image in rows]
        if (grids := grids_of(images)) is not None:
            batch["image_grid_thw"] = grids
        batch["image_tokens"] = self.tokens(images)
        for key, (row, image) in zip(keys, rows, strict=True):
            self.kept[key] = (
                row,
                replace(image, pixels=image.pixels.new_empty(0)),
            )  # its tokens are kept, not its pixels
        return batch

    def _row(self, key: tuple[str, str], example: dict[str, Any]) -> tuple[dict[str, torch.Tensor], Pixels]:
        if key in self.kept and self.kept[key][1].key in self.tokens.kept:
            return self.kept[key]
        batch = self.collator([example])
        length = batch["input_ids"].shape
        return {name: value[0] for name, value in batch.items() if value.shape == length}, pixels_of(batch)[0]


class FastSFTTrainer(SFTTrainer):
    """`SFTTrainer` for one image a row; `speed` says which work is shared."""

    data_collator: Any

    def __init__(self, *args: Any, speed: Speed = ALL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.speed = speed
        self.last_layer = speed.last_layer and not self.args.gradient_checkpointing
        if speed.fused_adapters:
            fuse(self.accelerator.unwrap_model(self.model))
        if speed.cache_image_embeddings:
            base = self.accelerator.unwrap_model(self.model).get_base_model()
            assert_frozen(base)
            self.data_collator = Remembered(self.data_collator, self._tokenizer.pad_token_id, EmbeddingCache(base))

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's step; several processes share its gradient."""
        loss = super().training_step(*args, **kwargs)
        average_gradients(self)
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss, given `_run` for the model."""
        if not self.speed.answers_only and not self.speed.cache_image_embeddings:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return super().compute_loss(lambda **given: self._run(model, given), inputs, return_outputs, num_items_in_batch)

    def _run(self, model: Any, inputs: dict[str, Any]) -> Any:
        """What TRL's fused forward returns for these inputs."""
        base = self.accelerator.unwrap_model(model).get_base_model()
        if "image_tokens" in inputs:
            inputs["mm_encoder_outputs"] = encoder_outputs(base, inputs.pop("image_tokens"))
        if not self.speed.answers_only:
            return model(**inputs)
        labels_BT = inputs.pop("labels")[:, 1:]
        inputs = {name: value for name, value in inputs.items() if name != "fused_lm_head"}
        wanted_BT = labels_BT != -100
        if self.speed.batch_masks and base.config.get_text_config()._attn_implementation == "sdpa":
            inputs |= _sight(base, inputs)
        predicts_BT = pad(wanted_BT, (0, 1)) if self.last_layer else None
        with self.accelerator.autocast(), only_at(base, predicts_BT):
            hidden_BTH = base.model(**inputs).last_hidden_state[:, :-1]
            found = score(base, hidden_BTH[wanted_BT], labels_BT[wanted_BT], wanted_BT, ("entropy", "is_top1"))
        return FusedCausalLMOutput(**found, label_mask=wanted_BT)


def _sight(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Masks and positions of rows padded on the right, as the model would make them."""
    mask_BT = inputs["attention_mask"]
    image_BT = inputs["token_type_ids" if "token_type_ids" in inputs else "mm_token_type_ids"]
    place, _ = places(model, inputs["input_ids"], mask_BT, image_BT, inputs.get("image_grid_thw"))
    return {
        "attention_mask": masks(model, mask_BT - 1, mask_BT.cumsum(dim=1) - 1, image_BT),
        "position_ids": place,
    }
