"""The prompts say the task, the labels and the format, and differ in their strategy alone."""

import re

import pytest

from chexreason import prompts
from chexreason.completions import parse_completion
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.prompts import ANSWER_RULES, CHECKLIST, PROMPTS, SFT_FORMATS, TABLE1_PROMPTS, TASK


def test_the_nine_variants_of_table_1_and_the_four_formats_of_table_2():
    letters = [f"Reasoning {letter}" for letter in "ABCDEF"]
    table1, table2 = ([PROMPTS[name].title for name in names] for names in (TABLE1_PROMPTS, SFT_FORMATS))
    assert table1 == ["Reasoning Narrative", "Reasoning Self-Check", "Reasoning Hypothesis", *letters]
    assert table2 == ["Only Label", "Free Reasoning", "Reasoning Narrative", "Reasoning A"]
    assert all(name == prompt.name and prompt.version >= 1 for name, prompt in PROMPTS.items())


@pytest.mark.parametrize("prompt", [prompt for prompt in PROMPTS.values() if prompt.name != "nv_reason"])
def test_a_prompt_says_task_labels_and_format_once_and_is_no_answer(prompt):
    assert 40 <= len(prompt.text.split()) <= 110
    assert prompt.text.count(", ".join(FINDINGS)) == 1
    for block in ("think", "solution"):
        assert (f"<{block}></{block}>" in prompt.text) == (block in prompt.answer.blocks)
    assert "  " not in prompt.text
    assert parse_completion(prompt.text, prompt.answer).failed


def test_only_the_strategy_sets_the_reasoning_prompts_apart():
    task, strategies = TASK.format(labels=", ".join(FINDINGS)), set()
    for prompt in (PROMPTS[name] for name in (*TABLE1_PROMPTS, "free_reasoning")):
        rule = ANSWER_RULES[prompt.answer]
        assert prompt.text.startswith(task + " ")
        assert prompt.text.endswith(" " + rule)
        strategies.add(prompt.text[len(task) : -len(rule)].strip())
    assert len(strategies) == 10
    assert all(strategies)
    steps = re.findall(r"(\d+) ([a-z ]+)[;.]", PROMPTS["reasoning_a"].text)
    assert steps == [(str(i), step) for i, step in enumerate(CHECKLIST, 1)]
    assert len(CHECKLIST) == 12


def test_nv_reason_is_asked_as_its_card_says_and_an_unknown_prompt_is_named():
    assert PROMPTS["nv_reason"].answer.blocks == ("think", "answer")
    assert PROMPTS["nv_reason"].text == "Find abnormalities and support devices."
    with pytest.raises(UserError, match=r"free_reasoning.*got 'narrativ'.*chexreason/prompts.py"):
        prompts.get("narrativ")
