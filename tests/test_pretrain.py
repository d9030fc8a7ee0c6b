"""Pre-training: pictures and their cells, what the language model is fed, image tokens in place of pixels, the card."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from chexreason import models, prompts
from chexreason.labels import FINDINGS
from companion.phantoms import miniature
from companion.phantoms.pretrain import drawings, language, lessons, make, vision_encoder
from companion.phantoms.pretrain.lessons import Lesson
from companion.phantoms.pretrain.pool import SIDE, Request, cells_of, pool

ANSWERS = ["<solution>Edema</solution>", "<think>a wide heart and no more</think><solution>Cardiomegaly</solution>"]
LESSON = Lesson("only_label", prompts.get("only_label").text, 1.0, lambda about, rng: "")


def test_a_cell_holds_a_concept_if_enough_of_it_is_covered() -> None:
    size = 12 * SIDE  # cells of 12 x 12
    big, thin = np.zeros((size, size), bool), np.zeros((size, size), bool)
    big[0:12, 0:24] = True  # the first two cells of the top row, whole
    big[12, 0:5] = True  # 5 of 144 pixels of the cell below: under 4 %
    thin[40, 30] = True  # one pixel, row 3, column 2: its fullest cell counts
    cells = cells_of({"b": big, "t": thin}, ["a", "b", "t"]).reshape(SIDE, SIDE, 3)
    assert np.argwhere(cells).tolist() == [[0, 0, 1], [0, 1, 1], [3, 2, 2]]
    assert not cells_of({"a": np.zeros((50, 50), bool)}, ["a"]).any()
    assert cells_of({"a": np.ones((224, 224), bool)}, ["a"]).all()


def test_drawings_come_again_from_their_seed_and_never_show_a_chest_concept() -> None:
    first, masks = drawings.draw(np.random.default_rng([3, 1]), 168)
    assert np.array_equal(first, drawings.draw(np.random.default_rng([3, 1]), 168)[0])
    assert not np.array_equal(first, drawings.draw(np.random.default_rng([3, 2]), 168)[0])
    assert (first.shape, first.dtype) == ((168, 168), np.uint8)
    assert all(mask.any() and mask.shape == first.shape for mask in masks.values())
    shown = [set(drawings.draw(np.random.default_rng([0, index]), 96)[1]) for index in range(40)]
    assert set().union(*shown) == set(drawings.CONCEPTS)
    assert not {name.lower() for name in FINDINGS} & {name.lower() for name in drawings.CONCEPTS}


def test_a_stopped_pool_goes_on_and_is_the_same(tmp_path) -> None:
    request = Request("drawings", 120, 5)
    images, cells, about = pool(request, tmp_path, workers=1)
    assert images.shape == (120, miniature.IMAGE_PX, miniature.IMAGE_PX)
    first, second, third = sorted(tmp_path.rglob("part-*.npz"))
    written = second.stat().st_mtime_ns
    first.unlink()
    third.unlink()
    again = pool(request, tmp_path, workers=1)
    assert second.stat().st_mtime_ns == written, "what is there is not drawn again"
    assert np.array_equal(images, again[0])
    assert np.array_equal(cells, again[1])
    assert about == again[2]


def test_every_lesson_has_an_answer() -> None:
    about = {"lesions": [{"finding": "Edema", "severity": 0.5, "side": "both"}], "truth": ["Edema", "Lung Opacity"],
             "recorded": {"Edema": -1.0, "Fracture": 1.0}, "shapes": ["ring", "star"]}  # fmt: skip
    assert lessons.visible(about) == {"Edema", "Lung Opacity"}
    assert lessons.recorded(about) == {"Fracture"}
    assert lessons.recorded(about | {"recorded": {"Edema": -1.0}}) == lessons.visible(about)
    rng = np.random.default_rng(0)
    naming, _ = lessons.captions(lessons.visible)
    assert "Edema" in naming.answer(about, rng)
    shapes, *blind = lessons.general(("only_label",))
    assert shapes.answer(about, rng) == "ring, star"
    assert len({blind[0].answer(about, rng) for _ in range(20)}) > 5, "a guess, whatever is shown"


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (miniature.IMAGE_PX,) * 2, dtype=np.uint8)


def test_a_lesson_is_read_as_the_template_writes_it(random_model) -> None:
    processor = random_model.processor
    inputs, labels = language.tensors(processor, LESSON, ANSWERS, image())
    for k, answer in enumerate(ANSWERS):
        rendered = processor.apply_chat_template(models.chat(LESSON.text, answer), tokenize=False)
        whole = processor(images=[[Image.fromarray(image()).convert("RGB")]], text=[rendered], return_tensors="pt",
                          add_special_tokens=False)  # fmt: skip
        end = inputs["attention_mask"][k].bool()
        expected = whole["input_ids"][0]
        ours = inputs["input_ids"][k][end]
        # The template's line break after the end of turn is not taught: an answer is over by then.
        assert ours.tolist() == expected[: len(ours)].tolist()
        assert processor.tokenizer.decode(expected[len(ours) :]) == "\n"
        counted = labels[k] != -100
        assert processor.tokenizer.decode(labels[k][counted]).startswith(answer)
        assert torch.equal(labels[k][counted], ours[-int(counted.sum()) :])
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in inputs:
                assert inputs[name][k][end].tolist() == whole[name][0][: len(ours)].tolist()


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


def test_augmented_images_keep_their_sides() -> None:
    ramp = np.tile(np.linspace(40, 200, 32).astype(np.uint8), (4, 32, 1))
    changed = vision_encoder.augment(ramp, np.random.default_rng(0))
    assert changed.shape == ramp.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, ramp)
    assert (changed[:, :, 0] < changed[:, :, -1]).all()


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


def test_area_under_the_curve_is_unknown_where_there_is_one_class(random_model) -> None:
    heads = vision_encoder.Heads(random_model.model.config.get_text_config().hidden_size, 2)
    images, whole = np.stack([image(k) for k in range(4)]), np.array([[1, 0], [0, 0], [1, 0], [0, 0]], bool)
    first, second = vision_encoder.aucs(random_model.model, random_model.processor, heads, images, whole)
    assert 0 <= first <= 1
    assert np.isnan(second)


def recorded(name: str) -> dict:
    return json.loads((make.CHECKPOINTS / name / "training.json").read_text())


@pytest.mark.parametrize("name", make.RECIPES)
def test_the_card_is_the_committed_one(name) -> None:
    model_class = json.loads((make.CHECKPOINTS / name / "config.json").read_text())["architectures"][0]
    assert make.card(recorded(name), model_class) == (make.CHECKPOINTS / name / "README.md").read_text()


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


@pytest.mark.parametrize("name", make.RECIPES)
def test_a_recipe_starts_from_one_that_comes_before_it_and_has_lessons(name) -> None:
    recipe, names = make.RECIPES[name], list(make.RECIPES)
    assert recipe.start is None or names.index(recipe.start) < names.index(name)
    assert recipe.family in models.FAMILIES
    assert all(steps > 0 and batch > 0 and taught for steps, batch, taught in recipe.stages)
    if recipe.pictures.kind == "drawings":  # the general model has never seen an image
        assert {lesson.name for _, _, taught in recipe.stages for lesson in taught} == {"shapes", *make.REASONING}


def test_what_can_be_resumed_is_named_after_all_that_it_starts_from(tmp_path) -> None:
    recipe = make.RECIPES["nv_reason"]
    start = tmp_path / "checkpoints" / "qwen"
    start.mkdir(parents=True)
    (start / "model.safetensors").write_bytes(b"one")
    vision_file, language_file = make.kept(recipe, tmp_path / "kept", start.parent)
    fewer = dataclasses.replace(recipe, stages=[(1, *recipe.stages[0][1:])])
    assert make.kept(fewer, tmp_path / "kept", start.parent)[0] == vision_file
    assert make.kept(fewer, tmp_path / "kept", start.parent)[1] != language_file
    (start / "model.safetensors").write_bytes(b"another")
    assert not {vision_file, language_file} & set(make.kept(recipe, tmp_path / "kept", start.parent))
