"""The notebooks narrate, take the same parameters and are known by their code; test_paper_profile.py runs them."""

import ast

import jupytext
import pytest

from chexreason import config
from companion.evidence import paired, sections
from companion.workflow import batch, provenance, stages

SOURCES = [stage.source for stage in stages.STAGES.values()]
ALL = [*SOURCES, sections.NOTEBOOKS / "05_reanalysis.py"]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("source", ALL)
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
    for source in SOURCES:
        tagged = [c.source for c in code_cells(jupytext.read(source)) if "parameters" in c.metadata.get("tags", ())]
        assert len(tagged) == 1
        cells.add(tagged[0])
    [cell] = cells
    names = [node.target.id for node in ast.parse(cell).body]
    assert names == ["profile", "seed", "results", "cache", "given"]


@pytest.mark.parametrize("drop", [False, True])
def test_the_notebook_of_reanalysis_computes_what_the_command_does(tmp_path, drop):
    chosen = {"run_a": "04-generalization-qwen-nih", "run_b": "04-generalization-medgemma-nih"}
    parameters = {**chosen, "labels": "Edema,Atelectasis", "uncertain": "ones", "drop_failures": drop}
    parameters |= {"against": "drawn"} if drop else {}
    executed = tmp_path / "05.ipynb"
    batch.run_notebook(sections.NOTEBOOKS / "05_reanalysis.py", executed, parameters, config.ROOT, None)
    shown = executed.read_text(encoding="utf-8")
    runs = tuple(paired.open_run(name, "demo", config.RESULTS) for name in chosen.values())
    rows = tuple(map(paired.rows_of, runs))
    found = paired.compare(runs, rows, findings=("Edema", "Atelectasis"), policy="ones", drop_failures=drop,
                           against="drawn" if drop else "recorded")  # fmt: skip
    assert f"{found.studies} studies of {found.patients} patients" in shown
    for value in found.table["difference"].round(3):
        assert str(value) in shown


def test_prose_in_a_notebook_does_not_change_its_digest(tmp_path, monkeypatch):
    stage = stages.STAGES["prompting"]
    text, digest = stage.source.read_text(), provenance.made_by(stage, "smoke")
    monkeypatch.setattr(sections, "NOTEBOOKS", tmp_path)
    (tmp_path / "01_prompting.py").write_text(
        text.replace("\n# Before", "\n# A typo mended. Before").replace("# %%\nchosen", "# %%\n# so\nchosen")
    )
    assert provenance.made_by(stage, "smoke") == digest
    (tmp_path / "01_prompting.py").write_text(text.replace("seed=seed", "seed=1"))
    assert provenance.made_by(stage, "smoke") != digest
