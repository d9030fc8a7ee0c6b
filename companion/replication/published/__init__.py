"""What is publicly stated of the real models: their configurations, sizes and contexts, each with its source.

The JSON files beside this one hold facts only; of a configuration transformers makes the real architecture without any
weight, so that what LoRA trains, what is frozen and how many weights there are can be seen on any machine.
"""

import json
from pathlib import Path
from typing import Any

from chexreason.errors import unknown

#: family -> the file with its facts. NV-Reason-CXR-3B is a Qwen2.5-VL-3B with other weights.
FILES = {"medgemma": "gemma3_4b", "qwen": "qwen2_5_vl_3b", "nv_reason": "qwen2_5_vl_3b"}


def facts(family: str) -> dict[str, Any]:
    """The facts of a family's published model, each `..._source` says where the fact was read; UserError if unknown.

    `config` is config.json as published, `parameters` counts every weight once (tied embeddings too), `context` is the
    most tokens of a prompt with its answer.
    """
    if family not in FILES:
        raise unknown("model", family, FILES, "companion/replication/published/__init__.py")
    found: dict[str, Any] = json.loads(Path(__file__).with_name(f"{FILES[family]}.json").read_text(encoding="utf-8"))
    return found


def config_of(family: str) -> Any:
    """The published configuration as transformers reads it."""
    from transformers import AutoConfig  # the book reads the facts without it

    config = facts(family)["config"]
    return AutoConfig.for_model(config.pop("model_type"), **config)
