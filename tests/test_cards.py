"""What fits on which card: the advice is a line that a profile takes, and it is the smallest that helps."""

import dataclasses

import pytest
import yaml
from chapter import sentences

from chexreason import config, written
from companion.replication import cards
from companion.replication.memory import GB, need


@pytest.fixture
def paper() -> config.Profile:
    return config.load_profile("paper", unset=True)


def taken(line: str, tmp_path) -> config.Profile:
    """The profile `paper` with a line of ours among its overrides."""
    text = yaml.safe_load(written.file_of("paper").read_text(encoding="utf-8"))
    text["overrides"] += yaml.safe_load(line)
    (tmp_path / "mine.yml").write_text(yaml.safe_dump(text), encoding="utf-8")
    return config.load_profile(str(tmp_path / "mine.yml"), unset=True)


def test_a_profile_takes_the_line_and_then_fits(paper, tmp_path) -> None:
    card = 16 * GB
    assert cards.most(paper, "evaluate", {}, card) > card
    change = cards.smallest(paper, "evaluate", card)
    mine = taken(cards.lines(change, "a small card"), tmp_path)
    assert max(sum(need(mine, base, "evaluate").values()) for base in cards.bases(mine, "evaluate")) <= card
    assert cards.smallest(mine, "evaluate", card) == {}
    assert mine.decoding == dataclasses.replace(paper.decoding, batch_size=change["decoding.batch_size"])


def test_changes_need_less_and_less_and_the_first_that_fits_is_told(paper) -> None:
    for stage in cards.STAGES:
        all_ = list(cards.changes(paper, stage))
        assert all_[0] == {}
        assert len({str(change) for change in all_}) == len(all_)
        assert cards.most(paper, stage, all_[-1]) <= cards.most(paper, stage, {})
        for gigabytes in (80, 16, 12):
            found = cards.smallest(paper, stage, gigabytes * GB)
            before = all_[: all_.index(found)] if found is not None else all_
            assert all(cards.most(paper, stage, one, gigabytes * GB) > gigabytes * GB for one in before)


def test_recomputing_comes_before_fewer_rows_and_without_vllm_before_both(paper) -> None:
    grpo = dataclasses.replace(paper.grpo, gradient_checkpointing=False, use_vllm=True)
    fast = dataclasses.replace(paper, grpo=grpo)
    assert cards.smallest(fast, "grpo", 80 * GB) == {}
    told = cards.smallest(fast, "grpo", 20 * GB)
    assert told == {"grpo.gradient_checkpointing": True, "grpo.use_vllm": False}
    line = "- {setting: grpo.gradient_checkpointing, value: true, why: 20 GB}"
    assert line in cards.lines(told, "20 GB")


def test_vllm_needs_its_own_weights_in_its_share(paper) -> None:
    vllm = {"grpo.use_vllm": True}
    assert cards.most(paper, "grpo", vllm, 80 * GB) < 80 * GB
    assert cards.most(paper, "grpo", vllm, 16 * GB) == float("inf")


def test_the_bases_are_those_that_the_profile_loads(paper) -> None:
    assert cards.bases(paper, "evaluate") == ["medgemma", "nv_reason", "qwen"]
    assert cards.bases(paper, "sft") == ["medgemma", "qwen"]
    assert cards.bases(paper, "grpo") == ["medgemma"]
    other = dataclasses.replace(paper, study={**paper.study, "grpo": {**paper.study["grpo"], "model": "mine"}})
    assert cards.bases(other, "grpo") == []
    assert "GRPO" not in "".join(cards.advice(other, 16 * GB)), "its shape is not known"


def test_the_tables_of_the_book(paper) -> None:
    table, options, parts = cards.table(), cards.options(), cards.parts()
    assert list(table.columns) == ["card", "evaluation", "SFT", "GRPO"]
    assert list(table["card"]) == ["80 GB", "48 GB", "24 GB", "16 GB"]
    assert table.loc[0, "GRPO"].endswith(" GB as it is")
    assert list(options["option"].unique()) == list(cards.OPTIONS)
    assert not options.duplicated(["option", "stage"]).any()
    for size, name in ((need(paper, "medgemma", stage), cards.ABOUT[stage][0]) for stage in cards.STAGES):
        assert parts[name].iloc[-1] == f"{sum(size.values()) / GB:.2f}"


@pytest.mark.parametrize(
    "title", [name for name in cards.OPTIONS if cards.loads_in_bits() or not name.endswith("bits")]
)
def test_each_line_of_the_book_is_one_that_a_profile_takes(paper, title, tmp_path) -> None:
    for stage, change in cards.OPTIONS[title].items():
        line = cards.lines(change, "to try it")
        if line.startswith("- "):
            mine = taken(line, tmp_path)
            made, bits = cards.changed(paper, change)
            assert bits < 16 or getattr(mine, cards.ABOUT[stage][1]) == getattr(made, cards.ABOUT[stage][1])
            assert cards.most(mine, stage, {}) == cards.most(paper, stage, change)


def test_the_chapter_shows_them_and_says_that_they_are_computed() -> None:
    said = sentences("real", shown=True)
    assert "1.3 GB for the CUDA context, and 10% of all but the weights" in said
    assert "takes 40% of the card" in said
    assert "All memory below is **computed, not measured**" in said


def test_the_tables_need_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys; from companion.replication import cards; cards.table(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
