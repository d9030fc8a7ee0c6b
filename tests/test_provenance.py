"""Results and what made them: nothing else may be shown, and what differs is named with its page."""

import json
import shutil

import pytest

from chexreason import config, provenance, stages
from chexreason.errors import UserError

DEMO = config.RESULTS / "demo"


@pytest.fixture
def demo(tmp_path):
    return shutil.copytree(DEMO, tmp_path / "demo")


def told(results) -> dict[str, str]:
    return dict(provenance.disagreements("demo", results))


def test_the_results_that_come_with_the_repository_agree_with_its_code() -> None:
    assert told(DEMO) == {}


def test_a_changed_number_is_told_with_its_page(demo) -> None:
    path = demo / "03-grpo-hard" / "metrics.csv"
    path.write_text(path.read_text().replace("macro,f1,0.", "macro,f1,0.9", 1))
    assert told(demo) == {"grpo": "results have changed since its runs: 03-grpo-hard/metrics.csv"}


def test_a_run_that_was_added_or_taken_away_is_told(demo) -> None:
    shutil.rmtree(demo / "01-prompting-reasoning_a")
    assert "01-prompting-reasoning_a/metrics.csv" in told(demo)["prompting"]
    shutil.copytree(demo / "02-sft-qwen-only_label", demo / "02-sft-qwen-more")
    assert "02-sft-qwen-more/" in told(demo)["sft"]


def test_results_without_a_record_are_told(demo) -> None:
    (demo / "notebooks" / "02_sft.json").unlink()
    assert "02_sft.json" in told(demo)["sft"]


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("chexreason/sft.py", {"prompting", "sft", "grpo", "generalization"}),
        ("chexreason/profiles/demo.yml", {"prompting", "sft", "grpo", "generalization"}),
        ("chexreason/checkpoints/qwen", {"prompting", "sft", "grpo", "generalization"}),
        ("notebooks/03_grpo.py", {"grpo"}),
    ],
)
def test_what_made_the_numbers_is_told_when_it_changes(demo, monkeypatch, name, pages) -> None:
    made_by = provenance.made_by

    def changed(stage, profile):
        return {key: "other" if key == name else digest for key, digest in made_by(stage, profile).items()}

    monkeypatch.setattr(provenance, "made_by", changed)
    found = told(demo)
    assert set(found) == pages
    assert all(name in what for what in found.values())


def test_what_only_shows_has_no_say_and_what_computes_has() -> None:
    files = provenance.made_by(provenance.STAGES["grpo"], "demo")
    assert {"chexreason/rewards.py", "chexreason/phantom/film.py", "notebooks/03_grpo.py"} <= set(files)
    assert not [name for name in files if name.startswith(("chexreason/report/", "chexreason/audit/"))]
    assert "chexreason/stages.py" not in files


def test_the_book_is_not_built_from_results_that_no_longer_agree(demo, monkeypatch) -> None:
    (demo / "02-sft-qwen-only_label" / "history.csv").write_text("step,epoch,metric,value\n")
    monkeypatch.setenv("CHEXREASON_RESULTS", str(demo.parent))
    with pytest.raises(UserError, match=r"page sft: results have changed .*history\.csv; compute them again"):
        stages.build_book("demo")


def test_the_record_is_plain_and_names_no_place_of_a_machine() -> None:
    for stage in provenance.STAGES.values():
        record = json.loads(provenance.record_file(stage, DEMO).read_text())
        assert set(record) == {"profile", "made_by", "left"}
        assert not [name for part in ("made_by", "left") for name in record[part] if name.startswith("/")]
