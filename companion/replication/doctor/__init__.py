"""Whether a profile can run on this machine, before anything is paid for (sections 3.2.1 and 3.2.2).

Every check yields rows: what was looked at, how it stands, what it found, how to get it. *Missing* keeps the
profile from running; *differs* does not, but its numbers may then not be comparable. Nothing is
written, nothing is fetched, and no row of any data set is shown.
"""

from collections.abc import Iterator

from chexreason.config import Profile
from companion.replication.doctor import datasets, machine, weights
from companion.replication.doctor.rows import DIFFERS, MISSING, Row, fill


def examine(profile: Profile) -> Iterator[Row]:
    """All rows, as they are found."""
    for part in (datasets, machine, weights):
        yield from part.check(profile)


def tell(profile: Profile, width: int) -> int:
    """Print the table, a row as soon as it is known; returns the exit status: 0 only if the profile can run."""
    print(f"{'what':<18}  {'state':<7}  what was found, and how to get it")
    found = []
    for row in examine(profile):
        found.append(row)
        print(row.text(width), flush=True)
    missing, differs = (", ".join(row.what for row in found if row.state == state) for state in (MISSING, DIFFERS))
    can = f"cannot run yet; missing: {missing}" if missing else "can run"
    print(fill(f"The profile {profile.name} {can}{f'; differs: {differs}' if differs else ''}", width))
    return int(bool(missing))
