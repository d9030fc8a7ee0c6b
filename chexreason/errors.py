"""The one error that a user is meant to read.

Everything that a user can cause (a missing folder, a CSV without a column, an unknown prompt) is
raised as a `UserError` whose text says what was expected, what came and what to do. The command
line prints that text without a traceback; any other exception is our own mistake and keeps its
traceback.
"""

from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """A mistake in the input, told in one line: what was expected, what came, what to do."""

    def __init__(self, expected: str, came: str, do: str) -> None:
        self.expected, self.came, self.do = expected, came, do
        super().__init__(f"expected {expected}; came {came}; {do}")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Pickled by its three parts, so that it crosses from a worker process whole."""
        return type(self), (self.expected, self.came, self.do)


def unknown(kind: str, name: object, known: Iterable[str], where: str) -> UserError:
    """The error for a name that no registry holds.

    >>> str(unknown("prompt", "narative", ["narrative", "free"], "chexreason/prompts.py"))
    "expected a prompt among free, narrative; came 'narative'; add a new one in chexreason/prompts.py"
    """
    return UserError(f"a {kind} among {', '.join(sorted(known))}", repr(name), f"add a new one in {where}")
