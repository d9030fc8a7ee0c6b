"""The two families as real transformers classes: loading, chat formats, what LoRA touches."""

import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from chexreason import models
from chexreason.errors import UserError
from chexreason.models import add_lora, assert_language_only
from chexreason.recipe import LoRA
from companion.phantoms import miniature


def test_a_checkpoint_that_cannot_be_loaded_is_named(checkpoints, tmp_path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text((checkpoints / "qwen" / "config.json").read_text())
    (tmp_path / "whole").mkdir()
    for path in (checkpoints / "qwen").iterdir():
        (tmp_path / "whole" / path.name).symlink_to(path)
    shutil.copytree(tmp_path / "whole", tmp_path / "mute", ignore=shutil.ignore_patterns("tokenizer*"))
    (tmp_path / "whole" / "model.safetensors").unlink()
    shutil.copytree(tmp_path / "whole", tmp_path / "cut", symlinks=True)
    (tmp_path / "cut" / "model.safetensors").write_bytes((checkpoints / "qwen" / "model.safetensors").read_bytes()[:-1])
    for name, change in {
        "lacks": lambda weights: weights.pop(next(name for name in weights if name.endswith("v_proj.weight"))),
        "deeper": lambda weights: weights.update(
            {name.replace(".layers.0.", ".layers.9."): value.clone() for name, value in weights.items()}
        ),
    }.items():
        shutil.copytree(checkpoints / "qwen", tmp_path / name)
        weights = load_file(tmp_path / name / "model.safetensors")
        change(weights)
        save_file(weights, tmp_path / name / "model.safetensors", {"format": "pt"})
    shutil.copytree(checkpoints / "qwen", tmp_path / "curt", ignore=shutil.ignore_patterns("chat_template*"))
    for config in ("null", "[]", "{", "{}", '{"model_type": "nosuch"}'):
        (tmp_path / f"x{config[:3]}").mkdir()
        (tmp_path / f"x{config[:3]}" / "config.json").write_text(config)
    for family, place, message in (
        ("llava", None, "medgemma, nv_reason, qwen, got 'llava'"),
        ("qwen", "/no/where", r"a checkpoint of Qwen2.5-VL-3B-Instruct at /no/where, got .*\. Correct the profile's"),
        ("qwen", checkpoints / "medgemma", r"type qwen2_5_vl .* got gemma3"),
        ("qwen", tmp_path / "half", "half, got .*. Correct"),
        ("qwen", tmp_path / "whole", "whole, got Error no file named model.*. Correct"),
        ("qwen", tmp_path / "mute", "mute, got a tokenizer without its sign for an image. Correct"),
        ("qwen", tmp_path / "cut", "cut, got Error while .*covered. Correct"),
        ("qwen", tmp_path / "lacks", r"lacks, got 1 of the weights not ther.*v_proj\.weight\. Correct"),
        ("qwen", tmp_path / "deeper", r"deeper, got \d+ of the weights beyond.*\.9\."),
        ("qwen", tmp_path / "curt", "curt, got .*chat.template.*Correct"),
        *(("qwen", place, "Qwen2.5-VL-3B-Instruct at ") for place in tmp_path.glob("x*")),
    ):
        with pytest.raises(UserError, match=message) as told:
            models.load(family, place)
        assert len(str(told.value)) <= 200


def test_an_image_becomes_36_image_tokens(random_model) -> None:
    image = Image.new("L", (300, 300), 90)  # Qwen keeps the shape of an image: an oblong one gives fewer tokens
    inputs = models.encode(random_model, [image, image], "Look.")
    placeholder = random_model.model.config.image_token_id
    assert (inputs["input_ids"] == placeholder).sum(1).tolist() == [miniature.IMAGE_TOKENS] * 2


def test_image_tokens_are_never_sampled(random_model) -> None:
    ids = random_model.processor.tokenizer.convert_tokens_to_ids(list(random_model.family.image_tokens))
    inputs = models.encode(random_model, [Image.new("L", (64, 64))], "Look.")
    with torch.no_grad():  # make an image token by far the most likely one
        random_model.model.lm_head.weight[ids] = 50 * random_model.model.lm_head.weight.mean(0)
    tokens = random_model.model.generate(**inputs, max_new_tokens=8, do_sample=True)
    assert not set(tokens[0, inputs["input_ids"].shape[1] :].tolist()) & set(ids)


def test_lora_touches_every_projection_of_the_language_model_and_nothing_else(random_model) -> None:
    layers = random_model.model.config.get_text_config().num_hidden_layers
    model = add_lora(random_model, LoRA())
    touched = {name.split(".lora_")[0] for name, w in model.named_parameters() if w.requires_grad}
    assert len(touched) == 7 * layers
    assert all("language_model.layers" in name for name in touched)
    vision = next(w for name, w in model.named_parameters() if "vision" in name or "visual" in name)
    vision.requires_grad_(True)
    with pytest.raises(UserError, match="language model alone to train, got weights like"):
        assert_language_only(model)


@pytest.mark.parametrize(
    "more",
    [
        {"bias": "nosuch"}, {"bias": "all"}, {"inference_mode": True}, {"exclude_modules": "("}, {"nosuch": 1},
        {"rank_pattern": {"(": 3}}, {"target_modules": ["nosuch"]}, {"init_lora_weights": "loftq"},
    ],
)  # fmt: skip
def test_what_peft_refuses_is_told_in_a_line(random_model, more) -> None:
    with pytest.raises(UserError, match=r"\AExpected [^\n]*\. See the profile's settings of lora\.\Z"):
        add_lora(random_model, LoRA(), more)
