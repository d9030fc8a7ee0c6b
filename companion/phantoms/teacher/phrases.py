"""The words of the scripted teacher: a compact vocabulary, since the miniatures read some 2,000 tokens.

Nothing here decides what is said; `styles` does. The table is keyed by the CheXpert names, so that a finding that
gains a phrase gains it in every style.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chexreason.labels import NO_FINDING


class Words(NamedTuple):
    """How the teacher speaks of a finding."""

    nouns: tuple[str, str]  # two names of what is seen; a grade and a side are put before them
    criterion: str  # what Reasoning D holds an image against
    rival: str  # what it is most often mistaken for; Reasoning B and F name it


WORDS: dict[str, Words] = {
    "Enlarged Cardiomediastinum": Words(
        ("mediastinal widening", "widening of the mediastinum"), "wide upper mediastinum", "rotation"
    ),
    "Cardiomegaly": Words(("heart enlargement", "cardiac enlargement"), "heart over half the chest", "projection"),
    "Lung Opacity": Words(("lung opacity", "hazy opacity"), "any added density", "overlying soft tissue"),
    "Lung Lesion": Words(("lung nodule", "lung lesion"), "focal round density", "a vessel on end"),
    "Edema": Words(("interstitial edema", "vascular congestion"), "hazy vessels at the hila", "infection"),
    "Consolidation": Words(("consolidation", "dense consolidation"), "dense airspace", "atelectasis"),
    "Pneumonia": Words(("pneumonia", "patchy infection"), "patchy infected airspace", "edema"),
    "Atelectasis": Words(("atelectasis", "volume loss"), "dense band with volume loss", "consolidation"),
    "Pneumothorax": Words(("pneumothorax", "pleural air"), "pleural line without vessels", "a skin fold"),
    "Pleural Effusion": Words(("pleural effusion", "pleural fluid"), "blunt angle with meniscus", "pleural thickening"),
    "Pleural Other": Words(("pleural thickening", "pleural scar"), "thick pleural edge", "fluid"),
    "Fracture": Words(("rib fracture", "broken rib"), "break in the rib edge", "an old bone edge"),
    "Support Devices": Words(("support devices", "lines or tubes"), "line, tube or implant", "a marker"),
}

#: Regions of the image: the findings that live there, and how to call them clear.
REGIONS: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "devices": (frozenset({"Support Devices"}), ("no devices", "no lines or tubes")),
    "mediastinum": (frozenset({"Enlarged Cardiomediastinum"}), ("mediastinum normal", "mediastinum not wide")),
    "heart": (frozenset({"Cardiomegaly"}), ("heart size normal", "heart not enlarged")),
    "vessels": (frozenset({"Edema"}), ("lung vessels normal", "no congestion")),
    "airspaces": (frozenset({"Lung Opacity", "Consolidation", "Pneumonia"}), ("airspaces clear", "no opacity")),
    "volumes": (frozenset({"Atelectasis"}), ("lung volumes normal", "no volume loss")),
    "nodules": (frozenset({"Lung Lesion"}), ("no nodule", "no lung lesion")),
    "pleura": (frozenset({"Pneumothorax", "Pleural Other"}), ("no pneumothorax", "pleura normal")),
    "angles": (frozenset({"Pleural Effusion"}), ("angles sharp", "no effusion")),
    "bones": (frozenset({"Fracture"}), ("bones intact", "no fracture")),
}

#: Findings whose zone varies and is therefore worth a word; fluid, for one, always lies low.
ZONED = frozenset({"Lung Opacity", "Lung Lesion", "Consolidation", "Pneumonia", "Pleural Other", "Fracture"})
#: Findings that are named by their kind ("mass", "pacemaker") where it is known.
NAMED_BY_KIND = frozenset({"Lung Lesion", "Support Devices"})
SIDES: dict[str, str] = {"left": "left", "right": "right", "both": "bilateral", "": ""}
#: Findings that are there or not, without a grade.
UNGRADED = frozenset({"Support Devices", "Fracture"})


def choose(rng: np.random.Generator, options: Sequence[str]) -> str:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def grade(severity: float) -> str:
    """The word for a severity in (0, 1].

    >>> grade(0.2), grade(0.5), grade(1.0)
    ('mild', 'moderate', 'severe')
    """
    return "mild" if severity < 0.4 else "moderate" if severity < 0.7 else "severe"


def listing(items: Sequence[str]) -> str:
    """Items as prose.

    >>> listing(["edema", "fluid", "scar"])
    'edema, fluid and scar'
    """
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part)


def sentence(text: str) -> str:
    """A capital at the front and a full stop at the end; an empty text stays empty."""
    return text[:1].upper() + text[1:] + "." if text else ""


def lower(finding: str) -> str:
    """A label name inside a sentence: "pleural effusion"; No Finding becomes "a normal film"."""
    return "a normal film" if finding == NO_FINDING else finding.lower()
