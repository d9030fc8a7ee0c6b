"""The switches of the faster trainers and the decoder, each with whether it is exact."""

from dataclasses import dataclass

from chexreason.settings import assumed


@dataclass(frozen=True)
class Speed:
    """What is saved (`companion.speed`). "Exact" holds without dropout but for `last_layer`, which says so."""

    shared_prompt: bool = assumed(True, "exact", "GRPO: one copy of image and prompt for the completions of a study")
    reuse_first_logprobs: bool = assumed(True, "exact", "GRPO: old log-probabilities from a rollout's first pass")
    share_prefill: bool = assumed(True, "exact", "GRPO: a study's prompt is prefilled once for all its completions")
    merged_sampling: bool = assumed(True, "exact to rounding; in float32 only", "GRPO: sample from merged weights")
    answers_only: bool = assumed(True, "exact", "SFT: the vocabulary is scored at the answers' tokens only")
    cache_image_embeddings: bool = assumed(True, "exact", "SFT: each image is encoded once, not once an epoch")
    fused_adapters: bool = assumed(True, "exact to rounding; in float32 only", "SFT, GRPO: LoRA adds in one product")
    batch_masks: bool = assumed(True, "exact", "SFT: attention masks from three tensors, not pair by pair")
    last_layer: bool = assumed(
        True,
        "exact without dropout; with it, other random draws",
        "SFT, GRPO: last MLP at scored tokens",
    )
    continuous_batching: bool = assumed(True, "exact", "scoring: a finished answer frees its slot")
    speculative: bool = assumed(True, "exact to rounding; in float32 only", "scoring: n-gram draft")
    onednn_weights: bool = assumed(True, "exact to rounding; in float32 only", "scoring: products by oneDNN")
    multiprocess: bool = assumed(True, "exact", "scoring: one process per core; CPU only")


ALL = Speed()
