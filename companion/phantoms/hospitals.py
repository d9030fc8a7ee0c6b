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

from chexreason.errors import unknown
from companion.phantoms.acquisition import Style, style_of

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


#: The hospitals by name.
HOSPITALS: Mapping[str, Hospital] = {
    "A": Hospital(
        "A", "Hospital A (labels mined from reports, like MIMIC-CXR-JPG)", "mimic", "report",
        style_of("A"), _rates("A"), 0.3323, 0.22,
        source="MIMIC-CXR-JPG train studies: MIT-LCP/mimic-cxr, table of arXiv:1901.07042",
    ),
    "B": Hospital(
        "B", "Hospital B (read by radiologists, like the CheXpert test set)", "chexpert", "radiologist",
        style_of("B"), _rates("B"), 0.124, -0.75,
        source="CheXpert test studies, majority of five radiologists: rajpurkarlab/cheXpert-test-set-labels",
    ),
    "C": Hospital(
        "C", "Hospital C (noisy text mining with nine labels, like NIH ChestX-ray14)", "nih", "text-mined",
        style_of("C"), _rates("C"), 0.3853, 0.0,
        source="NIH ChestX-ray14 test images: Data_Entry_2017_v2020 x test_list; Infiltration stands for Lung Opacity",
    ),
}  # fmt: skip


def hospital(name: str) -> Hospital:
    """The hospital of this name; raises UserError for an unknown one."""
    if name not in HOSPITALS:
        raise unknown("hospital", name, HOSPITALS, "companion/phantoms/hospitals.py")
    return HOSPITALS[name]
