"""Sphinx extension: a badge below the title of each page whose results do not agree with the code as it is.

$CHEXREASON_STALE holds what `chexreason html` found: page -> what differs, as JSON.
"""

import json
import os
import re

from sphinx.application import Sphinx

TITLE = re.compile(r"^# .+$", re.MULTILINE)


def mark(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the badge into the text of a page before it is parsed."""
    found = json.loads(os.environ.get("CHEXREASON_STALE") or "{}")
    if page in found:
        reasons = "\n".join(f"- {what}" for what in found[page])
        badge = f":::{{warning}}\n**Some numbers on this page are older than the code.**\n{reasons}\n:::"
        source[0] = TITLE.sub(lambda title: f"{title[0]}\n\n{badge}", source[0], count=1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
