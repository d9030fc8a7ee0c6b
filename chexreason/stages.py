"""The four stages of the study as notebooks, and when one of them has to run (sections 4.1 to 4.4).

The Snakefile says what depends on what; this module gives it the two kinds of small file it needs.
A *code digest* stands for everything a stage is computed by: the code cells of its notebook, the
package's code and the profile. It is taken after parsing, without comments, docstrings and prose
cells, so that mending a typo trains nothing again. A *done-file* is written when a stage has run to
its end **on this machine**; it holds the digests of what the stage left in `results/`. Both lie in
the cache folder, outside of git: results that came with the clone are recomputed, in place, and
git shows the difference. Checkpoints are in no list at all, so that nothing deletes them when a job
fails: the stage functions take up a killed training where it stopped.
"""

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jupytext

from chexreason import batch, config
from chexreason.errors import UserError, unknown

NOTEBOOKS = config.ROOT / "notebooks"
#: Modules that start the work and have no say in what comes out.
STARTERS = ("__main__.py", "batch.py", "stages.py")


@dataclass(frozen=True)
class Stage:
    """One section of the paper: its notebook, and the stages whose results it reads."""

    notebook: str
    after: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """The two digits that the notebook's and its runs' names start with."""
        return self.notebook[:2]

    @property
    def source(self) -> Path:
        """The text notebook."""
        return NOTEBOOKS / f"{self.notebook}.py"


STAGES: dict[str, Stage] = {
    "prompting": Stage("01_prompting"),
    "sft": Stage("02_sft"),
    "grpo": Stage("03_grpo", after=("sft",)),
    "generalization": Stage("04_generalization", after=("sft", "grpo")),
}


def run_stage(name: str, profile: config.Profile) -> Path:
    """Run a stage's notebook on a profile and note that it is done; returns the executed notebook."""
    if name not in STAGES:
        raise unknown("stage", name, STAGES, "chexreason/stages.py")
    stage, done = STAGES[name], done_file(name, profile)
    digest = code_digest(stage, profile.name)
    done.unlink(missing_ok=True)
    executed = profile.results / "notebooks" / f"{stage.notebook}.ipynb"
    parameters: dict[str, batch.Value] = {
        "profile": profile.name,
        "seed": profile.seed,
        "results": _if_elsewhere(profile.results.parent, config.RESULTS),
        "cache": _if_elsewhere(profile.cache, config.load_profile(profile.name).cache),
    }
    print(f"{name}: running notebooks/{stage.notebook}.py with the profile {profile.name}", flush=True)
    batch.run_notebook(stage.source, executed, parameters, config.ROOT)
    left = [executed, *sorted(profile.results.glob(f"{stage.number}-*/run.json"))]
    files = {str(path.relative_to(profile.results)): sha256(path.read_bytes()) for path in left}
    write_if_changed(done, json.dumps({"code": digest, "files": files}, indent=1) + "\n")
    return executed


def _if_elsewhere(path: Path, usual: Path) -> str:
    """A folder as a notebook's parameter: empty for the usual one, so that no machine's path is published."""
    return "" if path.resolve() == usual.resolve() else str(path.resolve())


def done_file(name: str, profile: config.Profile) -> Path:
    """Where it is noted that a stage ran to its end on this machine."""
    return profile.cache / "done" / f"{STAGES[name].notebook}.json"


def code_file(name: str, profile: config.Profile) -> Path:
    """Where the digest of a stage's code is kept for Snakemake."""
    return profile.cache / "code" / f"{STAGES[name].notebook}.sha256"


def refresh(profile: config.Profile) -> None:
    """Bring the code digests up to date and withdraw the done-files that are no longer true.

    Snakemake calls this before it decides. A done-file is withdrawn when a file it lists is gone
    or another one: removed by hand, or put back by git. A digest is written only if it changed,
    since the time of the file is what Snakemake compares.
    """
    for name, stage in STAGES.items():
        write_if_changed(code_file(name, profile), code_digest(stage, profile.name) + "\n")
        done = done_file(name, profile)
        if done.is_file() and not _holds(done, profile.results):
            done.unlink()


def _holds(done: Path, results: Path) -> bool:
    try:
        files = json.loads(done.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError):
        return False
    return all(
        (results / name).is_file() and sha256((results / name).read_bytes()) == digest for name, digest in files.items()
    )


def code_digest(stage: Stage, profile: str) -> str:
    """One digest over a stage's code cells, the package's code and the profile."""
    cells = [cell.source for cell in jupytext.read(stage.source).cells if cell.cell_type == "code"]
    package = Path(__file__).parent
    modules = sorted(path for path in package.rglob("*.py") if path.name not in STARTERS)
    parts = [bare("\n".join(cells)), *(bare(path.read_text(encoding="utf-8")) for path in modules)]
    parts.append((config.PROFILES / f"{profile}.yml").read_text(encoding="utf-8"))
    return sha256("\0".join(parts).encode())


def bare(code: str) -> str:
    """Python code without comments, layout and docstrings, for comparing what it does.

    >>> bare('def f(x):  # twice\\n    "Twice x."\\n    return 2*x') == bare('def f(x):\\n    return 2 * x')
    True
    >>> bare("x = 1") == bare("x = 2")
    False
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _docstring(
            node.body
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def _docstring(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def write_if_changed(path: Path, text: str) -> None:
    """Write `text` in one step, and leave a file that holds it already untouched."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def book_sources() -> list[Path]:
    """Everything but results that the book is made from."""
    return [config.ROOT / "_config.yml", *_files(config.ROOT / "book"), *_files(config.RESULTS / "published")]


def _files(folder: Path) -> Iterable[Path]:
    hidden = (".", "_")
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.relative_to(folder).parts[0].startswith(hidden))


def build_book(profile: str) -> Path:
    """Build the book from `results/<profile>`; returns its first page. Computes nothing.

    Raises UserError when there are no results for the profile or the book does not build.
    """
    if profile not in config.profile_names():
        raise unknown("profile", profile, config.profile_names(), "chexreason/profiles/")
    results = Path(os.environ.get("CHEXREASON_RESULTS") or config.RESULTS) / profile
    if not any(results.glob("*/run.json")):
        raise UserError(f"results in {results}", "none", f"compute them first: make book PROFILE={profile}")
    for told in (config.ROOT / "_build").glob("book-*.done"):
        told.unlink()  # the book holds one profile at a time
    program = Path(sys.executable).with_name("jupyter-book")  # it has no `python -m` form
    command = [str(program), "build", "book", "--config", "_config.yml"]
    # All pages anew: Sphinx would keep a page whose text is the same, though its results have changed.
    command += ["--all", "--path-output", ".", "-W", "--keep-going", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        # Each page's kernel would warn that it listens on this machine without encryption.
        settings = Path(folder) / "profile_default" / "ipython_kernel_config.py"
        settings.parent.mkdir()
        settings.write_text("get_config().IPKernelApp.log_level = 50\n", encoding="utf-8")
        environment = {**os.environ, "CHEXREASON_PROFILE": profile, "IPYTHONDIR": folder}
        ended = subprocess.run(command, cwd=config.ROOT, env=environment, check=False)
    first_page = config.ROOT / "_build" / "html" / "index.html"
    if ended.returncode or not first_page.is_file():
        raise UserError("the book to build without a warning", f"exit status {ended.returncode}", "see the lines above")
    return first_page
