"""Runs the code of an exercise and its checks. No more than the standard library: the book's pages run this file, too.

python -m companion.lab.checking < {"code": ..., "checks": [{"title": ..., "code": ..., "hint": ...}, ...]}
"""

import contextlib
import io
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

#: What a traceback calls the code of an exercise.
YOURS = "<yours>"


def run(code: str, checks: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Run code, then each check in a copy of its names, whatever became of those before.

    Returns ``output``, what was printed; ``error`` of the code itself, empty if there is none; and ``checks``, for each
    its title, whether it is right, its hint, and the error that ended it.

    >>> run("a = 1", [{"title": "a is two", "code": "assert a == 2", "hint": "Add one."}])["checks"]
    [{'title': 'a is two', 'right': False, 'hint': 'Add one.', 'error': ''}]
    """
    names: dict[str, Any] = {"__name__": "exercise"}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        error = _error(code, names)
        found = []
        for check in checks if error is None else ():
            wrong = _error(check["code"], dict(names))
            told = {"title": check["title"], "right": wrong is None, "hint": check["hint"], "error": wrong or ""}
            found.append(told)
    return {"output": said.getvalue(), "error": error or "", "checks": found}


def _error(code: str, names: dict[str, Any]) -> str | None:
    """None if the code runs to its end; else its error as the writer of the code reads it."""
    try:
        exec(compile(code, YOURS, "exec"), names)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 -- whatever a beginner's code ends in, sys.exit() too
        if isinstance(error, AssertionError):
            return str(error)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == YOURS]
        lines = [error.lineno] if isinstance(error, SyntaxError) and error.filename == YOURS else lines
        where = f"line {lines[-1]}: " if lines else ""
        return where + "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return None


if __name__ == "__main__":
    print("\n" + json.dumps(run(**json.load(sys.stdin))))
