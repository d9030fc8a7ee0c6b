"""Sampled answers: written and read again, drawn as `generate` draws, and how far two policies lie apart."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import set_seed

from chexreason import config, evaluate, models, prompts
from chexreason.completions import parse_completion
from chexreason.data.study import Study
from chexreason.labels import FINDINGS
from companion.experiment import sampling
from companion.experiment.words import read, written
from companion.phantoms import draw, sample_case

PROMPT = prompts.get("only_label")


def test_what_is_written_is_read():
    whole = "<think>Wet lungs.</think><solution>Edema, No Finding</solution>"
    texts = [whole, "<solution>Edema</solution>", "no blocks", ""]
    words = [written(parse_completion(text, prompts.get("free_reasoning").answer)) for text in texts]
    said, failed = read([" ".join(words), " ".join(reversed(words))])
    assert said.shape == (2, 4, 14)
    assert failed.tolist() == [[False, False, True, True], [True, True, False, False]]
    named = [{FINDINGS[k] for k in np.flatnonzero(row)} for row in said[0]]
    assert named == [{"Edema", "No Finding"}, {"Edema"}, set(), set()]
    assert [word.endswith("~") for word in words] == [False, True, False, False]
    assert all(word.startswith("-") and " " not in word for word in words[2:])


def test_answers_come_from_the_distribution_that_generate_draws_from(tmp_path):
    profile = config.load_profile("demo")
    loaded = models.load("medgemma", profile.models["medgemma"])
    Image.fromarray(draw(sample_case(5, 1, "A"))).save(tmp_path / "x.png")
    studies = [Study("mimic", str(k), str(k), tmp_path / "x.png", "PA", "test", {}, FINDINGS) for k in range(5)]
    set_seed(0)
    ours = [w for row in sampling.sample(loaded, studies, PROMPT, 40, profile.grpo, profile.decoding, "") for w in row]
    set_seed(1)
    model = loaded.model
    inputs = models.encode(loaded, [Image.open(tmp_path / "x.png")] * 200, PROMPT.text)
    model.generation_config.update(temperature=profile.grpo.temperature, top_p=profile.grpo.top_p, top_k=0)
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=profile.decoding.max_new_tokens, do_sample=True)
    ends, theirs = evaluate.end_tokens(loaded), []
    for row in tokens[:, inputs["input_ids"].shape[1] :].tolist():
        end = next((k for k, token in enumerate(row) if token in ends), len(row))
        text = loaded.processor.tokenizer.decode(row[:end], skip_special_tokens=True)
        theirs.append(written(parse_completion(text, PROMPT.answer, end == len(row))))
    assert len(ours) == len(theirs) == 200
    for word, count in (Counter(ours) + Counter(theirs)).most_common(6):
        share = count / 400
        far = abs(ours.count(word) - theirs.count(word)) / 200
        assert far < 4 * np.sqrt(2 * share * (1 - share) / 200), word
    assert len(set(ours)) > 3


def test_divergence_is_zero_from_oneself_and_else_what_is_summed_token_by_token(
    checkpoints, studies, saved_adapter, tmp_path
):
    start, other = (models.load("medgemma", checkpoints / "medgemma") for _ in range(2))
    other = models.with_adapter(other, saved_adapter("medgemma", tmp_path / "a" / "best", 0.1))
    profile = config.load_profile("demo")
    policy, settings = replace(profile.grpo, top_p=1.0), replace(profile.decoding, max_new_tokens=7)
    set_seed(0)
    said = sampling.tokens(other, studies[:6], PROMPT, 1, policy, settings, "")
    said[1] = said[1][:3]  # answers of several lengths, in more than one batch
    assert sampling.divergence(other, other, studies[:6], said, PROMPT, policy.temperature) == 0

    def shares(loaded: models.Loaded, answer: list[int], done: int) -> torch.Tensor:
        inputs = models.encode(loaded, [Image.open(studies[1].image)], PROMPT.text)
        row = torch.tensor([answer[:done]], dtype=torch.long)
        for name, more in (("input_ids", row), ("attention_mask", torch.ones_like(row)), ("token_type_ids", 0 * row)):
            inputs[name] = torch.cat([inputs[name], more], dim=1)
        with torch.inference_mode():
            logits = loaded.model(**inputs).logits[0, -1].clone() / policy.temperature
            logits[loaded.model.generation_config.suppress_tokens] = -torch.inf
        return logits.softmax(-1)

    by_hand = []
    for done in range(3):
        p, q = (shares(one, said[1], done) for one in (other, start))
        by_hand.append(float((p[p > 0] * (p[p > 0] / q[p > 0]).log()).sum()))
    alone = sampling.divergence(other, start, studies[1:2], said[1:2], PROMPT, policy.temperature)
    assert alone == pytest.approx(np.mean(by_hand), rel=1e-3)
    assert alone > 1e-4
    each = [sampling.divergence(other, start, [s], [a], PROMPT, policy.temperature)
            for s, a in zip(studies[:6], said, strict=True)]  # fmt: skip
    together = sampling.divergence(other, start, studies[:6], said, PROMPT, policy.temperature)
    assert together == pytest.approx(np.average(each, weights=[len(answer) for answer in said]), rel=1e-4)
