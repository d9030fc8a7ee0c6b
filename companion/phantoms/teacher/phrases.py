"""The words of the scripted teacher: a compact vocabulary, since the miniatures read some 2,000 tokens.

Nothing here decides what is said; `styles` does. Each table is keyed by the CheXpert names, so that
a finding that gains a phrase gains it in every style.
"""

from collections.abc import Sequence

import numpy as np

from chexreason.labels import NO_FINDING

#: Two ways to name what is seen. A grade and a side are put before it.
NOUNS: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": ("mediastinal widening", "widening of the mediastinum"),
    "Cardiomegaly": ("heart enlargement", "cardiac enlargement"),
    "Lung Opacity": ("lung opacity", "hazy opacity"),
    "Lung Lesion": ("lung nodule", "lung lesion"),
    "Edema": ("interstitial edema", "vascular congestion"),
    "Consolidation": ("consolidation", "dense consolidation"),
    "Pneumonia": ("pneumonia", "patchy infection"),
    "Atelectasis": ("atelectasis", "volume loss"),
    "Pneumothorax": ("pneumothorax", "pleural air"),
    "Pleural Effusion": ("pleural effusion", "pleural fluid"),
    "Pleural Other": ("pleural thickening", "pleural scar"),
    "Fracture": ("rib fracture", "broken rib"),
    "Support Devices": ("support devices", "lines or tubes"),
}

#: The criterion that Reasoning D holds a film against.
CRITERIA: dict[str, str] = {
    "Enlarged Cardiomediastinum": "wide upper mediastinum",
    "Cardiomegaly": "heart over half the chest",
    "Lung Opacity": "any added density",
    "Lung Lesion": "focal round density",
    "Edema": "hazy vessels at the hila",
    "Consolidation": "dense airspace",
    "Pneumonia": "patchy infected airspace",
    "Atelectasis": "dense band with volume loss",
    "Pneumothorax": "pleural line without vessels",
    "Pleural Effusion": "blunt angle with meniscus",
    "Pleural Other": "thick pleural edge",
    "Fracture": "break in the rib edge",
    "Support Devices": "line, tube or implant",
}

#: What a finding is most often mistaken for; Reasoning B and F name it.
ALTERNATIVES: dict[str, str] = {
    "Enlarged Cardiomediastinum": "rotation",
    "Cardiomegaly": "projection",
    "Lung Opacity": "overlying soft tissue",
    "Lung Lesion": "a vessel on end",
    "Edema": "infection",
    "Consolidation": "atelectasis",
    "Pneumonia": "edema",
    "Atelectasis": "consolidation",
    "Pneumothorax": "a skin fold",
    "Pleural Effusion": "pleural thickening",
    "Pleural Other": "fluid",
    "Fracture": "an old bone edge",
    "Support Devices": "a marker",
}

#: Regions of the film: the findings that live there, and how to call them clear.
REGIONS: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "devices": (frozenset({"Support Devices"}), ("no devices", "no lines or tubes")),
    "mediastinum": (
        frozenset({"Enlarged Cardiomediastinum"}),
        ("mediastinum normal", "mediastinum not wide"),
    ),
    "heart": (frozenset({"Cardiomegaly"}), ("heart size normal", "heart not enlarged")),
    "vessels": (frozenset({"Edema"}), ("lung vessels normal", "no congestion")),
    "airspaces": (
        frozenset({"Lung Opacity", "Consolidation", "Pneumonia"}),
        ("airspaces clear", "no opacity"),
    ),
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
#: severity below the bound -> grade
GRADES: tuple[tuple[float, str], ...] = ((0.4, "mild"), (0.7, "moderate"), (float("inf"), "severe"))
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
    return next(word for bound, word in GRADES if severity < bound)


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
