"""Sphinx extension: MathJax beside the pages, so that the book's equations need no network.

The files come with the package `sphinx-mathjax-offline`. Its own extension copies all of MathJax, and does not say that
pages may be read side by side; what the pages load is one script and its fonts.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

from sphinx.application import Sphinx

PACKAGE = "sphinx-mathjax-offline"
FONTS = Path("output/chtml/fonts/woff-v2")


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy the script and its fonts to where `mathjax_path` looks for them."""
    if error or app.builder.format != "html":
        return
    source = Path(str(distribution(PACKAGE).locate_file(PACKAGE))) / "static"
    target, script = Path(app.outdir) / "_static", Path(app.config.mathjax_path)
    shutil.copytree(source / script.parent / FONTS, target / script.parent / FONTS, dirs_exist_ok=True)
    shutil.copy(source / script, target / script)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
