"""How a hospital turns what is seen into recorded labels (the paper's sections 3.1 and 5).

The paper's puzzle is partly one of conventions, so they are stated as data. `report`: what a labeler
finds in a report; parents are seldom named, mild findings go unmentioned, doubts are kept as -1.
`radiologist`: the visible truth with all parents, each label 1 or 0. `text-mined`: ten NIH names,
with the errors that radiologists found in them; no parents, no devices, no doubts.

Each finding uses its own random numbers, so that one finding's presence does not move another's label.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chexreason.errors import unknown
from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES, closure
from chexreason.phantom.hospitals import Hospital
from chexreason.phantom.lesion import Lesion

Labels = dict[str, float]

#: P(parent is recorded | child is recorded), counted in CheXpert train studies (labels mined from reports).
NAMED_PARENT: Mapping[tuple[str, str], float] = {
    ("Cardiomegaly", "Enlarged Cardiomediastinum"): 0.07,
    ("Edema", "Lung Opacity"): 0.53,
    ("Consolidation", "Lung Opacity"): 0.38,
    ("Pneumonia", "Lung Opacity"): 0.69,
    ("Atelectasis", "Lung Opacity"): 0.42,
}

#: Share of MIMIC-CXR-JPG studies that carry no label at all.
UNLABELLED = 0.0106

#: Assumed: the share of just visible findings that the report leaves out; it falls to none at severity 0.6.
OMITTED_WHEN_MILD = 0.35
#: Assumed: the share of all uncertain labels that belong to drawn findings; the rest are false alarms.
UNCERTAIN_DRAWN = 0.5


@dataclass(frozen=True)
class Mining:
    """How well a text-mined label agrees with what radiologists see."""

    ppv: float
    sensitivity: float
    assumed: bool


#: NIH labels against radiologists: published for pneumothorax and for nodule or mass
#: (Majkowska et al. 2020, as computed from the re-read sample); the others are assumed.
MINING: Mapping[str, Mining] = {
    "Cardiomegaly": Mining(0.70, 0.65, True),
    "Lung Lesion": Mining(0.56, 0.42, False),
    "Lung Opacity": Mining(0.60, 0.60, True),
    "Edema": Mining(0.60, 0.55, True),
    "Consolidation": Mining(0.55, 0.50, True),
    "Pneumonia": Mining(0.45, 0.45, True),
    "Atelectasis": Mining(0.60, 0.55, True),
    "Pneumothorax": Mining(0.46, 0.46, False),
    "Pleural Effusion": Mining(0.70, 0.65, True),
    "Pleural Other": Mining(0.50, 0.50, True),
}


def truth_of(lesions: Sequence[Lesion]) -> frozenset[str]:
    """What is visible: the drawn findings with all parents; No Finding if only devices are left."""
    drawn = frozenset(lesion.finding for lesion in lesions)
    rest = drawn - {SUPPORT_DEVICES}
    return closure(drawn) if rest else drawn | {NO_FINDING}


def report(lesions: Sequence[Lesion], place: Hospital, rng: np.random.Generator) -> Labels:
    """Labels mined from a report; a finding that is not mentioned has no entry."""
    numbers = rng.random((len(FINDINGS), 4))
    unlabelled = rng.random() < UNLABELLED
    severity = {lesion.finding: lesion.severity for lesion in lesions}
    labels: Labels = {}
    for (omit, doubt, deny, _), finding in zip(numbers, FINDINGS, strict=True):
        if finding == NO_FINDING:
            continue
        rate = place.rates[finding]
        if finding in severity:
            s = severity[finding]
            if omit < OMITTED_WHEN_MILD * max(0.0, 1 - s / 0.6):
                continue
            share = UNCERTAIN_DRAWN * rate.uncertain / rate.drawn
            labels[finding] = -1.0 if doubt < min(0.9, 2 * share * (1 - s)) else 1.0
        else:
            if doubt < (1 - UNCERTAIN_DRAWN) * rate.uncertain / (1 - rate.drawn):
                labels[finding] = -1.0
            elif deny < rate.negative / (1 - rate.drawn):
                labels[finding] = 0.0
    _name_parents(labels, {name: row[3] for name, row in zip(FINDINGS, numbers, strict=True)})
    if unlabelled:
        return {}
    if not any(value != 0.0 for name, value in labels.items() if name != SUPPORT_DEVICES):
        labels[NO_FINDING] = 1.0
    return labels


def _name_parents(labels: Labels, numbers: Mapping[str, float]) -> None:
    """Record a parent beside its positive children as often as reports do (the mean over several children)."""
    for parent in dict.fromkeys(parent for _, parent in NAMED_PARENT):
        chances = [p for (child, of), p in NAMED_PARENT.items() if of == parent and labels.get(child) == 1.0]
        if chances and numbers[parent] < sum(chances) / len(chances):
            labels[parent] = 1.0


def radiologist(lesions: Sequence[Lesion], place: Hospital, rng: np.random.Generator) -> Labels:
    """All 14 labels as seen; No Finding only where there are no devices either."""
    seen = truth_of(lesions)
    if SUPPORT_DEVICES in seen:
        seen = seen - {NO_FINDING}
    return {finding: float(finding in seen) for finding in FINDINGS}


#: The names that NIH can state: the paper's nine and Pleural Effusion.
MINED_NAMES: tuple[str, ...] = (*NIH_SHARED, "Pleural Effusion")


def text_mined(lesions: Sequence[Lesion], place: Hospital, rng: np.random.Generator) -> Labels:
    """Ten names, 1 or 0, with false and missed labels at the rates of `MINING`.

    A hazy opacity is mined as Infiltration, which has no CheXpert name: it leaves no label here, yet
    such a film is not No Finding. A record without any 1 is therefore a film whose NIH label has no
    counterpart.
    """
    numbers = dict(zip(FINDINGS, rng.random((len(FINDINGS), 2)), strict=True))
    drawn = {lesion.finding for lesion in lesions}
    found = set()
    for finding, mining in MINING.items():
        rate = place.rates[finding]
        recorded = rate.recorded or rate.drawn
        if finding in drawn:
            hit = numbers[finding][0] < mining.sensitivity
        else:
            hit = numbers[finding][1] < recorded * (1 - mining.ppv) / (1 - rate.drawn)
        if hit:
            found.add(finding)
    if not found:
        found.add(NO_FINDING)
    return {name: float(name in found) for name in MINED_NAMES}


def record(lesions: Sequence[Lesion], place: Hospital, rng: np.random.Generator) -> Labels:
    """The labels that a hospital records for these lesions: 1.0, 0.0 or -1.0; absent is not mentioned."""
    if place.convention not in CONVENTIONS:
        raise unknown("labelling convention", place.convention, CONVENTIONS, "chexreason/phantom/conventions.py")
    return CONVENTIONS[place.convention](lesions, place, rng)


#: The conventions by name.
CONVENTIONS: Mapping[str, Callable[[Sequence[Lesion], Hospital, np.random.Generator], Labels]] = {
    "report": report,
    "radiologist": radiologist,
    "text-mined": text_mined,
}
