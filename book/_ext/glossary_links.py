"""Sphinx extension: links a term of the glossary where a chapter first uses it, with its meaning on hover."""

import re
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

#: Pages whose words are links already, or that are a reference by themselves.
NOT_IN = ("glossary", "claims", "references", "notebooks/")


@cache
def terms(source: str) -> dict[str, str]:
    """Term -> its meaning, in the order of the page."""
    body = re.search(r"```\{glossary\}\n(.*?)```", Path(source, "glossary.md").read_text(encoding="utf-8"), re.DOTALL)
    assert body, "the glossary is a directive of that name"
    found = re.findall(r"^(\S.*)\n((?:    .*\n)+)", body[1], re.MULTILINE)
    return {name: " ".join(meaning.replace("*", "").replace("`", "").split()) for name, meaning in found}


def link(app: Sphinx, document: nodes.document) -> None:
    """Link each term's first use in running text."""
    page = app.env.docname
    if page.startswith(NOT_IN):
        return
    meanings = terms(str(app.srcdir))
    wanted = {name: re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE) for name in meanings}
    for text in list(document.findall(nodes.Text)):
        above = text.parent
        if not isinstance(above, nodes.paragraph):  # no link, no code, no heading, no emphasis
            continue
        pieces, rest = [], str(text)
        while rest:
            matches = {name: match for name, one in wanted.items() if (match := one.search(rest))}
            if not matches:
                break
            name = min(matches, key=lambda name: (matches[name].start(), -len(name)))  # the longer of two
            match = matches[name]
            pieces += [nodes.Text(rest[: match.start()]), _reference(app, page, name, match[0], meanings[name])]
            rest = rest[match.end() :]
            del wanted[name]
        if pieces:
            above.replace(text, [*pieces, nodes.Text(rest)])


def _reference(app: Sphinx, page: str, name: str, shown: str, meaning: str) -> nodes.reference:
    place = f"{'../' * page.count('/')}glossary.html#term-{re.sub(r'[^A-Za-z0-9]+', '-', name)}"
    return nodes.reference(shown, shown, refuri=place, reftitle=meaning, classes=["cxr-term"], internal=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
