"""Sphinx extension: the executed notebooks as pages, shown as they ran and never run again.

A page `NN_name.executed` holds the name of a notebook; what is read in its place is the notebook that the shown profile
has left in `results/`, below a badge with its tier, since a notebook may print a number of its own.
"""

import base64

import nbformat
from sphinx.application import Sphinx

from companion.evidence.tables import profile, results_root, tier_of
from companion.report.theme import badge, block, escape


def read(text: str) -> nbformat.NotebookNode:
    """The notebook that a page's source names, with its badge and itself for downloading; or how to make it."""
    name, shown = text.strip(), profile()
    path = results_root() / shown / "notebooks" / f"{name}.ipynb"
    if not path.is_file():
        missing = f"# {name}\n\nThe profile {shown} has not run this notebook: `make book PROFILE={shown}` runs it."
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(missing)])
    raw = path.read_text(encoding="utf-8")
    link = (
        f'<a download="{escape(shown)}-{name}.ipynb" href="data:application/x-ipynb+json;base64,'
        f'{base64.b64encode(raw.encode()).decode()}">download the executed notebook</a>'
    )
    head = block(f'<div class="cxr-head">{badge(tier_of(shown), shown, "executed notebook")} {link}</div>').text
    found = nbformat.reads(raw.replace('href=\\"notebooks/', 'href=\\"'), as_version=4)  # this page is among them
    found.cells.insert(1, nbformat.v4.new_markdown_cell(head))
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    return {"parallel_read_safe": True, "parallel_write_safe": True}
