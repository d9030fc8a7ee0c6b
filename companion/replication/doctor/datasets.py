"""The data sets: where they lie, whether their tables can be read, and whether they are the published release.

Only counts come out of here: never a row, an id or a path below a data set's own folder.
"""

import re
from collections.abc import Iterator, Mapping

from chexreason import cohorts, data
from chexreason.cohorts import COHORTS, Chosen
from chexreason.config import DataPlace, Profile
from chexreason.data.film import is_readable
from chexreason.errors import UserError
from companion.evidence import sealed
from companion.replication.doctor.row import DIFFERS, MISSING, READY, Row

#: What the study reads of each data set.
WANTED: Mapping[str, str] = {
    "mimic": "files/ and mimic-cxr-2.?.?-chexpert, -split and -metadata.csv.gz (version 2.0.0 or 2.1.0)",
    "chexpert": "the test set: the folder test/ and its groundtruth.csv; train.csv is read for checks only",
    "nih": "images/, Data_Entry_2017_v2020.csv, train_val_list.txt and test_list.txt",
}


def check(profile: Profile) -> Iterator[Row]:
    """Each data set's folder, tables and counts; then the cohorts and their films."""
    sound = True
    for source, place in profile.data.items():
        for row in _source(source, place):
            sound &= row.state != MISSING
            yield row
    if any(place.draw for place in profile.data.values()):
        yield Row("cohorts", READY, "drawn with the phantoms")
    elif sound:
        yield from _cohorts(profile)
    else:
        yield Row("cohorts", MISSING, "not drawn without all three data sets", "see the lines above")


def access(source: str) -> str:
    """Where to apply for a data set, and what for."""
    value, link = _facts(data.SOURCES[source].title)["access"]
    return f"{value}, {link}"


def _facts(title: str) -> dict[str, tuple[str, str]]:
    """fact -> (value, source) of a data set in results/published/datasets.csv."""
    rows = sealed.rows("datasets.csv")
    return {row["fact"]: (row["value"], row["source"]) for row in rows if row["dataset"] == title}


def official(source: str) -> dict[str, tuple[int, str]]:
    """count -> (number, source) as published; a fact on several parts is taken apart."""
    found: dict[str, tuple[int, str]] = {}
    for fact, (value, link) in _facts(data.SOURCES[source].title).items():
        numbers = [int(text.replace(",", "")) for text in re.findall(r"\d{1,3}(?:,\d{3})+|\d+", value)]
        *parts, what = re.split(r", | and ", fact.rpartition(" ")[0]) if len(numbers) > 1 else [""]
        names = [f"{name} {fact.rpartition(' ')[2]}" for name in (*parts, what)] if len(numbers) > 1 else [fact]
        if len(names) == len(numbers):
            found |= {name: (number, link) for name, number in zip(names, numbers, strict=True)}
    return found


def _source(source: str, place: DataPlace) -> Iterator[Row]:
    title = data.SOURCES[source].title
    get = f"{access(source)}. Wanted: {WANTED[source]}"
    if place.draw is not None:
        whole = data.is_phantom(place.root)
        yield Row(title, READY, "phantom films, drawn already" if whole else "phantom films, drawn when a run starts")
        return
    if place.unset:
        yield Row(title, MISSING, f"{place.unset} is not set", f"export {place.unset}=/where/it/lies; to get it: {get}")
        return
    if not place.root.is_dir():
        yield Row(title, MISSING, f"no folder {place.root}", f"mend the path; to get the data: {get}")
        return
    try:
        for split in dict.fromkeys(part for name, part in COHORTS.values() if name == source):
            data.load(source, place.root, split)
        count = data.SOURCES[source].counts
        counted = count(place.root) if count else {}
    except UserError as error:
        yield Row(title, MISSING, f"expected {error.expected}, got {error.got}", f"{error.do}. {get}")
        return
    if data.is_phantom(place.root):
        yield Row(title, READY, "phantom films")
        return
    yield _counts(source, counted)


def _counts(source: str, counted: Mapping[str, int]) -> Row:
    title, published = data.SOURCES[source].title, official(source)
    wrong = [
        f"{what}: {n:,} here, {published[what][0]:,} published ({published[what][1]})"
        for what, n in counted.items()
        if what in published and n != published[what][0]
    ]
    if wrong:
        how = f"scores may not be comparable; take the whole release: {access(source)}"
        return Row(title, DIFFERS, "; ".join(wrong), how)
    as_published = [f"{n:,} {what}" for what, n in counted.items() if what in published]
    return Row(title, READY, f"as published: {', '.join(as_published)}")


def _cohorts(profile: Profile) -> Iterator[Row]:
    for name in COHORTS:
        try:
            chosen = cohorts.drawn(profile, name)
        except UserError as error:
            yield Row(f"cohort {name}", MISSING, f"expected {error.expected}, got {error.got}", error.do)
            continue
        yield _films(chosen)


def _films(chosen: Chosen) -> Row:
    """Whether a cohort's films are there; one is opened, the others are left to the run."""
    n, there = len(chosen.studies), [study for study in chosen.studies if study.image.is_file()]
    title = f"cohort {chosen.name}"
    how = f"download the films: {access(chosen.dataset)}"
    if not there:
        return Row(title, MISSING, f"none of its {n:,} films is there", how)
    if not is_readable(there[0].image):
        return Row(title, DIFFERS, f"{n:,} studies; the first film cannot be read", how)
    if len(there) < n:
        return Row(title, DIFFERS, f"{n - len(there):,} of {n:,} films are not there and would be left out", how)
    return Row(title, READY, f"{n:,} studies, all films are there")
