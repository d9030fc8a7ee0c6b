"""Decoding that prefills a prompt once, and gives an ended answer's row to the next prompt (sections 3.2.2 and 4).

Four things differ from `generate`, none in what is computed. A prompt that several completions begin with
runs through the model once, and its keys and values are copied for each. The cache has room for the longest
answer from the start, where `generate` copies it anew at each token. A row whose answer has ended is taken by the
next prompt, or leaves. And nucleus sampling looks at the likeliest tokens first and sorts the whole vocabulary only
if they do not hold the nucleus. Exact: rows of a batch do not see one another, so a row's next token is the same
whoever sits beside it. Greedy answers are those of `generate`; sampled ones follow the same distribution with
other draws.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)
from transformers.cache_utils import Cache

from companion.speed.drafts import GROUPED, Drafts
from companion.speed.films import Film, grids_of, in_place_of_pixels
from companion.speed.last_layer import only_at
from companion.speed.masks import masks, places
from companion.speed.rows import Room, Rows, widened, without_padding

#: How many of the likeliest tokens are searched for the nucleus before all are.
LIKELIEST = 128
#: Rows are given to the next prompts when they are this share of the batch or more: a few prompts run at little more
#: than the price of one.
REFILL = 0.2
#: Where there are no more prompts, rows leave when they are this share of the batch: leaving copies the cache.
LEAVE = 0.25

Choice = Callable[[torch.Tensor], torch.Tensor]


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
    model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], films: Sequence[Film], tokens: Sequence[torch.Tensor],
    extra: int, rows: int = 0,
) -> Rows:  # fmt: skip
    """Empty answers to prompts: the processor's tensors, padded on the left, and a film and its image tokens for each.

    There will be room for `extra` tokens, and for `rows` rows if that is more than there are prompts.
    """
    ids_PT, mask_PT = inputs["input_ids"], inputs["attention_mask"]
    image_PT = inputs["token_type_ids" if "token_type_ids" in inputs else "mm_token_type_ids"]
    length_P = mask_PT.sum(dim=1)
    rooms = [Room(rows, extra) for _ in range(model.config.get_text_config().num_hidden_layers)]
    whole = bool(mask_PT.all())
    for room in rooms:
        room.pads_B = None if whole else ids_PT.shape[1] - length_P
    place, next_P = places(model, ids_PT, mask_PT, image_PT, grids_of(films))
    # The same prompt without padding in every row needs one mask, not one a row.
    one = slice(0, 1) if whole and bool((ids_PT == ids_PT[:1]).all()) else slice(None)
    branch_PT, step_PT = mask_PT.long() - 1, (mask_PT.cumsum(dim=1) - 1).clamp(min=0)
    last_PT = torch.zeros_like(mask_PT, dtype=torch.bool)
    last_PT[:, -1] = True
    cache = Cache(layers=rooms)
    with only_at(model, last_PT):
        logits_PV = model(
            input_ids=ids_PT, mm_encoder_outputs=in_place_of_pixels(model, tokens), position_ids=place,
            attention_mask=masks(model, branch_PT[one], step_PT[one], image_PT[one]),
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
    prompt_PT = ids_PT if whole else without_padding(ids_PT[:, None, :, None], rooms[0].pads_B)[:, 0, :, 0]
    behind_PT = torch.arange(ids_PT.shape[1], device=ids_PT.device) >= length_P[:, None]
    seen_PT = widened(torch.where(behind_PT, prompt_PT[:, :1], prompt_PT), ids_PT.shape[1] + extra)
    return Rows([[] for _ in films], cache, length_P, seen_PT, next_P, logits_PV)


@torch.no_grad()
def decode(
    model: PreTrainedModel, rows: Rows, *, most: int, choose: Choice, change: LogitsProcessorList, ends: Sequence[int],
    limit: int = 0, more: Callable[[int], Rows | None] = lambda free: None, drafts: Drafts | None = None,
) -> None:  # fmt: skip
    """Write each row's answer, of at most `most` tokens with the end token.

    Where there are fewer than `limit` rows, or some have ended, `more` is asked for up to as many new ones; None says
    that there are no more. With `drafts`, which need a `choose` without chance, some tokens are guessed and checked;
    the rows need room for them.
    """
    ended, waiting = set(ends), True

    def over(answer: list[int]) -> bool:
        return len(answer) == most or (bool(answer) and answer[-1] in ended)

    def write(answer: list[int], token: int) -> None:
        if not over(answer):
            answer.append(token)
            if drafts is not None:
                drafts.learn(answer, over(answer))

    while True:
        seen_BT = rows.seen_BT[:, : int(rows.length_B.max())]
        token_B = choose(change(seen_BT, rows.logits_BV) if change else rows.logits_BV)
        for answer, token in zip(rows.answers, token_B.tolist(), strict=True):
            write(answer, token)
        stay = [row for row, answer in enumerate(rows.answers) if not over(answer)]
        free = max(limit, len(rows.answers)) - len(stay)
        fresh = None
        if waiting and free >= max(1, REFILL * limit):
            fresh = more(free)
            waiting = fresh is not None
        if stay:
            if not waiting and len(stay) <= (1 - LEAVE) * len(rows.answers):
                rows.take(stay)
                token_B, stay = token_B[torch.tensor(stay, device=token_B.device)], list(range(len(stay)))
            guesses = drafts.guesses(rows.answers) if drafts is not None else [[] for _ in rows.answers]
            guess_BG = token_B.new_tensor(guesses).view(len(guesses), -1)
            logits_BNV = _run(model, rows, torch.cat([token_B[:, None], guess_BG], dim=1))
            right_B = _right(rows, guess_BG, logits_BNV, choose, change)
            for answer, guess, right in zip(rows.answers, guesses, right_B.tolist(), strict=True):
                for token in guess[:right]:
                    write(answer, token)
            rows.keep(right_B, logits_BNV)
        if fresh is not None:
            rows.put([row for row, answer in enumerate(rows.answers) if row not in stay], fresh)
        elif not stay:
            return


def _run(model: PreTrainedModel, rows: Rows, token_BN: torch.Tensor) -> torch.Tensor:
    """Run the next tokens of each row, one or more: the logits (B, N, V) behind each."""
    text, new = model.config.get_text_config(), token_BN.shape[1]
    # A row that has ended goes on at the end of its room until another takes its place.
    rows.length_B = at_B = rows.length_B.clamp(max=rows.columns - new)
    step_N = torch.arange(new, device=at_B.device)
    column_BN = at_B[:, None] + step_N
    rows.seen_BT.scatter_(1, column_BN, token_BN)
    seen = int(at_B.max()) + new
    for layer in rows.cache.layers:
        layer.column_BN, layer.seen = column_BN, seen
    behind_BNT = torch.arange(seen, device=at_B.device) - column_BN[..., None]
    alike = new == 1 and bool((behind_BNT[:, 0, -1] == 0).all())
    full = None if alike else (behind_BNT <= 0)[:, None]
    looks: dict[str, torch.Tensor | None] = {"full_attention": full}
    if "sliding_attention" in text.layer_types:
        near = (behind_BNT > -text.sliding_window)[:, None]
        looks["sliding_attention"] = full if seen <= text.sliding_window else near if full is None else full & near
    place_BN = rows.next_B[:, None] + step_N
    plain = text._attn_implementation
    try:
        text._attn_implementation = GROUPED if new > 1 else plain
        hidden = model.model.language_model(
            input_ids=token_BN, attention_mask=looks, past_key_values=rows.cache, use_cache=True,
            position_ids=place_BN if model.config.model_type == "gemma3" else place_BN.expand(3, -1, -1),
        ).last_hidden_state  # fmt: skip
    finally:
        text._attn_implementation = plain
    return model.get_output_embeddings()(hidden).float()


def _right(
    rows: Rows, guess_BG: torch.Tensor, logits_BNV: torch.Tensor, choose: Choice, change: LogitsProcessorList
) -> torch.Tensor:
    """How many of each row's guesses are what would have been chosen, up to the first that is not (B,)."""
    count, guessed = guess_BG.shape
    if not guessed:
        return torch.zeros_like(rows.length_B)
    logits = logits_BNV[:, :guessed].flatten(0, 1)
    if change:
        seen_BT = rows.seen_BT[:, : int(rows.length_B.max()) + guessed]
        until_BG = rows.length_B[:, None] + torch.arange(guessed, device=guess_BG.device)
        behind_BGT = torch.arange(seen_BT.shape[1], device=guess_BG.device) > until_BG[..., None]
        seen = torch.where(behind_BGT, seen_BT[:, :1, None], seen_BT[:, None])
        logits = change(seen.flatten(0, 1), logits)
    return (choose(logits).view(count, guessed) == guess_BG).long().cumprod(dim=1).sum(dim=1)
