"""Hours of a GPU: the study's work counted by hand, and each limit of a token's time where it is the longest."""

import pytest

from chexreason.config import load_profile
from companion.replication import hours
from companion.replication.memory import kv_cache
from companion.replication.shapes import shape


def test_the_work_of_the_study_is_that_of_its_tables() -> None:
    done = hours.work(load_profile("paper", unset=True)).set_index(["stage", "family", "part"])["studies"]
    assert done["prompting", "medgemma", "decode"] == 9 * 500
    assert done["sft", "qwen", "sft"] == 4 * 6 * 2000, "formats, epochs, studies"
    assert done["grpo", "medgemma", "grpo"] == 2 * 1000
    assert done["grpo", "medgemma", "decode"] == 2 * 4 * 500, "rewards, checkpoints, studies"
    assert done["generalization", "medgemma", "decode"] == 3 * (500 + 25_596)
    assert done["generalization", "qwen", "decode"] == 2 * (500 + 25_596), "NV-Reason is of this architecture"
    assert hours.work(load_profile("open", unset=True))["studies"].tolist() == [2 * 25_596]


def test_a_token_takes_the_longest_of_starting_reading_and_multiplying() -> None:
    s = shape("medgemma")
    assert hours.token(s, 1, 100) == pytest.approx(s.L / 32 / 30.53)
    assert hours.token(s, 64, 20_000) == pytest.approx((2 * s.parameters + kv_cache(s, 64 * 20_000)) / 2.039e12)
    assert hours.token(s, 10_000, 1) == pytest.approx(2 * s.parameters * 10_000 / 312e12)


def test_a_thousand_images_take_their_share_of_all_and_longer_answers_take_longer() -> None:
    shown = hours.table().set_index("you have")
    assert shown["answers"].tolist() == ["none", "none", "51,192", "2,000", "76,788", "1,500", "4,500", "142,980"]
    part, whole = (load_profile("open", unset=True, given=given) for given in ({"settings": {"sizes.nih": 1000}}, {}))
    for tokens in hours.LENGTHS:
        assert hours.hours(part, tokens) / hours.hours(whole, tokens) == pytest.approx(1000 / 25_596)
    assert hours.hours(whole, 2048) > 2048 / 300 * 0.9 * hours.hours(whole, 300)
