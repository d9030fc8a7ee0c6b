"""vLLM as another engine for completions in scoring (`engines.decode`); in GRPO's rollouts (`grpo.vllm`) TRL has it.

vLLM brings the torch that it was built with, so it is not among this package's requirements. Its kernels round
differently, so that an answer may differ from ours from some token on: `benchmarks/vllm_agreement.py` says how often
the labels differ. More than rounding is refused before the first answer: some of vLLM's attention backends, that of its
build for processors among them, mask an image's tokens causally, where Gemma 3 attends to the whole image. In the
rollouts TRL corrects for it: each token is weighted by the ratio of the two probabilities.
"""

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from transformers import AutoProcessor

from chexreason import models, prompts
from chexreason.data.image import open_image
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.models import Loaded
from chexreason.prompts import Prompt
from chexreason.recipe import Decoding

#: How far the log-probabilities of a prompt's tokens may lie apart, on average, by the model's data type. In small
#: stand-ins rounding makes up 2e-6 in float32 and 0.02 in bfloat16, and a causal mask over the image 0.76.
APART = {torch.float32: 1e-3, torch.bfloat16: 0.1}


def need() -> None:
    """Raise UserError if vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        do = "pip install vllm, or take it out of the profile"
        raise UserError("vLLM, which the profile asks for", "none in this environment", do)


def answers(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any]
) -> list[list[int]]:
    """The answers' tokens by vLLM, under the settings of transformers: limits, penalty, end and suppressed tokens.

    Raises UserError if vLLM is not installed, or computes something else than transformers.
    """
    need()
    from vllm import SamplingParams

    generation = loaded.model.generation_config
    ends = np.atleast_1d(generation.eos_token_id).tolist()
    chance = {"top_p": generation.top_p or 1.0, "top_k": generation.top_k or 0} if settings.do_sample else {}
    sampling = SamplingParams(
        temperature=(generation.temperature or 1.0) if settings.do_sample else 0.0,
        max_tokens=settings.max_new_tokens, stop_token_ids=ends,
        repetition_penalty=generation.repetition_penalty or 1.0,
        **models.vllm_silence(models.image_token_ids(loaded)), **chance,
    )  # fmt: skip
    asked = [_asked(loaded, image, prompt.text) for image in [open_image(study.image) for study in studies]]
    found = [list(said.outputs[0].token_ids) for said in engine(loaded).generate(asked, sampling)]
    tell(len(found))
    return found


def _asked(loaded: Loaded, image: Image.Image, prompt: str) -> dict[str, Any]:
    """What vLLM is handed: the prompt as tokens, since from text it would put a second <bos> before Gemma's own."""
    text = loaded.processor.apply_chat_template(models.chat(prompt), add_generation_prompt=True, tokenize=False)
    ids = loaded.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return {"prompt_token_ids": ids, "multi_modal_data": {"image": image.convert("RGB")}}


@lru_cache(maxsize=1)  # nine prompts ask one model
def engine(loaded: Loaded) -> Any:
    """vLLM with the weights of a model, once it agrees with transformers on a prompt; else UserError."""
    started = start(loaded)
    apart, most = prompt_difference(loaded, started), APART[loaded.model.dtype]
    if apart > most:
        raise UserError(
            f"vLLM's and transformers' log-probabilities of a prompt within {most:g} a token", f"{apart:.2g} apart",
            "use another build of vLLM, or leave engines.decode out",
        )  # fmt: skip
    return started


@lru_cache(maxsize=1)
def start(loaded: Loaded) -> Any:
    """vLLM with the weights of a model, an adapter merged in included, and the processor that was published with it."""
    from vllm import LLM

    longest = min(4096, loaded.model.config.get_text_config().max_position_embeddings)
    dtype = "bfloat16" if loaded.model.dtype == torch.bfloat16 else "float32"
    with tempfile.TemporaryDirectory() as folder:
        loaded.model.save_pretrained(folder)
        _published(loaded).save_pretrained(folder)
        return LLM(
            str(Path(folder)), trust_remote_code=False, dtype=dtype, seed=0, max_model_len=longest,
            limit_mm_per_prompt={"image": 1}, gpu_memory_utilization=models.VLLM_MEMORY,
        )  # fmt: skip


def _published(loaded: Loaded) -> Any:
    """The processor that was published with the model, with our limits: ours lacks the part for videos."""
    source = loaded.source.partition(" + ")[0]  # without the adapter's name
    published = AutoProcessor.from_pretrained(source, revision=loaded.family.revision_of(source))
    published.image_processor.size = loaded.processor.image_processor.size
    return published


@torch.no_grad()
def prompt_difference(loaded: Loaded, started: Any, *, causal: bool = False) -> float:
    """How far vLLM's and transformers' log-probabilities of a prompt's tokens lie apart, on average.

    The prompt shows an image of grey noise. With `causal`, transformers masks the image's tokens causally.
    Raises UserError if the two make other tokens of the prompt.
    """
    from vllm import SamplingParams

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (448, 448), dtype=np.uint8))
    prompt = prompts.get("free_reasoning").text
    told = SamplingParams(max_tokens=1, prompt_logprobs=0)
    (said,) = started.generate([_asked(loaded, image, prompt)], told, use_tqdm=False)
    inputs = models.encode(loaded, [image], prompt)
    ids = inputs["input_ids"][0].tolist()
    if list(said.prompt_token_ids) != ids:
        raise UserError(
            f"the {len(ids)} tokens that transformers makes of a prompt", f"{len(said.prompt_token_ids)} from vLLM",
            "use another version of one of them, or leave engines.decode out",
        )  # fmt: skip
    theirs = torch.tensor([one[token].logprob for one, token in zip(said.prompt_logprobs[1:], ids[1:], strict=True)])
    if causal and "token_type_ids" in inputs:
        inputs["token_type_ids"] = torch.zeros_like(inputs["token_type_ids"])
    logits_TV = loaded.model(**inputs).logits[0, :-1].float()
    ours = -functional.cross_entropy(logits_TV, inputs["input_ids"][0, 1:], reduction="none").cpu()
    return float((ours - theirs).abs().mean())
