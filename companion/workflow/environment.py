"""The working environment: ``python -m chexreason COMMAND`` makes it where there is none, and runs the command in it.

It is a virtual environment, `.venv`, filled from pyproject.toml at the pins of constraints.txt. Nothing but the
standard library is needed to get there, and Python 3.6 reads this module: one that the pins do not take finds another,
or says what is wanted.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from glob import escape, glob
from typing import NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, ".venv")
PY = os.path.join(VENV, "bin", "python")
#: The Pythons that the pins take: from the first to below the second.
OLDEST, BEYOND = (3, 11), (3, 14)
#: Interpreters to try after the one that runs this; $TRIED names others, in place of all.
PYTHONS = "python3.11 python3 python3.12 python3.13"
TAKEN = "import sys; sys.exit(not {0} <= sys.version_info < {1})".format(OLDEST, BEYOND)  # noqa: UP030, UP032
#: What an environment is made with: its own pip, or that of the interpreter (Debian packs the two apart).
OWN_PIP, LENT_PIP = "import ensurepip, venv", "import pip, venv; assert pip.__version__ >= '23'"
PACKAGE = "import sys; print('python%d.%d-venv' % sys.version_info[:2])"
WINDOWS = ("Linux or macOS", "Windows", "install WSL (wsl --install), clone this repository in it and start there")


def main() -> None:
    """Run the command of the command line in the environment."""
    try:
        if sys.platform == "win32":
            refuse(*WINDOWS)
        if not whole():
            if not OLDEST <= sys.version_info[:2] < BEYOND:
                python = choose()
                os.execv(python, [python, "-m", "chexreason", *sys.argv[1:]])
            from companion.workflow import commands

            if not commands.needs_environment(sys.argv[1:]):
                commands.entry()
            make()
        os.execv(PY, [PY, "-m", "companion", *sys.argv[1:]])
    except KeyboardInterrupt:
        sys.stderr.write("chexreason: stopped; run the same command again to go on\n")
        sys.exit(130)


def refuse(expected: str, got: str, do: str) -> NoReturn:
    """End with a line as that of `chexreason.errors.UserError`, which needs a newer Python."""
    sys.stderr.write("chexreason: Expected %s, got %s. %s.\n" % (expected, got, do[0].upper() + do[1:]))  # noqa: UP031
    sys.exit(2)


def stamp() -> str:
    """The file that is written last. Its name holds a digest of what was asked for and where the clone lies: an
    environment without it is half made, of older pins, or of another folder.
    """
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    digest.update(os.fsencode(ROOT) + b"\n")
    return os.path.join(VENV, "whole-" + digest.hexdigest()[:16])


def whole() -> bool:
    """Whether the environment is there, at the pins."""
    return os.path.exists(stamp()) and os.access(PY, os.X_OK)


def cache_here() -> None:
    """What libraries keep in the home folder goes to .cache where that folder cannot be written (a container)."""
    if not os.access(os.path.expanduser("~"), os.W_OK):
        for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR"):
            os.environ.setdefault(name, os.path.join(ROOT, ".cache", "home"))


def choose() -> str:
    """The first interpreter that the pins take and that makes environments; ends if there is none."""
    tried, bare = os.environ.get("TRIED", ""), ""
    own = sys.executable if sys.prefix == sys.base_prefix else os.path.join(sys.base_prefix, "bin", "python3")
    names = [tried] if shutil.which(tried) else tried.split() or [own, *PYTHONS.split()]  # a path may hold a blank
    for name in names:
        if _says_yes(name, TAKEN):
            if _says_yes(name, OWN_PIP) or _says_yes(name, LENT_PIP):
                return name if os.path.dirname(name) else str(shutil.which(name))
            bare = bare or name
    if not bare:
        found = " ".join(names) if len(names) <= 5 else "those named"
        do = "install one, and start with it: /path/to/python3 -m chexreason setup"
        refuse("Python 3.11, 3.12 or 3.13", "none among " + found[-60:], do)
    package = subprocess.check_output([bare, "-c", PACKAGE], universal_newlines=True).strip()
    got = bare[-40:] + " without venv or pip"
    return refuse("a Python that makes environments", got, "install " + package + ", or start with another Python")


def _says_yes(python: str, question: str) -> bool:
    try:
        return not subprocess.call([python, "-c", question], stderr=subprocess.DEVNULL)
    except OSError:
        return False


def make() -> None:
    """Make the environment, or bring it to the pins."""
    pip = [PY, "-m", "pip"]
    if not glob(os.path.join(escape(VENV), "whole-*")) or not _says_yes(PY, ""):
        python = choose()
        version = subprocess.check_output([python, "--version"], universal_newlines=True).strip()
        _say("making .venv with " + version + " (a few minutes, about 2 GB)")
        if _says_yes(python, OWN_PIP):
            _must([python, "-m", "venv", "--clear", VENV])
        else:
            _must([python, "-m", "venv", "--clear", "--without-pip", VENV])
            _must([python, "-m", "pip", "--python", PY, "install", "--quiet", "pip"])
    for old in glob(os.path.join(escape(VENV), "whole-*")):
        os.remove(old)
    with open(os.path.join(ROOT, "constraints.txt"), encoding="utf-8") as file:
        [torch] = [line.strip() for line in file if line.startswith("torch==")]
    _say("installing torch at its pin, by itself, so that a CPU build at hand is taken")
    _must([*pip, "install", "--quiet", *shlex.split(os.environ.get("PIP_TORCH", "")), torch])
    _say("installing the rest at the pins of constraints.txt")
    _must([*pip, "install", "--quiet", "--constraint", "constraints.txt", "--editable", ".[dev]"])
    _must([*pip, "check"])
    with open(stamp(), "wb"):
        pass
    _say("done")


def _say(what: str) -> None:
    sys.stdout.write("setup: " + what + "\n")
    sys.stdout.flush()


def _must(command: "list[str]") -> None:
    """Run it in the root of the clone; ends if it fails."""
    status = subprocess.call(command, cwd=ROOT)
    if status:
        got, again = "status " + str(status), "see what it says above, and run the same command again"
        refuse(" ".join(command[2:4]) + " to end well", got, again)
