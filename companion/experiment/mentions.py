"""Where a text names a finding: in the words of the scripted teacher, or as one of the 14 labels. Needs no torch."""

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from chexreason.rewards import Labels
from companion.phantoms.devices import DEVICES
from companion.phantoms.teacher.phrases import WORDS, lower

_KINDS = {"Lung Lesion": ("mass", "nodule"), SUPPORT_DEVICES: tuple(DEVICES)}


def pattern(names: Sequence[str]) -> re.Pattern[str]:
    """What finds any of the names as whole words, of two that begin alike the longer."""
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)


_NAMES = {
    name: (name, lower(name), *(WORDS[name].nouns if name in WORDS else ()), *_KINDS.get(name, ())) for name in FINDINGS
}
NAMED = {name: pattern(words) for name, words in _NAMES.items()}
ANY = pattern([word for words in _NAMES.values() for word in words])
DENIED = re.compile(r"\b(?:no|not|nothing|without|slight|normal|clear)\b", re.IGNORECASE)


def of_finding_words(pieces: Sequence[str]) -> list[bool]:
    """Which of the pieces that a text consists of hold a part of a finding's name (DiTPO's rule, arXiv:2603.04022)."""
    spans = [match.span() for match in ANY.finditer("".join(pieces))]
    bounds = pairwise([0, *accumulate(map(len, pieces))])
    return [any(first < end and start < last for first, last in spans) for start, end in bounds]


def argued(text: str) -> Labels:
    """The abnormal findings named in the think block, each sentence up to its first denial.

    >>> sorted(argued("<think>There is mild edema, no scar. Only slight volume loss. No mass.</think>"))
    ['Edema']
    """
    thought = text.partition("<think>")[2].partition("</think>")[0]
    told = [DENIED.split(sentence)[0] for sentence in re.split(r"[.;:\n]", thought)]
    return frozenset(name for name, named in NAMED.items() if any(map(named.search, told))) - {NO_FINDING}
