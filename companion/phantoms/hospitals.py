"""The three simulated hospitals: how often each finding is drawn and recorded, how images look and are labelled.

A imitates MIMIC-CXR-JPG (labels mined from reports), B the CheXpert test set (radiologists), C the NIH ChestX-ray14
test set (noisy text mining, nine labels); see sections 3.1 and 4.4 of the paper. `rates.csv` is the one home of the
rates: `recorded`, `uncertain` and `negative` are published shares that the recorded labels are to meet; `drawn` is the
rate at which the finding is drawn as a lesion of its own, fitted by `benchmarks/phantom_prevalence.py` so that they do.
A finding whose `recorded` is empty is not published for that place, and its `drawn` is assumed. How findings occur
together is in `copula`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexreason.errors import unknown
from companion.phantoms.acquisition import Style

RATES = Path(__file__).with_name("rates.csv")


@dataclass(frozen=True)
class Rate:
    """One finding at one hospital, all as shares of studies."""

    drawn: float  # as a lesion of its own; parents follow by closure
    copula: float  # the same before `Hospital.well`, as the copula draws it
    recorded: float | None = None  # published: positive labels
    uncertain: float = 0.0  # published: uncertain labels
    negative: float = 0.0  # published: explicitly negative labels


@dataclass(frozen=True)
class Hospital:
    """A place where images are taken and labelled."""

    name: str
    title: str
    layout: str  # "mimic", "chexpert" or "nih": the on-disk format of its data
    convention: str  # a name in conventions.CONVENTIONS
    style: Style
    rates: Mapping[str, Rate]
    no_finding: float  # published share of studies labelled No Finding
    well: float  # what the copula lacks in images that show nothing, see `copula.sample_findings`
    source: str


def _rates(hospital: str) -> Mapping[str, Rate]:
    """A hospital's rows of rates.csv; an empty cell is not published."""
    with RATES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["hospital"] == hospital]
    return {
        row["finding"]: Rate(
            float(row["drawn"]), float(row["copula"]), float(row["recorded"]) if row["recorded"] else None,
            float(row["uncertain"] or 0.0), float(row["negative"] or 0.0),
        )
        for row in rows
    }  # fmt: skip


#: `Style` setting -> its value at A, B and C; all of them are our choice by eye.
_STYLES: dict[str, tuple[Any, Any, Any]] = {
    "curve": ("equalised", "windowed", "film-like"),
    "ap": (0.62, 0.80, 0.40),
    "portable": (0.35, 0.60, 0.40),
    "scatter": ((0.45, 0.95), (0.55, 1.20), (0.30, 0.90)),
    "noise": ((0.003, 0.008), (0.010, 0.022), (0.008, 0.018)),
    "detail": ((0.10, 0.28), (0.05, 0.20), (0.0, 0.15)),
    "gamma": ((0.80, 1.10), (0.75, 1.30), (0.75, 1.35)),
    "floor": ((0.0, 0.04), (0.0, 0.06), (0.0, 0.08)),
    "ceiling": ((0.95, 1.0), (0.85, 1.0), (0.80, 1.0)),
    "misread": (0.05, 0.20, 0.30),
    "inverted": (0.0, 0.0, 0.03),
    "marker": (0.8, 0.9, 0.85),
    "collimation": (0.5, 0.3, 0.4),
    "white_border": (0.0, 0.1, 0.3),
    "angle": (2.2, 2.5, 2.0),
}


def _style(name: str) -> Style:
    return Style(**{setting: values["ABC".index(name)] for setting, values in _STYLES.items()})


#: The hospitals by name.
HOSPITALS: Mapping[str, Hospital] = {
    "A": Hospital(
        "A", "Hospital A (labels mined from reports, like MIMIC-CXR-JPG)", "mimic", "report",
        _style("A"), _rates("A"), 0.3323, 0.22,
        source="MIMIC-CXR-JPG train studies: MIT-LCP/mimic-cxr, table of arXiv:1901.07042",
    ),
    "B": Hospital(
        "B", "Hospital B (read by radiologists, like the CheXpert test set)", "chexpert", "radiologist",
        _style("B"), _rates("B"), 0.124, -0.75,
        source="CheXpert test studies, majority of five radiologists: rajpurkarlab/cheXpert-test-set-labels",
    ),
    "C": Hospital(
        "C", "Hospital C (noisy text mining with nine labels, like NIH ChestX-ray14)", "nih", "text-mined",
        _style("C"), _rates("C"), 0.3853, 0.0,
        source="NIH ChestX-ray14 test images: Data_Entry_2017_v2020 x test_list; Infiltration stands for Lung Opacity",
    ),
}  # fmt: skip


def hospital(name: str) -> Hospital:
    """The hospital of this name; raises UserError for an unknown one."""
    if name not in HOSPITALS:
        raise unknown("hospital", name, HOSPITALS, "companion/phantoms/hospitals.py")
    return HOSPITALS[name]
