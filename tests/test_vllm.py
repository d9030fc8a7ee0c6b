"""vLLM as the other engine: how it is asked for and compared. vLLM itself is not among what the tests need."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from chexreason import evaluate, grpo, models
from chexreason.errors import UserError
from chexreason.models import Loaded
from chexreason.prompts import get
from chexreason.recipe import GRPO, Decoding
from companion.phantoms.pretrain.make import CHECKPOINTS
from companion.replication import vllm_engine


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    return importlib.import_module("vllm_agreement")


RIGHT = "<think>Wide.</think><solution>Edema, Fracture</solution>"


def test_what_is_counted(script) -> None:
    ours, theirs = [[1, 2, 3, 4], [5, 6], [7, 8], []], [[1, 2, 3, 4], [5, 9], [7, 8, 9, 9], []]
    swapped = "<think>Large.</think><solution>Fracture, Edema</solution>"
    texts = ([RIGHT, RIGHT, RIGHT, ""], [RIGHT, swapped, "<think>Wide", ""])
    found = script.agreement(ours, theirs, texts, get("free_reasoning"))
    assert found == {
        "answers": 4,
        "same_answer": 2 / 4,
        "same_start": (1 + 1 / 2 + 2 / 4 + 1) / 4,
        "same_labels": 3 / 4,  # the order of labels and the words before them do not count
        "same_failure": 3 / 4,
    }
    with pytest.raises(ValueError, match="got 1 and 0"):
        script.agreement([[1]], [], ([RIGHT], []), get("free_reasoning"))


def test_rollouts_with_vllm_keep_silent_the_same_tokens(tmp_path) -> None:
    ours = grpo.arguments(GRPO(), tmp_path, 0, 8, silent=[5, 6])
    theirs = grpo.arguments(GRPO(use_vllm=True), tmp_path, 0, 8, silent=[5, 6])
    assert (ours.use_vllm, ours.generation_kwargs) == (False, {"suppress_tokens": [5, 6]})
    assert (theirs.use_vllm, theirs.vllm_mode) == (True, "colocate")
    assert theirs.generation_kwargs == {"logit_bias": {5: -100.0, 6: -100.0}}
    assert theirs.vllm_importance_sampling_correction, "TRL weighs what vLLM rounds otherwise"


@pytest.fixture
def without_vllm(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "vllm" else find(name, *more))


def test_scoring_with_vllm_asks_vllm(random_model, studies, without_vllm) -> None:
    with pytest.raises(UserError, match="Expected vLLM, which the profile asks for, got none"):
        evaluate.decode(random_model, studies[:2], get("only_label"), Decoding(), engine=vllm_engine.answers)


class Another:
    """Where vLLM's engine would be: a prompt's log-probabilities from a model, its image seen whole or causally."""

    def __init__(self, loaded: Loaded, causal: bool = False, extra: int = 0) -> None:
        self.loaded, self.causal, self.extra = loaded, causal, extra

    def generate(self, asked, told, use_tqdm):
        inputs = models.encode(self.loaded, [asked[0]["multi_modal_data"]["image"]], get("free_reasoning").text)
        if self.causal:
            inputs["token_type_ids"] = torch.zeros_like(inputs["token_type_ids"])
        ids = inputs["input_ids"][0].tolist()
        chance_TV = self.loaded.model(**inputs).logits[0].float().log_softmax(dim=-1)
        said = [{token: SimpleNamespace(logprob=chance_TV[k, token].item())} for k, token in enumerate(ids[1:])]
        return [SimpleNamespace(prompt_token_ids=ids + [0] * self.extra, prompt_logprobs=[None, *said])]


@pytest.fixture
def started(monkeypatch):
    """Let an engine be the one that vLLM would have started."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=lambda **_: None))
    vllm_engine.engine.cache_clear()
    yield lambda engine: monkeypatch.setattr(vllm_engine, "start", lambda loaded: engine)
    vllm_engine.engine.cache_clear()


@pytest.mark.parametrize("family", ["medgemma", "qwen"])
def test_an_engine_that_says_the_same_of_a_prompt_is_taken(family, started) -> None:
    loaded = models.load(family, CHECKPOINTS / family)
    same = Another(loaded)
    started(same)
    assert vllm_engine.engine(loaded) is same


def test_an_engine_that_reads_the_prompt_otherwise_is_refused(started) -> None:
    loaded = models.load("medgemma", CHECKPOINTS / "medgemma")
    causal = Another(loaded, causal=True)
    assert vllm_engine.prompt_difference(loaded, causal, causal=True) == pytest.approx(0, abs=1e-5)
    for engine, told in (
        (causal, r"within 0\.001 a token, got .* apart\. Use another build"),
        (Another(loaded, extra=1), "tokens that transformers makes of a prompt"),
    ):
        started(engine)
        with pytest.raises(UserError, match=told):
            vllm_engine.engine(loaded)
