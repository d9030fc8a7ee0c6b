"""Sphinx extension: takes out of each page what it loads for nothing, and says what the page is.

The theme asks browsers to load its fonts and scripts ahead of time. For a page opened from disk they refuse that with
an error in the console, and load the same files later anyway. The script that tells Thebe its address, which this book
does not use, is written twice, and the second time is an error. Icons come twice as well, as a font and as a script of
1.5 MB that draws them anew; the font is enough. MathJax comes with each page, a formula there or not. And a dark page
is white until the theme's last script has run, unless its first one looks at what the reader prefers.
"""

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PRELOAD = re.compile(r'\s*<link rel="preload"[^>]*>')
THEBE = re.compile(
    r"\s*<script>const THEBE_JS_URL.*?</script>|\s*<script[^>]*(?:sphinx-thebe\.js|x-thebe-config).*?</script>",
    re.DOTALL,
)
ICONS = re.compile(r'\s*<script[^>]*src="[^"]*/fontawesome/[^"]*"></script>|\s*<script>\s*FontAwesome[^<]*</script>')
MATHS = re.compile(r"\s*<script>window\.MathJax[^<]*</script>|\s*<script[^>]*mathjax[^>]*></script>")
THEME = 'localStorage.getItem("theme") || "auto"'
PREFERRED = 'localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
#: Characters of a description, as search engines and messengers show it.
LONGEST = 200


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the pages after they are all written, and remove what no page loads any more."""
    if error or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        light = ICONS.sub("", THEBE.sub("", PRELOAD.sub("", text))).replace(THEME, PREFERRED)
        if 'class="math' not in light:
            light = MATHS.sub("", light)
        page.write_text(light, encoding="utf-8")
    for unused in (Path(app.outdir) / "_static").rglob("fontawesome/*/js/all.min.js"):
        unused.unlink()


def describe(app: Sphinx, name: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """What the page is, for search engines and for whoever is sent its address: its title and its first paragraph."""
    if document is None:
        return
    said = (one.astext() for one in document.findall(nodes.paragraph))
    words = " ".join(next((text for text in said if len(text) > 40), app.config.project).split())
    if len(words) > LONGEST:
        words = words[:LONGEST].rpartition(" ")[0] + " …"
    about = {"og:title": str(context.get("title", "")), "og:description": words, "og:type": "article"}
    tags = [f'<meta name="description" content="{escape(words)}"/>']
    tags += [f'<meta property="{key}" content="{escape(re.sub("<[^>]*>", "", text))}"/>' for key, text in about.items()]
    context["metatags"] = context.get("metatags", "") + "\n    " + "\n    ".join(tags)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", describe)
    app.connect("build-finished", lighten)
    if numbering := app.extensions.get("sphinx_multitoc_numbering"):
        # It works on what has been read, but does not declare so, and the pages would be executed one after the other.
        numbering.parallel_read_safe = True
    return {"parallel_read_safe": True, "parallel_write_safe": True}
