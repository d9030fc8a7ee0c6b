"""Whether a profile can run on this machine, before anything is paid for (sections 3.2.1 and 3.2.2).

Every check yields rows: what was looked at, how it stands, what came, how to get it. *Missing* keeps the
profile from running; *differs* does not, but its numbers may then not be comparable. Nothing is
written, nothing is fetched, and no row of any data set is shown.
"""

import textwrap
from collections.abc import Iterator, Sequence

from chexreason.config import Profile
from companion.replication.doctor import datasets, machine, weights
from companion.replication.doctor.row import DIFFERS, MISSING, READY, Row

__all__ = ["DIFFERS", "MISSING", "READY", "Row", "examine", "lines", "tell", "verdict"]

#: The checks in the order of the table; each takes the profile and yields rows.
CHECKS = (datasets.check, machine.check, weights.check)
#: The columns of names and of states, and the least and most that the table is wide.
NAME, STATE, NARROWEST, WIDEST = 18, 7, 60, 120


def examine(profile: Profile) -> Iterator[Row]:
    """All rows, as they are found."""
    for check in CHECKS:
        yield from check(profile)


def lines(row: Row | None, width: int) -> str:
    """A row of the table as text of at most `width` columns; the head for None."""
    width = max(NARROWEST, min(WIDEST, width))
    if row is None:
        head = f"{'what':<{NAME}}  {'state':<{STATE}}  what came, and how to get it"
        return f"{head}\n{'-' * width}"
    indent, under = " " * (NAME + STATE + 4), " " * (NAME + 2)  # a link of the latter has room at 80 columns
    got = textwrap.fill(
        row.got, width, initial_indent=f"{row.what:<{NAME}}  {row.state:<{STATE}}  ", subsequent_indent=indent,
        break_on_hyphens=False,
    )  # fmt: skip
    if row.state == READY or not row.how:
        return got
    how = textwrap.fill(
        row.how, width, initial_indent=f"{under}> ", subsequent_indent=f"{under}  ", break_on_hyphens=False
    )
    return f"{got}\n{how}"


def verdict(profile: Profile, rows: Sequence[Row], width: int) -> tuple[str, bool]:
    """The last lines, and whether the profile can run."""
    missing, differ = ([row.what for row in rows if row.state == state] for state in (MISSING, DIFFERS))
    aside = f"; differs: {', '.join(differ)}" if differ else ""
    can = f"cannot run yet; missing: {', '.join(missing)}" if missing else "can run"
    told = f"The profile {profile.name} {can}{aside}"
    return textwrap.fill(told, max(NARROWEST, min(WIDEST, width)), break_on_hyphens=False), not missing


def tell(profile: Profile, width: int) -> int:
    """Print the table, a row as soon as it is known; returns the exit status: 0 only if the profile can run."""
    rows = []
    print(lines(None, width))
    for row in examine(profile):
        rows.append(row)
        print(lines(row, width), flush=True)
    told, can_run = verdict(profile, rows, width)
    print(told)
    return 0 if can_run else 1
