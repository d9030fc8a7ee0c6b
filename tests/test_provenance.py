"""Results and what made them: nothing else may be shown, and what differs is named with its page."""

import json
import re
import runpy
import shutil

import pytest

from chexreason import config, written
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


def test_a_number_a_run_and_a_record_that_changed_are_told_with_their_page(demo) -> None:
    path = demo / "03-grpo-hard" / "metrics.csv"
    path.write_text(path.read_text().replace("macro,f1,0.", "macro,f1,0.9", 1))
    assert told(demo) == {"grpo": "results have changed since its runs: 03-grpo-hard/metrics.csv"}
    record = demo / "notebooks" / "03_grpo.json"
    record.write_text(record.read_text().replace('"chexreason/grpo.py": "', '"chexreason/grpo.py": "0'))
    assert told(demo)["grpo"] == "code, settings or checkpoints have changed since its runs: chexreason/grpo.py"
    shutil.rmtree(demo / "01-prompting-reasoning_a")
    shutil.copytree(demo / "02-sft-qwen-only_label", demo / "02-sft-qwen-more")
    (demo / "notebooks" / "04_generalization.json").unlink()
    found = told(demo)
    for page, what in (("prompting", "01-prompting-reasoning_a/metrics.csv"), ("sft", "02-sft-qwen-more/"),
                       ("generalization", "no record of what made them (04_generalization.json)")):  # fmt: skip
        assert what in found[page]


ALL = {"prompting", "sft", "grpo", "generalization"}


def test_what_computes_has_a_say_and_what_only_shows_has_none() -> None:
    files = {name: set(provenance.made_by(stage, "demo")) for name, stage in STAGES.items()}
    for name, pages in {
        "chexreason/sft.py": {"sft"},
        "chexreason/rewards.py": {"grpo"},
        "chexreason/evaluate.py": ALL,
        "companion/phantoms/radiograph.py": ALL,
        "companion/phantoms/rates.csv": ALL,
        "companion/speed/sft.py": {"sft"},
        "chexreason/profiles/demo.yml": ALL,
        "companion/phantoms/checkpoints/qwen": ALL,
        "notebooks/03_grpo.py": {"grpo"},
    }.items():
        assert {page for page in files if name in files[page]} == pages, name
    elsewhere = ("companion/report/", "companion/evidence/", "companion/workflow/", "companion/replication/")
    assert not [name for name in set.union(*files.values()) if name.startswith(elsewhere)]


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


def test_a_page_whose_results_no_longer_agree_is_told_to_the_book_and_refused_for_a_release(demo, monkeypatch, capsys):
    (demo / "02-sft-qwen-only_label" / "history.csv").write_text("step,epoch,metric,value\n")
    found = stages.stale_pages("demo", demo)
    own = [what for what in found["sft"] if "history.csv" in what]
    assert own == ["results have changed since its runs: 02-sft-qwen-only_label/history.csv"]
    assert all(own[0] in found[page] for page in ("index", "audit", "claims"))
    monkeypatch.setattr(config, "RESULTS", demo.parent)
    with pytest.raises(UserError, match=r"that do not\. Compute those named above again: make book PROFILE=demo"):
        stages.require_fresh("demo")
    assert f"page sft: {own[0]}\n" in capsys.readouterr().err


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


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Both packages in a folder of their own, which `made_by` then reads."""
    for name in provenance.PACKAGES:
        shutil.copytree(config.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "SOURCES", tmp_path)
    monkeypatch.setattr(written, "PROFILES", tmp_path / "chexreason" / "profiles")
    return tmp_path


EXACT = ("chexreason/rewards.py", "exact: float = paper(100.0", "exact: float = paper(101.0")


def edit(folder, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_the_files_themselves_are_read_and_only_what_computes_counts(copied) -> None:
    stage = STAGES["grpo"]
    before = provenance.made_by(stage, "demo")

    def changed() -> set[str]:
        return {key for key, digest in provenance.made_by(stage, "demo").items() if before[key] != digest}

    edit(copied, "chexreason/rewards.py", "Range: -short_penalty to 1.", "Between -short_penalty and 1.")
    edit(copied, "chexreason/labels.py", "#: The 14 findings", "# a comment\n#: The 14 findings")
    edit(copied, "companion/report/theme.py", "#0072b2", "#0072b3")
    assert changed() == set()
    edit(copied, *EXACT)
    edit(copied, "chexreason/profiles/demo.yml", "seed: 0", "seed: 1")
    weights = copied / "companion" / "phantoms" / "checkpoints" / "qwen" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert changed() == {EXACT[0], "chexreason/profiles/demo.yml", "companion/phantoms/checkpoints/qwen"}


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
    edit(copied, "companion/evidence/analysis.py", "import ", "import json as shown\nimport ")  # it only shows
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    metrics = experiment / "experiment" / "seed0" / "base-best-answers" / "metrics.csv"
    metrics.write_text(metrics.read_text() + "macro,f1,0.9\n")
    edit(copied, *EXACT)
    found = list(provenance.disagreements("demo", experiment / "demo"))
    assert [page for page, _ in found] == ["cells, scaffold, collapse, selection, cures"] * 2
    assert "results have changed since its runs: seed0/base-best-answers/metrics.csv" in found[0][1]
    assert EXACT[0] in found[1][1]
    (experiment / "experiment" / "record.json").unlink()
    assert "no record" in next(provenance.disagreements("demo", experiment / "demo"))[1]


def test_runs_of_other_code_are_recorded_only_after_some_were_run_again(experiment, copied) -> None:
    place = experiment / "experiment"
    edit(copied, *EXACT)
    with pytest.raises(UserError, match="chexreason experiment again"):
        provenance.write_experiment_record(place)
    provenance.write_experiment_record(place, again={"arms": ["base"]})
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    provenance.write_experiment_record(place)
    assert json.loads((place / "record.json").read_text())["again"] == {"arms": ["base"]}


def test_a_table_about_drawn_images_is_shown_only_with_the_generator_it_was_measured_on(
    experiment, monkeypatch
) -> None:
    table = experiment / "phantoms" / "difficulty.csv"
    table.parent.mkdir()
    table.write_text("hospital,auc\nA,0.9\n")
    provenance.write_measured(table)
    assert not list(provenance.disagreements("demo", experiment / "demo"))
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "generator_digest", lambda: "another")
        [(page, what)] = provenance.disagreements("demo", experiment / "demo")
    assert page == "phantoms"
    assert "images of another generator: python benchmarks/phantom_difficulty.py" in what
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
    (copied / "companion" / "speed" / "images.py").write_text("slower = True\n")
    told = [one for one in provenance.disagreements("demo", experiment / "demo") if one[0] == "costs"]
    assert len(told) == 3
    assert told[0][1] == "speed.csv was measured with other code: python benchmarks/speed.py grpo sft-qwen"
    assert told[1][1] == "films.csv was measured with other code: python benchmarks/prepared_images.py"
    assert told[2][1].endswith("other code: python benchmarks/vllm_agreement.py --stand-in --family qwen")


def test_the_laboratorys_answers_are_those_of_the_code_and_of_the_adapters(tmp_path, monkeypatch):
    lab = shutil.copytree(config.RESULTS / "lab", tmp_path / "lab")
    adapters = config.RESULTS / "experiment" / "runs"
    shutil.copytree(adapters, tmp_path / "experiment" / "runs")
    assert list(provenance.disagreements("demo", tmp_path / "demo")) == []
    (tmp_path / "experiment" / "runs" / "seed0" / "hard" / "adapter" / "adapter_model.safetensors").write_bytes(
        b"other"
    )
    [(page, what)] = provenance.disagreements("demo", tmp_path / "demo")
    assert (page, "adapter_model.safetensors" in what) == ("xrays, try_reward", True)
    (lab / "answers.csv.gz").write_bytes(b"")
    assert "results have changed" in str(list(provenance.disagreements("demo", tmp_path / "demo")))
