"""vLLM as another engine for completions: in scoring (`decoding.vllm`) and in GRPO's rollouts (`grpo.vllm`).

vLLM brings the torch that it was built with, so it is not among this package's requirements. Its kernels round
differently, so that an answer may part from ours at some token: `benchmarks/vllm_agreement.py` says how often the
labels differ. In the rollouts TRL corrects for it: each token is weighed by the ratio of the two probabilities.
"""

import importlib.util
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor

from chexreason import models
from chexreason.config import Decoding
from chexreason.errors import UserError
from chexreason.models import Loaded

#: The share of a GPU's memory that vLLM may take; the rest is the trainer's, or the model's that was loaded before.
MEMORY = 0.4


def silence(tokens: Sequence[int]) -> dict[str, Any]:
    """The sampling option that keeps these tokens from being written; transformers calls it `suppress_tokens`."""
    return {"logit_bias": dict.fromkeys(tokens, -100.0)}


def answers(loaded: Loaded, films: Sequence[Image.Image], prompt: str, settings: Decoding) -> list[list[int]]:
    """The answers' tokens by vLLM, told all that transformers heeds: limits, penalty, end and silent tokens.

    Raises UserError if vLLM is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise UserError("vLLM for decoding.vllm", "none in this environment", "pip install vllm, or leave it")
    from vllm import SamplingParams

    generation = loaded.model.generation_config
    ends = np.atleast_1d(generation.eos_token_id).tolist()
    chance = {} if settings.greedy else {"top_p": generation.top_p or 1.0, "top_k": generation.top_k or 0}
    sampling = SamplingParams(
        temperature=0.0 if settings.greedy else generation.temperature or 1.0, max_tokens=settings.max_tokens,
        stop_token_ids=ends, repetition_penalty=generation.repetition_penalty or 1.0,
        **silence(models.image_token_ids(loaded)), **chance,
    )  # fmt: skip
    text = loaded.processor.apply_chat_template(models.chat(prompt), add_generation_prompt=True, tokenize=False)
    # As tokens: from text, vLLM would put a second <bos> before Gemma's own.
    ids = loaded.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    asked = [{"prompt_token_ids": ids, "multi_modal_data": {"image": film.convert("RGB")}} for film in films]
    return [list(said.outputs[0].token_ids) for said in _engine(loaded).generate(asked, sampling)]


@lru_cache(maxsize=1)  # nine prompts ask one model
def _engine(loaded: Loaded) -> Any:
    """vLLM with the weights of a model, an adapter merged in included, and the processor that was published with it."""
    from vllm import LLM

    limits = dict(zip(("min_pixels", "max_pixels"), loaded.family.film_pixels or (), strict=False))
    longest = min(4096, loaded.model.config.get_text_config().max_position_embeddings)
    dtype = "bfloat16" if loaded.model.dtype == torch.bfloat16 else "float32"
    source = loaded.source.partition(" + ")[0]  # without the adapter's name
    published = AutoProcessor.from_pretrained(source, revision=loaded.family.revision_of(source))
    with tempfile.TemporaryDirectory() as folder:
        loaded.model.save_pretrained(folder)
        published.save_pretrained(folder)  # ours may lack parts that vLLM asks for, such as that for videos
        return LLM(
            str(Path(folder)), trust_remote_code=False, dtype=dtype, seed=0, gpu_memory_utilization=MEMORY,
            limit_mm_per_prompt={"image": 1}, mm_processor_kwargs=limits or None, max_model_len=longest,
        )  # fmt: skip
