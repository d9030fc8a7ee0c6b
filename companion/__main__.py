"""``python -m companion`` is the command ``chexreason``."""

from companion.workflow.commands import entry

if __name__ == "__main__":
    entry()
