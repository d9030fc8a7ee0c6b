"""What make's targets do, as commands: tests, checks, the whole study, pins.

The Makefile has these words and no rule of its own; ``python -m chexreason`` has them where there is no make.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from companion.workflow import environment

if TYPE_CHECKING:
    from companion.workflow.words import Words

ROOT = Path(environment.ROOT)
#: One book at a time: a lock that goes with the process, unlike Snakemake's own, which a killed run leaves behind.
BOOK_LOCK = ".cache/book.lock"
#: What `clean` removes; the environment and results stay.
BUILT = (
    "_build", ".cache", ".snakemake", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache",
    "chexreason.egg-info",
)  # fmt: skip


def setup(words: "Words") -> None:
    """Make the environment, .venv, if it is not whole already."""
    if environment.whole():
        print("setup: .venv is whole")
    else:
        environment.make()


def clean(words: "Words") -> None:
    """Remove what was built or cached here; .venv and results stay."""
    print("clean: removing _build, .cache, .snakemake and the tools' caches")
    for name in BUILT:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for name in ("chexreason", "companion", "tests", "notebooks", "book"):
        for folder in (ROOT / name).rglob("__pycache__"):
            shutil.rmtree(folder, ignore_errors=True)


def lint(words: "Words") -> int:
    """Check the code with ruff, mypy and the import contract."""
    print("lint: ruff, mypy, import-linter", flush=True)
    contract = os.path.join(sysconfig.get_path("scripts"), "lint-imports")
    tools = (_python("ruff", "check", "."), _python("ruff", "format", "--check", "."), _python("mypy"), [contract])
    return next(filter(None, map(_run, tools)), 0)


def test(words: "Words") -> int:
    """Run the tests, doctests included; some minutes on 2 cores."""
    print(f"test: doctests and tests, on {words.cores} processes", flush=True)
    return _tests("not browser", words.cores)


def pages(words: "Words") -> int:
    """Build the book from the committed results and look at every page in a browser."""
    print("pages: every page, wide and narrow, light and dark", flush=True)
    return _tests("browser", words.cores)


def check(words: "Words") -> int:
    """All that has to pass: lint, test, pages and fresh."""
    return lint(words) or test(words) or pages(words) or _run(_python("companion", "fresh"))


def book(words: "Words") -> int:
    """Compute the study at a profile on this machine, then build the book from it; stop at any time."""
    shown = words.profile
    print(f"book: computing what is missing for the profile '{shown}'; stop at any time, the same command goes on")
    sys.stdout.flush()
    snakemake = [*_snakemake(words.cores), "--config", f"profile={shown}"]
    if status := _run(_python("companion", "ready", "--profile", shown)):
        return status
    status = _run(_python("companion.workflow.locked", BOOK_LOCK, *snakemake, "--quiet", "all"))
    if status == 0:
        print("book: open _build/html/index.html")
    elif status != 2:
        # What a stage had to say it has said; what Snakemake itself may have to say, it says in a rehearsal only.
        rehearsal = subprocess.run(
            [*snakemake, "--dry-run", "--quiet", "rules", "host"], cwd=ROOT, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        print(rehearsal.stdout if rehearsal.returncode else "", end="", file=sys.stderr)
        print("book: not done; what has run stays, and the same command goes on from there", file=sys.stderr)
    return status


def html(words: "Words") -> None:
    """Build the book from the results of a profile, without computing anything."""
    from chexreason import written
    from chexreason.files import alone
    from companion.workflow import stages

    print(f"html: building the book from results/{words.profile}", flush=True)
    written.file_of(words.profile)
    words.out.mkdir(parents=True, exist_ok=True)
    out = words.out.resolve()
    with contextlib.nullcontext() if words.locked or out != ROOT else alone(ROOT / BOOK_LOCK):
        print(f"html: open {os.path.relpath(stages.build_book(words.profile, out))}")


def experiments(words: "Words") -> int:
    """Train and ask every arm of the experiment; some hours; stop at any time, the same command goes on."""
    print("experiments: what is finished is not repeated", flush=True)
    triggers = ("--rerun-triggers", "input", "params", "--keep-going")
    return _run([*_snakemake(words.cores), *triggers, "experiments"])


def lab(words: "Words") -> int:
    """Open JupyterLab on the notebooks, as text that Jupyter and git both read; it is installed when asked for."""
    settings = ROOT / ".cache" / "lab"
    os.environ["JUPYTER_CONFIG_DIR"] = str(settings)  # nothing of yours is changed
    if importlib.util.find_spec("jupyterlab") is None:
        print("lab: installing JupyterLab; a minute", flush=True)
        if status := _run([*_python("pip"), "install", "--quiet", "--constraint", "constraints.txt", "jupyterlab"]):
            return status
    if status := _run([os.path.join(sysconfig.get_path("scripts"), "jupytext-config"), "set-default-viewer", "python"]):
        return status
    return _run(_python("jupyterlab", "--notebook-dir=notebooks", *words.more))


def pins(words: "Words") -> int:
    """Write constraints.txt from the environment, after a deliberate upgrade."""
    place, pip = ROOT / "constraints.txt", _python("pip")
    frozen = subprocess.run([*pip, "freeze", "--exclude-editable"], check=True, text=True, stdout=subprocess.PIPE)
    lines = place.read_text(encoding="utf-8").splitlines()
    # Below the new pins stay those that only another Python or system needs. Torch's build is the machine's affair.
    held = [re.sub(r"^(torch==[^+]*)\+.*", r"\1", line) for line in frozen.stdout.splitlines()]
    named: dict[str, str] = {}
    for line in (*held, *(line for line in lines if not line.startswith("#"))):
        named.setdefault(line.partition("==")[0].upper(), line)
    head = [line for line in lines if line.startswith("#")]
    place.write_text("\n".join([*head, *(named[name] for name in sorted(named))]) + "\n", encoding="utf-8")
    # The tests see what is installed here; this sees that each pin takes each Python, those of another Python included.
    for minor in range(environment.OLDEST[1], environment.BEYOND[1]):
        told = ("--no-deps", "--ignore-installed", "--target", ".cache", "--python-version", f"3.{minor}")
        if status := _run([*pip, "install", "--quiet", "--dry-run", *told, "--requirement", str(place)]):
            return status
    print("pins: constraints.txt is written; the tests say what environment.yml has to follow")
    return 0


def _python(*words: str) -> list[str]:
    return [sys.executable, "-m", *words]


def _snakemake(cores: int) -> list[str]:
    return [*_python("snakemake", "--cores", str(cores)), "--resources", "gpu=1", "--nolock", "--rerun-incomplete"]


def _tests(marked: str, cores: int) -> int:
    os.environ["OMP_NUM_THREADS"] = "1"
    return _run(_python("pytest", "-n", str(cores), "--dist", "worksteal", "-m", marked))


def _run(command: Sequence[str]) -> int:
    """Run it in the root of the clone; its status. What stops this stops it: it is told, and waited for."""
    running = subprocess.Popen(command, cwd=ROOT)
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),  # from a terminal it goes to both
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: running.terminate()),
    }
    try:
        status = running.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status
