"""The real models without their weights: sizes, what LoRA trains, what an image and a prompt become."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from chexreason import models
from chexreason.config import RESULTS
from chexreason.errors import UserError
from chexreason.files import digest_of
from chexreason.models import FAMILIES, Loaded, add_lora
from chexreason.prompts import PROMPTS
from chexreason.recipe import GRPO, Decoding, LoRA
from companion.replication.published import config_of, facts

CHECKPOINTS = Path(__file__).parents[1] / "companion" / "phantoms" / "checkpoints"
RANK = 16
#: Inputs and outputs of each projection of a layer, worked out by hand from the dimensions in the model reports:
#: q, k, v, o, gate, up, down; Gemma 3 4B has 8 heads of 256 and 4 for keys and values, Qwen2.5-VL-3B 16 of 128 and 2.
PROJECTIONS = {
    "medgemma": (34, [(2560, 2048), (2560, 1024), (2560, 1024), (2048, 2560), (2560, 10240), (2560, 10240),
                      (10240, 2560)]),
    "qwen": (36, [(2048, 2048), (2048, 256), (2048, 256), (2048, 2048), (2048, 11008), (2048, 11008), (11008, 2048)]),
}  # fmt: skip
TRAINED = {"medgemma": 29_802_496, "qwen": 29_933_568}


@pytest.fixture(scope="module", params=["medgemma", "qwen"])
def real(request: pytest.FixtureRequest) -> Loaded:
    """The real architecture with a fresh adapter of the paper's rank on it, nothing of it in memory."""
    with torch.device("meta"):
        model = FAMILIES[request.param].model_class(config_of(request.param))
    bare = Loaded(model, None, FAMILIES[request.param], "published")
    return dataclasses.replace(bare, model=add_lora(bare, LoRA()))


def test_it_is_as_large_as_the_published_one_and_nothing_of_it_is_in_memory(real) -> None:
    count = sum(weight.numel() for name, weight in real.model.named_parameters() if "lora_" not in name)
    assert count == facts(real.family.name)["parameters"]
    assert {weight.device.type for weight in real.model.parameters()} == {"meta"}


def test_lora_trains_seven_projections_a_layer_of_the_language_model_and_no_weight_more(real) -> None:
    layers, projections = PROJECTIONS[real.family.name]
    trained = {name: w for name, w in real.model.named_parameters() if w.requires_grad}
    shapes = sorted(tuple(w.shape) for w in trained.values())
    expected = [(RANK, into) for into, _ in projections] + [(out, RANK) for _, out in projections]
    assert shapes == sorted(expected * layers)
    assert sum(w.numel() for w in trained.values()) == TRAINED[real.family.name]
    assert TRAINED[real.family.name] == RANK * layers * sum(into + out for into, out in projections)
    parts = {name.split(".lora_")[0].split(".language_model.layers.")[1].partition(".")[2] for name in trained}
    attention = {f"self_attn.{kind}_proj" for kind in "qkvo"}
    assert parts == attention | {f"mlp.{kind}_proj" for kind in ("gate", "up", "down")}


def test_revisions_are_commits_and_belong_to_the_published_weights_alone() -> None:
    for family in FAMILIES.values():
        assert len(family.revision) == 40
        assert set(family.revision) <= set("0123456789abcdef")
        assert family.revision_of(family.hub_id) == family.revision
        assert family.revision_of("someone/else") == family.revision_of("/a/folder") == "main"


def test_the_pinned_commit_is_asked_for_and_no_code_of_the_hub_runs(monkeypatch) -> None:
    """What `load` gives to transformers, for each part of a published checkpoint."""
    asked = []

    class Hub:
        @staticmethod
        def from_pretrained(place, **words):
            asked.append((place, words))
            raise OSError("no network here, " + "and none there" * 20)

    monkeypatch.setattr(models, "AutoConfig", Hub)
    for name, family in FAMILIES.items():
        with pytest.raises(UserError, match="or see `chexreason doctor`") as told:
            models.load(name)
        assert len(str(told.value)) <= 200
        with pytest.raises(OSError, match="no network"):
            models.load_processor(dataclasses.replace(family, processor_class=Hub), family.hub_id)
        for place, words in asked[-2:]:
            assert (place, words["revision"], words["trust_remote_code"]) == (family.hub_id, family.revision, False)


def published_processor(name: str, folder: Path, images: dict):
    """`load_processor` on a folder laid out as the published repository is; only the vocabulary is a miniature's."""
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json"):
        shutil.copy(CHECKPOINTS / name / file, folder / file)
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    return models.load_processor(FAMILIES[name], str(folder))


@pytest.fixture(scope="module")
def qwen_processor(tmp_path_factory):
    """Qwen2.5-VL's published preprocessor_config.json: from 4 to 16,384 tokens, before the paper's limits."""
    images = {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
             "image_processor_type": "Qwen2VLImageProcessor"}  # fmt: skip
    return published_processor("qwen", tmp_path_factory.mktemp("qwen"), images)


#: Width and height: portrait, landscape, NIH's square, a CheXpert-small image, a thumbnail, strips.
IMAGES = [(2544, 3056), (3056, 2544), (1024, 1024), (390, 320), (64, 64), (56, 11000), (4000, 30), (20, 20)]


def test_qwen_sees_256_to_512_tokens_of_any_image(qwen_processor) -> None:
    for size in IMAGES:
        made = qwen_processor(images=[Image.new("RGB", size)], text="<|image_pad|>", return_tensors="np")
        [[_, rows, columns]] = made["image_grid_thw"]
        assert 256 <= made["input_ids"].shape[1] == rows * columns // 4 <= 512, size
        if size == IMAGES[0]:
            assert rows / columns == pytest.approx(size[1] / size[0], rel=0.05), "a portrait image keeps its shape"
    rng = np.random.default_rng(0)
    heights, ratios = rng.integers(28, 5000, 3000), np.exp(rng.uniform(-np.log(200), np.log(200), 3000))
    counts = {
        qwen_processor.image_processor.get_number_of_image_patches(int(height), max(1, int(height * ratio)), {}) // 4
        for height, ratio in zip(heights, ratios, strict=True)
        if 1 / 199 < max(1, int(height * ratio)) / height < 199
    }
    assert 256 <= min(counts) < max(counts) <= 512


def test_medgemma_sees_256_tokens_of_any_image(tmp_path) -> None:
    images = {"do_normalize": True, "do_pan_and_scan": None, "do_rescale": True, "do_resize": True,
             "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "image_processor_type": "Gemma3ImageProcessor",
             "image_seq_length": 256, "rescale_factor": 1 / 255, "resample": 2,
             "size": {"height": 896, "width": 896}}  # fmt: skip
    (tmp_path / "processor_config.json").write_text('{"image_seq_length": 256, "processor_class": "Gemma3Processor"}')
    processor = published_processor("medgemma", tmp_path, images)
    for size in ((1272, 1528), (390, 320), (64, 64)):
        made = processor(images=[[Image.new("RGB", size)]], text="<start_of_image>", return_tensors="np")
        assert made["pixel_values"].shape == (1, 3, 896, 896)
        assert (made["input_ids"] == processor.tokenizer.convert_tokens_to_ids("<image_soft_token>")).sum() == 256
    assert facts("medgemma")["config"]["mm_tokens_per_image"] == 256


ANSWER = "<think>A wide heart.</think><solution>Cardiomegaly</solution>"
#: What the chat templates of Qwen/Qwen2.5-VL-3B-Instruct and google/gemma-3-4b-it, as public code quotes them, were
#: seen to render. Gemma trims the text of a turn, Qwen keeps it.
PUBLISHED_CHAT = {
    "qwen": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|><|image_pad|><|vision_end|>{prompt}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n",
    "medgemma": "<bos><start_of_turn>user\n<start_of_image>{prompt}<end_of_turn>\n<start_of_turn>model\n"
    "{answer}<end_of_turn>\n",
}  # fmt: skip


@pytest.mark.parametrize("name", ["medgemma", "qwen", "nv_reason"])
def test_the_miniatures_speak_as_the_published_templates_do(name) -> None:
    family = FAMILIES[name]
    render = models.load_processor(family, str(CHECKPOINTS / name)).apply_chat_template
    trim, chat = (str.strip, "medgemma") if family.model_type == "gemma3" else (str, "qwen")
    own = [(prompt.text, ANSWER) for prompt in PROMPTS.values()]
    for prompt, answer in [("Look.", "Yes."), (" One.\n\nTwo {x} & <y>.\n", " An answer. \n"), *own]:
        expected = PUBLISHED_CHAT[chat].replace("{prompt}", trim(prompt)).replace("{answer}", trim(answer))
        assert render(models.chat(prompt, answer), tokenize=False) == expected
        asked = render(models.chat(prompt), add_generation_prompt=True, tokenize=False)
        assert expected.startswith(asked)  # else the answer's tokens would not be those that are generated
        assert asked.endswith(("<|im_start|>assistant\n", "<start_of_turn>model\n"))


def test_prompts_and_traces_are_as_long_as_they_were_counted_and_fit() -> None:
    """By the published tokenizers (benchmarks/token_lengths.py); neither is here, so their count is not repeated."""
    counted = pd.read_csv(RESULTS / "benchmarks" / "tokens.csv")
    assert set(counted["prompt"]) == set(PROMPTS)
    for row in counted.itertuples():
        if row.kind == "prompt":
            assert row.text_digest == digest_of([PROMPTS[row.prompt].text])[:12], "count them again"
        assert row.most < GRPO().max_completion_length


@pytest.mark.parametrize("name", ["medgemma", "qwen", "nv_reason"])
def test_every_prompt_fits_with_its_image_and_its_answer(name) -> None:
    """No token of these vocabularies is shorter than a byte, so bytes bound tokens without a tokenizer."""
    around = len(PUBLISHED_CHAT["qwen"].encode())
    answer = max(GRPO().max_completion_length, Decoding().max_new_tokens)
    longest = max(len(prompt.text.encode()) for prompt in PROMPTS.values())
    assert around + longest + 512 + answer < facts(name)["context"]
