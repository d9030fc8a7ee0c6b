"""Whether an image or a patient is on two sides of a line that they must not cross.

Three lines are checked: between the SFT, RL and validation studies; between each data set's training and test part; and
between what is trained on and what is tested on. A patient is known by the data set's own number, an image by its
bytes; only files that are equally long are read: of a quarter of a million images, a few. What is found is counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from pandas import DataFrame

from chexreason import cohorts, data
from chexreason.cohorts import COHORTS
from chexreason.config import Profile
from chexreason.data import chexpert, mimic, nih
from chexreason.data.study import Study
from chexreason.data.tables import ID, TEXT, column_names, read_table
from chexreason.files import file_digest


class Overlap(NamedTuple):
    """One line: what was held against what, how many are on both sides; None if it could not be checked."""

    what: str
    shared: int | None
    of: int = 0
    note: str = ""

    def __str__(self) -> str:
        found = "not checked" if self.shared is None else f"{self.shared:,} of {self.of:,}"
        return f"{self.what}: {found}" + (f", {self.note}" if self.note else "")


@cohorts.may_read()
def overlaps(profile: Profile) -> list[Overlap]:
    """Every line, for the cohorts that the profile draws. Raises UserError where the data sets cannot be read."""
    drawn = {name: cohorts.drawn(profile, name).studies for name in COHORTS}
    tested = [study for name in ("chexpert", "nih") for study in drawn[name]]
    found = [
        _patients(f"patients in both {one} and {other}", drawn[one], drawn[other])
        for one, other in combinations(("sft", "rl", "validation"), 2)
    ]
    for source, place in profile.data.items():
        found += _within(source, place.root, [study for study in tested if study.source == source])
    trained = drawn["sft"] + drawn["rl"]
    return [*found, _images("images both trained and scored on", trained, [*drawn["validation"], *tested])]


def _within(source: str, root: Path, tested: list[Study]) -> Iterator[Overlap]:
    """A data set's training part against its official test part, and against the test studies of ours.

    Patients stand in the tables. A part that is not there is no mistake; a table that is broken is.
    """
    title, studies = data.SOURCES[source].title, data.load(source, root).studies
    train, test = (_listed(source, root, split) for split in ("train", "test"))
    what = f"patients in training and test part of {title}"
    if not (train and test):
        yield Overlap(what, None, note=f"no {'test' if train else 'train'} part here")
        return
    yield Overlap(what, len(test & train), len(test))
    if tested:
        trained = [study for study in studies if study.split == "train"]
        yield _images(f"test images of {title} that are in its training part", tested, trained)


def _listed(source: str, root: Path, split: str) -> set[object]:
    """The patients of every row of a split, also of those that make no usable study: a lateral, a blank label."""
    if source == mimic.NAME:
        rows = read_table(mimic.table_of(root, "split"), {"subject_id": ID, "split": TEXT})
        return set(rows["subject_id"][rows["split"] == split])
    if source == chexpert.NAME:
        table = chexpert.table_of(chexpert.base_of(root), split)
        return set(studies_of(table)[1]) if table else set()
    split_of = nih.split_of_images(root)
    return {name.partition("_")[0] for name, part in split_of.items() if part == split}


def studies_of(table: Path) -> DataFrame:
    """The folder, patient and study that each row of a CheXpert table names."""
    column = "Path" if "Path" in column_names(table) else "Study"
    return read_table(table, {column: TEXT})[column].str.extract(chexpert.STUDY_PATH)


def _patients(what: str, one: Iterable[Study], other: Iterable[Study]) -> Overlap:
    mine, theirs = ({(study.source, study.patient_id) for study in side} for side in (one, other))
    return Overlap(what, len(mine & theirs), len(mine))


def _images(what: str, one: Sequence[Study], other: Sequence[Study]) -> Overlap:
    """How many images of `one` have the bytes of some image of `other`; says how many could not be compared."""
    mine, theirs = _by_length(one), _by_length(other)
    shared = 0
    for length in mine.keys() & theirs.keys():
        digests = {file_digest(path) for path in theirs[length]}
        shared += sum(file_digest(path) in digests for path in mine[length])
    absent = sum(len(side) for side in (one, other)) - sum(len(found) for by in (mine, theirs) for found in by.values())
    note = f"{absent:,} images are not there" if absent else ""
    return Overlap(what, shared if mine and theirs else None, len(one), note)


def _by_length(studies: Iterable[Study]) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = defaultdict(list)
    for path in (study.image for study in studies if cohorts.is_there(study.image)):
        found[path.stat().st_size].append(path)
    return found
