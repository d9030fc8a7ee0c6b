"""Hours of a GPU: the study's work counted by hand, and each limit of a token's time where it is the longest."""

import re

import pytest
import yaml

from chexreason.config import ROOT, load_profile
from companion.replication import hours
from companion.replication.memory import kv_cache, prompt_tokens
from companion.replication.shapes import shape


def test_the_profiles_to_copy_are_those_whose_hours_are_shown() -> None:
    blocks = re.findall(r"```yaml\n(like: .*?)```", (ROOT / "book" / "real.md").read_text(encoding="utf-8"), re.DOTALL)
    named = {one.by: one for one in hours.HELD if one.by.startswith("profile ")}
    assert list(named) == [f"profile {k} below" for k in range(1, len(blocks) + 1)]
    for held, block in zip(named.values(), map(yaml.safe_load, blocks), strict=True):
        assert (block["like"], block["study"]) == (held.profile, held.given["study"]), held.by


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
    assert hours.token(s, 64, 20_000) == pytest.approx((2 * hours.language(s) + kv_cache(s, 64 * 20_000)) / 2.039e12)
    assert hours.token(s, 10_000, 1) == pytest.approx(2 * hours.language(s) * 10_000 / (0.4 * 312e12))


def test_language_model_and_encoder_are_the_published_ones() -> None:
    """Gemma 3's 4B is 3.88 billion in language; SigLIP So400m's 27 layers of 4 x 1152^2 + 2 x 1152 x 4304 weights."""
    s = shape("medgemma")
    assert hours.language(s) == pytest.approx(3.88e9, rel=0.01)
    assert hours.encoding(s) == pytest.approx(2 * 27 * (4 * 1152**2 + 2 * 1152 * 4304) * 4096 / (0.4 * 312e12))


def test_a_step_of_each_training_by_hand() -> None:
    profile, s, prompt = load_profile("paper", unset=True), shape("medgemma"), prompt_tokens("medgemma")
    once = max(s.L / 32 / 30.53, 2 * hours.language(s) * (prompt + 300) / (0.4 * 312e12))
    sft = once * (0.9 * 3 + 0.1) + hours.encoding(s) / 6
    assert hours.seconds(profile, "medgemma", "sft", 300) == pytest.approx(sft), "forward, backward, recomputed"
    four = max(s.L / 32 / 30.53, 2 * hours.language(s) * (prompt + 4 * 300) / (0.4 * 312e12))
    sampled = 300 * (s.L / 32 / 30.53) / 8 + max(s.L / 32 / 30.53, 2 * hours.language(s) * prompt / (0.4 * 312e12))
    grpo = sampled + hours.encoding(s) + four * (2 * 3 + 1)
    assert hours.seconds(profile, "medgemma", "grpo", 300) == pytest.approx(grpo), "two passes, one of the reference"


def test_a_thousand_images_take_their_share_of_all_and_longer_answers_take_longer() -> None:
    shown = hours.table().set_index("you have")
    assert shown["answers"].tolist() == ["none", "none", "51,192", "2,000", "76,788", "1,500", "4,500", "142,980"]
    part, whole = (load_profile("open", unset=True, given=given) for given in ({"settings": {"sizes.nih": 1000}}, {}))
    for tokens in hours.LENGTHS:
        assert hours.hours(part, tokens) / hours.hours(whole, tokens) == pytest.approx(1000 / 25_596)
    assert hours.hours(whole, 2048) > 2048 / 300 * 0.9 * hours.hours(whole, 300)
