"""One line of the doctor's table: what was looked at, how it stands, what came, and how to get what is missing."""

from dataclasses import dataclass

#: There and as expected; not there, so that the profile cannot run; there and not as published or pinned.
READY, MISSING, DIFFERS = "ready", "missing", "differs"


@dataclass(frozen=True)
class Row:
    """A finding of the doctor. `how` says what to do where the state is not `READY`."""

    what: str
    state: str
    got: str
    how: str = ""
