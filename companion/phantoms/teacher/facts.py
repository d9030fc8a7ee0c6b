"""What the teacher will say, before any style: the findings it argues for, each with its phrase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES, ancestors
from companion.phantoms.teacher.phrases import (
    NAMED_BY_KIND,
    NOUNS,
    REGIONS,
    SIDES,
    UNGRADED,
    ZONED,
    choose,
    grade,
    listing,
)

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


@dataclass(frozen=True)
class _Drawn:
    """All that was drawn of one finding."""

    severity: float
    side: str = ""
    zone: str = ""
    kind: str = ""


def _merge(lesions: Sequence[Mapping[str, Any]]) -> dict[str, _Drawn]:
    """finding -> greatest severity, common side and zone; lesions on either side make "both"."""
    merged: dict[str, _Drawn] = {}
    for lesion in lesions:
        words = {name: str(lesion.get(name) or "") for name in ("side", "zone", "kind")}
        new = _Drawn(float(lesion["severity"]), **words)
        old = merged.get(lesion["finding"], new)
        merged[lesion["finding"]] = _Drawn(
            max(old.severity, new.severity),
            old.side if old.side == new.side else "both",
            old.zone if old.zone == new.zone else "",
            old.kind if old.kind == new.kind else "",
        )
    return merged


def _describe(finding: str, drawn: _Drawn, rng: np.random.Generator) -> str:
    """Grade, side, zone and name: "mild left lower consolidation"."""
    noun = choose(rng, NOUNS[finding])
    if finding in NAMED_BY_KIND and drawn.kind:
        noun = listing(drawn.kind.split("+"))
    words = (
        "" if finding in UNGRADED else grade(drawn.severity),
        "" if finding == SUPPORT_DEVICES else SIDES[drawn.side],
        drawn.zone if finding in ZONED else "",
        noun,
    )
    return " ".join(word for word in words if word)


def _support(finding: str, drawn: Mapping[str, object], rng: np.random.Generator) -> str:
    """A phrase for a label that nothing was drawn for: plain for a parent, hedged for the rest."""
    noun = choose(rng, NOUNS[finding])
    explained = any(finding in ancestors(child) for child in drawn)
    return noun if explained else f"subtle {noun}"


def gather(lesions: Sequence[Mapping[str, Any]], labels: frozenset[str], rng: np.random.Generator) -> Facts:
    """Decide what will be said about a film, given what was drawn and what was recorded."""
    drawn = _merge(lesions)
    present = []
    for finding in (name for name in FINDINGS if name in labels and name != NO_FINDING):
        seen = drawn.get(finding)
        phrase = _describe(finding, seen, rng) if seen else _support(finding, drawn, rng)
        present.append(Fact(finding, phrase, seen.side if seen else "", seen.severity if seen else 0.0))
    passed_over = [name for name in FINDINGS if name in drawn and name not in labels and name != NO_FINDING]
    slight = {name: choose(rng, NOUNS[name]) for name in passed_over if rng.random() < SLIGHT_RATE}
    spoken_of = labels | slight.keys()
    clear = {name: choose(rng, ways) for name, (homes, ways) in REGIONS.items() if not homes & spoken_of}
    return Facts(tuple(present), slight, clear, tuple(name for name in FINDINGS if name in labels))
