"""The scripted teacher: traces parse, name the labels, speak of what was drawn, and differ by style."""

import json
import re

import numpy as np
import pytest

from chexreason.completions import parse_completion
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.prompts import CHECKLIST, PROMPTS, Prompt
from companion.phantoms import teacher
from companion.phantoms.teacher.phrases import REGIONS, WORDS
from companion.phantoms.tree import closure

DRAWABLE = FINDINGS[1:]
THINKING = [prompt for prompt in PROMPTS.values() if prompt.answer.think]
PNEUMOTHORAX = [{"finding": "Pneumothorax", "severity": 0.9, "side": "left", "zone": "apical", "kind": ""}]


def sample(rng):
    """Lesions and recorded labels that need not agree."""
    drawn = [name for name in DRAWABLE if rng.random() < 0.15]
    lesions = [
        {"finding": n, "severity": float(rng.uniform(0.05, 1)), "side": str(rng.choice(["left", "right", "both", ""]))}
        for n in drawn
    ]
    labels = {name for name in drawn if rng.random() < 0.8} | {name for name in DRAWABLE if rng.random() < 0.03}
    labels = set(closure(labels)) if rng.random() < 0.3 else labels
    if not labels - {"Support Devices"}:
        labels.add("No Finding")
    return json.loads(json.dumps(lesions)), frozenset(labels)


SAMPLES = [sample(np.random.default_rng([7, index])) for index in range(400)]


def traces(name):
    rng = np.random.default_rng(3)
    return [teacher.trace(lesions, labels, PROMPTS[name], rng) for lesions, labels in SAMPLES]


def thought(text):
    return text.partition("<think>")[2].partition("</think>")[0]


@pytest.mark.parametrize("name", PROMPTS)
def test_every_trace_parses_and_ends_with_exactly_the_recorded_labels(name):
    for text, (_, labels) in zip(traces(name), SAMPLES, strict=True):
        parsed = parse_completion(text, PROMPTS[name].answer)
        assert parsed.valid
        assert parsed.failures == frozenset()
        assert parsed.labels == tuple(finding for finding in FINDINGS if finding in labels)


@pytest.mark.parametrize("prompt", THINKING, ids=lambda prompt: prompt.name)
def test_traces_are_clean_short_and_varied(prompt):
    found = traces(prompt.name)
    for text in found:
        assert re.fullmatch(r"[A-Z0-9](?!.*(  |\.\.| ,)).*\.", thought(text))
        assert len(text.split()) <= 110
    assert np.median([len(text.split()) for text in found]) <= 60
    again = [teacher.trace(*SAMPLES[0], prompt, np.random.default_rng(seed)) for seed in range(40)]
    assert len(set(again)) >= 8


@pytest.mark.parametrize("name", [n for n in PROMPTS if n not in ("only_label", "reasoning_d")])
def test_what_was_drawn_is_told_with_grade_and_side(name):
    text = teacher.trace(PNEUMOTHORAX, frozenset({"Pneumothorax"}), PROMPTS[name], np.random.default_rng(0)).lower()
    assert "severe left pneumothorax" in text or "severe left pleural air" in text


def test_reasoning_a_walks_through_its_twelve_steps():
    for text in traces("reasoning_a"):
        numbers = [word for word in thought(text).split() if word.rstrip(".").isdigit()]
        assert numbers == [f"{number}." for number in range(1, len(CHECKLIST) + 1)]


def test_the_tables_of_words_cover_the_findings():
    assert set(WORDS) == set(DRAWABLE)
    homes = [finding for findings, _ in REGIONS.values() for finding in findings]
    assert sorted(homes) == sorted(DRAWABLE)
    assert set(teacher.STYLES) == {prompt.name for prompt in THINKING}


@pytest.mark.parametrize(
    ("lesions", "labels"), [([], set()), ([], {"Gout"}), ([{"finding": "Gout", "severity": 0.5}], {"Edema"})]
)
def test_a_study_without_labels_unknown_names_and_a_prompt_without_a_style_are_refused(lesions, labels):
    with pytest.raises(ValueError, match="expected"):
        teacher.trace(lesions, frozenset(labels), PROMPTS["free_reasoning"], np.random.default_rng(0))
    odd = Prompt("odd", 1, "Odd", "", "", PROMPTS["free_reasoning"].answer)
    with pytest.raises(UserError, match="teacher style"):
        teacher.trace([], frozenset({"Edema"}), odd, np.random.default_rng(0))
