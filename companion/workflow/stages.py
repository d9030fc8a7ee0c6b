"""The four stages of the study as notebooks, and when one of them has to run (sections 4.1 to 4.4).

The Snakefile says what depends on what; this module gives it the two kinds of small file it needs.
A *code digest* stands for everything a stage is computed by (`provenance.made_by`). A *done-file* is
written when a stage has run to its end **on this machine**; it holds the digests of what the stage
left in `results/`. Both lie in the cache folder, outside of git: results that came with the clone
are recomputed, in place, and git shows the difference. Checkpoints are in no list at all, so that
nothing deletes them when a job fails: the stage functions take up a killed training where it stopped.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from chexreason import config
from chexreason.errors import UserError, unknown
from chexreason.files import digest_of, write_atomically
from companion.evidence.sealed import altered
from companion.evidence.sections import STAGES, SUMMARIES
from companion.workflow import batch
from companion.workflow.provenance import PACKAGES, disagreements, left_by, made_by, write_record


def run_stage(name: str, profile: config.Profile, given: str = "") -> Path:
    """Run a stage's notebook on a profile and note that it is done; returns the executed notebook."""
    if name not in STAGES:
        raise unknown("stage", name, STAGES, "companion/evidence/sections.py")
    stage, done = STAGES[name], done_file(name, profile)
    made = made_by(stage, profile.source)
    done.unlink(missing_ok=True)
    executed = profile.results / "notebooks" / f"{stage.notebook}.ipynb"
    parameters = {
        "profile": profile.source,
        "seed": profile.seed,
        "results": _if_elsewhere(profile.results.parent, config.RESULTS),
        "cache": _if_elsewhere(profile.cache, config.load_profile(profile.source, unset=True).cache),
        "given": given,
    }
    print(f"{name}: running notebooks/{stage.notebook}.py with the profile {profile.name}", flush=True)
    # A traceback may quote what a cell was at: with credentialed data, that stays out of the results.
    failures = profile.cache / "failed" if profile.rows == "cache" else None
    batch.run_notebook(stage.source, executed, parameters, config.ROOT, failures)
    write_record(stage, profile.name, profile.results, made)
    write_atomically(done, (json.dumps({"files": left_by(stage, profile.results)}, indent=1) + "\n").encode())
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
        path, digest, done = code_file(name, profile), digest_of(made_by(stage, profile.name)), done_file(name, profile)
        if not path.is_file() or path.read_text(encoding="utf-8").strip() != digest:
            write_atomically(path, f"{digest}\n".encode())
        try:
            true = json.loads(done.read_text(encoding="utf-8"))["files"] == left_by(stage, profile.results)
        except (FileNotFoundError, ValueError, KeyError):
            true = False
        if not true:
            done.unlink(missing_ok=True)


def book_sources() -> list[Path]:
    """Everything but a profile's results that the book is made from, the code that shows them included."""
    results = (config.RESULTS / name for name in ("published", "phantoms", "benchmarks", "experiment"))
    shown = [path for folder in (config.ROOT / "book", *results) for path in folder.rglob("*")
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
    wrong = [f"page {page}: {what}" for page, what in disagreements(profile, config.RESULTS / profile)]
    if wrong:
        raise UserError(
            "results that agree with the code, the settings and their own record", "; ".join(wrong),
            f"compute them again: make book PROFILE={profile}",
        )  # fmt: skip


def build_book(profile: str, out: Path = config.ROOT) -> Path:
    """Build the book from `results/<profile>` into ``out/_build``; returns its first page. Computes nothing.

    Raises UserError when there are no results for the profile or the book does not build.
    """
    if profile not in config.profile_names():
        raise unknown("profile", profile, config.profile_names(), "chexreason/profiles/")
    results = Path(os.environ.get("CHEXREASON_RESULTS") or config.RESULTS) / profile
    if not any(results.glob("*/run.json")):
        raise UserError(f"results in {results}", "none", f"compute them first: make book PROFILE={profile}")
    if wrong := altered():
        do = "git checkout -- results/published"
        raise UserError("the published numbers as they were checked", "; ".join(wrong.values()), do)
    stale = stale_pages(profile, results)
    for page, reasons in stale.items():
        print(f"book: page {page} gets a badge: {'; '.join(reasons)}", file=sys.stderr)
    for told in (out / "_build").glob("book-*.done"):
        told.unlink()  # the book holds one profile at a time
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", "book", "--config", "_config.yml"]
    # All pages anew: Sphinx would keep a page whose text is the same, though its results have changed.
    command += ["--all", "--path-output", str(out), "-W", "--keep-going", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        # Each page's kernel would warn that it listens on this machine without encryption.
        settings = Path(folder) / "profile_default" / "ipython_kernel_config.py"
        settings.parent.mkdir()
        settings.write_text("get_config().IPKernelApp.log_level = 50\n", encoding="utf-8")
        environment = {"CHEXREASON_PROFILE": profile, "IPYTHONDIR": folder, "OMP_NUM_THREADS": "1"}
        environment |= {"CHEXREASON_STALE": json.dumps(stale)}
        ended = subprocess.run(command, cwd=config.ROOT, env=os.environ | environment, check=False)
    first_page = out / "_build" / "html" / "index.html"
    if ended.returncode or not first_page.is_file():
        raise UserError("the book to build without a warning", f"exit status {ended.returncode}", "see the lines above")
    return first_page
