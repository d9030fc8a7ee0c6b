"""``python -m chexreason`` is the command ``chexreason``, in an environment that it makes if there is none."""

import sys

if sys.version_info < (3, 6):  # noqa: UP036  (what follows is not read by an older one)
    sys.exit("chexreason: Expected Python 3.11, 3.12 or 3.13, got Python 2. Start it with python3 -m chexreason.")

from companion.workflow.environment import main

if __name__ == "__main__":
    main()
