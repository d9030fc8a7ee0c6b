"""SFT with shared work against TRL's trainer as it comes: batches to the bit, losses and gradients to rounding."""

import dataclasses

import pytest
import torch
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexreason import models, prompts, sft
from chexreason.config import load_profile
from chexreason.examples import examples
from chexreason.recipe import SFT, LoRA
from companion.speed.embeddings import EmbeddingCache, assert_frozen, pixels_of
from companion.speed.sft import Remembered
from companion.speed.switches import Speed

STOCK = Speed(**{field.name: False for field in dataclasses.fields(Speed)})
PROMPT = prompts.get("free_reasoning")
ANSWERS = [f"<think>{'seen ' * (k % 5)}</think><solution>Edema</solution>" for k in range(8)]
TINY = dataclasses.replace(
    SFT(), num_train_epochs=2, per_device_train_batch_size=2, studies_per_step=4, validation_share=0.25
)


pytestmark = pytest.mark.usefixtures("three_shapes")


def test_remembered_batches_are_the_collators(random_model, studies) -> None:
    rows = examples(studies, PROMPT, ANSWERS)
    collator = DataCollatorForVisionLanguageModeling(random_model.processor, completion_only_loss=True)
    calls = []

    def counted(batch):
        calls.append(len(batch))
        return collator(batch)

    model = random_model.model
    ours = Remembered(counted, random_model.processor.tokenizer.pad_token_id, EmbeddingCache(model))
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
    assert all(image.pixels.numel() == 0 for _, image in ours.kept.values()), "pixels are not kept"


def test_an_image_whose_tokens_had_to_go_is_seen_again(random_model, studies) -> None:
    rows = examples(studies, PROMPT, ANSWERS)
    collator = DataCollatorForVisionLanguageModeling(random_model.processor, completion_only_loss=True)
    images = [pixels_of(collator([rows[k]]))[0] for k in range(4)]
    roomy, narrow = EmbeddingCache(random_model.model), EmbeddingCache(random_model.model, limit=40_000)
    expected = roomy(images)
    assert len(roomy.kept) == 4
    for image, tokens in zip(images, expected, strict=True):
        assert torch.allclose(narrow([image])[0], tokens, atol=1e-6)
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
    assert_frozen(models.add_lora(random_model, LoRA()).get_base_model())


def trainer_of(checkpoints, family_name, studies, folder, speed, dropout=0.1):
    loaded = models.load(family_name, checkpoints / family_name)
    engines = {"sft": {"name": "companion.speed.sft.FastSFTTrainer", "speed": speed}}
    profile = dataclasses.replace(
        load_profile("smoke"), sft=TINY, lora=LoRA(lora_dropout=dropout), engines=engines, seed=0
    )
    return sft.train(loaded, studies, ANSWERS, PROMPT, profile, folder)


def test_the_loss_and_its_gradients_are_trls(checkpoints, family_name, studies, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(SFTTrainer, "train", lambda *_, **__: None)
    found = []
    for name, speed in (("stock", STOCK), ("ours", Speed())):
        trainer = trainer_of(checkpoints, family_name, studies, tmp_path / name, speed, dropout=0.0)
        torch.manual_seed(1)
        with torch.no_grad():
            for name_, weight in trainer.model.named_parameters():
                if "lora_B" in name_:
                    weight.normal_(0, 0.02)
        trainer.model.train()
        batch = trainer.data_collator([trainer.train_dataset[k] for k in range(4)])
        loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=40)
        loss.backward()
        found.append((loss.item(), {n: w.grad for n, w in trainer.model.named_parameters() if w.grad is not None}))
    (stock_loss, stock), (our_loss, ours) = found
    assert our_loss == pytest.approx(stock_loss, rel=1e-5)
    assert ours.keys() == stock.keys()
    for name, grad in stock.items():
        assert (ours[name] - grad).norm() <= 2e-5 * grad.norm(), name
    whole = [torch.cat([grads[name].flatten() for name in stock]) for grads in (ours, stock)]
    assert (whole[0] - whole[1]).norm() <= 1e-5 * whole[1].norm()


def test_a_whole_run_is_trls_run(checkpoints, family_name, studies, tmp_path) -> None:
    """Dropout is on. All but `last_layer` draw it over the same shapes, so the same seed drops the same numbers."""
    ours = trainer_of(
        checkpoints, family_name, studies, tmp_path / "ours", dataclasses.replace(Speed(), last_layer=False)
    )
    stock = trainer_of(checkpoints, family_name, studies, tmp_path / "stock", STOCK)
    metrics = {"loss", "eval_loss", "grad_norm", "entropy", "mean_token_accuracy", "num_tokens"}
    assert len(stock.state.log_history) == len(ours.state.log_history)
    for theirs, mine in zip(stock.state.log_history, ours.state.log_history, strict=True):
        assert mine.keys() == theirs.keys()
        for metric in theirs.keys() & metrics:
            assert mine[metric] == pytest.approx(theirs[metric], rel=1e-4), metric
