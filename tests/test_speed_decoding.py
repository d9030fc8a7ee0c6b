"""Decoding with rows that leave against transformers' `generate`: the same greedy tokens; the same nucleus."""

import dataclasses

import pytest
import torch
from transformers import TopPLogitsWarper

from chexreason import evaluate, prompts
from chexreason.recipe import Decoding
from companion.speed import decoding
from companion.speed.batch import Batch
from companion.speed.decoding import generate
from companion.speed.speculative import NgramDraft

PROMPT = prompts.get("only_label")
ENDING = dataclasses.replace(Decoding(), max_new_tokens=24, batch_size=4)


@pytest.fixture
def talkative(random_model, three_shapes):
    """A random model for which many tokens end an answer, so that rows leave at different steps."""
    torch.manual_seed(2)
    with torch.no_grad():  # louder, so that images make a difference
        for name, weight in random_model.model.named_parameters():
            if weight.dim() == 2 and "language_model.layers" in name:
                weight.mul_(4)
    random_model.model.generation_config.eos_token_id = list(range(1, 2048, 7))
    return random_model


@pytest.mark.parametrize(  # a batch of as many as prompts that run together, and of more
    ("window", "penalty", "batch"), [(512, 1.0, 4), (30, 1.3, 4), (512, 1.3, 6), (30, 1.0, 6)]
)
def test_greedy_answers_are_those_of_generate(talkative, studies, window, penalty, batch, monkeypatch) -> None:
    seen = []
    put = Batch.put
    monkeypatch.setattr(Batch, "put", lambda rows, at, other: seen.append(len(at)) or put(rows, at, other))
    talkative.model.config.get_text_config().sliding_window = window
    talkative.model.generation_config.repetition_penalty = penalty
    settings = dataclasses.replace(ENDING, batch_size=batch)
    theirs = evaluate.decode(talkative, studies, PROMPT, settings)
    ours = evaluate.decode(talkative, studies, PROMPT, settings, engine=generate)
    assert ours == theirs
    lengths = {completion.tokens for completion in theirs}
    assert len(lengths) > 2, "rows have to leave at different steps"
    assert any(seen), "and others to take their place"


def test_what_is_not_known_is_left_to_generate(random_model) -> None:
    assert decoding.can_follow(random_model.model)
    random_model.model.generation_config.no_repeat_ngram_size = 3
    assert not decoding.can_follow(random_model.model)


@pytest.mark.parametrize("flat", [True, False])
def test_the_nucleus_is_that_of_transformers(flat, monkeypatch) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 300) * (0.1 if flat else 3)  # flat: the nucleus is larger than the search
    kept = TopPLogitsWarper(0.9)(None, logits / 0.8)
    expected = torch.softmax(kept, -1)[0]
    assert (int((expected > 0).sum()) > decoding.LIKELIEST) == flat
    drawn = decoding.nucleus(0.8, 0.9)(logits.expand(40_000, -1))
    counts = torch.bincount(drawn, minlength=300).float()
    assert counts[expected == 0].sum() == 0
    big = expected * 40_000 >= 5
    chi2 = ((counts / 40_000 - expected)[big] ** 2 / expected[big]).sum() * 40_000
    assert chi2 < big.sum() + 5 * (2 * big.sum()) ** 0.5


def test_drafts_are_what_followed_the_same_three_tokens_last() -> None:
    drafts = NgramDraft()
    for answer in ([1, 2, 3, 4, 5, 6, 7], [9, 2, 3, 4, 8]):
        for length in range(1, len(answer) + 1):
            drafts.learn(answer[:length], length == len(answer))
    assert drafts.guesses([[0, 2, 3, 4], [1], [5, 5, 5]]) == [[8, 8, 8], [2, 3, 4], [5, 5, 5]]
    assert drafts.guesses([[1, 2, 3], [3, 4, 5], [4, 5, 6]]) == [[4, 5, 6], [6, 7, 7], [7, 7, 7]]
    assert drafts.guesses([[5, 5, 5], [6, 6, 6], [1]]) == [[], [], []], "not for one row of three"


@pytest.mark.parametrize(("family_name", "penalty"), [("medgemma", 1.0), ("qwen", 1.3)], indirect=["family_name"])
def test_a_guess_is_kept_as_far_as_it_is_right(talkative, studies, penalty, monkeypatch) -> None:
    """Every other row gets two right guesses and a wrong one; the rest get what comes later, which is too early.

    A guess that was dropped has not been said, so the penalty for repeated tokens must not know of it.
    """
    talkative.model.generation_config.eos_token_id = 1
    talkative.model.generation_config.repetition_penalty = penalty
    alone = evaluate.decode(talkative, studies, PROMPT, ENDING)
    said = evaluate.generate(talkative, studies, PROMPT, ENDING, lambda count: None)
    steps = []

    def guesses(drafts, answers):
        steps.append(len(answers))
        made = []
        for row, answer in enumerate(answers):
            rest = next(one[len(answer) :] for one in said if one[: len(answer)] == answer)
            made.append([*rest[:2], 7, 7, 7][:3] if row % 2 else [*rest[1:4], 7, 7, 7][:3])
        return made

    monkeypatch.setattr(NgramDraft, "guesses", guesses)
    assert evaluate.decode(talkative, studies, PROMPT, ENDING, engine=generate) == alone
    one_by_one = sum(one.tokens for one in alone) / ENDING.batch_size
    assert len(steps) < 0.8 * one_by_one, "fewer steps than tokens, as right guesses are kept"
