"""Greedy answers and sampled completions by continuous batching (sections 3.2.2 and 4).

What `chexreason.evaluate.generate` and TRL's sampling compute, with less repeated work:

* a prompt with several completions is prefilled once and its KV cache copied for each;
* the KV cache is allocated once, where `generate` copies a growing one at each token;
* a finished sequence frees its cache slot for the next prompt (continuous batching);
* in float32, tokens proposed from earlier answers are verified in one step (speculative decoding, `speculative`);
* on a CPU, products by oneDNN (`onednn`) and one process a core (`multiprocess`);
* nucleus sampling sorts the whole vocabulary only if the likeliest tokens do not hold the nucleus.

Exact: the sequences of a batch do not attend to one another. Greedy answers are those of `generate`; sampled ones have
the same distribution and other draws.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)
from transformers.cache_utils import Cache

from chexreason import evaluate, models
from chexreason.data.image import open_image
from chexreason.data.study import Study
from chexreason.models import Loaded
from chexreason.prompts import Prompt
from chexreason.recipe import Decoding
from companion.speed.attention import masks, places
from companion.speed.batch import Batch, SlotLayer, widened, without_padding
from companion.speed.embeddings import Pixels, embed, encoder_outputs, grids_of, pixels_of
from companion.speed.multiprocess import in_processes, processes
from companion.speed.onednn import by_onednn
from companion.speed.scoring import only_at
from companion.speed.speculative import GROUPED, GUESSED, NgramDraft
from companion.speed.switches import ALL, Speed

#: Prompts prefilled together on a CPU; more take more memory there and are no faster.
TOGETHER = 4
#: The likeliest tokens, searched for the nucleus before the whole vocabulary is.
LIKELIEST = 128
#: Free slots are refilled once they are this share of the batch: a few prompts cost little more than one.
REFILL = 0.2
#: Without further prompts, slots are dropped once this share of them is free: dropping copies the cache.
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


#: Entries of a generation config that this module follows; any other may change what `generate` computes.
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
    model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], images: Sequence[Pixels],
    tokens: Sequence[torch.Tensor], extra: int, rows: int = 0,
) -> Batch:  # fmt: skip
    """Prefill prompts, given as the processor's tensors padded on the left, and an image with its tokens for each.

    The cache has room for `extra` new tokens, and for `rows` sequences if that is more than there are prompts.
    """
    ids_PT, mask_PT = inputs["input_ids"], inputs["attention_mask"]
    image_PT = inputs["token_type_ids" if "token_type_ids" in inputs else "mm_token_type_ids"]
    length_P = mask_PT.sum(dim=1)
    rooms = [SlotLayer(rows, extra) for _ in range(model.config.get_text_config().num_hidden_layers)]
    whole = bool(mask_PT.all())
    for room in rooms:
        room.pads_B = None if whole else ids_PT.shape[1] - length_P
    place, next_P = places(model, ids_PT, mask_PT, image_PT, grids_of(images))
    # The same prompt without padding in every row needs one mask, not one a row.
    one = slice(0, 1) if whole and bool((ids_PT == ids_PT[:1]).all()) else slice(None)
    branch_PT, step_PT = mask_PT.long() - 1, (mask_PT.cumsum(dim=1) - 1).clamp(min=0)
    last_PT = torch.zeros_like(mask_PT, dtype=torch.bool)
    last_PT[:, -1] = True
    cache = Cache(layers=rooms)
    with only_at(model, last_PT):
        logits_PV = model(
            input_ids=ids_PT, mm_encoder_outputs=encoder_outputs(model, tokens), position_ids=place,
            attention_mask=masks(model, branch_PT[one], step_PT[one], image_PT[one]),
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
    prompt_PT = ids_PT if whole else without_padding(ids_PT[:, None, :, None], rooms[0].pads_B)[:, 0, :, 0]
    behind_PT = torch.arange(ids_PT.shape[1], device=ids_PT.device) >= length_P[:, None]
    seen_PT = widened(torch.where(behind_PT, prompt_PT[:, :1], prompt_PT), ids_PT.shape[1] + extra)
    return Batch([[] for _ in images], cache, length_P, seen_PT, next_P, logits_PV)


@torch.no_grad()
def decode(
    model: PreTrainedModel, rows: Batch, *, most: int, choose: Choice, change: LogitsProcessorList, ends: Sequence[int],
    limit: int = 0, more: Callable[[int], Batch | None] = lambda free: None, drafts: NgramDraft | None = None,
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


def _run(model: PreTrainedModel, rows: Batch, token_BN: torch.Tensor) -> torch.Tensor:
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
    rows: Batch, guess_BG: torch.Tensor, logits_BNV: torch.Tensor, choose: Choice, change: LogitsProcessorList
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


def generate(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any],
    speed: Speed = ALL,
) -> list[list[int]]:  # fmt: skip
    """Greedy decoding in one process per core, sharing each batch among them; sampling is left to `generate`."""
    if settings.do_sample:
        return evaluate.generate(loaded, studies, prompt, settings, tell)
    many = processes(loaded.device, len(studies), settings.batch_size) if speed.multiprocess else 1
    each = replace(settings, batch_size=-(-settings.batch_size // many))

    def work(part: Sequence[Study], tell: Callable[[int], Any]) -> list[list[int]]:
        if speed.continuous_batching and can_follow(loaded.model):
            return _batched(loaded, part, prompt, each, tell, speed)
        return evaluate.generate(loaded, part, prompt, each, tell)

    with by_onednn(loaded.model) if speed.onednn_weights else nullcontext():
        if many == 1:
            return work(studies, tell)
        parts = in_processes(work, [studies[number::many] for number in range(many)], tell)
    return [parts[number % many][number // many] for number in range(len(studies))]


def _batched(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any],
    speed: Speed,
) -> list[list[int]]:  # fmt: skip
    """The same tokens by continuous batching."""
    model, waiting = loaded.model, iter(studies)
    answers: list[list[int]] = []
    guess = speed.speculative and model.dtype == torch.float32
    together = TOGETHER if loaded.device.type == "cpu" else settings.batch_size

    def more(free: int, room: int = 0, places: int = 0) -> Batch | None:
        next_B = list(islice(waiting, min(free, together)))
        if not next_B:
            return None
        inputs = models.encode(loaded, [open_image(study.image) for study in next_B], prompt.text)
        images = pixels_of(inputs)
        rows = prefill(model, inputs, images, embed(model, images), room, places)
        answers.extend(rows.answers)
        tell(len(next_B))
        return rows

    if first := more(settings.batch_size, settings.max_new_tokens + (GUESSED if guess else 0), settings.batch_size):
        decode(
            model, first, most=settings.max_new_tokens, choose=greedy,
            ends=sorted(evaluate.end_tokens(loaded)),
            change=processors(model.generation_config), limit=settings.batch_size, more=more,
            drafts=NgramDraft() if guess else None,
        )  # fmt: skip
    return answers
