"""The files of `results/published/`, read only if they are the ones that were held against their sources.

`SHA256SUMS` lies beside them and holds the digest of each (the format of the program sha256sum). The six tables
were written from the paper's text, twice and in two ways, before their digests were taken. A file that was changed
afterwards, by a slip or on purpose, is named instead of being shown.
"""

import csv
import hashlib
import io
from collections.abc import Mapping

import pandas as pd

from chexreason.config import RESULTS
from chexreason.data import SOURCES
from chexreason.errors import UserError

PUBLISHED = RESULTS / "published"
SUMS = "SHA256SUMS"
_SHOWN = "results/published"
_RESTORE = f"restore it with `git checkout -- {_SHOWN}`"
_MEANT = f"if the change is meant, hold it against its source and run `sha256sum *.csv > {SUMS}` there"


def digests() -> Mapping[str, str]:
    """file -> SHA-256 of each file as it was checked. Raises UserError if the list is missing or broken."""
    found = {}
    for number, line in enumerate(_bytes(SUMS).decode("utf-8", "replace").splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise UserError(f"a digest and a file's name in line {number} of {_SHOWN}/{SUMS}", repr(line), _RESTORE)
        found[name] = digest
    return found


def altered() -> dict[str, str]:
    """file -> what is wrong with it: missing, not the one that was checked, or not listed; empty if all is well."""
    wrong = {}
    for name in sorted({*digests(), *(path.name for path in PUBLISHED.glob("*.csv"))}):
        try:
            _checked(name)
        except UserError as error:
            wrong[name] = str(error)
    return wrong


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a file as text. Raises UserError for a file that is missing or altered."""
    return list(csv.DictReader(_checked(name)))


def frame(name: str) -> pd.DataFrame:
    """The same as a table, columns typed by pandas."""
    return pd.read_csv(_checked(name))


def published(source: str) -> dict[str, tuple[str, str]]:
    """fact -> (value, where it was read) of a data set in results/published/datasets.csv."""
    title = SOURCES[source].title
    return {row["fact"]: (row["value"], row["source"]) for row in rows("datasets.csv") if row["dataset"] == title}


def listed(source: str) -> int:
    """Studies of the test set of CheXpert or NIH as published, which is all of it where a profile names no number."""
    return int(published(source)[{"chexpert": "test studies", "nih": "test images"}[source]][0].replace(",", ""))


def _checked(name: str) -> io.StringIO:
    """The text of a file that is as it was checked."""
    if (wanted := digests().get(name)) is None:
        raise UserError(f"a digest of {_SHOWN}/{name} in {SUMS}", "none", _MEANT)
    content = _bytes(name)
    if (got := hashlib.sha256(content).hexdigest()) != wanted:
        meant = "restore it with git checkout, or, if the change is meant, see results/README.md"
        raise UserError(f"{_SHOWN}/{name} as it was checked", f"another (SHA-256 {got[:8]}…, not {wanted[:8]}…)", meant)
    return io.StringIO(content.decode("utf-8"), newline="")


def _bytes(name: str) -> bytes:
    try:
        return (PUBLISHED / name).read_bytes()
    except OSError as error:
        raise UserError(f"the file {_SHOWN}/{name}", str(error.strerror).lower(), _RESTORE) from error
