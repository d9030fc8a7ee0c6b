"""The data sets: where they lie, whether their tables are those of the published release, and whose images are there.

Only counts come out of here: never a row, an id or a path below a data set's own folder.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from chexreason import cohorts, data
from chexreason.cohorts import COHORTS, NOT_THERE
from chexreason.config import DataPlace, Profile
from chexreason.data import chexpert, mimic, nih
from chexreason.data.image import is_readable
from chexreason.data.study import SPLITS
from chexreason.data.tables import ID, TEXT, read_table
from chexreason.errors import UserError
from companion.evidence.sealed import published
from companion.replication.contamination import studies_of
from companion.replication.doctor import DIFFERS, MISSING, READY, Row

#: What the study reads of each data set.
WANTED: Mapping[str, str] = {
    "mimic": "files/ and mimic-cxr-2.?.?-chexpert, -split and -metadata.csv.gz (version 2.0.0 or 2.1.0)",
    "chexpert": "the test set: the folder test/ and its groundtruth.csv; train.csv is read for checks only",
    "nih": "images/, Data_Entry_2017_v2020.csv, train_val_list.txt and test_list.txt",
}


def check(profile: Profile) -> Iterator[Row]:
    """The folder, tables and counts of each data set that the study uses; then the cohorts and their images."""
    there = {}
    for source in profile.used:
        yield (row := _source(source, profile.data[source]))
        there[source] = row.state != MISSING
    if any(profile.data[source].draw for source in there):
        yield Row("cohorts", READY, "drawn with the phantoms")
    else:
        yield from (_cohort(profile, name) for name, (source, _) in COHORTS.items() if there.get(source))


def counts(source: str, root: Path) -> dict[str, str]:
    """What the tables of a data set list, worded as the published facts are; nothing for one of your own."""
    found: dict[str, list[int]] = {}
    if source == mimic.NAME:
        images = read_table(mimic.table_of(root, "split"), {"study_id": ID, "split": TEXT})
        split_of = list(images.drop_duplicates("study_id")["split"])
        found = {"images": [len(images)], "studies": [len(split_of)]}
        found["training, validation and test studies"] = [split_of.count(split) for split in SPLITS]
    elif source == chexpert.NAME:
        base = chexpert.base_of(root)
        for name, split in zip(("training", "validation", "test"), SPLITS, strict=True):
            if table_there := chexpert.table_of(base, split):
                found[f"{name} studies"] = [len(studies_of(table_there).drop_duplicates())]
    elif source == nih.NAME:
        lists = list(nih.split_of_images(root).values())
        found = {"images for training and validation": [lists.count("train")], "test images": [lists.count("test")]}
    return {what: ", ".join(f"{n:,}" for n in numbers) for what, numbers in found.items()}


def access(source: str) -> str:
    """Where to apply for a data set, and what for."""
    return ", ".join(published(source)["access"])


def _source(source: str, place: DataPlace) -> Row:
    """One data set: its folder, the tables of the splits that the study uses, and its counts."""
    title, get = data.SOURCES[source].title, f"{access(source)}. Wanted: {WANTED[source]}"
    if place.draw is not None:
        when = "already" if data.is_phantom(place.root) else "when a run starts"
        return Row(title, READY, f"phantom images, drawn {when}")
    if place.unset:
        how = f"export {place.unset}=/where/it/lies; to get it: {get}"
        return Row(title, MISSING, f"{place.unset} is not set", how)
    try:
        with cohorts.may_read():
            for split in dict.fromkeys(part for name, part in COHORTS.values() if name == source):
                data.load(source, place.root, split)
            here = counts(source, place.root)
    except UserError as error:
        return Row.failed(title, error, get)
    facts = published(source)
    wrong = [
        f"{what}: {n} here, {' published ('.join(facts[what])})" for what, n in here.items() if n != facts[what][0]
    ]
    if wrong:
        how = f"scores may not be comparable; take the whole release: {access(source)}"
        return Row(title, DIFFERS, "; ".join(wrong), how)
    return Row(title, READY, "tables as published: " + ", ".join(f"{n} {what}" for what, n in here.items()))


def _cohort(profile: Profile, name: str) -> Row:
    """Whether a cohort can be drawn and its images are there; one is opened, the others are left to the run."""
    title, how = f"cohort {name}", f"download the images: {access(COHORTS[name][0])}"
    try:
        chosen = cohorts.drawn(profile, name)
    except UserError as error:
        return Row.failed(title, error)
    absent, studies = chosen.left_out.get(NOT_THERE, 0), f"{len(chosen.studies):,} studies"
    if not is_readable(chosen.studies[0].image):
        return Row(title, DIFFERS, f"{studies}; the first image cannot be read", how)
    if absent:
        return Row(title, DIFFERS, f"{studies}, after {absent:,} whose image is not there were left out", how)
    return Row(title, READY, f"{studies}, all images are there")
