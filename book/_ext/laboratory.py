"""Sphinx extension: the laboratory's scripts and what they are given, beside the pages."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy the scripts and write their data once all pages are there."""
    if error or app.builder.format != "html":
        return
    from companion.lab import export

    target = Path(app.outdir) / "_static" / "lab"
    export.write(target)
    for script in sorted((Path(app.srcdir) / "_lab").glob("*.js")):
        shutil.copy(script, target / script.name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
