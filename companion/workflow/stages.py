"""The four stages of the study as notebooks, and when one of them has to run (sections 4.1 to 4.4).

The Snakefile says what depends on what. A *done-file* is written when a stage has run to its end **on this machine**;
it holds the digests of what made it (`provenance.made_by`), of what the stages before it had left, and of what it left
in `results/`, so that no clock decides whether it holds; the book has one, too. They lie in the cache folder, outside
of git: results that came with the clone are recomputed, in place, and git shows the difference. Checkpoints are in no
list at all, so that nothing deletes them when a job fails: the stage functions take up a killed training where it
stopped.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chexreason import config, runs, written
from chexreason.errors import UserError, unknown
from chexreason.files import alone, alone_at, digest_of, file_digest, write_atomically
from companion.evidence.sealed import altered
from companion.evidence.sections import EXPERIMENT, STAGES, SUMMARIES
from companion.workflow import batch
from companion.workflow.provenance import PACKAGES, disagreements, left_by, made_by, write_record


def run_stage(name: str, profile: config.Profile, given: str = "") -> Path:
    """Run a stage's notebook on a profile and note that it is done; returns the executed notebook.

    Waits for another process that runs the same, or writes to the same results. Raises UserError if the notebook fails
    or leaves no runs.
    """
    if name not in STAGES:
        raise unknown("stage", name, STAGES, "companion/evidence/sections.py")
    stage, done = STAGES[name], done_file(name, profile)
    batch.read(stage.source)  # not there where a copy of the package is installed: told before anything is done
    executed = profile.results / "notebooks" / f"{stage.notebook}.ipynb"
    parameters = {
        "profile": profile.source,
        "seed": profile.seed,
        "results": _if_elsewhere(profile.results.parent, config.results_root()),
        "cache": _if_elsewhere(profile.cache, config.load_profile(profile.source, unset=True).cache),
        "given": given,
    }
    # A traceback may quote what a cell was at: with credentialed data, that stays out of the results.
    failures = profile.cache / "failed" if profile.rows == "cache" else None
    with alone_at(f"{stage.notebook}.lock", profile.cache, profile.results):
        before = _noted(name, profile)
        done.unlink(missing_ok=True)
        for killed in executed.parent.glob(f"{stage.notebook}.*.partial"):
            shutil.rmtree(killed, ignore_errors=True)
        print(f"{name}: running notebooks/{stage.notebook}.py with the profile {profile.name}", flush=True)
        batch.run_notebook(stage.source, executed, parameters, config.ROOT, failures)
        if lacking := next(_not_made_here(name, profile), None):
            raise UserError(
                f"the runs of the stage {name} in {profile.results}", f"none of this machine's for {lacking}",
                "see in its notebook where they went",
            )  # fmt: skip
        write_record(stage, profile.name, profile.results, before["made_by"])
        noted = {**before, "files": left_by(stage, profile.results)}
        write_atomically(done, (json.dumps(noted, indent=1) + "\n").encode())
    return executed


def _noted(name: str, profile: config.Profile) -> dict[str, Any]:
    """What a stage's done-file says: what makes it, what the stages before it have left, and what it has."""
    before = {earlier: digest_of(left_by(STAGES[earlier], profile.results)) for earlier in STAGES[name].after}
    stage = STAGES[name]
    return {"made_by": made_by(stage, profile.source), "inputs": before, "files": left_by(stage, profile.results)}


def _not_made_here(name: str, profile: config.Profile) -> Iterator[str]:
    """The runs of a stage that are not there, or that this machine did not compute."""
    parts = [profile.study[name][entry] for entry in config.RUNS[name]]
    for names in itertools.product(*parts):
        run_id = "-".join((f"{STAGES[name].number}-{name}", *names))
        run, note = runs.read(profile.results / run_id), profile.cache / "made-here" / run_id
        if run is None or not note.is_file() or str(run.info.get("config_digest")) not in note.read_text("utf-8"):
            yield run_id


def _if_elsewhere(path: Path, usual: Path) -> str:
    """A folder as a notebook's parameter: empty for the usual one, so that no machine's path is published."""
    return "" if path.resolve() == usual.resolve() else str(path.resolve())


def done_file(name: str, profile: config.Profile) -> Path:
    """Where it is noted that a stage ran to its end on this machine."""
    return profile.cache / "done" / f"{STAGES[name].notebook}.json"


def refresh(profile: config.Profile, out: Path) -> None:
    """Withdraw the done-files that are no longer true, the book's in `out` too; Snakemake calls this before it decides.

    It is one about other code or inputs, or a file that it lists is gone or another one: removed by hand, or put back
    by git.
    """
    true = {book_file(out): {"book": book_digest(profile.results)}}
    for name in STAGES:
        true[done_file(name, profile)] = _noted(name, profile)
    for done, now in true.items():
        try:
            holds = json.loads(done.read_text(encoding="utf-8")) == now
        except (FileNotFoundError, ValueError, RecursionError):
            holds = False
        if not holds:
            done.unlink(missing_ok=True)


def book_file(out: Path) -> Path:
    """Where it is noted what the book in ``out/_build`` was built from; it holds one profile at a time."""
    return out / "_build" / "book.json"


def book_digest(results: Path) -> str:
    """SHA-256 of all that the book is made from."""
    files = [*book_sources(), *filter(Path.is_file, sorted(results.rglob("*")))]
    return digest_of({os.path.relpath(path, config.ROOT): file_digest(path) for path in files})


def book_sources() -> list[Path]:
    """Everything but a profile's results that the book is made from, the code that shows them included."""
    ours = (config.RESULTS / name for name in ("published", "phantoms", "benchmarks"))
    shown = [path for folder in (config.ROOT / "book", *ours, config.results_root() / EXPERIMENT)
             for path in folder.rglob("*")
             if path.is_file() and not path.relative_to(folder).parts[0].startswith((".", "_"))]  # fmt: skip
    code = [path for name in PACKAGES for path in (config.ROOT / name).rglob("*") if path.suffix in (".py", ".js")]
    return [config.ROOT / "_config.yml", *sorted(code), *sorted(shown)]


#: jupyter-book, with as many pages executed at a time as there are cores: its command has no option for that.
JUPYTER_BOOK = """
import os
from functools import partial
from jupyter_book import sphinx
from jupyter_book.cli.main import main
sphinx.build_sphinx = partial(sphinx.build_sphinx, jobs=os.cpu_count())
main()
"""


def stale_pages(profile: str, results: Path) -> dict[str, list[str]]:
    """page -> what of its results no longer agrees with their record; the pages that sum up show all of it."""
    found: dict[str, list[str]] = {}
    for pages, what in disagreements(profile, results):
        for page in (*pages.split(", "), *SUMMARIES):
            found.setdefault(page, []).append(what)
    return found


def require_fresh(profile: str) -> None:
    """Raise UserError unless the committed results agree with the code, the settings and their own record."""
    if not any((config.RESULTS / profile).rglob("run.json")):
        raise UserError(
            f"results in {config.RESULTS / profile}", "none", f"compute them first: make book PROFILE={profile}"
        )
    wrong = [f"page {page}: {what}" for page, what in disagreements(profile, config.RESULTS / profile)]
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        wanted, do = "results that agree with their code, settings and record", "compute those named above again"
        raise UserError(wanted, f"{len(wrong)} that do not", f"{do}: make book PROFILE={profile}")


def build_book(profile: str, out: Path = config.ROOT) -> Path:
    """Build the book from `results/<profile>` into ``out/_build``; returns its first page. Computes nothing.

    Waits for another process that builds there. Raises UserError when there are no results for the profile or the
    book does not build.
    """
    if profile not in written.profile_names():
        raise unknown("profile", profile, written.profile_names(), "chexreason/profiles/")
    results = config.results_root() / profile
    if not any(results.glob("*/run.json")):
        raise UserError(f"results in {results}", "none", f"compute them first: make book PROFILE={profile}")
    if wrong := altered():
        do = "git checkout -- results/published"
        raise UserError("the published numbers as they were checked", "; ".join(wrong.values()), do)
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", "book", "--config", "_config.yml"]
    # All pages anew: Sphinx would keep a page whose text is the same, though its results have changed.
    command += ["--all", "--path-output", str(out), "-W", "--keep-going", "--quiet"]
    done, first_page = book_file(out), out / "_build" / "html" / "index.html"
    with alone(done.with_suffix(".lock")), tempfile.TemporaryDirectory() as folder:
        stale, made_from = stale_pages(profile, results), book_digest(results)
        for page, reasons in stale.items():
            print(f"book: page {page} gets a badge: {'; '.join(reasons)}", file=sys.stderr)
        done.unlink(missing_ok=True)
        # Each page's kernel would warn that it listens on this machine without encryption.
        settings = Path(folder) / "profile_default" / "ipython_kernel_config.py"
        settings.parent.mkdir()
        settings.write_text("get_config().IPKernelApp.log_level = 50\n", encoding="utf-8")
        told = {"CHEXREASON_PROFILE": profile, "CHEXREASON_STALE": json.dumps(stale)}
        variables = {**os.environ, **batch.environment(), **told, "IPYTHONDIR": folder, "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(command, cwd=config.ROOT, env=variables, check=False)
        if ended.returncode or not first_page.is_file():
            got = f"exit status {ended.returncode}"
            raise UserError("the book to build without a warning", got, "see the lines above")
        write_atomically(done, (json.dumps({"book": made_from}) + "\n").encode())
    return first_page
