"""Chest films and their labels, from three public data sets (the paper's: sections 4.3 and 5).

`load("mimic", root, "train")` gives a `Cohort` of `Study` records; from there on nothing depends
on which data set it was. A tree that `companion.phantoms` drew goes through the same loaders, from
the same files; it differs by the marker `phantom.json` at its root, which keeps the request it was
drawn for, and by `truth.csv`, which keeps what is really to be seen on each film.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from chexreason.data import chexpert, mimic, nih
from chexreason.data.study import Cohort, Study
from chexreason.data.tables import TEXT, bad_row, find_folder, read_table
from chexreason.errors import UserError, unknown
from chexreason.labels import FINDINGS

#: At the root of a drawn tree, written last; while the tree is being drawn it has the other name.
PHANTOM_MARKER, PHANTOM_UNFINISHED = "phantom.json", "phantom.json.partial"
TRUTH = "truth.csv"

__all__ = [
    "SOURCES",
    "Cohort",
    "Source",
    "Study",
    "is_phantom",
    "label_set_of",
    "lesions",
    "load",
    "phantom_request",
    "truth",
]


@dataclass(frozen=True)
class Source:
    """A data set: how to name it, what it can state, who may have it, and its loader."""

    name: str
    title: str
    label_set: tuple[str, ...]
    credentialed: bool  # its rows and films must not be shown or passed on
    load: Callable[[Path, str | None], Cohort]
    counts: Callable[[Path], dict[str, int]] | None = None  # published sizes that `doctor` can check
    scored_on: str = "chexpert14"  # the label set of its tables, a key of `labels.LABEL_SETS`


def load(source: str, root: Path, split: str | None = None) -> Cohort:
    """The cohort of a data set at `root`: one split, or all; ordered by patient and study.

    Raises UserError for an unknown source or split, for whatever is wrong with the files, and for
    a phantom tree that is only half drawn.
    """
    if source not in SOURCES:
        raise unknown("source", source, SOURCES, "chexreason/data/__init__.py")
    if (Path(root).expanduser() / PHANTOM_UNFINISHED).exists():
        raise UserError(
            f"a whole phantom tree at {root}",
            f"one that is half drawn ({PHANTOM_UNFINISHED} is there)",
            "draw it again with the same request, which goes on where it stopped",
        )
    return SOURCES[source].load(Path(root), split)


def label_set_of(dataset: str) -> str:
    """The name of the label set that a data set is scored on: 14 findings, or nine for NIH."""
    return SOURCES[dataset].scored_on


def is_phantom(root: Path) -> bool:
    """Whether `companion.phantoms` drew the whole tree at `root`."""
    return (Path(root).expanduser() / PHANTOM_MARKER).is_file()


def phantom_request(root: Path) -> dict[str, Any]:
    """What the whole phantom tree at `root` was drawn from: hospital, sizes, seeds and the digest of the generator."""
    return json.loads((Path(root).expanduser() / PHANTOM_MARKER).read_text(encoding="utf-8"))


def truth(root: Path) -> dict[str, frozenset[str]]:
    """study key -> the findings that are visible on its film; phantom trees only."""
    table, frame = _truth_table(root, "visible")
    visible = {}
    for row, (key, cell) in enumerate(zip(frame["study_key"], frame["visible"], strict=True)):
        names = frozenset(filter(None, cell.split(";")))
        if not names <= set(FINDINGS):
            raise bad_row(table, row, "names of findings joined by ;", cell, public=True)
        visible[key] = names
    return visible


def lesions(root: Path) -> dict[str, list[dict[str, object]]]:
    """study key -> what was drawn (finding, severity, side, ...) for the scripted teacher; phantoms only."""
    table, frame = _truth_table(root, "lesions")
    drawn = {}
    for row, (key, cell) in enumerate(zip(frame["study_key"], frame["lesions"], strict=True)):
        try:
            drawn[key] = json.loads(cell)
        except json.JSONDecodeError as error:
            raise bad_row(table, row, "a JSON list of lesions", cell, public=True) from error
    return drawn


def _truth_table(root: Path, column: str) -> tuple[Path, pd.DataFrame]:
    root = find_folder(root, "a phantom tree")
    if not is_phantom(root):
        raise UserError(
            f"a phantom tree at {root}",
            f"no {PHANTOM_MARKER} there",
            "the visible truth is known for phantoms only",
        )
    table = root / TRUTH
    return table, read_table(table, {"study_key": TEXT, column: TEXT}, public=True)


SOURCES: dict[str, Source] = {
    mimic.NAME: Source(mimic.NAME, "MIMIC-CXR-JPG", FINDINGS, True, mimic.load, mimic.counts),
    chexpert.NAME: Source(chexpert.NAME, "CheXpert", FINDINGS, True, chexpert.load, chexpert.counts),
    nih.NAME: Source(nih.NAME, "NIH ChestX-ray14", nih.LABEL_SET, False, nih.load, nih.counts, "nih9"),
}
