"""Greedy answers sooner: what `chexreason.evaluate.generate` says, by continuous batching in one process per core."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from chexreason import evaluate, models
from chexreason.data.study import Study
from chexreason.models import Loaded
from chexreason.prompts import Prompt
from chexreason.recipe import Decoding
from companion.speed import decoding
from companion.speed.drafts import GUESSED, Drafts
from companion.speed.films import films_of, tokens_of
from companion.speed.packed import packed
from companion.speed.side_by_side import processes, side_by_side
from companion.speed.switches import ALL, Speed

#: Prompts that run through the model at once on a processor. More take more memory there and are no faster.
TOGETHER = 4


def answers(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any],
    speed: Speed = ALL,
) -> list[list[int]]:  # fmt: skip
    """Greedy decoding in one process per core, sharing each batch among them; sampling is left to `generate`."""
    if settings.do_sample:
        return evaluate.generate(loaded, studies, prompt, settings, tell)
    many = processes(loaded.device, len(studies), settings.batch_size) if speed.side_by_side else 1
    each = replace(settings, batch_size=-(-settings.batch_size // many))

    def work(part: Sequence[Study], tell: Callable[[int], Any]) -> list[list[int]]:
        if speed.rows_leave and decoding.can_follow(loaded.model):
            return _by_rows(loaded, part, prompt, each, tell, speed)
        return evaluate.generate(loaded, part, prompt, each, tell)

    with packed(loaded.model) if speed.packed_weights else nullcontext():
        if many == 1:
            return work(studies, tell)
        parts = side_by_side(work, [studies[number::many] for number in range(many)], tell)
    return [parts[number % many][number // many] for number in range(len(studies))]


def _by_rows(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any],
    speed: Speed,
) -> list[list[int]]:  # fmt: skip
    """The same tokens, by `fast.decoding`."""
    model, waiting = loaded.model, iter(studies)
    answers: list[list[int]] = []
    guess = speed.drafts and model.dtype == torch.float32
    together = TOGETHER if loaded.device.type == "cpu" else settings.batch_size

    def more(free: int, room: int = 0, places: int = 0) -> decoding.Rows | None:
        next_B = list(islice(waiting, min(free, together)))
        if not next_B:
            return None
        inputs = models.encode(loaded, evaluate.open_films(next_B), prompt.text)
        films = films_of(inputs)
        rows = decoding.prefill(model, inputs, films, tokens_of(model, films), room, places)
        answers.extend(rows.answers)
        tell(len(next_B))
        return rows

    if first := more(settings.batch_size, settings.max_new_tokens + (GUESSED if guess else 0), settings.batch_size):
        decoding.decode(
            model, first, most=settings.max_new_tokens, choose=decoding.greedy,
            ends=sorted(evaluate.end_tokens(loaded)),
            change=decoding.processors(model.generation_config), limit=settings.batch_size, more=more,
            drafts=Drafts() if guess else None,
        )  # fmt: skip
    return answers
