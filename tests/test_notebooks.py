"""The four notebooks: thin, whole and repeatable; run on the smallest profile by the fixture `smoke`."""

import ast
import json
import subprocess

import jupytext
import nbformat
import pytest

from chexreason import config, prompts, rewards, runs
from chexreason.config import STUDY
from companion.evidence import sections
from companion.workflow import stages

SOURCES = {name: stage.source for name, stage in stages.STAGES.items()}


@pytest.fixture(params=SOURCES)
def source(request):
    return SOURCES[request.param]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_a_notebook_narrates_and_defines_nothing(source):
    notebook = jupytext.read(source)
    tree = ast.parse("\n".join(cell.source for cell in code_cells(notebook)))
    defined = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)]
    assert defined == []
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert sum(cell.cell_type == "markdown" for cell in notebook.cells) >= 4


def test_the_notebooks_take_the_same_parameters():
    cells = set()
    for source in SOURCES.values():
        tagged = [c.source for c in code_cells(jupytext.read(source)) if "parameters" in c.metadata.get("tags", ())]
        assert len(tagged) == 1
        cells.add(tagged[0])
    [cell] = cells
    names = [node.target.id for node in ast.parse(cell).body]
    assert names == ["profile", "seed", "results", "cache", "given"]


def test_prose_in_a_notebook_does_not_change_its_digest(tmp_path, monkeypatch):
    stage = stages.STAGES["prompting"]
    text, digest = stage.source.read_text(), stages.code_digest(stage, "smoke")
    monkeypatch.setattr(sections, "NOTEBOOKS", tmp_path)
    (tmp_path / "01_prompting.py").write_text(
        text.replace("\n# Before", "\n# A typo mended. Before").replace("# %%\nchosen", "# %%\n# so\nchosen")
    )
    assert stages.code_digest(stage, "smoke") == digest
    (tmp_path / "01_prompting.py").write_text(text.replace("seed=seed", "seed=1"))
    assert stages.code_digest(stage, "smoke") != digest


def test_every_stage_leaves_its_executed_notebook(smoke, source):
    executed = smoke.profile.results / "notebooks" / f"{source.stem}.ipynb"
    text = executed.read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.execution_count for cell in code_cells(notebook))
    assert not [o for cell in code_cells(notebook) for o in cell.outputs if o.output_type == "error"]
    assert not [o for cell in code_cells(notebook) for o in cell.outputs if o.get("name") == "stderr"]
    assert f"{config.ROOT}/" not in text


def test_every_run_is_there_and_whole(smoke):
    expected = {f"01-prompting-{name}" for name in prompts.TABLE1_PROMPTS}
    expected |= {f"02-sft-{base}-{name}" for base in STUDY["sft"]["models"] for name in prompts.SFT_FORMATS}
    expected |= {f"03-grpo-{name}" for name in rewards.REWARDS}
    expected |= {
        f"04-generalization-{model}-{dataset}"
        for model in ("nv_reason", "medgemma", "qwen", "medgemma_sft", "chexreason")
        for dataset in ("chexpert", "nih")
    }
    found = runs.read_all(smoke.profile.results)
    assert {run.run_id for run in found} == expected
    for run in found:
        assert run.info["tier"] == "miniature"
        assert len(run.metrics()) > 0
        assert len(run.predictions()) == run.info["n"]


def test_nothing_half_made_is_left(smoke):
    left = [
        p
        for p in smoke.profile.results.rglob("*")
        if p.name.endswith((".partial", ".failed.ipynb")) or p.name[0] == "."
    ]
    assert left == []


def test_the_same_command_again_repeats_nothing(smoke):
    before = {path: path.read_bytes() for path in smoke.profile.results.glob("*/run.json")}
    subprocess.run(smoke.command("run", "grpo"), check=True, capture_output=True)
    assert {path: path.read_bytes() for path in smoke.profile.results.glob("*/run.json")} == before


def test_a_done_file_holds_until_a_result_changes(smoke, monkeypatch):
    done = stages.done_file("prompting", smoke.profile)
    stages.refresh(smoke.profile)
    assert done.is_file()
    listed = json.loads(done.read_text())["files"]
    name = next(name for name in listed if name.endswith("run.json"))
    content, told = (smoke.profile.results / name).read_bytes(), done.read_text()
    try:
        (smoke.profile.results / name).write_bytes(content + b"\n")
        stages.refresh(smoke.profile)
        assert not done.exists()
    finally:
        (smoke.profile.results / name).write_bytes(content)
        done.write_text(told)
