"""Whether a profile can run on this machine, before anything is paid for (sections 3.2.1 and 3.2.2).

Every check yields rows: what was looked at, how it stands, what it found, how to get it. *Missing* keeps the
profile from running; *differs* does not, but its numbers may then not be comparable. Nothing is
written, nothing is fetched, and no row of any data set is shown.
"""

from collections.abc import Iterator

from chexreason.config import Profile
from companion.replication.doctor import datasets, machine, weights
from companion.replication.doctor.rows import DIFFERS, MISSING, NAME, STATE, Row, fill

#: The checks in the order of the table; each takes the profile and yields rows.
CHECKS = (datasets.check, machine.check, weights.check)


def examine(profile: Profile) -> Iterator[Row]:
    """All rows, as they are found."""
    for check in CHECKS:
        yield from check(profile)


def tell(profile: Profile, width: int) -> int:
    """Print the table, a row as soon as it is known; returns the exit status: 0 only if the profile can run."""
    print(f"{'what':<{NAME}}  {'state':<{STATE}}  what was found, and how to get it")
    names: dict[str, list[str]] = {}
    for row in examine(profile):
        names.setdefault(row.state, []).append(row.what)
        print(row.text(width), flush=True)
    missing, differs = (", ".join(names.get(state, [])) for state in (MISSING, DIFFERS))
    can = f"cannot run yet; missing: {missing}" if missing else "can run"
    print(fill(f"The profile {profile.name} {can}{f'; differs: {differs}' if differs else ''}", width))
    return int(bool(missing))
