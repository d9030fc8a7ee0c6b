"""One line of the doctor's table: what was looked at, how it stands, what it found, and how to get what is missing."""

import textwrap
from typing import NamedTuple

from chexreason.errors import UserError

#: There and as expected; not there, so that the profile cannot run; there and not as published or pinned.
READY, MISSING, DIFFERS = "ready", "missing", "differs"


class Row(NamedTuple):
    """A finding of the doctor. `how` says what to do where the state is not `READY`."""

    what: str
    state: str
    got: str
    how: str = ""

    @classmethod
    def failed(cls, what: str, error: UserError, get: str = "") -> "Row":
        """A check that an error ended; `get` says what else to do about it."""
        how = f"{error.do}. {get}" if get else error.do
        return cls(what, MISSING, f"expected {error.expected}, got {error.got}", how)

    def text(self, width: int) -> str:
        """The row in `width` columns, and its remedy below it."""
        got = fill(self.got, width, f"{self.what:<18}  {self.state:<7}  ", 29)
        return got if self.state == READY or not self.how else f"{got}\n{fill(self.how, width, ' ' * 20 + '> ', 22)}"


def fill(text: str, width: int, first: str = "", indent: int = 0) -> str:
    """`text` wrapped into a terminal of `width` columns, 60 at least and 120 at most."""
    width = max(60, min(120, width))
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False)
