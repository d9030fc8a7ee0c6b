"""The dimensions of the published models that memory depends on, read from `published/` without torch."""

from dataclasses import dataclass
from functools import lru_cache

from companion.replication.published import facts


@dataclass(frozen=True)
class Shape:
    """Dimensions of a model; `linear` counts the weights that 8-bit and 4-bit loading replace.

    L layers, H hidden, I feed-forward, Q all query heads and K all key heads (widths), V vocabulary. `norms` is how
    many norms of width H a layer has, `head_norms` whether queries and keys have one too. The encoder looks at
    `patches` an image, of so many `pixels` each, and makes `image` tokens of them; `widest` is the bytes a patch at the
    widest point of one of its layers. For SigLIP that is the feed-forward block: two tensors of its width and four of
    the hidden one. For Qwen2.5-VL it is the rotation of queries and keys, in float32: 35 bytes for each hidden number.
    """

    L: int
    H: int
    I: int  # noqa: E741
    Q: int
    K: int
    V: int
    norms: int
    head_norms: bool
    parameters: int
    linear: int
    image: int
    patches: int
    pixels: int
    widest: int


#: The most visual tokens of Qwen2.5-VL (paper, section 3.2.1; `chexreason.models.QWEN_PIXELS`).
QWEN_TOKENS = 512


@lru_cache
def shape(base: str) -> Shape:
    """The published dimensions of a base model; UserError for an unknown one."""
    known = facts(base)
    config = known["config"]
    text, vision = {**known.get("text_defaults", {}), **config.get("text_config", config)}, config["vision_config"]
    layers, hidden, inner = text["num_hidden_layers"], text["hidden_size"], text["intermediate_size"]
    heads, seen, seen_inner = text["num_attention_heads"], vision["hidden_size"], vision["intermediate_size"]
    width = text.get("head_dim", hidden // heads)
    queries, keys = heads * width, text["num_key_value_heads"] * width
    linear = layers * hidden * (2 * queries + 2 * keys + 3 * inner)
    if config["model_type"] == "gemma3":
        side = vision["image_size"] // vision["patch_size"]
        image, patches, norms, widest = config["mm_tokens_per_image"], side**2, 4, 4 * seen_inner + 8 * seen
        linear += vision["num_hidden_layers"] * (4 * seen**2 + 2 * seen * seen_inner)
    else:
        cell = vision["spatial_merge_size"] ** 2
        image, patches, norms, widest = QWEN_TOKENS, QWEN_TOKENS * cell, 2, 35 * seen
        linear += vision["depth"] * (4 * seen**2 + 3 * seen * seen_inner) + cell * seen * (cell * seen + hidden)
    return Shape(
        L=layers, H=hidden, I=inner, Q=queries, K=keys, V=text["vocab_size"], norms=norms, head_norms=norms == 4,
        parameters=known["parameters"], linear=linear, image=image, patches=patches, widest=widest,
        pixels=3 * vision["patch_size"] ** 2 * vision.get("temporal_patch_size", 1),
    )  # fmt: skip
