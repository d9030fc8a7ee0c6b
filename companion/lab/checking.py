"""Runs the code of an exercise and its checks. No more than the standard library: the book's pages run this file, too.

python -m companion.lab.checking ASKED.json REPLY.json
"""

import builtins
import contextlib
import io
import json
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

#: What a traceback calls the code of an exercise, and that of a check.
YOURS, CHECK = "<yours>", "<check>"
#: Characters of what is printed that are kept.
KEPT = 20_000


class Said(io.StringIO):
    """What code prints, its beginning; it cannot be closed."""

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        super().write(text[: max(0, KEPT - self.tell())])
        return len(text)

    def close(self) -> None:
        """Nothing: it is read when the code has ended."""


def run(code: str, checks: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Run code, then each check in a copy of its names, whatever became of those before.

    Returns ``output``, what was printed; ``error`` of the code itself, empty if there is none; and ``checks``, for each
    its title, whether it is right, its hint, and the error that ended it.

    >>> run("a = 1", [{"title": "a is two", "code": "assert a == 2", "hint": "Add one."}])["checks"]
    [{'title': 'a is two', 'right': False, 'hint': 'Add one.', 'error': ''}]
    """
    names: dict[str, Any] = {"__name__": "exercise"}
    said, found = Said(), []
    with as_it_was(), contextlib.redirect_stdout(said):
        error = ended(code, YOURS, names)
        for check in checks if error is None else ():
            wrong = ended(check["code"], CHECK, dict(names))
            message = "" if wrong in (None, "AssertionError") else wrong
            result = {"title": check["title"], "right": wrong is None, "hint": check["hint"], "error": message}
            found.append(result)
    return {"output": said.getvalue(), "error": error or "", "checks": found}


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Whatever the block does to built-in names or loaded modules is undone: the next answer finds none of it."""
    held, loaded = vars(builtins), sys.modules
    names, modules = dict(held), dict(loaded)
    try:
        yield
    finally:
        held.update(names)  # before anything built in is called
        loaded.update(modules)
        for now, before in ((held, names), (loaded, modules)):
            for name in [name for name in now if name not in before]:
                del now[name]


def ended(code: str, name: str, names: dict[str, Any]) -> str | None:
    """None if code runs to its end; else its error in a line, with the line of the learner's code that it arose in."""
    try:
        exec(compile(code, name, "exec"), names)
    except BaseException as error:  # noqa: BLE001 -- whatever a beginner's code ends in, sys.exit() too
        if name == CHECK and isinstance(error, AssertionError):
            return str(error) or "AssertionError"
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == YOURS]
        lines = [error.lineno] if isinstance(error, SyntaxError) and error.filename == YOURS else lines
        where = f"line {lines[-1]}: " if lines else ""
        return where + "".join(traceback.format_exception_only(error)).strip().splitlines()[-1][:500]
    return None


if __name__ == "__main__":
    asked, reply = map(Path, sys.argv[1:])
    del sys.argv[1:]
    result = run(**json.loads(asked.read_text(encoding="utf-8")))
    reply.write_text(json.dumps(result), encoding="utf-8")
