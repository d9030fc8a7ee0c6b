"""Sampled answers: written and read again, and drawn from the distribution that transformers' `generate` draws from."""

from collections import Counter

import numpy as np
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
