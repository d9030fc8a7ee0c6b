"""The prompts say the task, the labels and the format, and differ in their strategy alone."""

import re

import pytest

from chexreason import prompts
from chexreason.completions import parse_completion
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.prompts import ANSWER_RULES, CHECKLIST, PROMPTS, SFT_FORMATS, TABLE1_PROMPTS, TASK

OURS = [prompt for prompt in PROMPTS.values() if prompt.name != "nv_reason"]


def test_the_nine_variants_of_table_1_and_the_four_formats_of_table_2():
    titles = [PROMPTS[name].title for name in TABLE1_PROMPTS]
    assert titles[:3] == ["Reasoning Narrative", "Reasoning Self-Check", "Reasoning Hypothesis"]
    assert titles[3:] == [f"Reasoning {letter}" for letter in "ABCDEF"]
    assert [PROMPTS[name].title for name in SFT_FORMATS] == [
        "Only Label",
        "Free Reasoning",
        "Reasoning Narrative",
        "Reasoning A",
    ]
    assert all(name == prompt.name and prompt.version >= 1 for name, prompt in PROMPTS.items())


@pytest.mark.parametrize("prompt", OURS, ids=lambda prompt: prompt.name)
def test_a_prompt_says_task_labels_and_format_once(prompt):
    assert 40 <= len(prompt.text.split()) <= 110
    assert prompt.text.count(", ".join(FINDINGS)) == 1
    for block in ("think", "solution"):
        assert (f"<{block}></{block}>" in prompt.text) == (block in prompt.answer.blocks)
    assert "  " not in prompt.text


def test_only_the_strategy_sets_the_reasoning_prompts_apart():
    task = TASK.format(labels=", ".join(FINDINGS))
    strategies = set()
    for prompt in (PROMPTS[name] for name in (*TABLE1_PROMPTS, "free_reasoning")):
        rule = ANSWER_RULES[prompt.answer]
        assert prompt.text.startswith(task + " ")
        assert prompt.text.endswith(" " + rule)
        strategies.add(prompt.text[len(task) : -len(rule)].strip())
    assert len(strategies) == 10
    assert all(strategies)


def test_reasoning_a_lists_its_twelve_steps_in_order():
    text = PROMPTS["reasoning_a"].text
    assert len(CHECKLIST) == 12
    assert re.findall(r"(\d+) ([a-z ]+)[;.]", text) == [(str(i), step) for i, step in enumerate(CHECKLIST, 1)]


def test_a_prompt_is_no_answer_and_asks_for_other_labels_in_no_format():
    for prompt in OURS:
        assert parse_completion(prompt.text, prompt.answer).failed
    assert PROMPTS["nv_reason"].answer.blocks == ("think", "answer")
    assert PROMPTS["nv_reason"].text == "Find abnormalities and support devices."


def test_an_unknown_prompt_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"free_reasoning.*got 'narrativ'.*chexreason/prompts.py"):
        prompts.get("narrativ")
