"""Where an answer's reasoning names a finding, or denies it, for pages that mark the words."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from companion.experiment.mentions import ANY, DENIED, NAMED, pattern
from companion.phantoms.teacher.phrases import REGIONS


def _named(word: str) -> str:
    return next(name for name, named in NAMED.items() if named.fullmatch(word))


#: How the teacher calls a region clear -> what that denies: the finding that it names, or all of the region.
_CLEAR = {
    phrase: {_named(word) for word in ANY.findall(phrase)} or findings
    for findings, phrases in REGIONS.values()
    for phrase in phrases
}
_CLEARED = pattern(list(_CLEAR))


class Mention(NamedTuple):
    """Characters of a text that name findings, or deny them."""

    start: int
    end: int
    findings: tuple[str, ...]
    denied: bool


def mentions(text: str) -> Iterator[Mention]:
    """The words in the think block that name a finding; behind a denial in their sentence they deny it.

    >>> [tuple(one) for one in mentions("<think>Mild edema, no mass, heart size normal.</think>")]
    [(12, 17, ('Edema',), False), (22, 26, ('Lung Lesion',), True), (28, 45, ('Cardiomegaly',), True)]
    """
    begin = text.find("<think>") + len("<think>")
    thought = text.partition("<think>")[2].partition("</think>")[0]
    for sentence in re.finditer(r"[^.;:\n]+", thought):
        denial, at, reached = DENIED.search(sentence[0]), begin + sentence.start(), 0
        words = chain(_CLEARED.finditer(sentence[0]), ANY.finditer(sentence[0]))
        for word in sorted(words, key=lambda one: (one.start(), -one.end())):
            if word.start() < reached:
                continue  # inside one that came before
            reached = word.end()
            cleared = _CLEAR.get(word[0].lower())
            found = tuple(sorted(cleared)) if cleared else (_named(word[0]),)
            denied = cleared is not None or (denial is not None and word.start() > denial.start())
            yield Mention(at + word.start(), at + word.end(), found, denied)
