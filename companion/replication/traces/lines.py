"""The file of traces while it is being written: one line an answer, whole or not there."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from chexreason.errors import UserError
from chexreason.traces import entry_of, read


class Lines:
    """A file of traces that this process alone adds to; `found` is what it holds, by study."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        self.found = read(path)

    def add(self, study: str, trace: str, **about: str) -> None:
        """Append one line, on the disk when this returns. ASCII, so that no character in a trace can end a line."""
        entry = {"study": study, "trace": trace, **about}
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.found[study] = entry


@contextmanager
def opened(path: Path) -> Iterator[Lines]:
    """The file at `path`, made if need be. What a killed process left of a line is taken away first.

    Raises UserError if another process is writing it, or where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise UserError(
            f"permission to write {path.name}", f"{error.strerror} in {path.parent}", "choose another cache folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"to be alone at {path.name}", "another process that is writing it", "wait for that one to end"
            ) from None
        _mend(path, file)
        yield Lines(path, file)


def _mend(path: Path, file: BinaryIO) -> None:
    """End the last line, or take it away if it is torn: the beginning of a JSON object is never a whole one."""
    held = path.read_bytes()
    start = held.rfind(b"\n") + 1
    if held[start:]:
        if entry_of(held[start:]):
            file.write(b"\n")
        else:
            file.truncate(start)


def as_json(value: Mapping[str, Any]) -> bytes:
    """Plain data as it is written beside the traces."""
    return (json.dumps(value, indent=1) + "\n").encode()
