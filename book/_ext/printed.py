"""Sphinx extension: the argument as a PDF, printed by the Chromium that is found, if one is; else the page has no link.

The page holds the link from the start, hidden; it is shown once there is something to lead to.
"""

import shutil
import subprocess
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGE, HIDDEN = "argument", '<p class="cxr-pdf" hidden>'
#: Seconds after which a browser that does not answer is let go.
PATIENCE = 300


def printed(app: Sphinx, error: Exception | None) -> None:
    """Print the page beside itself, and show the link to it."""
    page = Path(app.outdir) / f"{PAGE}.html"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if error or app.builder.format != "html" or browser is None or not page.is_file():
        return
    out = page.with_suffix(".pdf")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    try:
        subprocess.run(
            [*command, f"--print-to-pdf={out}", page.as_uri()], check=True, capture_output=True, timeout=PATIENCE
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as reason:
        logging.getLogger(__name__).info("no PDF of the argument: %s", reason)
        return
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(HIDDEN, HIDDEN.replace(" hidden", "")), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", printed, priority=900)  # after all that rewrites pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
