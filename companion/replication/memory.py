"""How much GPU memory each stage takes, computed from shapes (sections 3.2.1 and 3.2.2): nothing here is measured.

Every function is an equation over the dimensions in `shapes`, in bytes. tests/test_memory.py holds the parts against
torch, PEFT, AdamW, transformers' caches and a walk of the real architectures through torch without their weights;
`benchmarks/gpu_proof.py` prints what a GPU measures beside it. Weights and activations are in bf16, attention runs in a
kernel that keeps no T x T matrix of weights, and answers have the longest length allowed, so the sums are upper bounds.
No torch is needed: the book computes its tables here (`cards`).

Letters: L layers, H hidden, I feed-forward, Q all query heads, K all key heads (widths), V vocabulary, T tokens.
"""

import math
from collections.abc import Mapping
from typing import Any

from chexreason.config import Profile
from chexreason.errors import UserError, unknown
from chexreason.prompts import PROMPTS
from chexreason.recipe import LoRA
from companion.replication.shapes import Shape, shape

GB = 10**9
STAGES = ("evaluate", "sft", "grpo")
#: Bytes of a weight of a linear layer by the bits it is loaded in. 4-bit NormalFloat keeps a scale for each 64 weights
#: in one byte, and for each 256 scales one more in float32 (QLoRA, arXiv:2305.14314, section 3, double quantization).
#: 8-bit keeps a float32 scale a row, under 1 % (LLM.int8(), arXiv:2208.07339); it is left out.
WEIGHT_BYTES: Mapping[int, float] = {16: 2.0, 8: 1.0, 4: 0.5 + 1 / 64 + 4 / (64 * 256)}
#: The CUDA context with its kernels: 1.3 GB in Hugging Face's "Model memory anatomy" (transformers 4's documentation).
CONTEXT = 1.3 * GB
#: What the allocator reserves and cannot use, as a share of all but the weights: an assumption of ours.
FRAGMENTED = 0.1
#: The largest piece of logits that TRL's `ChunkedLogProbFunction` makes: tokens, and entries of the vocabulary.
TILE = (4096, 32_768)
#: Bytes of image tokens that the two trainers keep (`speed.embeddings.LIMIT`, `speed.grpo.ROLLOUT`).
KEPT = {"sft": 2**31, "grpo": 2**28}
#: vLLM's share of the card (`chexreason.models.VLLM_MEMORY`).
VLLM_SHARE = 0.4
#: Tokens of a prompt's text: four characters each, and the chat template's own.
CHARACTERS, CHAT = 4, 24


def prompt_tokens(base: str) -> int:
    """Tokens of the longest prompt with its image, by a rule of thumb for the text."""
    return shape(base).image + math.ceil(max(len(one.text) for one in PROMPTS.values()) / CHARACTERS) + CHAT


def weights(s: Shape, bits: int = 16) -> float:
    """2 (N - N_linear) + b N_linear: quantisation leaves embeddings, norms and convolutions in bf16."""
    return 2 * (s.parameters - s.linear) + WEIGHT_BYTES[bits] * s.linear


def lora_weights(s: Shape, r: int) -> int:
    """r L (7 H + 2 Q + 2 K + 3 I): inputs and outputs of the seven projections of each layer. A count, not bytes."""
    return r * s.L * (7 * s.H + 2 * s.Q + 2 * s.K + 3 * s.I)


def kv_cache(s: Shape, tokens: int) -> int:
    """2 x 2 L K a token: keys and values in bf16, in every layer the whole length (`speed.batch.SlotLayer`)."""
    return 4 * s.L * s.K * tokens


def encoder(s: Shape, images: int) -> int:
    """(widest + 4 pixels) a patch: one layer at its widest point, as a frozen encoder keeps nothing; float32 pixels."""
    return images * s.patches * (s.widest + 4 * s.pixels)


def prefill(s: Shape, rows: int, tokens: int) -> int:
    """(6 I + 10 H) a token and 4 bytes a pair of them: one layer's forward pass, with its masks."""
    return rows * tokens * (6 * s.I + 10 * s.H + 4 * tokens)


def attending(s: Shape, rows: int, tokens: int) -> int:
    """4 Q a cached token: keys and values of one layer, repeated for every query head, for one new token a row."""
    return 4 * s.Q * rows * tokens


def saved(s: Shape, tokens: int, lora: LoRA, bits: int = 16, dropout: bool = True) -> float:
    """Bytes that one layer keeps of one row of T tokens for its backward pass.

    T (2 (5 H + Q + I) + p (5 H + Q + I) + 4 n H + 4 (Q + K) + 8 Q + 6 I + 14 r) + 2 T^2 + 2 N_lora / L: what LoRA's A
    takes in, in bf16, with a mask of a byte each if dropout is on (p = 1); n norms, and those of queries and keys, in
    float32; queries, keys, values and outcome of attention; three tensors of the feed-forward block; what LoRA's B
    takes in; the additive mask; LoRA's weights in bf16. 8-bit products keep their inputs too: 2 (2 H + Q + I).
    """
    taken = 5 * s.H + s.Q + s.I
    each = 2 * taken + taken * (dropout and lora.lora_dropout > 0) + 4 * s.norms * s.H + 8 * s.Q + 6 * s.I + 14 * lora.r
    each += 4 * (s.Q + s.K) * s.head_norms + (bits == 8) * 2 * (2 * s.H + s.Q + s.I)
    return tokens * each + 2 * tokens**2 + 2 * lora_weights(s, lora.r) / s.L


def training(
    s: Shape, rows: int, tokens: int, lora: LoRA, *, checkpointing: bool, bits: int = 16, dropout: bool = True
) -> float:
    """Activations at the largest point of a step over rows of T tokens.

    L saved + t without checkpointing, 2 L H T + saved + t with it (only each layer's input is kept, and one layer is
    run again; Chen et al. 2016, arXiv:1604.06174). t = T (10 I + 16 H + 2 T) are gradients in the widest projection, in
    bf16 and float32, before and after dropout, the last norm, and the masks of both kinds of layer; a projection's
    quantised weights, unpacked, add 2 H I.
    """
    kept = saved(s, tokens, lora, bits, dropout)
    kept = kept + 2 * s.L * s.H * tokens if checkpointing else s.L * kept
    return rows * (kept + tokens * (10 * s.I + 16 * s.H + 2 * tokens)) + (bits < 16) * 2 * s.H * s.I


def scoring(s: Shape, tokens: int) -> int:
    """2 x (T, V) of one tile, 10 H a token: a piece of the logits, states and their gradient in float32."""
    return 2 * min(tokens, TILE[0]) * TILE[1] + 10 * s.H * tokens


def need(
    profile: Profile, base: str, stage: str, *, bits: int = 16, card: float = 80 * GB, prompt: int = 0
) -> dict[str, float]:
    """Bytes by part at the largest point of a stage (evaluate, sft, grpo), with weights loaded in so many `bits`.

    `card` is the card's memory, of which vLLM takes a share; `prompt` the tokens of a prompt with its image, if known.
    Raises UserError for an unknown stage, base model or number of bits.
    """
    if stage not in STAGES:
        raise unknown("stage", stage, STAGES, "companion/replication/memory.py")
    if bits not in WEIGHT_BYTES:
        raise UserError(f"weights in {', '.join(map(str, WEIGHT_BYTES))} bits", str(bits), "choose one of these")
    s, lora, P = shape(base), profile.lora, prompt or prompt_tokens(base)
    parts: dict[str, float] = {"weights": weights(s, bits)}
    if stage == "evaluate":
        beside = 4 * lora_weights(s, lora.r) * (bits < 16)  # an adapter is merged into bf16 weights only
        parts |= _answers(s, profile, P, card) | {"LoRA": beside}
    else:
        settings = profile.sft if stage == "sft" else profile.grpo
        number, wide = lora_weights(s, lora.r), 4 if bits == 16 else 2  # TRL puts adapters of quantised models in bf16
        parts |= {"LoRA": wide * number, "gradients": wide * number, "AdamW": 2 * wide * number}
        parts["reference"] = 4 * number * (stage == "grpo" and profile.grpo.beta > 0)
        images = profile.sizes.sft if stage == "sft" else profile.sizes.rl
        parts["image tokens"] = min(KEPT[stage], 2 * s.image * s.H * images) if stage in profile.engines else 0
        options: dict[str, Any] = {"checkpointing": settings.gradient_checkpointing, "bits": bits}
        rows = settings.per_device_train_batch_size
        if stage == "sft":
            T = P + profile.decoding.max_new_tokens  # a trace as long as an answer may be
            most = max(training(s, rows, T, lora, **options), encoder(s, rows))
            parts |= {"activations": most, "logits": scoring(s, rows * T)}
        else:
            parts |= {"vLLM": VLLM_SHARE * card * profile.grpo.use_vllm}
            phases = [_rollout(s, profile, P), _pass(s, profile, P, options)]
            parts |= phases[sum(phases[1].values()) > sum(phases[0].values())]
    rest = sum(parts.values()) - parts["weights"] - parts.get("vLLM", 0)
    return {name: size for name, size in parts.items() if size} | {"overhead": CONTEXT + FRAGMENTED * rest}


def _answers(s: Shape, profile: Profile, P: int, card: float) -> dict[str, float]:
    """Evaluation: answers in batches, and the next batch's prompts while the last one's cache is still there."""
    rows, T = profile.decoding.batch_size, P + profile.decoding.max_new_tokens
    if "vllm" in str(profile.engines.get("decode")):
        return {"activations": prefill(s, 1, P), "logits": 6 * P * s.V, "vLLM": VLLM_SHARE * card}
    most = max(encoder(s, rows), prefill(s, rows, P), attending(s, rows, T))
    return {"activations": most, "logits": 16 * rows * s.V, "KV cache": kv_cache(s, rows * (T + P))}


def _pixels(s: Shape, profile: Profile) -> float:
    """TRL keeps the pixels of each completion's image in float32."""
    return 4 * s.pixels * s.patches * profile.grpo.studies_per_step * profile.grpo.num_generations


def _rollout(s: Shape, profile: Profile, P: int) -> dict[str, float]:
    """All completions of a rollout batch are sampled together, and the last batch's pixels are still there."""
    settings, T = profile.grpo, P + profile.grpo.max_completion_length
    rows = settings.studies_per_step * settings.num_generations
    prompts = settings.studies_per_step if "grpo" in profile.engines else rows
    pixels = 2 * _pixels(s, profile)
    if settings.use_vllm:
        return {"pixels": pixels}
    most = max(encoder(s, prompts), prefill(s, prompts, P), attending(s, rows, T))
    return {"pixels": pixels, "activations": most, "logits": 16 * rows * s.V, "KV cache": kv_cache(s, rows * T)}


def _pass(s: Shape, profile: Profile, P: int, options: dict[str, Any]) -> dict[str, float]:
    """A training pass; our trainer puts the completions of a study behind one copy of its prompt."""
    settings, C = profile.grpo, profile.grpo.max_completion_length
    rows = settings.per_device_train_batch_size
    shared = "grpo" in profile.engines and rows <= settings.num_generations
    made = (1, P + rows * C) if shared else (rows, P + C)
    activations = training(s, *made, profile.lora, dropout=not settings.disable_dropout, **options)
    return {"pixels": _pixels(s, profile), "activations": activations, "logits": scoring(s, rows * C)}
