"""A group's completions behind one copy of image and prompt (equation 2).

The G completions of a study share a prefix, which TRL runs through the model G times a pass. Here a group is one row,
the prompt followed by the completions, and the mask lets each completion attend to the prompt and itself: a tree of
which every path is one of TRL's rows. Exact up to the order of float additions: in a causal model a token depends on
the tokens before it on its path and on its position, and both are kept, as are Gemma 3's bidirectional image tokens
and local layers and Qwen2.5-VL's three position axes. The last token of a completion is not run (nothing follows it),
and the vocabulary is scored at the completions' tokens only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from companion.speed.attention import masks, places
from companion.speed.embeddings import EmbeddingCache, Pixels, encoder_outputs, grids_of
from companion.speed.scoring import only_at, score


@dataclass(frozen=True)
class Trees:
    """R rows of at most L tokens, and where the hidden state that predicts each completion token lies."""

    images: list[Pixels]  # one a row
    ids_RL: torch.Tensor
    branch_RL: torch.Tensor  # 0 the prompt, 1 to G the completions, -1 padding
    step_RL: torch.Tensor  # how many tokens come before on the path
    image_RL: torch.Tensor  # 1 on image tokens
    wanted_BT: torch.Tensor  # True on the completions' tokens
    place_N: torch.Tensor  # flat index into (R, L) for each wanted token, in the order of wanted_BT
    target_N: torch.Tensor


def build_trees(
    ids_BT: torch.Tensor, mask_BT: torch.Tensor, keep: int, images: Sequence[Pixels], image_BT: torch.Tensor
) -> Trees:
    """Trees of a batch whose last `keep` columns are completions of a token or more, padded on the right.

    Batch with the same prompt and the same image share a tree.
    """
    device = ids_BT.device
    lengths = mask_BT[:, -keep:].sum(dim=1).tolist()
    prompt_at = [mask_BT[row, :-keep].nonzero()[:, 0] for row in range(len(images))]
    groups: dict[tuple[bytes, tuple[int, ...]], list[int]] = {}
    for row, image in enumerate(images):
        groups.setdefault((image.key, tuple(ids_BT[row, prompt_at[row]].tolist())), []).append(row)
    grown = list(groups.values())
    heads = [len(prompt_at[rows[0]]) for rows in grown]
    # What follows the prompt: each completion without its last token.
    longest = max(head + sum(lengths[row] - 1 for row in rows) for head, rows in zip(heads, grown, strict=True))
    trees_ids, step, image = (ids_BT.new_zeros(len(grown), longest) for _ in range(3))
    branch = torch.full_like(step, -1)
    places: dict[int, torch.Tensor] = {}
    for tree, (head, rows) in enumerate(zip(heads, grown, strict=True)):
        trees_ids[tree, :head] = ids_BT[rows[0], prompt_at[rows[0]]]
        image[tree, :head] = image_BT[rows[0], prompt_at[rows[0]]]
        branch[tree, :head], step[tree, :head] = 0, torch.arange(head, device=device)
        at = head
        for number, row in enumerate(rows, start=1):
            span = slice(at, at + lengths[row] - 1)
            trees_ids[tree, span] = ids_BT[row, -keep:][: lengths[row] - 1]
            branch[tree, span], step[tree, span] = number, torch.arange(head, head + lengths[row] - 1, device=device)
            before = torch.arange(at - 1, at - 1 + lengths[row], device=device)
            before[0] = head - 1  # the prompt's end predicts the first token
            places[row] = tree * longest + before
            at = span.stop
    wanted_BT = mask_BT[:, -keep:].bool()
    return Trees(
        [images[rows[0]] for rows in grown], trees_ids, branch, step, image, wanted_BT,
        torch.cat([places[row] for row in range(len(images))]), ids_BT[:, -keep:][wanted_BT],
    )  # fmt: skip


def positions(model: PreTrainedModel, trees: Trees) -> torch.Tensor:
    """The rotary positions (R, L); for Qwen2.5-VL (3, R, L), where completions go on after a prompt's largest."""
    prompt_RL = trees.branch_RL == 0
    found, next_R = places(model, trees.ids_RL, prompt_RL.long(), trees.image_RL, grids_of(trees.images))
    ahead_R = next_R - prompt_RL.sum(dim=1)
    return torch.where(prompt_RL, found, (trees.step_RL + ahead_R[:, None]).clamp(min=0))


def log_probabilities(
    model: PreTrainedModel, trees: Trees, tokens: EmbeddingCache, temperature: float, entropy: bool, last_layer: bool
) -> dict[str, torch.Tensor]:
    """`log_probs`, and `entropy` if asked for, of each completion token (B, T); 0 behind a completion's end.

    `last_layer` keeps the last layer's feed-forward block to the tokens that predict one (`speed.scoring`).
    """
    predicts_RL = torch.zeros_like(trees.ids_RL, dtype=torch.bool)
    predicts_RL.view(-1)[trees.place_N] = True
    with only_at(model, predicts_RL if last_layer else None):
        hidden_RLH = model.model(
            input_ids=trees.ids_RL,
            mm_encoder_outputs=encoder_outputs(model, tokens(trees.images)),
            attention_mask=masks(model, trees.branch_RL, trees.step_RL, trees.image_RL),
            position_ids=positions(model, trees),
            use_cache=False,
        ).last_hidden_state
    hidden_NH = hidden_RLH.flatten(0, 1)[trees.place_N]
    outputs = ("entropy",) if entropy else ()
    return score(model, hidden_NH, trees.target_N, trees.wanted_BT, outputs, temperature)
