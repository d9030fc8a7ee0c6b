"""A command that waits for another of the same lock, as `make` calls it: FILE COMMAND... (macOS has no `flock`)."""

import os
import sys
from pathlib import Path

from chexreason.files import alone
from companion.workflow.commands import refused

if __name__ == "__main__":
    try:
        with alone(Path(sys.argv[1])) as lock:
            os.set_inheritable(lock.fileno(), True)  # the command takes this process's place, and keeps the lock
            os.execvp(sys.argv[2], sys.argv[2:])
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"chexreason: {refused(error)}")
