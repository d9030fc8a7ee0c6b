"""Whether a profile can run on this machine, before anything is paid for (sections 3.2.1 and 3.2.2).

Every check yields rows: what was looked at, how it stands, what it found, how to get it. *Missing* keeps what
needs it from running; *differs* does not, but its numbers may then not be comparable. Nothing is written or fetched,
and no row of any data set is shown.
"""

import textwrap
from typing import NamedTuple

from chexreason.config import Profile
from chexreason.errors import UserError

#: There and as expected; not there, so that what needs it cannot run; there and not as published or pinned.
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
        got = _fill(self.got, width, f"{self.what:<18}  {self.state:<7}  ", 29)
        return got if self.state == READY or not self.how else f"{got}\n{_fill(self.how, width, ' ' * 20 + '> ', 22)}"


def tell(profile: Profile, width: int) -> int:
    """Print the table, a row as soon as it is known, and what can be computed of the study.

    Returns the exit status: 0 if anything can.
    """
    from companion.replication.doctor import datasets, machine, parts

    print(f"{'what':<18}  {'state':<7}  what was found, and how to get it")
    found: dict[str, list[str]] = {READY: [], MISSING: [], DIFFERS: []}
    for part in (datasets, machine):
        for row in part.check(profile):
            found[row.state].append(row.what)
            print(row.text(width), flush=True)
    print(f"\n{'what is computed':<18}  {'state':<7}  of what, and what is missing for the rest")
    shown = list(parts.check(profile, found[MISSING]))
    print(*(row.text(width) for row in [*shown, parts.scoring(profile, found[MISSING])]), "", sep="\n")
    can = "can run" if not found[MISSING] else "cannot run yet"
    if found[MISSING] and any(row.state != MISSING for row in shown):
        can = (
            "can run in part: give a profile of your own that part as its `study`, as chexreason/profiles/open.yml does"
        )
    missing = f"; missing: {', '.join(found[MISSING])}" if found[MISSING] else ""
    differs = f"; differs: {', '.join(found[DIFFERS])}" if found[DIFFERS] else ""
    print(_fill(f"The profile {profile.name} {can}{missing}{differs}", width))
    return int(all(row.state == MISSING for row in shown))


def _fill(text: str, width: int, first: str = "", indent: int = 0) -> str:
    """`text` wrapped into a terminal of `width` columns, 60 at least and 120 at most."""
    width = max(60, min(120, width))
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False)
