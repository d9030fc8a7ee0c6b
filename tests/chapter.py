"""What a page of the book says and what its tables hold, without building the book."""

import ast
import re

from bs4 import BeautifulSoup

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


def table_rows(html: str) -> list[list[str]]:
    """The rows of a table as lists of texts, without the marks of few positives and of runs that are left out."""
    rows = BeautifulSoup(html, "html.parser").select("tr")
    return [[cell.get_text(strip=True).rstrip("†‡§¶") for cell in row.select("td, th")] for row in rows]


def cells_of(html: str, name: str) -> list[str]:
    """The cells of a row by its first one."""
    return next(row[1:] for row in table_rows(html) if row[:1] == [name])
