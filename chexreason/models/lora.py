"""LoRA adapters: putting a fresh one on the language model, and merging a trained one in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from chexreason.errors import UserError
from chexreason.models import Loaded
from chexreason.models.families import FAMILIES
from chexreason.recipe import LoRA, plain


def add_lora(loaded: Loaded, settings: LoRA, more: Mapping[str, Any] | None = None) -> PeftModel:
    """The model with a fresh adapter on the language model; the vision encoder stays frozen.

    `more` are options of PEFT's `LoraConfig` that a profile sets. Raises UserError for one that it does not have.
    """
    fixed = {"target_modules": loaded.family.lora_targets, "task_type": "CAUSAL_LM"}
    try:
        config = LoraConfig(**{**fixed, **plain(settings), **(more or {})})
    except TypeError as error:
        raise UserError("options of LoraConfig", str(error), "see the profile's settings of lora") from error
    model = get_peft_model(loaded.model, config)
    assert_language_only(model)
    return model


def assert_language_only(model: torch.nn.Module) -> None:
    """Raise AssertionError if a weight outside the language model would train, or none would."""
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    outside = [name for name in trained if "language_model" not in name or "lora_" not in name]
    assert trained, "no weight would train"
    assert not outside, f"weights that must not train: {outside[:3]}"


def with_adapter(loaded: Loaded, adapter: Path) -> Loaded:
    """The model with a trained adapter merged in.

    Raises UserError for a folder without an adapter, and for an adapter of another family: the layers of both have the
    same names, so it might load and spoil every answer.
    """
    trained_on, wanted = _base_of(adapter), loaded.model.config.model_type
    if trained_on not in (None, wanted):
        raise UserError(
            f"an adapter for {loaded.family.title} ({wanted})", f"one for {trained_on} at {adapter}",
            "train it again from this base model",
        )  # fmt: skip
    model = PeftModel.from_pretrained(loaded.model, str(adapter)).merge_and_unload()
    model.generation_config = loaded.model.generation_config
    return Loaded(model.eval(), loaded.processor, loaded.family, f"{loaded.source} + {adapter.parent.name}")


def _base_of(adapter: Path) -> str | None:
    """The model type that an adapter was trained on; None if its base model cannot be found any more."""
    path = adapter / "adapter_config.json"
    if not path.is_file():
        raise UserError(f"an adapter at {adapter}", f"no {path.name} there", "run the stage that trains it again")
    base = str(json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path"))
    config = Path(base) / "config.json"
    if config.is_file():
        return str(json.loads(config.read_text(encoding="utf-8"))["model_type"])
    return {family.hub_id: family.model_type for family in FAMILIES.values()}.get(base)
