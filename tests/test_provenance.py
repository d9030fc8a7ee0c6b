"""Results and what made them: nothing else may be shown, and what differs is named with its page."""

import json
import re
import runpy
import shutil

import pytest

from chexreason import config
from chexreason.errors import UserError
from companion.evidence.sections import STAGES
from companion.workflow import provenance, stages

DEMO = config.RESULTS / "demo"


@pytest.fixture
def demo(tmp_path):
    """The committed results, as if the code as it is now had made them."""
    place = shutil.copytree(DEMO, tmp_path / "demo")
    for stage in STAGES.values():
        provenance.write_record(stage, "demo", place, provenance.made_by(stage, "demo"))
    return place


def told(results) -> dict[str, str]:
    return dict(provenance.disagreements("demo", results))


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


ALL = {"prompting", "sft", "grpo", "generalization"}


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("chexreason/sft.py", {"sft"}),
        ("chexreason/rewards.py", {"grpo"}),
        ("chexreason/evaluate.py", ALL),
        ("companion/phantoms/radiograph.py", ALL),
        ("companion/phantoms/rates.csv", ALL),
        ("companion/speed/sft.py", {"sft"}),
        ("chexreason/profiles/demo.yml", ALL),
        ("companion/phantoms/checkpoints/qwen", ALL),
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
    files = provenance.made_by(STAGES["grpo"], "demo")
    assert {"chexreason/rewards.py", "companion/phantoms/radiograph.py", "notebooks/03_grpo.py"} <= set(files)
    elsewhere = ("companion/report/", "companion/evidence/", "companion/workflow/", "companion/replication/")
    assert not [name for name in files if name.startswith(elsewhere)]


def test_an_import_is_followed_wherever_it_stands_unless_it_is_for_types_alone(tmp_path, monkeypatch) -> None:
    sources = {
        "a.py": "def late():\n    from chexreason import b\n",
        "b.py": "from typing import TYPE_CHECKING\nimport chexreason.c.d\nif TYPE_CHECKING:\n    import chexreason.e\n",
        "c/__init__.py": "", "c/d.py": "import numpy", "e.py": "", "__init__.py": "",
    }  # fmt: skip
    for name, text in sources.items():
        (tmp_path / "chexreason" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chexreason" / name).write_text(text)
    monkeypatch.setattr(provenance, "SOURCES", tmp_path)
    found = {path.relative_to(tmp_path / "chexreason").as_posix() for path in provenance.closure(["chexreason.a"])}
    assert found == {"__init__.py", "a.py", "b.py", "c/__init__.py", "c/d.py"}
    with pytest.raises(UserError, match="a module of chexreason or companion, got no_such"):
        provenance.closure(["no_such"])


def test_a_page_whose_results_no_longer_agree_is_told_to_the_book_and_refused_for_a_release(demo, monkeypatch) -> None:
    (demo / "02-sft-qwen-only_label" / "history.csv").write_text("step,epoch,metric,value\n")
    found = stages.stale_pages("demo", demo)
    own = [what for what in found["sft"] if "history.csv" in what]
    assert own == ["results have changed since its runs: 02-sft-qwen-only_label/history.csv"]
    assert all(own[0] in found[page] for page in ("index", "audit", "claims"))
    monkeypatch.setattr(config, "RESULTS", demo.parent)
    with pytest.raises(UserError, match=r"page sft: results have changed .*history\.csv.*\. Compute them again"):
        stages.require_fresh("demo")


def test_a_stale_page_bears_a_badge_below_its_title(monkeypatch) -> None:
    mark = runpy.run_path(str(config.ROOT / "book" / "_ext" / "stale_pages.py"))["mark"]
    monkeypatch.setenv("CHEXREASON_STALE", json.dumps({"sft": ["code has changed", "results, too"]}))
    page, other = ["---\na: b\n---\n# Learning\n\n# Second"], ["# Asking"]
    mark(None, "sft", page)
    mark(None, "prompting", other)
    assert re.search(
        r"# Learning\n\n:::\{warning\}\n.*older than the code.*\n- code has changed\n- results, too\n:::\n\n# S",
        page[0],
    )
    assert other == ["# Asking"]


def test_the_record_is_plain_and_names_no_place_of_a_machine() -> None:
    for stage in STAGES.values():
        record = json.loads(provenance.record_file(stage, DEMO).read_text())
        assert set(record) == {"profile", "made_by", "left"}
        assert not [name for part in ("made_by", "left") for name in record[part] if name.startswith("/")]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Both packages in a folder of their own, which `made_by` then reads."""
    for name in provenance.PACKAGES:
        shutil.copytree(config.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "SOURCES", tmp_path)
    monkeypatch.setattr(config, "PROFILES", tmp_path / "chexreason" / "profiles")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new", "changes"),
    [
        ("chexreason/rewards.py", "exact: float = paper(100.0", "exact: float = paper(101.0", True),
        ("chexreason/rewards.py", "Range: -short_penalty to 1.", "Between -short_penalty and 1.", False),
        ("chexreason/labels.py", "#: The 14 findings", "# a comment\n#: The 14 findings", False),
        ("companion/report/theme.py", "#0072b2", "#0072b3", False),
        ("chexreason/profiles/demo.yml", "seed: 0", "seed: 1", True),
    ],
)
def test_the_files_themselves_are_read(copied, name, old, new, changes) -> None:
    stage = STAGES["grpo"]
    before = provenance.made_by(stage, "demo")
    text = (copied / name).read_text()
    assert old in text
    (copied / name).write_text(text.replace(old, new))
    after = provenance.made_by(stage, "demo")
    assert {key for key in before if before[key] != after[key]} == ({name} if changes else set())


def test_another_checkpoint_is_another_maker(copied) -> None:
    before = provenance.made_by(STAGES["sft"], "demo")
    weights = copied / "companion" / "phantoms" / "checkpoints" / "qwen" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    after = provenance.made_by(STAGES["sft"], "demo")
    assert {key for key in before if before[key] != after[key]} == {"companion/phantoms/checkpoints/qwen"}


@pytest.fixture
def experiment(copied, tmp_path):
    """A run of the experiment with its record, below results/experiment; the sources are a copy."""
    run = tmp_path / "results" / "experiment" / "seed0" / "base-best-answers"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (run / "metrics.csv").write_text("finding,metric,value\n")
    provenance.write_experiment_record(tmp_path / "results" / "experiment")
    return tmp_path / "results"


def test_the_experiment_agrees_with_its_record_until_something_changes(experiment, copied) -> None:
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    (copied / "companion" / "evidence" / "analysis.py").write_text("shown = 'otherwise'\n")  # it only shows
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    metrics = experiment / "experiment" / "seed0" / "base-best-answers" / "metrics.csv"
    metrics.write_text(metrics.read_text() + "macro,f1,0.9\n")
    rewards = copied / "chexreason" / "rewards.py"
    rewards.write_text(rewards.read_text().replace("paper(100.0", "paper(101.0"))
    found = list(provenance.disagreements("demo", experiment / "demo"))
    assert [page for page, _ in found] == ["cells, scaffold, collapse, selection, cures"] * 2
    assert "results have changed since its runs: seed0/base-best-answers/metrics.csv" in found[0][1]
    assert "chexreason/rewards.py" in found[1][1]


def test_runs_of_other_code_are_recorded_only_after_some_were_run_again(experiment, copied) -> None:
    place = experiment / "experiment"
    rewards = copied / "chexreason" / "rewards.py"
    rewards.write_text(rewards.read_text().replace("paper(100.0", "paper(101.0"))
    with pytest.raises(UserError, match="chexreason experiment again"):
        provenance.write_experiment_record(place)
    provenance.write_experiment_record(place, again={"arms": ["base"]})
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    provenance.write_experiment_record(place)
    assert json.loads((place / "record.json").read_text())["again"] == {"arms": ["base"]}


def test_an_experiment_without_a_record_is_not_shown(experiment) -> None:
    (experiment / "experiment" / "record.json").unlink()
    assert "no record" in next(provenance.disagreements("demo", experiment / "demo"))[1]


def test_a_table_about_drawn_films_is_shown_only_with_the_generator_it_was_measured_on(experiment, monkeypatch) -> None:
    table = experiment / "phantoms" / "difficulty.csv"
    table.parent.mkdir()
    table.write_text("hospital,auc\nA,0.9\n")
    provenance.write_measured(table)
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "generator_digest", lambda: "another")
        [(page, what)] = provenance.disagreements("demo", experiment / "demo")
    assert page == "phantoms"
    assert "films of another generator: python benchmarks/phantom_difficulty.py" in what
    table.write_text("hospital,auc\nA,0.99\n")
    assert "has changed since it was measured" in next(provenance.disagreements("demo", experiment / "demo"))[1]


def test_a_benchmark_is_shown_only_with_the_code_it_was_taken_on(experiment, copied) -> None:
    place = experiment / "benchmarks"
    place.mkdir()
    codes = {task: provenance.measured_code("speed.csv", task) for task in ("sft-qwen", "grpo", "bootstrap")}
    rows = "".join(f"{task},2.0,{code}\n" for task, code in codes.items())
    (place / "speed.csv").write_text(f"task,ratio,code\n{rows}")
    (place / "films.csv").write_text(f"studies,ratio,code\n200,40,{provenance.measured_code('films.csv')}\n")
    (place / "vllm.csv").write_text(f"family,code\nqwen,{provenance.measured_code('vllm.csv')}\n")
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    (copied / "companion" / "replication" / "vllm_engine.py").write_text("MEMORY = 0.9\n")
    (copied / "companion" / "speed" / "masks.py").write_text("slower = True\n")
    (copied / "chexreason" / "data" / "prepared.py").write_text("slower = True\n")
    told = [one for one in provenance.disagreements("demo", experiment / "demo") if one[0] == "costs"]
    assert len(told) == 3
    assert told[0][1] == "speed.csv was measured with other code: python benchmarks/speed.py grpo sft-qwen"
    assert told[1][1] == "films.csv was measured with other code: python benchmarks/prepared_films.py"
    assert told[2][1].endswith("other code: python benchmarks/vllm_agreement.py --stand-in --family qwen")
