"""A page of the book as it reads, without building the book: its cells are run and its sentences filled, in order."""

import ast
import re

from chexreason import config

#: A code cell, or a value in a sentence.
PARTS = re.compile(r"^```{code-cell}[^\n]*\n(?::tags:[^\n]*\n)?(.*?)^```|{eval}`([^`]*)`", re.MULTILINE | re.DOTALL)


def sentences(page: str, shown: bool = False) -> str:
    """The page's text with its values, a blank for each line break; cells that only show something run if `shown`."""
    names: dict[str, object] = {}

    def filled(found: re.Match[str]) -> str:
        if found[2] is not None:
            return str(eval(found[2], names))
        if shown or not isinstance(ast.parse(found[1]).body[0], ast.Expr):
            exec(found[1], names)
        return ""

    return " ".join(PARTS.sub(filled, (config.ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")).split())
