"""The data sets: where they lie, whether their tables can be read, and whether they are the published release.

Only counts come out of here: never a row, an id or a path below a data set's own folder.
"""

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from chexreason import cohorts, data
from chexreason.cohorts import COHORTS
from chexreason.config import DataPlace, Profile
from chexreason.data.image import is_readable
from chexreason.errors import UserError
from companion.evidence import sealed
from companion.replication.doctor.counts import COUNTS
from companion.replication.doctor.rows import DIFFERS, MISSING, READY, Row

#: What the study reads of each data set.
WANTED: Mapping[str, str] = {
    "mimic": "files/ and mimic-cxr-2.?.?-chexpert, -split and -metadata.csv.gz (version 2.0.0 or 2.1.0)",
    "chexpert": "the test set: the folder test/ and its groundtruth.csv; train.csv is read for checks only",
    "nih": "images/, Data_Entry_2017_v2020.csv, train_val_list.txt and test_list.txt",
}

ASK_OWNER = "ask the owner of the folder for the right to read it"


def check(profile: Profile) -> Iterator[Row]:
    """Each data set's folder, tables and counts; then the cohorts and their images."""
    rows = []
    for source, place in profile.data.items():
        rows.append(_source(source, place))
        yield rows[-1]
    if any(place.draw for place in profile.data.values()):
        yield Row("cohorts", READY, "drawn with the phantoms")
    elif any(row.state == MISSING for row in rows):
        yield Row("cohorts", MISSING, "not drawn without all three data sets", "see the lines above")
    else:
        yield from (_cohort(profile, name) for name in COHORTS)


def _facts(source: str) -> dict[str, tuple[str, str]]:
    """fact -> (value, where it was read) of a data set in results/published/datasets.csv."""
    rows = sealed.rows("datasets.csv")
    title = data.SOURCES[source].title
    return {row["fact"]: (row["value"], row["source"]) for row in rows if row["dataset"] == title}


def access(source: str) -> str:
    """Where to apply for a data set, and what for."""
    return ", ".join(_facts(source)["access"])


def official(source: str) -> dict[str, tuple[int, str]]:
    """count -> (number, where it was read) as published; a fact about several parts is taken apart."""
    found: dict[str, tuple[int, str]] = {}
    for fact, (value, link) in _facts(source).items():
        numbers = [int(text.replace(",", "")) for text in re.findall(r"\d{1,3}(?:,\d{3})+|\d+", value)]
        parts, _, what = fact.rpartition(" ")  # "training, validation and test studies"
        names = [f"{part} {what}" for part in re.split(r", | and ", parts)] if len(numbers) > 1 else [fact]
        if len(names) == len(numbers):
            found |= {name: (number, link) for name, number in zip(names, numbers, strict=True)}
    return found


def _source(source: str, place: DataPlace) -> Row:
    """One data set: its folder, the tables of the splits that the study uses, and its counts."""
    title, get = data.SOURCES[source].title, f"{access(source)}. Wanted: {WANTED[source]}"
    if place.draw is not None:
        when = "already" if data.is_phantom(place.root) else "when a run starts"
        return Row(title, READY, f"phantom images, drawn {when}")
    if place.unset:
        how = f"export {place.unset}=/where/it/lies; to get it: {get}"
        return Row(title, MISSING, f"{place.unset} is not set", how)
    if not place.root.is_dir():
        return Row(title, MISSING, f"no folder {place.root}", f"correct the path; to get the data: {get}")
    try:
        for split in dict.fromkeys(part for name, part in COHORTS.values() if name == source):
            data.load(source, place.root, split)
        counted = COUNTS[source](place.root) if source in COUNTS else {}
    except UserError as error:
        return Row.failed(title, error, get)
    except PermissionError:  # its path would name a patient
        return Row(title, MISSING, "a table or folder may not be read", ASK_OWNER)
    if data.is_phantom(place.root):
        return Row(title, READY, "phantom images")
    published = official(source)
    known = {what: n for what, n in counted.items() if what in published}
    wrong = [
        f"{what}: {n:,} here, {published[what][0]:,} published ({published[what][1]})"
        for what, n in known.items() if n != published[what][0]
    ]  # fmt: skip
    if wrong:
        how = f"scores may not be comparable; take the whole release: {access(source)}"
        return Row(title, DIFFERS, "; ".join(wrong), how)
    return Row(title, READY, "as published: " + ", ".join(f"{n:,} {what}" for what, n in known.items()))


def _cohort(profile: Profile, name: str) -> Row:
    """Whether a cohort can be drawn and its images are there; one is opened, the others are left to the run."""
    title = f"cohort {name}"
    try:
        chosen = cohorts.drawn(profile, name)
    except UserError as error:
        return Row.failed(title, error)
    try:
        there = [study for study in chosen.studies if _is_there(study.image)]
    except PermissionError:
        return Row(title, MISSING, "its images may not be read", ASK_OWNER)
    n = len(chosen.studies)
    how = f"download the images: {access(chosen.dataset)}"
    if not there:
        return Row(title, MISSING, f"none of its {n:,} images is there", how)
    if not is_readable(there[0].image):
        return Row(title, DIFFERS, f"{n:,} studies; the first image cannot be read", how)
    if len(there) < n:
        return Row(title, DIFFERS, f"{n - len(there):,} of {n:,} images are not there and would be left out", how)
    return Row(title, READY, f"{n:,} studies, all images are there")


def _is_there(path: Path) -> bool:
    """Whether a file is there; PermissionError where that may not be known, which `Path.is_file` may hide."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
