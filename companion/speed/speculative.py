"""Speculative decoding with an n-gram draft built from earlier answers (section 4: scoring).

A fine-tuned model's answers have much in common: what followed three tokens in another answer often follows them here.
A step runs a sequence's next token and the drafted ones behind it, and keeps those that the model itself would have
chosen. Exact: a rejected token is dropped with all behind it. A step of several tokens rounds differently from
single ones, some 1e-6 in float32, so it is on in float32 only.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

#: Tokens that are looked up, and tokens that are guessed from them.
LOOKED_UP, GUESSED = 3, 3
#: Nothing is guessed if it would be for less than this share of the rows: all rows of a step run as many tokens.
WORTH = 0.5
#: The name under which transformers finds `grouped_attention`.
GROUPED = "chexreason_grouped"


class NgramDraft:
    """What followed which tokens, in the answer that had them last."""

    def __init__(self) -> None:
        self.followed: dict[tuple[int, ...], list[int]] = {}

    def learn(self, answer: Sequence[int], whole: bool) -> None:
        """Take in the end of an answer that has grown by a token; to be called at each token, `whole` at the last."""
        last = len(answer) - 1 if whole else len(answer) - GUESSED
        for place in range(max(1, len(answer) - GUESSED), last + 1):
            followed = list(answer[place : place + GUESSED])
            self.followed[_before(answer, place)] = followed + followed[-1:] * (GUESSED - len(followed))

    def guesses(self, answers: Sequence[Sequence[int]]) -> list[list[int]]:
        """As many guesses for each answer, all of them `GUESSED` or none."""
        found = [self.followed.get(_before(answer, len(answer))) for answer in answers]
        if sum(one is not None for one in found) < WORTH * len(found):
            return [[] for _ in answers]
        return [one or [answer[-1]] * GUESSED for one, answer in zip(found, answers, strict=True)]


def _before(answer: Sequence[int], place: int) -> tuple[int, ...]:
    return tuple(answer[max(0, place - LOOKED_UP) : place])


def grouped_attention(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, scaling: float | None = None, **_: object,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of a few new tokens, each seeing the columns of `attention_mask` (B, 1, new, columns).

    Heads that share a key (grouped-query attention) ask it together. For one new token transformers does so, too; for
    several it copies all keys and values first.
    """
    rows, heads, new, width = query.shape
    groups, together = key.shape[1], heads // key.shape[1]
    if attention_mask is not None:
        attention_mask = attention_mask[:, :, None].expand(-1, -1, together, -1, -1).flatten(2, 3)
    asked = query.reshape(rows, groups, together * new, width)
    found = scaled_dot_product_attention(asked, key, value, attn_mask=attention_mask, scale=scaling)
    return found.reshape(rows, heads, new, width).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(GROUPED, grouped_attention)
