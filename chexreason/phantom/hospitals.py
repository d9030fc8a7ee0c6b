"""The three simulated hospitals: how often each finding is drawn and recorded, how films look and are labelled.

A imitates MIMIC-CXR-JPG (labels mined from reports), B the CheXpert test set (radiologists), C the
NIH ChestX-ray14 test set (noisy text mining, nine labels); see sections 3.1 and 4.4 of the paper. Each
hospital's table is the one home of its rates. `recorded` is the published prevalence that the
recorded labels are to meet; `drawn` is the rate at which the finding is drawn as a lesion of its own,
calibrated against it by `benchmarks/phantom_prevalence.py` (at C it is ``recorded * ppv /
sensitivity``, see `conventions.MINING`). Findings occur together because
they share latent causes (heart failure, infection, intensive care, frailty).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from chexreason.errors import UserError, unknown
from chexreason.phantom.acquisition import Style
from chexreason.phantom.findings import FINDING_PAINTERS


@dataclass(frozen=True)
class Rate:
    """One finding at one hospital, all as shares of studies."""

    drawn: float  # as a lesion of its own; parents follow by closure
    recorded: float | None = None  # published: positive labels
    uncertain: float = 0.0  # published: uncertain labels
    negative: float = 0.0  # published: explicitly negative labels


@dataclass(frozen=True)
class Hospital:
    """A place where films are taken and labelled."""

    name: str
    title: str
    layout: str  # "mimic", "chexpert" or "nih": the on-disk format of its data
    convention: str  # a name in conventions.CONVENTIONS
    style: Style
    rates: Mapping[str, Rate]
    no_finding: float  # published share of studies labelled No Finding
    source: str


#: Shared causes and how strongly each finding loads on them (our choice; squares sum to less than 1).
LOADINGS: Mapping[str, tuple[float, float, float, float, float]] = {
    # general sickness, heart failure, infection, intensive care, frailty
    "Enlarged Cardiomediastinum": (0.05, 0.10, 0.0, 0.05, 0.0),
    "Cardiomegaly": (0.32, 0.55, 0.0, 0.10, 0.0),
    "Lung Opacity": (0.08, 0.0, 0.10, 0.0, 0.0),
    "Edema": (0.35, 0.60, 0.0, 0.30, 0.0),
    "Consolidation": (0.32, 0.0, 0.60, 0.20, 0.0),
    "Pneumonia": (0.28, 0.0, 0.65, 0.10, 0.0),
    "Atelectasis": (0.39, 0.10, 0.15, 0.45, 0.0),
    "Lung Lesion": (0.14, 0.0, 0.0, 0.0, 0.30),
    "Pleural Effusion": (0.39, 0.40, 0.15, 0.30, 0.10),
    "Pleural Other": (0.17, 0.0, 0.10, 0.0, 0.45),
    "Pneumothorax": (0.17, 0.0, 0.0, 0.45, 0.10),
    "Fracture": (0.10, 0.0, 0.0, 0.10, 0.45),
    "Support Devices": (0.12, 0.05, 0.0, 0.50, 0.0),
}

#: Findings drawn in fewer studies than this count as rare and are what `enrichment` raises.
RARE = 0.10


def sample_findings(hospital: "Hospital", rng: np.random.Generator, enrichment: float = 1.0) -> tuple[str, ...]:
    """The findings to draw for one patient: a Gaussian copula over `LOADINGS` with the hospital's rates.

    `enrichment` multiplies the odds of each rare finding (rate under `RARE`); 1 keeps the natural
    rates. Raises UserError unless it is a finite positive number.
    """
    if not 0 < enrichment < float("inf"):
        raise UserError("an enrichment above 0", repr(enrichment), "pass 1.0 for the natural rates")
    causes = rng.standard_normal(5)
    own = rng.standard_normal(len(LOADINGS))
    drawn = []
    for k, (finding, loading) in enumerate(LOADINGS.items()):
        rate = hospital.rates[finding].drawn
        if rate < RARE:
            rate = enrichment * rate / (1 - rate + enrichment * rate)
        weights = np.array(loading)
        latent = float(weights @ causes + np.sqrt(1 - weights @ weights) * own[k])
        if latent > NormalDist().inv_cdf(1 - rate):
            drawn.append(finding)
    return tuple(name for name in FINDING_PAINTERS if name in drawn)


_A = Hospital(
    name="A",
    title="Hospital A (labels mined from reports, like MIMIC-CXR-JPG)",
    layout="mimic",
    convention="report",
    style=Style(
        curve="equalised",
        ap=0.62,
        portable=0.35,
        scatter=(0.45, 0.95),
        noise=(0.003, 0.008),
        detail=(0.10, 0.28),
        gamma=(0.80, 1.10),
        floor=(0.0, 0.04),
        ceiling=(0.95, 1.0),
        misread=0.05,
        inverted=0.0,
        marker=0.8,
        collimation=0.5,
        white_border=0.0,
        angle=2.2,
    ),
    rates={
        "Enlarged Cardiomediastinum": Rate(0.0390, 0.0305, 0.0405, 0.0232),
        "Cardiomegaly": Rate(0.2010, 0.1706, 0.0258, 0.0699),
        "Lung Opacity": Rate(0.0840, 0.2223, 0.0092, 0.0125),
        "Lung Lesion": Rate(0.0330, 0.0267, 0.0045, 0.0037),
        "Edema": Rate(0.1500, 0.1147, 0.0513, 0.1111),
        "Consolidation": Rate(0.0530, 0.0458, 0.0131, 0.0350),
        "Pneumonia": Rate(0.1080, 0.0688, 0.0777, 0.1067),
        "Atelectasis": Rate(0.2380, 0.1976, 0.0432, 0.0041),
        "Pneumothorax": Rate(0.0480, 0.0411, 0.0038, 0.1852),
        "Pleural Effusion": Rate(0.2680, 0.2320, 0.0233, 0.1191),
        "Pleural Other": Rate(0.0105, 0.0085, 0.0032, 0.0005),
        "Fracture": Rate(0.0195, 0.0165, 0.0013, 0.0039),
        "Support Devices": Rate(0.3160, 0.2872, 0.0004, 0.0135),
    },
    no_finding=0.3323,
    source="MIMIC-CXR-JPG train studies: MIT-LCP/mimic-cxr, table of arXiv:1901.07042",
)

_B = Hospital(
    name="B",
    title="Hospital B (read by radiologists, like the CheXpert test set)",
    layout="chexpert",
    convention="radiologist",
    style=Style(
        curve="windowed",
        ap=0.80,
        portable=0.60,
        scatter=(0.55, 1.20),
        noise=(0.010, 0.022),
        detail=(0.05, 0.20),
        gamma=(0.75, 1.30),
        floor=(0.0, 0.06),
        ceiling=(0.85, 1.0),
        misread=0.20,
        inverted=0.0,
        marker=0.9,
        collimation=0.3,
        white_border=0.1,
        angle=2.5,
    ),
    rates={
        "Enlarged Cardiomediastinum": Rate(0.3070, 0.506),
        "Cardiomegaly": Rate(0.302, 0.302),
        "Lung Opacity": Rate(0.2090, 0.528),
        "Lung Lesion": Rate(0.016, 0.016),
        "Edema": Rate(0.156, 0.156),
        "Consolidation": Rate(0.0395, 0.058),
        "Pneumonia": Rate(0.022, 0.022),
        "Atelectasis": Rate(0.306, 0.306),
        "Pneumothorax": Rate(0.018, 0.018),
        "Pleural Effusion": Rate(0.208, 0.208),
        "Pleural Other": Rate(0.008, 0.008),
        "Fracture": Rate(0.010, 0.010),
        "Support Devices": Rate(0.522, 0.522),
    },
    no_finding=0.124,
    source="CheXpert test studies, majority of five radiologists: rajpurkarlab/cheXpert-test-set-labels",
)

_C = Hospital(
    name="C",
    title="Hospital C (noisy text mining with nine labels, like NIH ChestX-ray14)",
    layout="nih",
    convention="text-mined",
    style=Style(
        curve="film-like",
        ap=0.40,
        portable=0.40,
        scatter=(0.30, 0.90),
        noise=(0.008, 0.018),
        detail=(0.0, 0.15),
        gamma=(0.75, 1.35),
        floor=(0.0, 0.08),
        ceiling=(0.80, 1.0),
        misread=0.30,
        inverted=0.03,
        marker=0.85,
        collimation=0.4,
        white_border=0.3,
        angle=2.0,
    ),
    rates={
        "Enlarged Cardiomediastinum": Rate(0.050),
        "Cardiomegaly": Rate(0.0450, 0.0418),
        "Lung Opacity": Rate(0.2388, 0.2388),
        "Lung Lesion": Rate(0.1590, 0.1192),
        "Edema": Rate(0.0394, 0.0361),
        "Consolidation": Rate(0.0780, 0.0709),
        "Pneumonia": Rate(0.0217, 0.0217),
        "Atelectasis": Rate(0.1397, 0.1281),
        "Pneumothorax": Rate(0.1041, 0.1041),
        "Pleural Effusion": Rate(0.1960, 0.1820),
        "Pleural Other": Rate(0.0447, 0.0447),
        "Fracture": Rate(0.030),
        "Support Devices": Rate(0.300),
    },
    no_finding=0.3853,
    source="NIH ChestX-ray14 test images: Data_Entry_2017_v2020 x test_list; Infiltration stands for Lung Opacity",
)


def hospital(name: str) -> Hospital:
    """The hospital of this name; raises UserError for an unknown one."""
    if name not in HOSPITALS:
        raise unknown("hospital", name, HOSPITALS, "chexreason/phantom/hospitals.py")
    return HOSPITALS[name]


#: The hospitals by name.
HOSPITALS: Mapping[str, Hospital] = {"A": _A, "B": _B, "C": _C}
