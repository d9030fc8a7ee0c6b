"""Where a text names a finding: in the words of the scripted teacher, or as one of the 14 labels. Needs no torch."""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from chexreason.rewards import Labels
from companion.phantoms.devices import DEVICES
from companion.phantoms.teacher.phrases import WORDS, lower

_KINDS = {"Lung Lesion": ("mass", "nodule"), SUPPORT_DEVICES: tuple(DEVICES)}


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)


_NAMES = {
    name: (name, lower(name), *(WORDS[name].nouns if name in WORDS else ()), *_KINDS.get(name, ())) for name in FINDINGS
}
_NAMED = {name: _pattern(words) for name, words in _NAMES.items()}
_ANY = _pattern([word for words in _NAMES.values() for word in words])
_DENIED = re.compile(r"\b(?:no|not|nothing|without|slight|normal|clear)\b", re.IGNORECASE)


class Mention(NamedTuple):
    """Characters of a text that name a finding, or deny it."""

    start: int
    end: int
    finding: str
    denied: bool


def of_finding_words(pieces: Sequence[str]) -> list[bool]:
    """Which of the pieces that a text consists of hold a part of a finding's name (DiTPO's rule, arXiv:2603.04022)."""
    spans = [match.span() for match in _ANY.finditer("".join(pieces))]
    bounds = pairwise([0, *accumulate(map(len, pieces))])
    return [any(first < end and start < last for first, last in spans) for start, end in bounds]


def mentions(text: str) -> Iterator[Mention]:
    """The words in the think block that name a finding; behind a denial in their sentence they deny it.

    >>> [(text.start, text.end, text.denied) for text in mentions("<think>Mild edema, no mass.</think>")]
    [(12, 17, False), (22, 26, True)]
    """
    begin = text.find("<think>") + len("<think>")
    thought = text.partition("<think>")[2].partition("</think>")[0]
    for sentence in re.finditer(r"[^.;:\n]+", thought):
        denial = _DENIED.search(sentence[0])
        for word in _ANY.finditer(sentence[0]):
            name = next(name for name, named in _NAMED.items() if named.fullmatch(word[0]))
            at = begin + sentence.start()
            denied = denial is not None and word.start() > denial.start()
            yield Mention(at + word.start(), at + word.end(), name, denied)


def argued(text: str) -> Labels:
    """The abnormal findings named in the think block, each sentence up to its first denial.

    >>> sorted(argued("<think>There is mild edema, no scar. Only slight volume loss. No mass.</think>"))
    ['Edema']
    """
    thought = text.partition("<think>")[2].partition("</think>")[0]
    told = [_DENIED.split(sentence)[0] for sentence in re.split(r"[.;:\n]", thought)]
    return frozenset(name for name, named in _NAMED.items() if any(map(named.search, told))) - {NO_FINDING}
