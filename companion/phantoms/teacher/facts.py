"""What the teacher will say, before any style: the findings it argues for, each with its phrase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from companion.phantoms.lesion import Lesion
from companion.phantoms.teacher.phrases import (
    NAMED_BY_KIND,
    REGIONS,
    SIDES,
    UNGRADED,
    WORDS,
    ZONED,
    choose,
    grade,
    listing,
)
from companion.phantoms.tree import ancestors

#: How often something drawn without a label is mentioned at all.
SLIGHT_RATE = 0.5


@dataclass(frozen=True)
class Fact:
    """A finding that the trace argues for."""

    finding: str
    phrase: str  # "mild left pleural effusion"
    side: str  # "left", "right", "both" or ""
    severity: float  # 0.0: labelled, nothing drawn


@dataclass(frozen=True)
class Facts:
    """Everything a style may speak of."""

    present: tuple[Fact, ...]  # in CheXpert's order
    slight: Mapping[str, str]  # finding -> phrase, for what was drawn and not labelled but is mentioned
    clear: Mapping[str, str]  # region -> "heart size normal", only regions without any of these
    conclusion: tuple[str, ...]  # the labels in CheXpert's order

    def at(self, *findings: str) -> tuple[Fact, ...]:
        """The present findings among those named."""
        return tuple(fact for fact in self.present if fact.finding in findings)

    def region(self, name: str) -> str:
        """What is seen in a region, or that it is clear."""
        homes = REGIONS[name][0]
        seen = [fact.phrase for fact in self.at(*homes)]
        seen += [f"only slight {phrase}" for finding, phrase in self.slight.items() if finding in homes]
        return ", ".join(seen) if seen else self.clear[name]


def _merge(lesions: Sequence[Mapping[str, Any]]) -> dict[str, Lesion]:
    """finding -> greatest severity, common side and zone; lesions on either side make "both"."""
    merged: dict[str, Lesion] = {}
    for lesion in lesions:
        name, (side, zone, kind) = lesion["finding"], (str(lesion.get(what) or "") for what in ("side", "zone", "kind"))
        new = Lesion(name, float(lesion["severity"]), side, zone, kind)
        old = merged.get(name, new)
        merged[name] = Lesion(
            name, max(old.severity, new.severity), old.side if old.side == new.side else "both",
            old.zone if old.zone == new.zone else "", old.kind if old.kind == new.kind else "",
        )  # fmt: skip
    return merged


def _phrase(finding: str, drawn: Mapping[str, Lesion], rng: np.random.Generator) -> str:
    """Grade, side, zone and name: "mild left lower consolidation".

    A label that nothing was drawn for is plain if it is a parent of something drawn, else hedged.
    """
    noun, lesion = choose(rng, WORDS[finding].nouns), drawn.get(finding)
    if lesion is None:
        return noun if any(finding in ancestors(child) for child in drawn) else f"subtle {noun}"
    if finding in NAMED_BY_KIND and lesion.kind:
        noun = listing(lesion.kind.split("+"))
    words = (
        "" if finding in UNGRADED else grade(lesion.severity),
        "" if finding == SUPPORT_DEVICES else SIDES[lesion.side],
        lesion.zone if finding in ZONED else "",
        noun,
    )
    return " ".join(word for word in words if word)


def gather(lesions: Sequence[Mapping[str, Any]], labels: frozenset[str], rng: np.random.Generator) -> Facts:
    """Decide what will be said about an image, given what was drawn and what was recorded."""
    drawn = _merge(lesions)
    present = []
    for finding in (name for name in FINDINGS if name in labels and name != NO_FINDING):
        phrase, seen = _phrase(finding, drawn, rng), drawn.get(finding)
        present.append(Fact(finding, phrase, seen.side if seen else "", seen.severity if seen else 0.0))
    passed_over = [name for name in FINDINGS if name in drawn and name not in labels and name != NO_FINDING]
    slight = {name: choose(rng, WORDS[name].nouns) for name in passed_over if rng.random() < SLIGHT_RATE}
    spoken_of = labels | slight.keys()
    clear = {name: choose(rng, ways) for name, (homes, ways) in REGIONS.items() if not homes & spoken_of}
    return Facts(tuple(present), slight, clear, tuple(name for name in FINDINGS if name in labels))
