"""TRL's SFT trainer with the repeated work taken out; the loss stays TRL's (section 3.2.1, equation 1).

`compute_loss` is called with a stand-in for the model: it puts a film's image tokens in place of its pixels
(`fast.films`) and scores the answers' tokens only (`fast.scoring`); loss, metrics and logging remain TRL's own code.
`Remembered` keeps what the collator made of a row: from the second epoch on, no text is tokenised again and no
film resized. Exact: a row is the same in each epoch, and rows are padded as TRL pads them (tested bit for bit).
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

from companion.speed.adapters import fuse
from companion.speed.films import Film, FilmTokens, assert_frozen, films_of, grids_of, in_place_of_pixels
from companion.speed.last_layer import only_at
from companion.speed.masks import masks, places
from companion.speed.parallel import average_gradients
from companion.speed.scoring import score
from companion.speed.switches import ALL, Speed


class Remembered:
    """A collator that collates each row once: `kept` holds its tensors (T,) and its film's name, by path and answer."""

    def __init__(self, collator: Callable[[list[Any]], Mapping[str, Any]], pad: int, tokens: FilmTokens) -> None:
        self.collator, self.tokens = collator, tokens
        self.fill = {"input_ids": pad, "labels": -100}  # and 0 for the masks and token types
        self.kept: dict[tuple[str, str], tuple[dict[str, torch.Tensor], Film]] = {}

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch that the collator would make, with `image_tokens` (a tensor a film) for `pixel_values`."""
        keys = [(example["path"], example["completion"][0]["content"][0]["text"]) for example in examples]
        rows = [self._row(key, example) for key, example in zip(keys, examples, strict=True)]
        batch: dict[str, Any] = {
            name: pad_sequence([row[name] for row, _ in rows], True, self.fill.get(name, 0)) for name in rows[0][0]
        }
        films = [film for _, film in rows]
        if (grids := grids_of(films)) is not None:
            batch["image_grid_thw"] = grids
        batch["image_tokens"] = self.tokens(films)
        for key, (row, film) in zip(keys, rows, strict=True):
            self.kept[key] = row, replace(film, pixels=film.pixels.new_empty(0))  # its tokens are kept, not its pixels
        return batch

    def _row(self, key: tuple[str, str], example: dict[str, Any]) -> tuple[dict[str, torch.Tensor], Film]:
        if key in self.kept and self.kept[key][1].key in self.tokens.kept:
            return self.kept[key]
        batch = self.collator([example])
        length = batch["input_ids"].shape
        return {name: value[0] for name, value in batch.items() if value.shape == length}, films_of(batch)[0]


class FastSFTTrainer(SFTTrainer):
    """`SFTTrainer` for one film a row; `speed` says which work is shared."""

    data_collator: Any

    def __init__(self, *args: Any, speed: Speed = ALL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.speed = speed
        self.last_layer = speed.last_layer and not self.args.gradient_checkpointing
        if speed.fused_adapters:
            fuse(self.accelerator.unwrap_model(self.model))
        if speed.film_tokens:
            base = self.accelerator.unwrap_model(self.model).get_base_model()
            assert_frozen(base)
            self.data_collator = Remembered(self.data_collator, self._tokenizer.pad_token_id, FilmTokens(base))

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's step; several processes share its gradient."""
        loss = super().training_step(*args, **kwargs)
        average_gradients(self)
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss, given `_run` for the model."""
        if not self.speed.answers_only and not self.speed.film_tokens:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return super().compute_loss(lambda **given: self._run(model, given), inputs, return_outputs, num_items_in_batch)

    def _run(self, model: Any, inputs: dict[str, Any]) -> Any:
        """What TRL's fused forward returns for these inputs."""
        base = self.accelerator.unwrap_model(model).get_base_model()
        if "image_tokens" in inputs:
            inputs["mm_encoder_outputs"] = in_place_of_pixels(base, inputs.pop("image_tokens"))
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
