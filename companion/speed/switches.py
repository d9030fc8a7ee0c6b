"""Which work the faster trainers and the faster decoder share: one switch a kind, each with its reason."""

from dataclasses import dataclass

from chexreason.settings import assumed


@dataclass(frozen=True)
class Speed:
    """What is computed once and not again (`companion.speed`); none of it changes what is computed."""

    shared_prompt: bool = assumed(True, "exact", "GRPO: one copy of film and prompt for the completions of a study")
    first_pass_is_old: bool = assumed(True, "exact", "GRPO: the first pass over a rollout batch is the old policy's")
    one_prefill: bool = assumed(True, "exact", "GRPO: a study's prompt is run once for all its completions")
    merged_sampling: bool = assumed(True, "exact to rounding; in float32 only", "GRPO: sample from merged weights")
    answers_only: bool = assumed(True, "exact", "SFT: the vocabulary is scored at the answers' tokens only")
    film_tokens: bool = assumed(True, "exact", "SFT: the frozen tower sees each film once, not once an epoch")
    fused_adapters: bool = assumed(True, "exact to rounding; in float32 only", "SFT, GRPO: LoRA adds in one product")
    batch_masks: bool = assumed(True, "exact", "SFT: attention masks from three tensors, not pair by pair")
    last_layer: bool = assumed(True, "exact", "SFT, GRPO: the last feed-forward block runs at the scored tokens only")
    rows_leave: bool = assumed(True, "exact", "scoring: an answer that has ended leaves the batch to the next film")
    drafts: bool = assumed(True, "exact to rounding; in float32 only", "scoring: tokens guessed from other answers")
    packed_weights: bool = assumed(True, "exact to rounding; in float32 only", "scoring: products by oneDNN")
    side_by_side: bool = assumed(True, "exact", "scoring: a process a core; on a processor only")


ALL = Speed()
