"""SFT with shared work against TRL's trainer as it comes: batches to the bit, losses and gradients to rounding."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexreason import models, prompts, sft
from chexreason.config import SFT, Speed
from chexreason.examples import examples
from chexreason.fast.films import FilmTokens, assert_frozen, films_of
from chexreason.fast.sft import Remembered
from chexreason.models import lora

STOCK = Speed(**{field.name: False for field in dataclasses.fields(Speed)})
PROMPT = prompts.get("free_reasoning")
ANSWERS = [f"<think>{'seen ' * (k % 5)}</think><solution>Edema</solution>" for k in range(8)]
TINY = dataclasses.replace(SFT(), epochs=3, device_batch=2, effective_batch=4, validation_share=0.25)


@pytest.fixture(autouse=True)
def films_of_three_shapes(studies):
    for k, shape in enumerate([(90, 240), (240, 90)]):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, shape, dtype=np.uint8)).save(studies[k].image)


def test_remembered_batches_are_the_collators(random_model, studies) -> None:
    rows = examples(studies, PROMPT, ANSWERS)
    collator = DataCollatorForVisionLanguageModeling(random_model.processor, completion_only_loss=True)
    calls = []

    def counted(batch):
        calls.append(len(batch))
        return collator(batch)

    model = random_model.model
    ours = Remembered(counted, random_model.processor.tokenizer.pad_token_id, FilmTokens(model))
    for order in ([0, 1, 2, 3], [3, 6, 0], [5]):
        theirs = collator([rows[k] for k in order])
        batch = ours([rows[k] for k in order])
        with torch.no_grad():
            given = (theirs["pixel_values"], *([theirs["image_grid_thw"]] if "image_grid_thw" in theirs else []))
            tokens = model.model.get_image_features(*given, return_dict=True).pooler_output
        assert theirs.keys() - {"pixel_values", "num_crops"} == batch.keys() - {"image_tokens"}
        for name in theirs.keys() & batch.keys():
            assert torch.equal(batch[name], theirs[name]), name
        for found, expected in zip(batch["image_tokens"], tokens, strict=True):
            assert torch.allclose(found, expected, atol=1e-6)
    assert calls == [1] * 6, "each row once"
    assert all(film.pixels.numel() == 0 for _, film in ours.kept.values()), "pixels are not kept"


def test_a_film_whose_tokens_had_to_go_is_seen_again(random_model, studies) -> None:
    rows = examples(studies, PROMPT, ANSWERS)
    collator = DataCollatorForVisionLanguageModeling(random_model.processor, completion_only_loss=True)
    films = [films_of(collator([rows[k]]))[0] for k in range(4)]
    roomy, narrow = FilmTokens(random_model.model), FilmTokens(random_model.model, limit=40_000)
    expected = roomy(films)
    assert len(roomy.kept) == 4
    for film, tokens in zip(films, expected, strict=True):
        assert torch.allclose(narrow([film])[0], tokens, atol=1e-6)
        assert narrow.size <= 40_000
        assert narrow.size == sum(kept.nbytes for kept in narrow.kept.values())
    tight = Remembered(collator, random_model.processor.tokenizer.pad_token_id, narrow)
    for _ in range(2):
        batch = tight([rows[k] for k in range(4)])
        for found, tokens in zip(batch["image_tokens"], expected, strict=True):
            assert torch.allclose(found, tokens, atol=1e-6)


def test_a_tower_that_trains_is_refused(random_model) -> None:
    with pytest.raises(AssertionError, match="image tokens would change"):
        assert_frozen(random_model.model)  # as loaded, every weight would train
    assert_frozen(lora.add_lora(random_model, TINY).get_base_model())


@pytest.mark.parametrize(
    "speed",
    [dataclasses.replace(STOCK, answers_only=True), dataclasses.replace(STOCK, film_tokens=True), Speed()],
    ids=["answers_only", "film_tokens", "all"],
)
def test_a_whole_run_is_trls_run(checkpoints, family_name, studies, tmp_path, speed) -> None:
    """Dropout is on: the shapes are the same, so the same seed drops the same numbers."""
    runs = []
    for name, each in (("stock", STOCK), ("ours", speed)):
        loaded = models.load(family_name, checkpoints / family_name)
        trainer = sft.train(loaded, studies, ANSWERS, PROMPT, TINY, tmp_path / name, seed=0, speed=each)
        runs.append(trainer.state.log_history)
    assert len(runs[0]) == len(runs[1])
    for theirs, ours in zip(*runs, strict=True):
        assert ours.keys() == theirs.keys()
        for metric in theirs.keys() & {
            "loss",
            "eval_loss",
            "grad_norm",
            "entropy",
            "mean_token_accuracy",
            "num_tokens",
        }:
            assert ours[metric] == pytest.approx(theirs[metric], rel=1e-4), metric
