"""How what is seen becomes recorded labels: three conventions (the paper's sections 3.1 and 5).

The paper's puzzle is partly one of conventions, so they are stated as data. `report`: what a labeler finds in a report;
parents are seldom named, mild findings go unmentioned, doubts are kept as -1. `radiologist`: the visible truth with all
parents, each label 1 or 0. `text-mined`: ten NIH names, with the errors that radiologists found in them; no parents, no
devices, no doubts.

A convention looks at lesions only. Its chances are those of the hospital that it was published for (A for `report`, C
for `text-mined`; `radiologist` has none), whichever image it is used on: so any image can be labelled by any convention
(`case.relabel`). Each finding uses its own random numbers, so that one finding's presence does not move another's
label.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES
from companion.phantoms.copula import matrix
from companion.phantoms.hospitals import HOSPITALS
from companion.phantoms.lesion import Lesion
from companion.phantoms.tree import closure

Labels = dict[str, float]


class Naming(NamedTuple):
    """How often a report names a parent beside its child."""

    published: float  # P(parent is recorded | child is recorded)
    chance: float  # that this child names it; less, since the parent may be recorded for another reason


#: (child, parent), a parent before the pairs in which it is a child. `published` was counted in CheXpert train
#: studies (results/published/label_pairs.csv); `chance` is fitted by benchmarks/phantom_prevalence.py.
NAMED_PARENT: Mapping[tuple[str, str], Naming] = {
    ("Pneumonia", "Consolidation"): Naming(0.168, 0.108),
    ("Cardiomegaly", "Enlarged Cardiomediastinum"): Naming(0.068, 0.029),
    ("Lung Lesion", "Lung Opacity"): Naming(0.587, 0.447),
    ("Edema", "Lung Opacity"): Naming(0.529, 0.377),
    ("Consolidation", "Lung Opacity"): Naming(0.377, 0.094),
    ("Pneumonia", "Lung Opacity"): Naming(0.689, 0.560),
    ("Atelectasis", "Lung Opacity"): Naming(0.424, 0.271),
}

#: Share of MIMIC-CXR-JPG studies that carry no label at all.
UNLABELLED = 0.0106

#: Assumed: the share of just visible findings that the report leaves out; it falls to none at severity 0.6.
OMITTED_WHEN_MILD = 0.35
#: Assumed: the share of all uncertain labels that belong to drawn findings; the rest are false alarms.
UNCERTAIN_DRAWN = 0.85


class Mining(NamedTuple):
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


def report(lesions: Sequence[Lesion], rng: np.random.Generator) -> Labels:
    """Labels mined from a report; a finding that is not mentioned has no entry."""
    rates = HOSPITALS["A"].rates
    numbers = dict(zip(FINDINGS, rng.random((len(FINDINGS), 5)), strict=True))
    unlabelled = rng.random() < UNLABELLED
    severity = {lesion.finding: lesion.severity for lesion in lesions}
    labels: Labels = {}
    for finding, (omit, doubt, deny, *_) in numbers.items():
        if finding == NO_FINDING:
            continue
        rate = rates[finding]
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
    for (child, parent), naming in NAMED_PARENT.items():
        number = numbers[child][4 if (child, parent) == ("Pneumonia", "Consolidation") else 3]
        if labels.get(child) == 1.0 and number < naming.chance:
            labels[parent] = 1.0
    if unlabelled:
        return {}
    if not any(value != 0.0 for name, value in labels.items() if name != SUPPORT_DEVICES):
        labels[NO_FINDING] = 1.0
    return labels


def radiologist(lesions: Sequence[Lesion], rng: np.random.Generator) -> Labels:
    """All 14 labels as seen; No Finding only where there are no devices either."""
    seen = truth_of(lesions)
    if SUPPORT_DEVICES in seen:
        seen = seen - {NO_FINDING}
    return {finding: float(finding in seen) for finding in FINDINGS}


@lru_cache(maxsize=1)
def _errors() -> np.ndarray:
    """The factor (F, F) that makes errors of text mining in one study travel together."""
    return np.linalg.cholesky(matrix("C", "errors", tuple(MINING)))


def mined(lesions: Sequence[Lesion], rng: np.random.Generator) -> frozenset[str]:
    """What text mining finds, right or wrong, at the rates of `MINING`; Lung Opacity stands for NIH's Infiltration.

    A study's luck is one number a finding, correlated between findings (assumed: fitted to the published pairs),
    because a report that says too much of one thing tends to say too much of its like.
    """
    luck = ndtr(_errors() @ rng.standard_normal(len(MINING)))
    drawn = {lesion.finding for lesion in lesions}
    found = set()
    for number, (finding, mining) in zip(luck, MINING.items(), strict=True):
        rate = HOSPITALS["C"].rates[finding]
        false = (rate.recorded or rate.drawn) * (1 - mining.ppv) / (1 - rate.drawn)
        if number < (mining.sensitivity if finding in drawn else false):
            found.add(finding)
    return frozenset(found)


def text_mined(lesions: Sequence[Lesion], rng: np.random.Generator) -> Labels:
    """Ten names, 1 or 0, with false and missed labels.

    A hazy opacity is mined as Infiltration, which has no CheXpert name: it leaves no label here, yet such an image is
    not No Finding. A record without any 1 is therefore an image whose NIH label has no counterpart.
    """
    found = mined(lesions, rng) or {NO_FINDING}
    return {name: float(name in found) for name in (*NIH_SHARED, "Pleural Effusion")}


def record(lesions: Sequence[Lesion], convention: str, rng: np.random.Generator) -> Labels:
    """The labels that a convention writes for these lesions: 1.0, 0.0 or -1.0; absent is not mentioned."""
    return CONVENTIONS[convention](lesions, rng)


#: The conventions by name; a new one goes last, since a convention's place is the number of its random stream.
CONVENTIONS: Mapping[str, Callable[[Sequence[Lesion], np.random.Generator], Labels]] = {
    "report": report,
    "radiologist": radiologist,
    "text-mined": text_mined,
}
