"""The files of `results/published/`, read only if they are the ones that were held against their sources.

`SHA256SUMS` lies beside them and holds the digest of each (the format of the program sha256sum). The six tables
were written from the paper's text, twice and in two ways, before their digests were taken. A number that changes
afterwards, by a slip or on purpose, is told with the name of its file instead of being shown.
"""

import csv
import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from chexreason.config import RESULTS
from chexreason.errors import UserError

PUBLISHED = RESULTS / "published"
SUMS = "SHA256SUMS"
_SHOWN = "results/published"
_RESTORE = f"restore it with `git checkout -- {_SHOWN}`"
_MEANT = f"if the change is meant, hold it against its source and run `sha256sum *.csv > {SUMS}` there"


def digests() -> Mapping[str, str]:
    """file -> SHA-256 of each file as it was checked. Raises UserError if the list is missing or broken."""
    place = PUBLISHED / SUMS
    return _digests(place, _bytes(place))


@functools.cache
def _digests(place: Path, listed: bytes) -> Mapping[str, str]:
    found = {}
    for number, line in enumerate(listed.decode("utf-8", "replace").splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise UserError(f"a digest and a file's name in line {number} of {_SHOWN}/{SUMS}", repr(line), _RESTORE)
        found[name] = digest
    return found


def altered() -> dict[str, str]:
    """file -> what is wrong with it: missing, not the one that was checked, or not listed; empty if all is well.

    Raises UserError if the list of digests itself is missing or broken.
    """
    wrong = {}
    for name in digests():
        try:
            _checked(name)
        except UserError as error:
            wrong[name] = str(error)
    for path in sorted(PUBLISHED.glob("*.csv")):
        if path.name not in digests():
            wrong[path.name] = f"expected a digest of {_SHOWN}/{path.name} in {SUMS}, got none; {_MEANT}"
    return wrong


def rows(name: str, columns: Sequence[str], numbers: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a file, each with these columns at least; those in `numbers` hold numbers.

    Raises UserError for a file that is missing or altered, and for a row that lacks a column or has no number in one.
    """
    lines = csv.DictReader(io.StringIO(_checked(name), newline=""))
    missing = [column for column in columns if column not in (lines.fieldnames or ())]
    if missing:
        raise UserError(f"the column {missing[0]} in {_SHOWN}/{name}", f"{', '.join(lines.fieldnames or ())}", _RESTORE)
    found = []
    for number, row in enumerate(lines, 2):
        if wrong := _wrong(row, numbers):
            raise UserError(f"{wrong} in line {number} of {_SHOWN}/{name}", ",".join(_values(row)), _RESTORE)
        found.append(row)
    return found


def frame(name: str, columns: Sequence[str], numbers: Sequence[str] = ()) -> pd.DataFrame:
    """The same rows as a table, columns typed by pandas. Raises what `rows` raises."""
    rows(name, columns, numbers)
    return pd.read_csv(io.StringIO(_checked(name)))


def _wrong(row: Mapping[str | None, Any], numbers: Sequence[str]) -> str:
    """What a row lacks, in words; empty if nothing."""
    columns = [name for name in row if name is not None]
    if None in row or None in row.values():
        return f"{len(columns)} values"
    return next((f"a number as {name}" for name in numbers if not _is_number(row[name])), "")


def _values(row: Mapping[str | None, Any]) -> list[str]:
    """What a line holds; csv gathers too many values under None, and gives None for those that lack."""
    return [str(value) for name, value in row.items() if name is not None and value is not None] + row.get(None, [])


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


def _checked(name: str) -> str:
    """The text of a file that is as it was checked."""
    if name not in digests():
        raise UserError(f"a digest of {_SHOWN}/{name} in {SUMS}", "none", _MEANT)
    content = _bytes(PUBLISHED / name)
    got, wanted = hashlib.sha256(content).hexdigest(), digests()[name]
    if got != wanted:
        raise UserError(f"{_SHOWN}/{name} as it was checked (SHA-256 {wanted[:12]}…)", f"another ({got[:12]}…)",
                        f"{_RESTORE}, or, {_MEANT}")  # fmt: skip
    return content.decode("utf-8")


def _bytes(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise UserError(f"the file {_SHOWN}/{place.name}", str(error.strerror).lower(), _RESTORE) from error
