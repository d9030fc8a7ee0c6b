"""One notebook from end to end: failures kept apart, machine paths taken out, kernels that listen on no port."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import pytest

from chexreason import config, files
from chexreason.errors import UserError
from chexreason.written import STARTED_IN
from companion.evidence import sections
from companion.workflow import batch, stages

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
        "import sys\nfrom pathlib import Path", "print(name, n, Path.cwd() / 'a.csv')",
        "print('warming up', file=sys.stderr)", "{'where': str(Path.cwd() / 'b.csv')}",
    )  # fmt: skip
    (source.parent / "out").mkdir()
    (source.parent / "out" / "05_tiny.failed.ipynb").touch()
    executed = run(source, name="x", n=7)
    shown = capsys.readouterr()
    assert f"x 7 {source.parent}/a.csv" in shown.out
    assert "warming up" in shown.err
    assert outputs(executed) == "x 7 a.csv\n"  # progress and warnings are for the terminal
    assert [path.name for path in executed.parent.iterdir()] == ["05_tiny.ipynb"], "what failed before is gone"
    first, second = (nbformat.read(path, as_version=4) for path in (executed, run(source, name="x", n=7)))
    text = nbformat.writes(first)
    assert "b.csv" in text
    assert str(source.parent) not in text
    assert "input_path" not in text
    assert first.metadata.papermill.pop("duration") > 0
    assert second.metadata.papermill.pop("duration") > 0
    assert first == second


@pytest.mark.parametrize(
    ("cell", "told", "failures", "traced"),
    [
        ("from chexreason.errors import UserError\nraise UserError('a folder', 'x' * 250, 'make one')",
         r"\AExpected a folder, got x+…x+\. Make one\.\Z", "cache/failed", False),
        ("raise ValueError('a row')", r"got ValueError in cell \d\. See", "cache/failed", False),
        ("raise ValueError('a row')", r"05_tiny.py to run to its end, got ValueError in cell \d: a row", None, True),
        ("import os\nos._exit(9)", "got a kernel that died", None, False),
    ],
)  # fmt: skip
def test_a_failure_is_told_and_kept_apart(written, tmp_path, capsys, cell, told, failures, traced):
    """With patients' rows it is kept in the cache, and nothing else tells what the error said."""
    whole, kept = tmp_path / "out" / "05_tiny.ipynb", tmp_path / (failures or "out") / "05_tiny.failed.ipynb"
    whole.parent.mkdir()
    whole.write_text("of the last time")
    with pytest.raises(UserError, match=told) as caught:
        batch.run_notebook(written(cell, "print('never')"), whole, {}, tmp_path, failures and tmp_path / failures)
    assert len(str(caught.value)) <= 200
    assert (shown := capsys.readouterr().err).endswith(f"05_tiny.py is kept as far as it ran: {kept}\n")
    assert ("Traceback" in shown) == ("a row" in shown) == traced
    assert whole.read_text() == "of the last time"
    assert sorted(path for path in tmp_path.rglob("*.ipynb")) == sorted([kept, whole])


def test_two_runs_of_one_target_have_files_of_their_own(written, monkeypatch):
    source, started = written("print('never')"), []

    def execute(real, partial, *_, **__) -> None:
        started.append(real)
        if len(started) == 1:
            run(source)  # the other one, from its beginning to its end
        shutil.copy(real, partial)

    monkeypatch.setattr(batch.papermill, "execute_notebook", execute)
    assert [path.name for path in run(source).parent.iterdir()] == ["05_tiny.ipynb"]
    assert len(set(started)) == 2


# Which kernel it is.


@pytest.fixture
def misled(tmp_path, monkeypatch):
    """Another kernelspec of the same name, and another chexreason before ours: as JupyterHub and cluster modules do."""
    spec, copy = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json", tmp_path / "copy"
    for file, text in {
        spec: json.dumps({"argv": ["false"], "display_name": "Another", "language": "python"}),
        copy / "chexreason" / "__init__.py": "",
    }.items():
        file.parent.mkdir(parents=True)
        file.write_text(text)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(copy))
    return copy


def test_this_python_and_this_package_compute_with_the_folders_that_the_caller_named(written, misled, monkeypatch):
    monkeypatch.chdir(misled)
    monkeypatch.delenv(STARTED_IN, raising=False)
    for name, value in {"MINE": "a $HOME {b}", "NIH": "~/x", "A_KEY": "k", "PROFILE": "demo"}.items():
        monkeypatch.setenv(f"CHEXREASON_{name}", value)
    executed = run(written(
        "import os, sys, chexreason\nfrom ipykernel.kernelapp import IPKernelApp",
        "print(sys.executable, chexreason.__file__, IPKernelApp.instance().transport)",
        "print(*(os.environ[f'CHEXREASON_{name}'] for name in ('MINE', 'NIH', 'A_KEY', 'PROFILE')), sep='|')",
    ))  # fmt: skip
    ours = [f"{sys.executable} {config.ROOT / 'chexreason' / '__init__.py'} ipc"]
    ours += ["|".join((str(misled / "a $HOME {b}"), str(Path.home() / "x"), "k", "demo"))]
    assert outputs(executed) == "\n".join((*ours, "")).replace(f"{sys.prefix}/", "").replace(f"{misled.parent}/", "")


@pytest.mark.parametrize("python", ["false", sys.executable])
def test_a_kernel_that_does_not_start_is_told_in_a_line(written, misled, monkeypatch, python):
    (misled / "sitecustomize.py").write_text(f"import sys; sys.path.insert(0, {str(misled)!r}); import chexreason")
    monkeypatch.setattr(sys, "executable", shutil.which(python))
    with pytest.raises(UserError, match="a kernel that did not start"):
        run(written("print('never')"))


# The kernels' addresses.

#: A cell that says by a file where its kernel listens, and goes on when as many kernels as `n` have said so.
MEET = """\
import os, time
from pathlib import Path
from ipykernel.kernelapp import IPKernelApp

kernel, met = IPKernelApp.instance(), Path({met!r})
(met / str(os.getpid())).write_text(f"{{kernel.transport}} {{kernel.ip}}")
while len(list(met.iterdir())) < {n}:
    time.sleep(0.05)
"""


def test_a_socket_has_a_path_that_the_system_takes(tmp_path, monkeypatch):
    long, short = tmp_path / ("long" * 20), Path(tempfile.mkdtemp())
    long.mkdir()
    for place in (short, long):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with batch.private_kernel() as private:
            file = Path(private.KernelManager.connection_file)
            assert (place in file.parents) == (place == short)
            assert len(os.fsencode(file.with_name("kernel-ipc-5"))) <= batch.LONGEST
            assert file.parent.stat().st_mode & 0o77 == 0
        assert not file.parent.exists()


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
    cell = f"```{{code-cell}}\n{MEET.format(met=str(met), n=2)}```\n"
    for number in range(6):
        (pages / f"page{number}.md").write_text(head + others * (number == 0) + cell if number < 2 else "# Page\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-j", "6", str(pages), str(tmp_path / "built")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    addresses = {path.read_text() for path in met.iterdir()}
    assert len(addresses) == 2
    assert all(found.startswith("ipc /") and not Path(found.split()[1]).parent.exists() for found in addresses)
    assert {path.name for path in pages.iterdir()} == {"conf.py", *(f"page{number}.md" for number in range(6))}
    assert "private_kernels" in (config.ROOT / "_config.yml").read_text()


# One at a time, and what a stage has left.


@pytest.mark.parametrize("ends", ["by itself", "killed"])
def test_the_second_waits_for_the_first_however_that_ends(tmp_path, ends):
    lock, go, first, second = (tmp_path / name for name in ("a/lock", "go", "first", "second"))

    def held(*words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "companion.workflow.locked", str(lock), "bash", "-c", *words]
        return subprocess.Popen(command, cwd=config.ROOT, stderr=subprocess.PIPE, text=True)

    one = held(f"touch '{first}'; until [ -e '{go}' ]; do sleep 0.05; done")
    while not first.exists():
        assert one.poll() is None
        time.sleep(0.05)
    other = held(f"touch '{second}'; exit 7")
    assert "waiting for another command" in other.stderr.readline()
    assert not second.exists()
    one.kill() if ends == "killed" else go.touch()
    one.communicate()
    other.communicate()
    assert other.returncode == 7, "the command's own status"
    assert second.exists()


#: A notebook that leaves what a stage's runs leave, and where.
LEAVES = """\
import json
from pathlib import Path
for prompt in {prompts!r}:
    run = Path(results) / "smoke" / f"01-prompting-{{prompt}}"
    for path, text in ((run / "run.json", json.dumps({{"run_id": run.name, "tier": "", "config_digest": "d"}})),
                       (Path(cache) / "made-here" / run.name, "{digest}")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
"""


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A function that puts a notebook that leaves runs in the place of the first stage's, and the profile to run it."""
    profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    place = shutil.copytree(sections.NOTEBOOKS, tmp_path / "notebooks")
    monkeypatch.setattr(sections, "NOTEBOOKS", place)

    def put(digest: str = "d", but: int = 0) -> None:
        cell = LEAVES.format(prompts=profile.study["prompting"]["prompts"][but:], digest=digest)
        words = "".join(f"{name} = None\n" for name in ("profile", "seed", "results", "cache", "given"))
        (place / "01_prompting.py").write_text(f'{HEADER}# %% tags=["parameters"]\n{words}\n# %%\n{cell}')

    return put, profile


def test_a_stage_waits_for_one_of_another_cache_with_the_same_results(stage, tmp_path, monkeypatch, capsys):
    """And clears what a killed one has left; git shows nothing of the locks."""
    (_, profile), begun = stage, threading.Event()
    (killed := profile.results / "notebooks" / "01_prompting.xyz.partial").mkdir(parents=True)
    monkeypatch.setattr(batch, "run_notebook", lambda *_: begun.set())
    monkeypatch.setattr(stages, "_not_made_here", lambda *_: iter(()))
    second = threading.Thread(target=stages.run_stage, args=["prompting", profile], daemon=True)
    with files.alone_at("01_prompting.lock", tmp_path / "cache of another seed", profile.results):
        second.start()
        while "waiting for another command that is at work on 01_prompting" not in capsys.readouterr().err:
            assert second.is_alive()
            time.sleep(0.05)
        assert not begun.is_set()
    second.join()
    assert begun.is_set()
    assert not killed.exists()
    assert ".locks/" in (config.ROOT / ".gitignore").read_text().splitlines()


def test_no_notebook_publishes_the_folder_that_a_variable_names(stage, tmp_path, monkeypatch):
    """Its kernel reads the variable itself."""
    monkeypatch.setattr(batch, "run_notebook", lambda *words: asked.append(words[2]["results"]))
    monkeypatch.setattr(stages, "_not_made_here", lambda *_: iter(()))
    asked, (_, profile) = [], stage
    for variable in ("", str(tmp_path / "results")):
        monkeypatch.setenv("CHEXREASON_RESULTS", variable)
        stages.run_stage("prompting", profile)
    assert asked == [str(tmp_path / "results"), ""]


@pytest.mark.parametrize("wrong", [{"but": 1}, {"digest": "another's"}])
def test_a_stage_whose_runs_are_not_there_is_not_done_and_has_no_record(stage, wrong):
    put, profile = stage
    put(**wrong)
    with pytest.raises(UserError, match="none of this machine's for 01-prompting-"):
        stages.run_stage("prompting", profile)
    assert not stages.done_file("prompting", profile).exists()
    assert not list(profile.results.rglob("01_prompting.json"))


def test_no_clock_decides_whether_a_stage_or_the_book_is_done(stage, tmp_path):
    """Everything is stamped years ahead; what made it, what it was given and what it left have the say."""
    put, profile = stage
    put()
    done = stages.done_file("prompting", profile)
    later = stages.done_file("grpo", profile)
    book, run = stages.book_file(tmp_path), profile.results / "01-prompting-reasoning_a" / "run.json"
    stages.run_stage("prompting", profile)
    noted, ahead = done.read_text(), time.time() + 1e8

    def hold() -> list[bool]:
        for path, text in ((done, noted), (later, after), (book, built)):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            os.utime(path, (ahead, ahead))
        stages.refresh(profile, tmp_path)
        return [path.exists() for path in (done, later, book)]

    after = json.dumps(stages._noted("grpo", profile))
    built = json.dumps({"book": stages.book_digest(profile.results)})
    assert hold() == [True, True, True]
    (profile.results / "02-sft-new").mkdir()
    (profile.results / "02-sft-new" / "run.json").touch()
    assert hold() == [True, False, False]
    whole = run.read_text()
    run.write_text(whole + " ")
    assert hold() == [False, False, False]
    run.write_text(whole)
    put(but=2)
    assert hold() == [False, False, False]
