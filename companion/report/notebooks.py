"""The executed notebooks as pages of the book, shown as they ran and never run again.

The four notebooks (sections 4.1 to 4.4) are executed in batch, long before the book is built. Their
cells and outputs are laid out here as HTML. Progress bars and other output on the error stream are
left out. The notebook itself is attached to its page for downloading.
"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from companion.evidence.tables import profile as shown_profile
from companion.evidence.tables import results_root, tier_of
from companion.report.theme import Html, badge, block, escape, scrolling


def notebook(name: str, profile: str | None = None, results: Path | None = None) -> Html:
    """The executed notebook `name` (01_prompting, ...) of a profile, or how to make it."""
    profile = profile or shown_profile()
    path = results_root(results) / profile / "notebooks" / f"{name}.ipynb"
    if not path.is_file():
        return block(
            f'<p class="cxr-note">The profile {escape(profile)} has not run this notebook. '
            f"<code>make book PROFILE={escape(profile)}</code> runs it.</p>"
        )
    raw = path.read_bytes()
    # The tier's badge covers all that follows, since a notebook may print a number of its own.
    link = (
        f'<a download="{escape(profile)}-{escape(name)}.ipynb" '
        f'href="data:application/x-ipynb+json;base64,{base64.b64encode(raw).decode()}">'
        "download the executed notebook</a>"
    )
    cells = nbformat.reads(raw.decode("utf-8"), as_version=4).cells
    body = "".join(_cell(cell) for cell in cells)
    return block(f'<div class="cxr-head">{badge(tier_of(profile), profile, "executed notebook")} {link}</div>{body}')


def _cell(cell: Mapping[str, Any]) -> str:
    if cell["cell_type"] == "markdown":
        return render(cell["source"], deeper=1)
    if cell["cell_type"] != "code" or not cell["source"].strip():
        return ""
    code = highlight(cell["source"], PythonLexer(), HtmlFormatter(nowrap=True))
    shown = "".join(_output(output) for output in cell["outputs"])
    return f'<div class="highlight cxr-code"><pre tabindex="0">{code}</pre></div>' + (
        f'<div class="cxr-output">{shown}</div>' if shown else ""
    )


def _output(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _text(output["text"]) if output["name"] == "stdout" else ""
    if output["output_type"] == "error":
        return _text(f"{output['ename']}: {output['evalue']}")
    data = output["data"]
    if "text/html" in data:
        # Ids of other outputs must not meet those of this page; a bare data frame needs a box that scrolls.
        html = data["text/html"].replace('href="notebooks/', 'href="')  # this page is among them
        return html if 'class="cxr"' in html else scrolling(_plain(html), "output")
    if "text/markdown" in data:
        return render(data["text/markdown"])
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f'<img alt="output of the cell above" src="data:{kind};base64,{data[kind].strip()}">'
    return _text(data.get("text/plain", ""))


def _plain(html: str) -> str:
    """A data frame's HTML without the style block and border of pandas."""
    return re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL).replace(' border="1"', "")


def _text(text: str) -> str:
    # Carriage returns and colour codes are for terminals.
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.rsplit("\r", 1)[-1] for line in text.split("\n")]
    return f'<pre class="cxr-text" tabindex="0">{escape(chr(10).join(lines))}</pre>' if text.strip() else ""


def render(text: str, deeper: int = 2) -> str:
    """Markdown as HTML with its headings `deeper` levels down; relative links fall away."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + deeper)}"
        for child in token.children or []:
            if child.type == "link_open" and not str(child.attrGet("href")).startswith(("http://", "https://")):
                child.attrs.pop("href")
    html = parser.renderer.render(tokens, parser.options, {})
    return re.sub(r"<table>.*?</table>", lambda found: scrolling(found[0], "table"), html, flags=re.DOTALL)
