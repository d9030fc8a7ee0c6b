"""Chest images and their labels, from three public data sets (the paper's: sections 4.3 and 5).

`load("mimic", root, "train")` gives a `Listed` of `Study` records; from there on nothing depends on which data set it
was. Phantoms, which `companion.phantoms` draws, go through the same loaders; their folder also has `phantom.json`, what
they were drawn from, and `truth.csv`, what is to be seen on each image.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexreason.data import chexpert, mimic, nih
from chexreason.data.study import Listed, Study, masked
from chexreason.data.tables import TEXT, read_table
from chexreason.errors import UserError, unknown
from chexreason.labels import FINDINGS

#: At the root of a folder of phantoms, written last; while it is being drawn it has the other name.
PHANTOM_MARKER, PHANTOM_UNFINISHED = "phantom.json", "phantom.json.partial"
TRUTH = "truth.csv"
AGAIN = "delete that folder and draw it again"

__all__ = ["SOURCES", "Listed", "Source", "Study", "is_phantom", "load", "phantom_request", "truth"]


@dataclass(frozen=True)
class Source:
    """A data set: how to name it, what it can state, who may have it, and its loader."""

    name: str
    title: str
    label_set: tuple[str, ...]
    credentialed: bool  # its rows and images must not be shown or passed on
    load: Callable[[Path, str | None], Listed]
    scored_on: str = "chexpert14"  # the label set of its tables, a key of `labels.LABEL_SETS`


SOURCES: dict[str, Source] = {
    mimic.NAME: Source(mimic.NAME, "MIMIC-CXR-JPG", FINDINGS, True, mimic.load),
    chexpert.NAME: Source(chexpert.NAME, "CheXpert", FINDINGS, True, chexpert.load),
    nih.NAME: Source(nih.NAME, "NIH ChestX-ray14", nih.LABEL_SET, False, nih.load, "nih9"),
}


def load(source: str, root: Path, split: str | None = None) -> Listed:
    """The cohort of a data set at `root`: one split, or all; ordered by patient and study.

    Raises UserError for an unknown source or split, for whatever is wrong with the files, and for phantoms that are
    only half drawn.
    """
    if source not in SOURCES:
        raise unknown("source", source, SOURCES, "chexreason/data/__init__.py")
    if (Path(root).expanduser() / PHANTOM_UNFINISHED).exists():
        raise UserError(
            f"all phantoms at {masked(root, 40)}", f"a folder that is half drawn ({PHANTOM_UNFINISHED})",
            "draw it again with the same request, which goes on where it stopped",
        )  # fmt: skip
    with _drawn_not_downloaded(root):
        return SOURCES[source].load(Path(root), split)


@contextlib.contextmanager
def _drawn_not_downloaded(root: Path) -> Iterator[None]:
    """Of phantoms no message says to download them."""
    try:
        yield
    except UserError as error:
        if "download" not in error.do or not is_phantom(root):
            raise
        raise type(error)(error.expected, error.got, AGAIN) from None


def is_phantom(root: Path) -> bool:
    """Whether `companion.phantoms` drew all of the folder `root`."""
    return (Path(root).expanduser() / PHANTOM_MARKER).is_file()


def phantom_request(root: Path) -> dict[str, Any]:
    """What the phantoms at `root` were drawn from: hospital, sizes, seeds and the digest of the generator."""
    path = Path(root).expanduser() / PHANTOM_MARKER
    try:
        request = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise UserError(f"the phantoms' request in {masked(path, 60)}", "damaged JSON", AGAIN)
    return request


def truth(root: Path) -> dict[str, frozenset[str]]:
    """study key -> the findings that are visible on its image; UserError where nothing was drawn."""
    if not is_phantom(root):
        wanted, got = f"phantoms at {masked(root)}", f"no {PHANTOM_MARKER} there"
        raise UserError(wanted, got, "the visible truth is known for phantoms only")
    with _drawn_not_downloaded(root):
        table = read_table(Path(root).expanduser() / TRUTH, {"study_key": TEXT, "visible": TEXT}, public=True)
    if len(table) != (n := sum(phantom_request(root).get("sizes", {}).values())):
        wanted = f"a row for each of {n:,} phantoms in {TRUTH} at {masked(root, 60)}"
        raise UserError(wanted, f"{len(table):,}", AGAIN)
    return {key: frozenset(filter(None, cell.split(";"))) for key, cell in table.itertuples(index=False)}
