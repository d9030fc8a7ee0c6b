"""Pre-training: pictures and their cells, what the reader feeds the model, the shortcut past the tower, the card."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from chexreason import models, prompts
from chexreason.labels import FINDINGS
from companion.phantoms import miniature
from companion.phantoms.pretrain import drawings, language, lessons, make, tower
from companion.phantoms.pretrain.lessons import Lesson
from companion.phantoms.pretrain.pool import SIDE, Request, _draw_part, cells_of, pool

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


def test_an_empty_mask_is_seen_nowhere_and_sizes_need_not_divide() -> None:
    assert not cells_of({"a": np.zeros((50, 50), bool)}, ["a"]).any()
    assert cells_of({"a": np.ones((224, 224), bool)}, ["a"]).all()


def test_drawings_come_again_from_their_seed_and_show_what_they_say() -> None:
    first, masks = drawings.draw(np.random.default_rng([3, 1]), 168)
    again, _ = drawings.draw(np.random.default_rng([3, 1]), 168)
    other, _ = drawings.draw(np.random.default_rng([3, 2]), 168)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.shape, first.dtype) == ((168, 168), np.uint8)
    assert 1 <= len(masks) <= 4
    assert all(mask.any() and mask.shape == first.shape for mask in masks.values())


def test_a_drawing_never_shows_a_chest_concept() -> None:
    assert not {name.lower() for name in FINDINGS} & {name.lower() for name in drawings.CONCEPTS}
    shown = set()
    for index in range(40):
        shown |= set(drawings.draw(np.random.default_rng([0, index]), 96)[1])
    assert shown == set(drawings.CONCEPTS), "and every concept comes up"


def test_a_stopped_pool_goes_on_and_is_the_same(tmp_path) -> None:
    request = Request("drawings", 120, 5)
    films, cells, about = pool(request, tmp_path / "whole")
    assert films.shape == (120, miniature.FILM_PX, miniature.FILM_PX)
    assert not list((tmp_path / "whole").rglob("part-*")), "the parts are put together and removed"
    folder = next((tmp_path / "whole").rglob("about.json")).parent
    stopped = tmp_path / "stopped" / folder.relative_to(tmp_path / "whole")
    stopped.mkdir(parents=True)
    _draw_part((request, 50, 100, stopped / "part-000050.npz"))
    written = (stopped / "part-000050.npz").stat().st_mtime_ns
    _draw_part((request, 50, 100, stopped / "part-000050.npz"))
    assert (stopped / "part-000050.npz").stat().st_mtime_ns == written, "what is there is not drawn again"
    again = pool(request, tmp_path / "stopped")
    assert np.array_equal(films, again[0])
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


def film(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (miniature.FILM_PX,) * 2, dtype=np.uint8)


def test_the_readers_tokens_are_the_processors_own(random_model) -> None:
    processor = random_model.processor
    inputs, labels = language.Reader(processor, film()).batch(LESSON, ANSWERS)
    for k, answer in enumerate(ANSWERS):
        rendered = processor.apply_chat_template(models.chat(LESSON.text, answer), tokenize=False)
        whole = processor(images=[[Image.fromarray(film()).convert("RGB")]], text=[rendered], return_tensors="pt",
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
    films = np.stack([film(1), film(2)])
    inputs, labels = language.Reader(processor, films[0]).batch(LESSON, ANSWERS)
    images = tower.pixels(processor, films)
    with torch.no_grad():
        tokens = tower.features(model, images)
        short = language.loss_of(model, inputs, labels, tokens)
        logits = model(**{**inputs, **images}, use_cache=False).logits
        swapped = language.loss_of(model, inputs, labels, tokens.flip(0))
    before = labels.shape[1]
    predicted = logits[:, -before - 1 : -1].flatten(0, 1)
    full = functional.cross_entropy(predicted, labels.flatten(), ignore_index=-100)
    assert short.item() == pytest.approx(full.item(), rel=1e-4)
    assert swapped.item() != short.item(), "the loss has to depend on the film"


def test_a_film_becomes_a_token_for_each_cell(random_model) -> None:
    hidden = random_model.model.config.get_text_config().hidden_size
    with torch.no_grad():
        tokens = tower.features(
            random_model.model, tower.pixels(random_model.processor, np.stack([film(k) for k in range(3)]))
        )
    assert tokens.shape == (3, SIDE * SIDE, hidden)
    cells, whole = tower.Heads(hidden, 5)(tokens)
    assert (cells.shape, whole.shape) == ((3, SIDE * SIDE, 5), (3, 5))


def test_augmented_films_keep_their_sides() -> None:
    ramp = np.tile(np.linspace(40, 200, 32).astype(np.uint8), (4, 32, 1))
    changed = tower.augment(ramp, np.random.default_rng(0))
    assert changed.shape == ramp.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, ramp)
    assert (changed[:, :, 0] < changed[:, :, -1]).all()


def test_area_under_the_curve_is_unknown_where_there_is_one_class(random_model) -> None:
    hidden = random_model.model.config.get_text_config().hidden_size
    films = np.stack([film(k) for k in range(4)])
    whole = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], bool)
    first, second = tower.aucs(random_model.model, random_model.processor, tower.Heads(hidden, 2), films, whole)
    assert 0 <= first <= 1
    assert np.isnan(second)


def training(start: str | None = None) -> dict:
    return {
        "name": "qwen", "imitates": "nothing in particular", "start": start, "parameters": 3_000_001,
        "pictures": {"kind": "drawings", "count": 4000, "seed": 2, "enrichment": 1.0},
        "tower": {"steps": 5, "batch": 4, "held_out_auc": {"ring": 0.875, "star": 0.5}},
        "language": [{"steps": 7, "batch": 2, "lessons": ["shapes", "only_label"]}], "final_loss": 1.25, "seed": 2,
    }  # fmt: skip


def test_the_card_says_what_training_recorded() -> None:
    card = make.card(training(), "SomeClass")
    for words in ("3,000,001", "random weights", "4,000 general drawings", "| ring | 0.88 |", "7 steps of 2: shapes",
                  "never be used on a patient", "last mean loss 1.25"):  # fmt: skip
        assert words in card
    assert "the checkpoint `qwen`" in make.card(training("qwen"), "SomeClass")


def test_a_written_checkpoint_loads_and_replaces_the_older_one(random_model, family_name, tmp_path) -> None:
    place = tmp_path / family_name
    place.mkdir()
    (place / "leftover").touch()
    weights = {name: w.clone() for name, w in random_model.model.named_parameters()}
    assert make.write(random_model.model, random_model.processor, training(), place) == place
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
    if recipe.pictures.kind == "drawings":  # the general model has never seen a film
        assert {lesson.name for _, _, taught in recipe.stages for lesson in taught} == {"shapes", *make.REASONING}


def test_what_can_be_resumed_is_named_after_all_that_it_starts_from(tmp_path) -> None:
    recipe = make.RECIPES["nv_reason"]
    start = tmp_path / "checkpoints" / "qwen"
    start.mkdir(parents=True)
    (start / "model.safetensors").write_bytes(b"one")
    tower_file, language_file = make.kept(recipe, tmp_path / "kept", start.parent)
    fewer = dataclasses.replace(recipe, stages=[(1, *recipe.stages[0][1:])])
    assert make.kept(fewer, tmp_path / "kept", start.parent)[0] == tower_file
    assert make.kept(fewer, tmp_path / "kept", start.parent)[1] != language_file
    (start / "model.safetensors").write_bytes(b"another")
    assert not {tower_file, language_file} & set(make.kept(recipe, tmp_path / "kept", start.parent))
