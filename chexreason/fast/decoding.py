"""Decoding that prefills a prompt once, and lets rows leave when their answer is done (sections 3.2.2 and 4).

Four things differ from `generate`, none in what is computed. A prompt that several completions begin with
runs through the model once, and its keys and values are copied for each. The cache has room for the longest
answer from the start, where `generate` copies it anew at each token. A row whose answer has ended leaves
the batch, and the next prompt takes its place. And nucleus sampling looks at the likeliest tokens first and
sorts the whole vocabulary only if they do not hold the nucleus. Exact: rows of a batch do not see one another, so
a row's next token is the same whoever sits beside it. Greedy answers are those of `generate`; sampled ones
follow the same distribution with other draws.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)
from transformers.cache_utils import Cache, DynamicLayer

from chexreason.fast.films import Film, FilmTokens, grids_of, in_place_of_pixels
from chexreason.fast.last_layer import only_at
from chexreason.fast.masks import masks, places

#: How many of the likeliest tokens are searched for the nucleus before all are.
LIKELIEST = 128
#: Rows leave when they are this share of the batch or more: leaving costs a copy of the cache.
LEAVE = 0.25

Choice = Callable[[torch.Tensor], torch.Tensor]


class Room(DynamicLayer):
    """A layer's keys and values (B, heads, tokens, width) in a buffer with room for `extra` tokens after the prompt."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra, self.length = extra, 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Append and return all there is."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
            shape = (*keys.shape[:2], keys.shape[2] + self.extra, keys.shape[3])
            self.keys, self.values = keys.new_empty(shape), values.new_empty(shape)
        start, self.length = self.length, self.length + keys.shape[2]
        self.keys[:, :, start : self.length], self.values[:, :, start : self.length] = keys, values
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def get_seq_length(self) -> int:
        """Tokens so far."""
        return self.length

    def take(self, rows: torch.Tensor) -> None:
        """Keep these rows, in this order; a row may be named several times."""
        self.keys, self.values = self.keys.index_select(0, rows), self.values.index_select(0, rows)

    def join(self, other: "Room", cut: int) -> None:
        """Put the rows of `other` below, both without what comes before: all end at the same column.

        The first `cut` columns of this one are left out. What is before a shorter row is 0, and masked.
        """
        width = max(self.length - cut, other.length)
        rows = len(self.keys) + len(other.keys)
        for name in ("keys", "values"):
            upper, lower = getattr(self, name)[:, :, cut : self.length], getattr(other, name)[:, :, : other.length]
            joined = upper.new_zeros(rows, upper.shape[1], width + self.extra, upper.shape[3])
            joined[: len(upper), :, width - upper.shape[2] : width] = upper
            joined[len(upper) :, :, width - lower.shape[2] : width] = lower
            setattr(self, name, joined)
        self.length = width


@dataclass
class Rows:
    """Answers that are being written, a row each."""

    answers: list[list[int]]  # the tokens so far
    cache: Cache
    mask_BT: torch.Tensor  # True where a row has a token
    seen_BT: torch.Tensor  # the tokens; before a row's first, that token again
    next_B: torch.Tensor  # rotary position of the token that comes next
    logits_BV: torch.Tensor  # its logits

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; one that is named several times becomes several answers."""
        at = torch.tensor(rows, device=self.next_B.device)
        for layer in self.cache.layers:
            layer.take(at)
        for name in ("mask_BT", "seen_BT", "next_B", "logits_BV"):
            setattr(self, name, getattr(self, name)[at])
        first = {row: place for place, row in reversed(list(enumerate(rows)))}
        self.answers = [
            self.answers[row] if first[row] == place else list(self.answers[row]) for place, row in enumerate(rows)
        ]

    def join(self, other: "Rows") -> None:
        """Put the rows of `other` below."""
        cut = int(self.mask_BT.any(dim=0).int().argmax())
        for ours, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            ours.join(theirs, cut)
        width = self.cache.get_seq_length()
        self.mask_BT = torch.cat([_widened(rows, width, False) for rows in (self.mask_BT[:, cut:], other.mask_BT)])
        self.seen_BT = torch.cat([_widened(rows, width, None) for rows in (self.seen_BT[:, cut:], other.seen_BT)])
        self.next_B = torch.cat([self.next_B, other.next_B])
        self.logits_BV = torch.cat([self.logits_BV, other.logits_BV])
        self.answers += other.answers


def _widened(rows_BT: torch.Tensor, width: int, fill: bool | None) -> torch.Tensor:
    """The rows with columns before them: of `fill`, or of each row's first entry."""
    missing = width - rows_BT.shape[1]
    before = rows_BT[:, :1].expand(-1, missing) if fill is None else rows_BT.new_full((len(rows_BT), missing), fill)
    return torch.cat([before, rows_BT], dim=1)


def greedy(logits_BV: torch.Tensor) -> torch.Tensor:
    """The most likely token of each row (B,)."""
    return logits_BV.argmax(dim=-1)


def nucleus(temperature: float, top_p: float) -> Choice:
    """Draw from the fewest tokens that together have probability `top_p` (Holtzman et al. 2020, arXiv:1904.09751)."""

    def draw(logits_BV: torch.Tensor) -> torch.Tensor:
        share_BV = torch.softmax(logits_BV / temperature, dim=-1)
        share, token = share_BV.topk(min(LIKELIEST, share_BV.shape[-1]), dim=-1)
        if bool((share.sum(dim=-1) < top_p).any()):
            share, token = share_BV.sort(dim=-1, descending=True)
        outside = share.cumsum(dim=-1) - share >= top_p  # what is likelier already makes up the nucleus
        outside[:, 0] = False
        return token.gather(1, torch.multinomial(share.masked_fill(outside, 0), 1))[:, 0]

    return draw


#: What a generation config may hold and this module does; any other entry may change what `generate` computes.
KNOWN = frozenset({
    "_from_model_config", "bos_token_id", "cache_implementation", "do_sample", "eos_token_id", "max_length",
    "max_new_tokens", "output_attentions", "output_hidden_states", "pad_token_id", "repetition_penalty",
    "suppress_tokens", "temperature", "top_k", "top_p", "transformers_version", "use_cache",
})  # fmt: skip


def can_follow(model: PreTrainedModel) -> bool:
    """Whether greedy decoding here is what `generate` would do for this model's generation config."""
    attention = model.config.get_text_config()._attn_implementation
    return attention == "sdpa" and model.generation_config.to_diff_dict().keys() <= KNOWN


def processors(config: GenerationConfig) -> LogitsProcessorList:
    """What `generate` does to the logits before it chooses, for the entries in `KNOWN`."""
    made = LogitsProcessorList()
    if config.repetition_penalty not in (None, 1.0):
        made.append(RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
    if config.suppress_tokens:
        made.append(SuppressTokensLogitsProcessor(config.suppress_tokens))
    return made


@torch.no_grad()
def prefill(
    model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], films: Sequence[Film], tokens: FilmTokens, most: int
) -> Rows:
    """Empty answers to prompts: the processor's tensors, padded on the left, and one film for each.

    `most` is the number of tokens that there will be room for.
    """
    ids_PT, mask_PT = inputs["input_ids"], inputs["attention_mask"]
    image_PT = inputs["token_type_ids" if "token_type_ids" in inputs else "mm_token_type_ids"]
    cache = Cache(layers=[Room(most) for _ in range(model.config.get_text_config().num_hidden_layers)])
    place, next_P = places(model, ids_PT, mask_PT, image_PT, grids_of(films))
    # The same prompt without padding in every row needs one mask, not one a row.
    alike = bool((ids_PT == ids_PT[:1]).all() and mask_PT.all())
    one = slice(0, 1) if alike else slice(None)
    branch_PT, step_PT = mask_PT.long() - 1, (mask_PT.cumsum(dim=1) - 1).clamp(min=0)
    last_PT = torch.zeros_like(mask_PT, dtype=torch.bool)
    last_PT[:, -1] = True
    with only_at(model, last_PT):
        logits_PV = model(
            input_ids=ids_PT, mm_encoder_outputs=in_place_of_pixels(model, tokens(films)), position_ids=place,
            attention_mask=masks(model, branch_PT[one], step_PT[one], image_PT[one]),
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
    first_P1 = ids_PT.gather(1, mask_PT.argmax(dim=1, keepdim=True))
    seen_PT = torch.where(mask_PT.bool(), ids_PT, first_P1)
    return Rows([[] for _ in films], cache, mask_PT.bool(), seen_PT, next_P, logits_PV)


@torch.no_grad()
def decode(
    model: PreTrainedModel, rows: Rows, *, most: int, choose: Choice, change: LogitsProcessorList, ends: Sequence[int],
    more: Callable[[int], Rows | None] = lambda free: None,
) -> None:  # fmt: skip
    """Write each row's answer, of at most `most` tokens with the end token.

    Where rows have left, `more` is asked for as many new ones; None says that there are none.
    """
    limit, ended = len(rows.answers), set(ends)

    def over(answer: list[int]) -> bool:
        return len(answer) == most or (bool(answer) and answer[-1] in ended)

    while True:
        token_B = choose(change(rows.seen_BT, rows.logits_BV) if change else rows.logits_BV)
        for answer, token in zip(rows.answers, token_B.tolist(), strict=True):
            if not over(answer):
                answer.append(token)
        stay = [row for row, answer in enumerate(rows.answers) if not over(answer)]
        fresh = more(limit - len(stay)) if len(stay) <= (1 - LEAVE) * limit else None
        if stay:
            if fresh is not None or len(stay) <= (1 - LEAVE) * len(rows.answers):
                rows.take(stay)
                token_B = token_B[torch.tensor(stay, device=token_B.device)]
            _advance(model, rows, token_B)
        if fresh is not None:
            if stay:
                rows.join(fresh)
            else:
                rows = fresh
        elif not stay:
            return


def _advance(model: PreTrainedModel, rows: Rows, token_B: torch.Tensor) -> None:
    """Run one more token of each row."""
    text = model.config.get_text_config()
    rows.seen_BT = torch.cat([rows.seen_BT, token_B[:, None]], dim=1)
    rows.mask_BT = torch.cat([rows.mask_BT, rows.mask_BT.new_ones(len(token_B), 1)], dim=1)
    full = None if bool(rows.mask_BT.all()) else rows.mask_BT[:, None, None, :]
    seen: dict[str, torch.Tensor | None] = {"full_attention": full}
    if "sliding_attention" in text.layer_types:
        seen["sliding_attention"] = full
        length = rows.mask_BT.shape[1]
        if length > text.sliding_window:
            near = torch.arange(length, device=token_B.device) > length - 1 - text.sliding_window
            seen["sliding_attention"] = near.expand(len(token_B), 1, 1, -1) if full is None else full & near
    place_B1 = rows.next_B[:, None]
    hidden = model.model.language_model(
        input_ids=token_B[:, None], attention_mask=seen, past_key_values=rows.cache, use_cache=True,
        position_ids=place_B1 if model.config.model_type == "gemma3" else place_B1.expand(3, -1, -1),
    ).last_hidden_state  # fmt: skip
    rows.logits_BV = model.get_output_embeddings()(hidden)[:, -1].float()
    rows.next_B = rows.next_B + 1
