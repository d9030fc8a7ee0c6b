"""Sphinx extension: takes out of each page what makes browsers complain when it is opened as a file.

The theme asks browsers to load its fonts and scripts ahead of time. For a page opened from disk they
refuse that with an error in the console, and load the same files later anyway. The script that tells
Thebe its address, which this book does not use, is written twice, and the second time is an error.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

PRELOAD = re.compile(r'\s*<link rel="preload"[^>]*>')
THEBE = re.compile(r"\s*<script>const THEBE_JS_URL.*?</script>", re.DOTALL)


def quieten(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the pages after they are all written."""
    if error or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        quiet = THEBE.sub("", PRELOAD.sub("", text))
        if quiet != text:
            page.write_text(quiet, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", quieten)
    if numbering := app.extensions.get("sphinx_multitoc_numbering"):
        # It works on what has been read, but does not declare so, and the pages would be executed one after the other.
        numbering.parallel_read_safe = True
    return {"parallel_read_safe": True, "parallel_write_safe": True}
