"""Weights in 8 and 4 bits: what transformers is told, by which stage, and what becomes of an adapter on them."""

import dataclasses
import functools
import importlib.util

import pytest
import torch

from chexreason import grpo, models, sft, study
from chexreason.config import load_profile
from chexreason.errors import UserError
from chexreason.models import add_lora, with_adapter
from companion.replication import memory

HERE = importlib.util.find_spec("bitsandbytes") is not None


def test_without_the_library_it_says_what_to_do(monkeypatch, checkpoints) -> None:
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    for bits in (8, 4):
        with pytest.raises(UserError, match=f"Expected bitsandbytes for weights in {bits} bits, got none") as told:
            models.load("qwen", checkpoints / "qwen", bits=bits)
        assert len(str(told.value)) <= 200
    assert models.load("qwen", checkpoints / "qwen", bits=16).model.dtype == torch.float32


def test_transformers_is_told_how_many_bits(monkeypatch) -> None:
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: name)
    assert models.quantised(models.FAMILIES["qwen"], 16) == {}
    eight, four = (models.quantised(models.FAMILIES["qwen"], bits)["quantization_config"] for bits in (8, 4))
    assert (eight.load_in_8bit, eight.load_in_4bit) == (True, False)
    assert (four.load_in_8bit, four.load_in_4bit) == (False, True)
    assert (four.bnb_4bit_quant_type, four.bnb_4bit_use_double_quant) == ("nf4", True), "as memory counts it"


@pytest.mark.parametrize("bits", [8, 4, 16])
def test_each_stage_loads_as_its_own_setting_says(monkeypatch, bits, tmp_path) -> None:
    """Training by `sft` and `grpo`, every scoring by `decoding`."""
    settings = {f"{group}.load_in_bits": bits for group in ("sft", "grpo", "decoding")}
    profile = load_profile("smoke", given={"settings": settings}, cache=tmp_path)
    asked = []

    class Loaded(Exception):
        pass

    def load(*_, bits: int = 0, **__):
        asked.append(bits)
        raise Loaded

    monkeypatch.setattr(models, "load", load)
    monkeypatch.setattr("chexreason.resume.run", lambda this, train, score: train(tmp_path))
    monkeypatch.setattr("chexreason.records.plan", lambda *_, **__: None)
    monkeypatch.setattr("chexreason.traces.of", lambda *_: [])
    monkeypatch.setattr("chexreason.runs.need", lambda place: place)
    monkeypatch.setattr("chexreason.runs.adapter_digest", str)
    task = grpo.Task([], [], study.prompts.get("free_reasoning"), "hard")
    chosen = type("Chosen", (), {"studies": [], "digest": "", "left_out": {}, "unreadable": []})()
    for stage in (
        functools.partial(sft.run, profile, "x", "qwen", task.prompt, chosen, chosen),
        functools.partial(grpo.run, profile, "x", "y", task, chosen, {}),
        study.loader(profile, "qwen"),
    ):
        with pytest.raises(Loaded):
            stage()
    assert asked == [bits] * 3


def test_other_numbers_of_bits_are_refused() -> None:
    with pytest.raises(UserError, match=r"sft.load_in_bits .* got an invalid one \(3 is not one of \(16, 8, 4\)\)"):
        load_profile("smoke", given={"settings": {"sft.load_in_bits": 3}})


def test_an_adapter_stays_beside_quantised_weights(saved_adapter, checkpoints, tmp_path) -> None:
    """Else its update would be rounded to the steps of four bits."""
    loaded, place = models.load("qwen", checkpoints / "qwen"), saved_adapter("qwen", tmp_path / "adapter")
    merged = with_adapter(loaded, place)
    assert not [name for name, _ in merged.model.named_parameters() if "lora_" in name]
    loaded = models.load("qwen", checkpoints / "qwen")
    loaded.model.is_quantized = True
    beside = with_adapter(loaded, place)
    assert type(beside.model) is type(merged.model)
    assert [name for name, _ in beside.model.named_parameters() if "lora_" in name]
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        assert torch.allclose(beside.model(input_ids=ids).logits, merged.model(input_ids=ids).logits, atol=1e-4)


@pytest.mark.skipif(not HERE, reason="bitsandbytes is not among what the tests need")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_weights_are_as_large_as_computed_and_an_adapter_trains_on_them(checkpoints, bits) -> None:
    plain, made = (models.load("qwen", checkpoints / "qwen", bits=one) for one in (16, bits))
    whole = {name: module for name, module in plain.model.named_modules() if isinstance(module, torch.nn.Linear)}
    size = count = rows = 0
    for name, module in made.model.named_modules():
        if name in whole and type(module) is not torch.nn.Linear:
            state = getattr(module.weight, "quant_state", None)
            size += module.weight.nbytes
            size += state.absmax.nbytes + state.state2.absmax.nbytes if state else module.weight.SCB.nbytes
            count += whole[name].weight.numel()
            rows += len(whole[name].weight)
    scales = 4 * rows if bits == 8 else 0
    assert size == pytest.approx(memory.WEIGHT_BYTES[bits] * count + scales, rel=0.02)
    adapted = add_lora(made, dataclasses.replace(load_profile("smoke").lora, lora_dropout=0.0))
    ids = torch.arange(5, 25)[None]
    adapted(input_ids=ids, labels=ids).loss.backward()
    assert all(weight.grad is not None for weight in adapted.parameters() if weight.requires_grad)
