"""One notebook from end to end: failures kept apart, machine paths taken out, kernels that listen on no port."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from chexreason import config
from chexreason.errors import UserError
from companion.workflow import batch

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""
PARAMETERS = """\
# %% tags=["parameters"]
name: str = "demo"
n: int = 2

"""


@pytest.fixture
def written(tmp_path):
    """A function that writes a text notebook of the given code cells and returns its path."""

    def write(*cells: str) -> Path:
        path = tmp_path / "05_tiny.py"
        path.write_text(HEADER + PARAMETERS + "".join(f"# %%\n{cell}\n\n" for cell in cells))
        return path

    return write


def run(source: Path, **parameters) -> Path:
    return batch.run_notebook(source, source.parent / "out" / "05_tiny.ipynb", parameters, source.parent)


def outputs(executed: Path) -> str:
    notebook = nbformat.read(executed, as_version=4)
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))


def test_a_whole_run_is_kept_without_paths_and_another_differs_in_its_duration_only(written, capsys):
    source = written(
        "import sys\nfrom pathlib import Path\nfrom ipykernel.kernelapp import IPKernelApp",
        "print(name, n, Path.cwd() / 'a.csv', IPKernelApp.instance().transport)",
        "print('warming up', file=sys.stderr)", "{'where': str(Path.cwd() / 'b.csv')}",
    )  # fmt: skip
    (source.parent / "out").mkdir()
    (source.parent / "out" / "05_tiny.failed.ipynb").touch()
    executed = run(source, name="x", n=7)
    shown = capsys.readouterr()
    assert f"x 7 {source.parent}/a.csv" in shown.out
    assert "warming up" in shown.err
    assert outputs(executed) == "x 7 a.csv ipc\n"  # progress and warnings are for the terminal
    assert [path.name for path in executed.parent.iterdir()] == ["05_tiny.ipynb"], "what failed before is gone"
    first, second = (nbformat.read(path, as_version=4) for path in (executed, run(source, name="x", n=7)))
    text = nbformat.writes(first)
    assert "b.csv" in text
    assert str(source.parent) not in text
    assert "input_path" not in text
    assert first.metadata.papermill.pop("duration") > 0
    assert second.metadata.papermill.pop("duration") > 0
    assert first == second


def test_a_failing_notebook_is_kept_apart_and_the_last_whole_one_stays(written, capsys):
    source = written("print('so far')", "1 / 0", "print('never')")
    executed = source.parent / "out" / "05_tiny.ipynb"
    executed.parent.mkdir()
    executed.write_text("whole")
    with pytest.raises(UserError, match=r"05_tiny.py to run to its end, got ZeroDivisionError in cell \d"):
        run(source)
    assert "ZeroDivisionError" in capsys.readouterr().err  # the traceback is for us
    failed = executed.with_suffix(".failed.ipynb")
    assert "ZeroDivisionError" in failed.read_text()
    assert executed.read_text() == "whole"
    assert sorted(path.name for path in executed.parent.iterdir()) == [failed.name, executed.name]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("from chexreason.errors import UserError\nraise UserError('a folder', 'nothing at all', 'make one')",
         r"Expected a folder, got nothing at all\. Make one"),
        ("import os\nos._exit(9)", "got a kernel that died"),
    ],
)  # fmt: skip
def test_a_failure_is_told_and_kept_where_its_caller_wants_it(written, tmp_path, capsys, cell, told):
    elsewhere = tmp_path / "cache" / "failed"
    with pytest.raises(UserError, match=told) as caught:
        batch.run_notebook(written(cell), tmp_path / "out" / "05_tiny.ipynb", {}, tmp_path, elsewhere)
    assert f"ee {elsewhere}/05_tiny.failed.ipynb" in str(caught.value)
    assert "Traceback" not in capsys.readouterr().err
    assert [path.name for path in elsewhere.iterdir()] == ["05_tiny.failed.ipynb"]
    assert not list((tmp_path / "out").iterdir())


def test_a_kernels_socket_has_a_path_that_the_system_takes_in_a_folder_that_others_cannot_enter(tmp_path, monkeypatch):
    long = tmp_path / ("long" * 20)
    long.mkdir()
    for place in (tmp_path, long):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with batch.private_kernel() as private:
            file = Path(private.KernelManager.connection_file)
            assert (place in file.parents) == (place == tmp_path)
            assert len(os.fsencode(file.with_name("kernel-ipc-5"))) <= batch.LONGEST
            assert file.parent.stat().st_mode & 0o77 == 0
        assert not file.parent.exists()


#: A page's cell that says by a file where its kernel listens, and goes on when two have said so.
MEET = """\
import os, time
from pathlib import Path
from ipykernel.kernelapp import IPKernelApp

kernel, met = IPKernelApp.instance(), Path({met!r})
(met / str(os.getpid())).write_text(f"{{kernel.transport}} {{kernel.ip}}")
while len(list(met.iterdir())) < 2:
    time.sleep(0.05)
"""


def test_pages_of_the_book_that_are_executed_side_by_side_have_kernels_of_their_own(tmp_path):
    """A small book with the extension that _config.yml names: six pages (Sphinx deals out no fewer), two of code."""
    pages, met = tmp_path / "pages", tmp_path / "met"
    pages.mkdir()
    met.mkdir()
    (pages / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(config.ROOT / 'book' / '_ext')!r})\n"
        "extensions, master_doc = ['myst_nb', 'private_kernels'], 'page0'\n"
        "nb_execution_mode, nb_execution_timeout, nb_execution_raise_on_error = 'force', 3600, True\n"
    )
    head = "---\nfile_format: mystnb\nkernelspec: {name: python3}\n---\n# Page\n"
    others = "```{toctree}\n:glob:\n*\n```\n"
    cell = f"```{{code-cell}}\n{MEET.format(met=str(met))}```\n"
    for number in range(6):
        (pages / f"page{number}.md").write_text(head + others * (number == 0) + cell if number < 2 else "# Page\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-j", "6", str(pages), str(tmp_path / "built")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = {path.read_text() for path in met.iterdir()}
    assert len(found) == 2
    assert all(address.startswith("ipc /") and not Path(address.split()[1]).parent.exists() for address in found)
    assert "private_kernels" in (config.ROOT / "_config.yml").read_text()
