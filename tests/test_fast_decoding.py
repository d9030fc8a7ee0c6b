"""Decoding with rows that leave against transformers' `generate`: the same greedy tokens; the same nucleus."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import TopPLogitsWarper

from chexreason import evaluate, prompts
from chexreason.fast import decoding
from chexreason.hyperparameters import Decoding, Speed

PROMPT = prompts.get("only_label")
ENDING = dataclasses.replace(Decoding(), max_tokens=24, batch=4)


@pytest.fixture
def talkative(random_model, studies):
    """A random model for which many tokens end an answer, so that rows leave at different steps."""
    for k, shape in enumerate([(90, 240), (240, 90)]):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, shape, dtype=np.uint8)).save(studies[k].image)
    torch.manual_seed(2)
    with torch.no_grad():  # louder, so that films make a difference
        for name, weight in random_model.model.named_parameters():
            if weight.dim() == 2 and "language_model.layers" in name:
                weight.mul_(4)
    random_model.model.generation_config.eos_token_id = list(range(1, 2048, 7))
    return random_model


@pytest.mark.parametrize("window", [512, 30])
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_answers_are_those_of_generate(talkative, studies, window, penalty, monkeypatch) -> None:
    seen = []
    join = decoding.Rows.join
    monkeypatch.setattr(decoding.Rows, "join", lambda rows, other: seen.append(len(other.answers)) or join(rows, other))
    talkative.model.config.get_text_config().sliding_window = window
    talkative.model.generation_config.repetition_penalty = penalty
    theirs = evaluate.decode(talkative, studies, PROMPT, ENDING, speed=dataclasses.replace(Speed(), rows_leave=False))
    ours = evaluate.decode(talkative, studies, PROMPT, ENDING)
    assert ours == theirs
    lengths = {completion.tokens for completion in theirs}
    assert len(lengths) > 2, "rows have to leave at different steps"
    assert seen, "and others to take their place"


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


def test_a_row_of_the_cache_can_be_copied_and_left_out() -> None:
    room = decoding.Room(extra=2)
    first = torch.arange(12.0).view(2, 1, 3, 2)
    room.update(first, -first)
    room.take(torch.tensor([1, 1, 0]))
    added = torch.full((3, 1, 1, 2), 99.0)
    keys, values = room.update(added, -added)
    assert torch.equal(keys, torch.cat([first[[1, 1, 0]], added], dim=2))
    assert torch.equal(values, -keys)
    assert room.get_seq_length() == 4


@pytest.mark.parametrize("longer", [True, False])
def test_rows_join_at_their_ends(longer) -> None:
    upper, lower = decoding.Room(extra=2), decoding.Room(extra=2)
    above, below = torch.arange(8.0).view(1, 1, 4, 2) + 1, torch.arange(6.0 if longer else 2).view(1, 1, -1, 2) + 50
    upper.update(above, -above)
    lower.update(below, -below)
    upper.join(lower, cut=2)
    width = 3 if longer else 2
    expected = torch.zeros(2, 1, width, 2)
    expected[0, :, width - 2 :] = above[0, :, 2:]
    expected[1, :, width - below.shape[2] :] = below[0]
    added = torch.full((2, 1, 1, 2), 99.0)
    for _ in range(2):
        keys, values = upper.update(added, -added)
    assert torch.equal(keys, torch.cat([expected, added, added], dim=2))
    assert torch.equal(values, -keys)
