"""Pre-training: pictures and their cells, what the language model is fed, image tokens in place of pixels, the card."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from chexreason import models, prompts
from chexreason.labels import FINDINGS
from companion.phantoms import miniature
from companion.phantoms.pretrain import drawings, language, make, vision_encoder
from companion.phantoms.pretrain.lessons import Lesson
from companion.phantoms.pretrain.pool import Request, pool

ANSWERS = ["<solution>Edema</solution>", "<think>a wide heart and no more</think><solution>Cardiomegaly</solution>"]
LESSON = Lesson("only_label", prompts.get("only_label").text, 1.0, lambda about, rng: "")


def test_drawings_come_again_from_their_seed_and_never_show_a_chest_concept() -> None:
    first, masks = drawings.draw(np.random.default_rng([3, 1]), 168)
    assert np.array_equal(first, drawings.draw(np.random.default_rng([3, 1]), 168)[0])
    assert not np.array_equal(first, drawings.draw(np.random.default_rng([3, 2]), 168)[0])
    assert (first.shape, first.dtype) == ((168, 168), np.uint8)
    assert all(mask.any() and mask.shape == first.shape for mask in masks.values())
    shown = [set(drawings.draw(np.random.default_rng([0, index]), 96)[1]) for index in range(40)]
    assert set().union(*shown) == set(drawings.CONCEPTS)
    assert not {name.lower() for name in FINDINGS} & {name.lower() for name in drawings.CONCEPTS}


def test_a_stopped_pool_goes_on_and_is_the_same(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("companion.phantoms.pretrain.pool.PART", 4)
    request = Request("drawings", 12, 5)
    images, cells, about = pool(request, tmp_path, workers=1)
    assert images.shape == (12, miniature.IMAGE_PX, miniature.IMAGE_PX)
    first, second, third = sorted(tmp_path.rglob("part-*.npz"))
    written = second.stat().st_mtime_ns
    first.unlink()
    third.unlink()
    again = pool(request, tmp_path, workers=1)
    assert second.stat().st_mtime_ns == written, "what is there is not drawn again"
    assert np.array_equal(images, again[0])
    assert np.array_equal(cells, again[1])
    assert about == again[2]


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (miniature.IMAGE_PX,) * 2, dtype=np.uint8)


def test_the_loss_from_image_tokens_is_the_loss_from_pixels(random_model) -> None:
    model, processor = random_model.model, random_model.processor
    images = np.stack([image(1), image(2)])
    inputs, labels = language.tensors(processor, LESSON, ANSWERS, images[0])
    images = vision_encoder.pixels(processor, images)
    with torch.no_grad():
        tokens = vision_encoder.features(model, images)
        short = language.loss_of(model, inputs, labels, tokens)
        logits = model(**{**inputs, **images}, use_cache=False).logits
        swapped = language.loss_of(model, inputs, labels, tokens.flip(0))
    before = labels.shape[1]
    predicted = logits[:, -before - 1 : -1].flatten(0, 1)
    full = functional.cross_entropy(predicted, labels.flatten(), ignore_index=-100)
    assert short.item() == pytest.approx(full.item(), rel=1e-4)
    assert swapped.item() != short.item(), "the loss has to depend on the image"


def test_an_interrupted_training_resumes_to_the_same_weights(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(vision_encoder, "SAVE_EVERY", 2)

    def trained(keep: Path, interrupted_at: int = -1) -> torch.Tensor:
        model = torch.nn.Linear(3, 1)
        torch.nn.init.constant_(model.weight, 1.0)

        def loss(step: int, rng: np.random.Generator) -> torch.Tensor:
            if step == interrupted_at:
                raise KeyboardInterrupt
            return model(torch.tensor(rng.normal(size=(4, 3)), dtype=torch.float32)).square().mean()

        vision_encoder.fit({"model": model}, list(model.parameters()), loss, steps=6, seed=1, keep=keep,
                           learning_rate=0.1, label="")  # fmt: skip
        return model.weight

    torch.manual_seed(0)
    whole = trained(tmp_path / "whole.pt")
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped.pt", 3)
    assert torch.equal(trained(tmp_path / "stopped.pt"), whole)


def recorded(name: str) -> dict:
    return json.loads((make.CHECKPOINTS / name / "training.json").read_text())


@pytest.mark.parametrize("name", make.RECIPES)
def test_the_card_is_the_committed_one(name) -> None:
    model_class = json.loads((make.CHECKPOINTS / name / "config.json").read_text())["architectures"][0]
    card = (make.CHECKPOINTS / name / "README.md").read_text()
    assert make.card(recorded(name), model_class) == card
    assert "must never be used on a patient" in card
    assert (make.CHECKPOINTS / name / "model.safetensors").stat().st_size < 10_000_000


def test_a_written_checkpoint_loads_and_replaces_the_older_one(random_model, family_name, tmp_path) -> None:
    place = tmp_path / family_name
    place.mkdir()
    (place / "leftover").touch()
    weights = {name: w.clone() for name, w in random_model.model.named_parameters()}
    assert make.write(random_model.model, random_model.processor, recorded("qwen"), place) == place
    assert not (place / "leftover").exists()
    assert [path.name for path in tmp_path.iterdir()] == [family_name]
    again = models.load(family_name, place)
    for name, weight in again.model.named_parameters():
        assert torch.equal(weight, weights[name].half().float()), name
