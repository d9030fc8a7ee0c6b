"""The three simulated hospitals: how often each finding is drawn and recorded, how films look and are labelled.

A imitates MIMIC-CXR-JPG (labels mined from reports), B the CheXpert test set (radiologists), C the
NIH ChestX-ray14 test set (noisy text mining, nine labels); see sections 3.1 and 4.4 of the paper.
`rates.csv` is the one home of the rates: `recorded`, `uncertain` and `negative` are published shares
that the recorded labels are to meet; `drawn` is the rate at which the finding is drawn as a lesion of its own, fitted
by `benchmarks/phantom_prevalence.py` so that they do. A finding whose `recorded` is empty is not
published for that place, and its `drawn` is assumed. How findings occur together is in `copula`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    """A place where films are taken and labelled."""

    name: str
    title: str
    layout: str  # "mimic", "chexpert" or "nih": the on-disk format of its data
    convention: str  # a name in conventions.CONVENTIONS
    style: Style
    rates: Mapping[str, Rate]
    no_finding: float  # published share of studies labelled No Finding
    well: float  # what the copula lacks in films that show nothing, see `copula.sample_findings`
    source: str


def _rates(hospital: str) -> Mapping[str, Rate]:
    """A hospital's rows of rates.csv; an empty cell is not published."""
    with RATES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["hospital"] == hospital]
    return {
        row["finding"]: Rate(
            drawn=float(row["drawn"]),
            copula=float(row["copula"]),
            recorded=float(row["recorded"]) if row["recorded"] else None,
            uncertain=float(row["uncertain"] or 0.0),
            negative=float(row["negative"] or 0.0),
        )
        for row in rows
    }


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
    rates=_rates("A"),
    no_finding=0.3323,
    well=0.22,
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
    rates=_rates("B"),
    no_finding=0.124,
    well=-0.75,
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
    rates=_rates("C"),
    no_finding=0.3853,
    well=0.0,
    source="NIH ChestX-ray14 test images: Data_Entry_2017_v2020 x test_list; Infiltration stands for Lung Opacity",
)


def hospital(name: str) -> Hospital:
    """The hospital of this name; raises UserError for an unknown one."""
    if name not in HOSPITALS:
        raise unknown("hospital", name, HOSPITALS, "companion/phantoms/hospitals.py")
    return HOSPITALS[name]


#: The hospitals by name.
HOSPITALS: Mapping[str, Hospital] = {"A": _A, "B": _B, "C": _C}
