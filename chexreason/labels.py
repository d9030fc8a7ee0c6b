"""The 14 CheXpert findings, and what a label file may say about each of them (paper, section 3.1).

One home for every label name. Three things are easy to get wrong and are therefore stated here:
the order of the names (files of the same data set swap two of them, so index by name), the tree
(a radiologist who marks Edema also marks Lung Opacity; a report labeler does not), and the nine
names that the paper can score on NIH ChestX-ray14. *Pleural Effusion* is not among those nine
although NIH has it; the paper does not say why.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

from chexreason.errors import UserError, unknown

NO_FINDING = "No Finding"
SUPPORT_DEVICES = "Support Devices"

#: The 14 findings, in the column order of CheXpert's own train.csv.
FINDINGS: tuple[str, ...] = (
    NO_FINDING,
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    SUPPORT_DEVICES,
)

#: The nine findings of the paper's Table 6.
NIH_SHARED: tuple[str, ...] = (
    NO_FINDING,
    "Cardiomegaly",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Other",
)

#: child -> parent in the CheXpert label tree (Irvin et al. 2019, figure 1, arXiv:1901.07031).
PARENTS: Mapping[str, str] = MappingProxyType(
    {
        "Cardiomegaly": "Enlarged Cardiomediastinum",
        "Lung Lesion": "Lung Opacity",
        "Edema": "Lung Opacity",
        "Consolidation": "Lung Opacity",
        "Pneumonia": "Consolidation",
        "Atelectasis": "Lung Opacity",
    }
)

#: Label sets by name. An average is only comparable with another over the same set.
LABEL_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType({"chexpert14": FINDINGS, "nih9": NIH_SHARED})

#: What a label cell may hold. A finding that is not mentioned has no entry at all.
POSITIVE, NEGATIVE, UNCERTAIN = 1.0, 0.0, -1.0

#: NIH name -> CheXpert name; the NIH names left out have no CheXpert counterpart.
NIH_TO_CHEXPERT: Mapping[str, str] = MappingProxyType(
    {
        "No Finding": NO_FINDING,
        "Atelectasis": "Atelectasis",
        "Cardiomegaly": "Cardiomegaly",
        "Consolidation": "Consolidation",
        "Edema": "Edema",
        "Effusion": "Pleural Effusion",
        "Mass": "Lung Lesion",
        "Nodule": "Lung Lesion",
        "Pleural_Thickening": "Pleural Other",
        "Pneumonia": "Pneumonia",
        "Pneumothorax": "Pneumothorax",
    }
)

#: NIH names that no CheXpert name stands for.
NIH_UNMAPPED: tuple[str, ...] = ("Emphysema", "Fibrosis", "Hernia", "Infiltration")

#: Other spellings seen in label files -> CheXpert name (MIMIC-CXR-JPG 2.1.0 test labels).
ALIASES: Mapping[str, str] = MappingProxyType({"Airspace Opacity": "Lung Opacity"})

UNCERTAINTY_POLICIES: tuple[str, ...] = ("zeros", "ones", "ignore")


def ancestors(finding: str) -> tuple[str, ...]:
    """All parents of a finding, nearest first.

    >>> ancestors("Pneumonia")
    ('Consolidation', 'Lung Opacity')
    """
    chain: list[str] = []
    while finding in PARENTS:
        finding = PARENTS[finding]
        chain.append(finding)
    return tuple(chain)


def closure(positives: frozenset[str] | set[str]) -> frozenset[str]:
    """The findings together with all their parents, as a radiologist's reading has them.

    >>> sorted(closure({"Cardiomegaly"}))
    ['Cardiomegaly', 'Enlarged Cardiomediastinum']
    """
    return frozenset(positives).union(*(ancestors(f) for f in positives))


def decide(labels: Mapping[str, float], policy: str, label_set: tuple[str, ...] = FINDINGS) -> dict[str, bool | None]:
    """What each finding counts as under an uncertainty policy.

    `labels` holds 1.0 (positive), 0.0 (negative) or -1.0 (uncertain); a name that is missing was
    not mentioned and counts as negative. The policies are those of Irvin et al. 2019: ``zeros``
    and ``ones`` read an uncertain label as negative or positive; ``ignore`` leaves it out (None),
    for that finding only.

    >>> decide({"Edema": -1.0, "Fracture": 1.0}, "ignore", ("Edema", "Fracture", "Pneumonia"))
    {'Edema': None, 'Fracture': True, 'Pneumonia': False}

    Raises UserError for an unknown policy, name or value.
    """
    if policy not in UNCERTAINTY_POLICIES:
        raise unknown("uncertainty policy", policy, UNCERTAINTY_POLICIES, "chexreason/labels.py")
    for name, value in labels.items():
        if name not in FINDINGS:
            raise unknown("finding", name, FINDINGS, "chexreason/labels.py")
        if math.isnan(value) or value not in (POSITIVE, NEGATIVE, UNCERTAIN):
            raise UserError("a label of 1.0, 0.0 or -1.0", f"{value!r} for {name}", "mend the label file")
    uncertain = {"zeros": False, "ones": True, "ignore": None}[policy]
    value_of = {POSITIVE: True, NEGATIVE: False, UNCERTAIN: uncertain}
    return {name: value_of[labels.get(name, NEGATIVE)] for name in label_set}


def positives(labels: Mapping[str, float], policy: str, label_set: tuple[str, ...] = FINDINGS) -> frozenset[str]:
    """The positive findings under an uncertainty policy; ignored ones are not positive.

    >>> sorted(positives({"Edema": -1.0, "Fracture": 1.0}, "ones"))
    ['Edema', 'Fracture']
    """
    return frozenset(name for name, value in decide(labels, policy, label_set).items() if value)
