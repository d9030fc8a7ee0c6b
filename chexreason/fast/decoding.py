"""Decoding that prefills a prompt once, and lets rows leave when their answer is done (sections 3.2.2 and 4).

Four things differ from `generate`, none in what is computed. A prompt that several completions begin with runs through
the model once, and its keys and values are copied for each. The cache has room for the longest answer
from the start, where `generate` copies it anew at each token. A row whose answer has ended leaves the batch.
And nucleus sampling looks at the likeliest tokens first and sorts the whole vocabulary only if they do not hold the
nucleus. Exact: rows of a batch do not see one another, so a row's next token is the same whoever sits beside it.
Greedy answers are those of `generate`; sampled ones follow the same distribution with other draws.
"""

from collections.abc import Callable, Mapping, Sequence
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

from chexreason.fast.films import Film, FilmTokens, in_place_of_pixels
from chexreason.fast.last_layer import only_at
from chexreason.fast.masks import masks

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
def decode(
    model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], films: Sequence[Film], tokens: FilmTokens, *,
    rows: Sequence[int], most: int, choose: Choice, change: LogitsProcessorList, ends: Sequence[int],
) -> list[list[int]]:  # fmt: skip
    """Answers of at most `most` tokens, the end token included; answer i belongs to prompt ``rows[i]``.

    `inputs` are the processor's tensors for the prompts, padded on the left; `films` one film for each.
    """
    ids_PT, mask_PT = inputs["input_ids"], inputs["attention_mask"]
    cache = Cache(layers=[Room(most) for _ in range(model.config.get_text_config().num_hidden_layers)])
    place, next_P = _places(model, inputs, films)
    # The same prompt without padding in every row needs one mask, not one a row.
    alike = bool((ids_PT == ids_PT[:1]).all() and mask_PT.all())
    one = slice(0, 1) if alike else slice(None)
    branch_PT, step_PT = mask_PT.long() - 1, (mask_PT.cumsum(dim=1) - 1).clamp(min=0)
    last_PT = torch.zeros_like(mask_PT, dtype=torch.bool)
    last_PT[:, -1] = True
    with only_at(model, last_PT):
        logits_PV = model(
            input_ids=ids_PT, mm_encoder_outputs=in_place_of_pixels(model, tokens(films)), position_ids=place,
            attention_mask=masks(model, branch_PT[one], step_PT[one], inputs[_types(inputs)][one]),
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
    prompt_B = torch.tensor(rows, device=ids_PT.device)
    for layer in cache.layers:
        layer.take(prompt_B)
    logits_BV, next_B = logits_PV[prompt_B], next_P[prompt_B]
    seen_BT, padded = ids_PT[prompt_B], not bool(mask_PT.all())
    mask_BT = mask_PT[prompt_B].bool()
    answers: list[list[int]] = [[] for _ in rows]
    here = list(range(len(rows)))  # which answer each row of the batch writes
    ended = set(ends)
    done: set[int] = set()
    for step in range(most):
        token_B = choose(change(seen_BT, logits_BV) if change else logits_BV)
        for answer, token in zip(here, token_B.tolist(), strict=True):
            if answer not in done:
                answers[answer].append(token)
                if token in ended:
                    done.add(answer)
        stay = [row for row, answer in enumerate(here) if answer not in done]
        if not stay or step + 1 == most:
            break
        if len(stay) <= (1 - LEAVE) * len(here):
            kept = torch.tensor(stay, device=token_B.device)
            for layer in cache.layers:
                layer.take(kept)
            token_B, next_B, seen_BT, mask_BT = (x[kept] for x in (token_B, next_B, seen_BT, mask_BT))
            here = [here[row] for row in stay]
        if change:
            seen_BT = torch.cat([seen_BT, token_B[:, None]], dim=1)
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(here), 1)], dim=1)
        logits_BV = _next(model, token_B, next_B + step, mask_BT if padded else None, cache)
    return answers


def _types(inputs: Mapping[str, torch.Tensor]) -> str:
    """What the family calls the tensor that marks image tokens."""
    return "token_type_ids" if "token_type_ids" in inputs else "mm_token_type_ids"


def _places(
    model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], films: Sequence[Film]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rotary positions of the prompts, and of the token after each (P,)."""
    mask_PT = inputs["attention_mask"]
    if model.config.model_type == "gemma3":
        return (mask_PT.cumsum(dim=1) - 1).clamp(min=0), mask_PT.sum(dim=1)
    places, behind = model.model.get_rope_index(
        inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], attention_mask=mask_PT,
        image_grid_thw=torch.stack([film.grid for film in films if film.grid is not None]),
    )  # fmt: skip
    return places, mask_PT.sum(dim=1) + behind[:, 0]  # a film takes fewer positions than tokens


def _next(
    model: PreTrainedModel, token_B: torch.Tensor, place_B: torch.Tensor, mask_BT: torch.Tensor | None, cache: Cache
) -> torch.Tensor:
    """The logits (B, V) after one more token a row; `mask_BT` is None where no row is padded."""
    text = model.config.get_text_config()
    length = cache.get_seq_length() + 1
    full = None if mask_BT is None else mask_BT[:, None, None, :]
    seen: dict[str, torch.Tensor | None] = {"full_attention": full}
    if "sliding_attention" in text.layer_types:
        seen["sliding_attention"] = full
        if length > text.sliding_window:
            near = torch.arange(length, device=token_B.device) > length - 1 - text.sliding_window
            seen["sliding_attention"] = near.expand(len(token_B), 1, 1, -1) if full is None else full & near
    place = place_B[:, None] if model.config.model_type == "gemma3" else place_B[None, :, None].expand(3, -1, -1)
    hidden = model.model.language_model(
        input_ids=token_B[:, None], position_ids=place, attention_mask=seen, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return model.get_output_embeddings()(hidden)[:, -1].float()
