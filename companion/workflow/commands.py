"""The command line: ``chexreason`` or ``python -m companion``.

`COMMANDS` is the table of all commands. A mistake of the user's ends in one line on the standard error stream and
status 2; Ctrl-C in status 130; our own mistakes keep their traceback.
"""

import argparse
import codecs
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from chexreason import __version__
from chexreason.errors import UserError
from companion.workflow import actions, course, environment, targets
from companion.workflow.words import Words

#: Errors of the operating system -> what was expected and what to do; any other keeps its traceback.
SYSTEM = {
    (errno.ENOSPC, errno.EDQUOT): ("room on the disk", "Free some space"),
    (errno.EACCES, errno.EPERM, errno.EROFS): (
        "a file or folder that may be read and written", "Change its permissions or choose another place",
    ),
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG): (
        "a path that leads where it should", "Correct it",
    ),
    (errno.ENOMEM,): ("enough memory", "Close other programs"),
    (errno.EIO, errno.ESTALE, errno.EBUSY, errno.EMFILE, errno.EFBIG, errno.EINVAL, errno.ETIMEDOUT, errno.ENOSYS,
     errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENODEV, errno.ENXIO): (
        "a disk that reads, writes and locks files", "Choose another place",
    ),
}  # fmt: skip
#: What stands for our signs on a terminal that lacks them; a question mark stands for any other.
PLAIN = {"−": "-", "–": "-", "…": "...", "×": "x", "✓": "+", "✗": "x", "≈": "~", "≠": "!=", "⇄": "<>", "∅": "0"}


class Parser(argparse.ArgumentParser):
    """A parser that refuses words as everything else is refused."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError."""
        raise UserError(f"words that {self.prog} knows", message, f"see {self.prog} --help")


def word(*names: str, **how: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """A word of a command, as `argparse.ArgumentParser.add_argument` takes it."""
    return names, how


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"no number from 1 on: {text[:20]!r}")
    return int(text)


def place(text: str) -> Path:
    """A path in full; an empty one is what a shell makes of a variable that is not set."""
    from chexreason.written import folder

    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return folder(text)


PLACES = (
    word("--profile", default="demo", help="a profile's name, or the path of its .yml file (default: %(default)s)"),
    word("--seed", type=int, help="instead of the profile's"),
    word("--set", action="append", metavar="GROUP.NAME=VALUE", help="a setting, grpo.beta=0 for instance"),
    word("--module", action="append", metavar="FILE.py", help="code of your own that registers things"),
    word("--results", type=place, help="a folder instead of results/"),
    word("--cache", type=place, help="a folder for checkpoints and images instead of .cache/PROFILE"),
)
REWARD = word("--reward", action="append", help="a reward's name, or a file that registers one of your own")
SHOWN = word("--profile", default="demo", help="whose results are meant (default: demo)")
SIZES = word("--profile", default="demo", help="the sizes: smoke, demo, full or paper (default: demo)")
CORES = word("--cores", type=count, default=2, help="processes side by side (default: 2)")
N = word("--n", type=int, help="at most so many studies of each test set; each finding keeps its share")
JSON = word("--json", action="store_true", help="as data for a program instead of text")
UNCERTAIN = word("--uncertain", choices=("zeros", "ones", "ignore"), help="how uncertain labels count")
#: Command -> what it does, its words, and defaults that differ from theirs.
COMMANDS: dict[str, tuple[Callable[[Words], int | None], Sequence[Any], dict[str, Any]]] = {
    "profiles": (actions.show_profiles, (), {}),
    "settings": (actions.show_settings, (), {}),
    "phantom": (actions.draw_phantoms, (
        word("folder", type=place, help="an empty folder, or one with the same phantoms already"),
        word("--hospital", default="A", help="A (like MIMIC), B (like CheXpert) or C (like NIH)"),
        word("--split", default="train", help="train, validate or test"),
        word("--n", type=int, default=100, help="number of studies"),
        word("--size", type=int, default=224, help="pixels on a side"),
        word("--seed", type=int, default=0),
    ), {}),
    "pretrain": (actions.pretrain, (
        word("name", help="medgemma, qwen, nv_reason (which goes on from qwen), or all"),
        word("--cache", type=place, default=Path(".cache/pretrain"), help="a folder for what can be resumed"),
    ), {}),
    "ready": (actions.get_ready, PLACES, {}),
    "run": (actions.run_stages, (
        word("stage", help="prompting, sft, grpo, generalization, or all"), *PLACES, REWARD,
        N,
    ), {}),
    "sft": (actions.train, PLACES, {
        "stage": "sft", "about": "Fine-tune and score the two base models in four formats, without a notebook.",
    }),
    "grpo": (actions.train, (*PLACES, REWARD), {
        "stage": "grpo", "about": "Train and score the two rewards from the SFT checkpoint, without a notebook.",
    }),
    "experiment": (actions.run_experiment, (
        word("arm", help="an arm's name, or list, record (note what made them), again (check them)"), *PLACES,
    ), {"profile": "experiment"}),
    "laboratory": (actions.record_laboratory, (), {}),
    "exercise": (course.exercise, (
        word("name", nargs="?", default="", help="an exercise (default: list them)"),
        word("file", nargs="?", type=place, help="your answer; made if it is not there (default: NAME.py)"),
    ), {}),
    "grade": (course.grade, (word("folder", type=place, help="a file that was handed in, or a folder of them"),), {}),
    "audit": (actions.show_audit, (JSON,), {}),
    "claims": (actions.judge_claims, (
        word("--run", help="a profile such as demo, a folder of runs, or one run's folder (default: the paper)"),
        word("--results", type=place, help="a folder instead of results/"), JSON,
    ), {}),
    "score": (actions.score_predictions, (
        word("file", type=place, metavar="FILE", help="a CSV of 0/1 labels, probabilities or completions, and ids"),
        word("--dataset", required=True, help="chexpert, nih, mimic, or a .yml file that describes your own"),
        word("--data", type=place, help="its folder (default: the profile's)"),
        word("--split", choices=("train", "validate", "test"), default="test", help="default: %(default)s"),
        word("--name", default="", help="of the model, for its column (default: the file's)"),
        word("--id", metavar="COLUMN", help="the column of ids, where its name does not say so"),
        word("--threshold", type=float, default=0.5, help="from which a probability counts (default: %(default)s)"),
        UNCERTAIN,
        word("--prompt", default="free_reasoning", help="whose form completions have (default: %(default)s)"),
        word("--partial", action="store_true", help="leave out what only one of file and labels has"),
        PLACES[0], *PLACES[-2:],
    ), {"profile": "paper", "seed": None, "set": None, "module": None}),
    "compare": (actions.compare_runs, (
        word("first", metavar="RUN", help="a run's folder, PROFILE/RUN, or its name in the profile"),
        word("second", metavar="RUN", help="the run that is compared with it"),
        word("--labels", default="", help="nine, 14, or findings with commas (default: all that both have)"),
        UNCERTAIN, word("--against", default="recorded", help="of drawn studies: drawn, or the labels of a convention"),
        word("--failures", choices=("drop",), help="leave out studies where an answer failed"),
        word("--profile", default="demo", help="whose runs; of seeds: 'experiment/runs/seed*' (default: demo)"),
        word("--results", type=place, help="a folder instead of results/"),
        word("--cache", type=place, help="a folder instead of .cache/PROFILE, for rows kept there"), JSON,
    ), {}),
    "doctor": (actions.see_doctor, (*PLACES, N), {}),
    "cohort": (actions.handle_cohorts, (
        word("what", choices=("show", "write", "verify"), metavar="show|write|verify"),
        word("--cohort", help="sft, rl, validation, chexpert or nih (default: those of the study)"),
        word("--manifest", "--out", type=place, help="a file to verify, or the manifests' folder"), *PLACES, N,
    ), {}),
    "traces": (actions.write_traces, (
        word("--prompt", default="all", help="one SFT format such as reasoning_a (default: all four)"),
        word("--dry-run", action="store_true", help="only say what it would cost, and what is missing"),
        word("--yes", action="store_true", help="start although it costs money"),
        word("--limit", type=int, help="write at most so many traces of each format now"), *PLACES,
    ), {}),
    "book": (targets.book, (SIZES, CORES), {}),
    "html": (targets.html, (
        SHOWN, word("--out", type=place, default=Path(), help="the folder that gets _build/html (default: here)"),
        word("--locked", action="store_true", help=argparse.SUPPRESS),  # by whoever calls it, until it ends
    ), {}),
    "experiments": (targets.experiments, (CORES,), {}),
    "setup": (targets.setup, (), {}),
    "test": (targets.test, (CORES,), {}),
    "pages": (targets.pages, (CORES,), {}),
    "lint": (targets.lint, (), {}),
    "check": (targets.check, (CORES,), {}),
    "lab": (targets.lab, (word("more", nargs="*", help="options of JupyterLab, behind --"),), {}),
    "pins": (targets.pins, (), {}),
    "clean": (targets.clean, (), {}),
    "size": (actions.show_size, (), {}),
    "fresh": (actions.check_fresh, (SHOWN,), {}),
}  # fmt: skip


def parser() -> Parser:
    """The commands and their words."""
    top = Parser(prog="chexreason", description="The companion of arXiv 2512.23090, step by step.")
    top.add_argument("--version", action="version", version=f"chexreason {__version__}")
    commands = top.add_subparsers(metavar="command", required=True)
    for name, (act, words, defaults) in COMMANDS.items():
        about = defaults.get("about", act.__doc__)
        one = commands.add_parser(name, help=about, description=about)
        for names, how in words:
            one.add_argument(*names, **how)
        one.set_defaults(act=act, **defaults)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        if sys.platform == "win32":
            raise UserError(*environment.WINDOWS)
        os.environ["CHEXREASON_STARTED_IN"] = os.getcwd()  # where relative paths begin (`written.folder`)
        words = parser().parse_args(arguments)
        return words.act(words) or 0
    except KeyboardInterrupt:
        print("chexreason: stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError, ImportError, MemoryError) as error:
        refusal = refused(error)
        if refusal is None:
            raise
        print(f"chexreason: {refusal}", file=sys.stderr)
        return 2


def needs_environment(arguments: Sequence[str]) -> bool:
    """Whether the words are those of a command that is run in the environment; wrong ones are not, nor is --help."""
    try:
        return parser().parse_args(arguments).act not in (targets.setup, targets.clean)
    except UserError:
        return False
    except ImportError:  # of what reads a path
        return True


def refused(error: Exception) -> UserError | None:
    """An error as the line that a user reads; None for one that is ours."""
    again = "run the same command again"
    match error:
        case UserError():
            return error
        case MemoryError():
            return UserError(
                "enough memory", "none left", f"close other programs or choose a smaller batch, and {again}"
            )
        case ImportError(name=str(name)) if name.partition(".")[0] not in ("chexreason", "companion"):
            return UserError(f"the package {name.partition('.')[0]}", str(error), f"run `make setup`, and {again}")
        case OSError(errno=code, filename=path, strerror=said):
            for codes, (wanted, remedy) in SYSTEM.items():
                if code in codes:
                    from chexreason.data.image import masked

                    got = f"{said} at {masked(Path(os.fsdecode(path)))}" if isinstance(path, str | bytes) else str(said)
                    return UserError(wanted, got, f"{remedy} and {again}")
    return None


def entry() -> None:
    """What the console script calls."""
    environment.cache_here()
    codecs.register_error("plain", plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")
    sys.exit(main())


def plain(error: UnicodeError) -> tuple[str, int]:
    """Signs in place of those that cannot be encoded (`PLAIN`), and where to go on, as `codecs` asks."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
