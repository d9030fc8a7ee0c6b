"""One at a time, on one machine or on several that share a folder.

    python -m companion.workflow.locked FILE COMMAND...

A lock is the system's: it goes with the process that holds it, however that ends. Whoever comes second says so and waits.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[IO[str]]:
    """Hold the lock of a file while the block runs; waits for another process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process, which holds {os.path.relpath(path)}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


if __name__ == "__main__":
    try:
        with locked(Path(sys.argv[1])) as held:
            os.set_inheritable(held.fileno(), True)  # the command takes this process's place, and keeps the lock
            os.execvp(sys.argv[2], sys.argv[2:])
    except KeyboardInterrupt:
        sys.exit(130)
