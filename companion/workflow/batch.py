"""Running one notebook from end to end, so that a half-run one is never taken for a whole one.

papermill does the execution. Around it stand the things that it leaves to its caller: our notebooks
are text files and become real .ipynb files first; what the cells print reaches the
terminal while they run, progress bars included; the executed notebook appears under its name only
when it has run to its end, and without the paths of this machine. A failed run leaves
``NN.failed.ipynb``, with the error in it: beside it, or where its caller wants it.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets import Dict
from traitlets.config import Config

from chexreason.config import ROOT
from chexreason.errors import UserError
from chexreason.written import folder

#: Seconds that a kernel may take to start, and to hand over what a cell has shown. Both are a matter of a second;
#: nbclient's own limits (60 and 4) would fail a notebook, or lose its output, on a machine with much else to do.
PATIENCE = 3600
#: Bytes that the path of a socket may have, and the longest that is added to the place of `private_kernel`'s folder.
LONGEST, SOCKET = 103, "/chexreason-12345678/kernel-ipc-5"
#: Those of our variables that are no paths, beside the keys.
WORDS = ("CHEXREASON_PROFILE", "CHEXREASON_STALE")
#: What a kernel starts with: an environment's own start-up code may have imported another copy of the package.
START = (
    "import sys, chexreason as ours; from ipykernel.kernelapp import launch_new_instance as start; "
    "start() if ours.__file__ == {!r} else sys.exit(f'another copy of chexreason is imported: {{ours.__file__}}')"
)


def environment() -> dict[str, str]:
    """Variables for a process in another folder: paths in full, and caches in ours if the home is not writable."""
    made = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    for name, value in os.environ.items():
        if value and name.startswith("CHEXREASON_") and name not in WORDS and not name.endswith("_KEY"):
            made[name] = str(folder(value))
    if not os.access(os.path.expanduser("~"), os.W_OK):
        place = os.path.join(made.get("CHEXREASON_CACHE", ROOT / ".cache"), "home")
        made |= {name: os.environ.get(name, place) for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "IPYTHONDIR")}
    return made


class Kernel(AsyncKernelManager):
    """A kernel of this interpreter with this package, whatever kernelspecs and copies of the package there are."""

    variables = Dict(config=True)  # of the folder that papermill was called in: it starts the kernel in another

    @property
    def kernel_spec(self) -> KernelSpec:
        """How it is started; a dollar would be taken for a variable."""
        start = START.format(str(ROOT / "chexreason" / "__init__.py"))
        variables = {name: value.replace("$", "$$") for name, value in self.variables.items()}
        return KernelSpec(argv=[sys.executable, "-P", "-c", start, "-f", "{connection_file}"], env=variables)


@contextmanager
def private_kernel() -> Iterator[Config]:
    """Settings for one kernel that listens in a folder of its own, which is removed when the block ends.

    On a shared machine a port is open to all, and two kernels that start at once may pick the same; the names that
    jupyter_client gives to sockets are the same for all kernels of a folder. A path for temporary files may be too
    long for a socket, and /tmp is not.
    """
    usual = tempfile.gettempdir()
    place = usual if len(os.fsencode(usual + SOCKET)) <= LONGEST else "/tmp"
    with tempfile.TemporaryDirectory(prefix="chexreason-", dir=place, ignore_cleanup_errors=True) as folder:
        # The sockets' names begin with that of this file.
        kernel = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        client = {"startup_timeout": PATIENCE, "iopub_timeout": PATIENCE, "kernel_manager_class": Kernel}
        yield Config({"KernelManager": kernel, "Kernel": {"variables": environment()}, "NotebookClient": client})


def run_notebook(
    source: Path, executed: Path, parameters: Mapping[str, Any], root: Path, failures: Path | None = None
) -> Path:
    """Execute the text notebook `source` with `parameters`; the result is written to `executed`, which is returned.

    The cells run in the folder of `source`, as they do by hand in Jupyter. `root` is the folder whose path is taken out
    of all outputs. Raises UserError for a missing notebook, a cell that fails and a kernel that does not start;
    ``<executed>.failed.ipynb`` is then left beside `executed`, or in the folder `failures`: that of patients' rows, so
    that nothing else tells what the error said.
    """
    notebook = read(source)
    failed = (failures or executed.parent) / executed.with_suffix(".failed.ipynb").name
    for parent in (executed.parent, failed.parent):
        parent.mkdir(parents=True, exist_ok=True)
    # Beside the result, so that the last step is a rename; a folder of its own. A killed run leaves it.
    scratch = Path(tempfile.mkdtemp(".partial", f"{executed.stem}.", executed.parent))
    try:
        real, partial = scratch / f"{source.stem}.ipynb", scratch / "executed.ipynb"
        nbformat.write(notebook, real)
        try:
            with private_kernel() as config:
                papermill.execute_notebook(
                    real, partial, dict(parameters), cwd=source.parent, progress_bar=False, stdout_file=sys.stdout,
                    stderr_file=sys.stderr, config=config,
                    start_timeout=PATIENCE,  # it would put its own in place of that of `config`
                    extra_arguments=["--IPKernelApp.log_level=50"],  # else it reports each interrupt as its own error
                )  # fmt: skip
        except (PapermillExecutionError, RuntimeError) as error:  # the latter is nbclient's, about its kernel
            publish(partial, failed, root)
            raise _failure(error, source, failed, private=failures is not None) from error
        publish(partial, executed, root)
    finally:
        shutil.rmtree(scratch)
    failed.unlink(missing_ok=True)
    return executed


def read(source: Path) -> nbformat.NotebookNode:
    """The text notebook as a real one, with stable cell ids; UserError if it is not there."""
    if not source.is_file():
        do = "run from a whole clone, installed with pip's --editable"
        raise UserError("a notebook", f"{source}, which is not there", do)
    notebook = jupytext.read(source)
    notebook.metadata.pop("jupytext", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"  # jupytext draws them at random, and git would show a change each time
    return notebook


def publish(partial: Path, target: Path, root: Path) -> None:
    """Take out what changes with the machine or the minute, and give the executed notebook its name, in one step.

    Paths, start times, bars and warnings go: the latter two to the standard error stream, which the terminal has shown.
    """
    notebook = nbformat.read(partial, as_version=4)
    run = notebook.metadata.get("papermill", {})
    notebook.metadata["papermill"] = {key: run[key] for key in ("parameters", "duration", "version") if key in run}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
        if cell.cell_type == "code":
            shown = json.dumps([output for output in cell.outputs if output.get("name") != "stderr"])
            for folder in (sys.prefix, str(root)):
                shown = shown.replace(json.dumps(folder + os.sep)[1:-1], "")
            cell.outputs = [nbformat.from_dict(output) for output in json.loads(shown)]
    nbformat.validate(notebook)
    nbformat.write(notebook, partial)
    shutil.move(partial, target)  # a rename, unless `target` is on another disk


def _failure(error: PapermillExecutionError | RuntimeError, source: Path, failed: Path, private: bool) -> UserError:
    """One line for a failed notebook: a refusal's own. Before it, where the notebook is kept; and before that, unless
    `private`, the traceback of one of our own mistakes.
    """
    ours = isinstance(error, PapermillExecutionError) and error.ename == UserError.__name__
    if isinstance(error, PapermillExecutionError) and not (ours or private):
        print("\n".join(error.traceback), file=sys.stderr)
    print(f"{source.name} is kept as far as it ran: {failed}", file=sys.stderr)
    wanted, see = f"{source.name} to run to its end", "see the notebook that is named above"
    if isinstance(error, DeadKernelError):
        return UserError(wanted, "a kernel that died, most often for want of memory", "close other programs")
    if not isinstance(error, PapermillExecutionError):
        return UserError(wanted, "a kernel that did not start", "run `make setup` again if the lines above do not help")
    if ours:  # told without what is a patient's
        refusal = UserError(wanted, f"a refusal in cell {error.cell_index}", see)
        refusal.args = (error.evalue,)
        return refusal
    said = "" if private else f": {' '.join(str(error.evalue).split()) or 'no message'}"
    return UserError(wanted, f"{error.ename} in cell {error.cell_index}{said}", see)
