"""How a page reads: its words, its sentences and Flesch's reading ease; tables, code, formulas and figures aside."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bs4 import BeautifulSoup, Tag

#: What is no prose: what is looked at, copied or unfolded, and the theme's own.
APART = (
    "table, figure, pre, code, math, svg, script, style, template, nav, button, label, select, textarea, details, "
    "mjx-container, .math, .cxr, .lab, .cell_input, .headerlink, .citation, h1, h2, h3, h4, dt, dl.footnote"
)
BLOCKS = "p, li, dd, blockquote"
#: A full stop behind one of these ends no sentence.
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|vs|et al|cf|approx|No|Fig|Eq|Dr|resp)\.(?=\s)")


@dataclass(frozen=True)
class Prose:
    """The sentences of a page, each a list of its words."""

    sentences: list[list[str]]

    @cached_property
    def words(self) -> int:
        return sum(map(len, self.sentences))

    @cached_property
    def ease(self) -> float:
        """Flesch's reading ease, 0 (hard) to 100; Flesch (1948), doi:10.1037/h0057532."""
        spoken = sum(syllables(word) for sentence in self.sentences for word in sentence)
        return 206.835 - 1.015 * self.words / len(self.sentences) - 84.6 * spoken / self.words

    def longer_than(self, most: int) -> list[str]:
        return [" ".join(one) for one in self.sentences if len(one) > most]


def syllables(word: str) -> int:
    """About how many syllables an English word has; of a number, one.

    >>> [syllables(word) for word in ("reward", "finding", "radiologist", "made", "tables", "0.25")]
    [2, 2, 4, 1, 2, 1]
    """
    letters = re.sub(r"[^a-z]", "", word.lower())
    heard = re.sub(r"(?<=[^l])es?$|(?<=[^dt])ed$", "", letters)  # what is written at the end and not spoken
    return max(1, len(re.findall(r"[aeiouy]{1,2}", heard)))


def read(article: Tag | BeautifulSoup) -> Prose:
    """The prose of a page or of a part of it; the element is emptied of what is no prose."""
    for apart in article.select(APART):
        apart.replace_with(
            " … " if apart.name in ("code", "math", "mjx-container", "svg") or "math" in apart.get("class", ()) else ""
        )
    return Prose([words for block in article.select(BLOCKS) for words in _sentences(block)])


def _sentences(block: Tag) -> Iterator[list[str]]:
    inner = {id(one) for one in block.select(BLOCKS)}  # by identity: a tag is hashed by all of its text
    own = "".join(
        part
        for part in block.descendants
        if isinstance(part, str) and not any(id(one) in inner for one in part.parents)
    )
    text = ABBREVIATIONS.sub(r"\1", " ".join(own.split()))
    for sentence in re.split(r"(?<=[.!?])[)\"”*]*\s+(?=\W*[A-Za-z0-9“…−+])", text):
        words = [word for word in sentence.split() if re.search(r"\w", word)]
        if words:
            yield words
