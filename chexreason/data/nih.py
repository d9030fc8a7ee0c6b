"""NIH ChestX-ray14: labels by text mining; the paper's out-of-distribution test (section 3.1, Table 6).

Layout::

    <root>/Data_Entry_2017_v2020.csv   (or Data_Entry_2017.csv)
    <root>/train_val_list.txt, <root>/test_list.txt
    <root>/images/*.png, or <root>/images_001 ... images_012/[images/]*.png

The table's last two names hold commas (``OriginalImage[Width,Height]``) and some releases end each
line with one more; ages may read ``058Y``, "Gender" may be "Sex". None of these columns is read.
train_val_list.txt is "train" and test_list.txt "test"; there is no list for validation.

*A study* is one film: NIH has no study ids, only follow-up numbers, and each film has its own
labels. So a patient has many studies; `splits.draw` takes one of them. All films are PA or AP.

Each of NIH's names is mapped to its CheXpert name where there is one (`labels.NIH_TO_CHEXPERT`).
The text mining states only what it found: a finding that is not listed has no entry ("not
mentioned"), and a film whose findings all lack a CheXpert name has no entry at all.
"""

import os
from pathlib import Path

import pandas as pd

from chexreason.data.study import Cohort, Study, check_split, cohort
from chexreason.data.tables import ID, TEXT, bad_row, find_file, find_folder, read_lines, read_table
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_TO_CHEXPERT, NIH_UNMAPPED, POSITIVE

NAME = "nih"

#: The findings that NIH can state: the paper's nine and Pleural Effusion.
LABEL_SET: tuple[str, ...] = tuple(name for name in FINDINGS if name in NIH_TO_CHEXPERT.values())

LISTS: dict[str, str] = {"train": "train_val_list.txt", "test": "test_list.txt"}
VIEWS: tuple[str, ...] = ("PA", "AP")


def load(root: Path, split: str | None = None) -> Cohort:
    """The studies of one split ("train" or "test"), or of both, by patient and film.

    Raises UserError for a missing folder, table or list, a missing column, an unknown native
    label, a malformed cell, an unknown split, or a split without a usable study.
    """
    check_split(split)
    root = find_folder(root, "NIH ChestX-ray14")
    if split is not None and split not in LISTS:
        raise UserError(
            f"a split of NIH among {', '.join(LISTS)}", repr(split), "NIH has no such list; use one of these"
        )
    table = find_file(root, ("Data_Entry_2017_v2020.csv", "Data_Entry_2017*.csv"), "NIH's table of films")
    asked = {"Image Index": TEXT, "Finding Labels": TEXT, "Patient ID": ID, "View Position": TEXT}
    frame = read_table(table, asked, public=True)
    _check(table, frame)
    split_of = _splits(root)
    frame = frame.assign(split=frame["Image Index"].map(split_of).fillna(""))
    places = _places(root)
    frame = frame.assign(image=frame["Image Index"].map(places))
    wanted = frame["split"] != "" if split is None else frame["split"] == split
    listed = sum(1 for name in split_of.values() if split in (None, name))
    left_out = {
        "films in neither list": int((frame["split"] == "").sum()) if split is None else 0,
        "listed films without a row in the table": listed - int(wanted.sum()),
        "films whose file is not there": int((wanted & frame["image"].isna()).sum()),
    }
    chosen = frame[wanted & frame["image"].notna()].sort_values(["Patient ID", "Image Index"])
    return cohort(_records(table, chosen), left_out, split, table)


def native_labels(cell: str) -> dict[str, float]:
    """NIH's names, joined by "|", as CheXpert labels; names without a counterpart are dropped.

    >>> native_labels("Effusion|Infiltration|Mass|Nodule")
    {'Pleural Effusion': 1.0, 'Lung Lesion': 1.0}

    Raises ValueError for a name that NIH does not have, or for "No Finding" beside another name.
    """
    names = cell.split("|")
    strange = [name for name in names if name not in NIH_TO_CHEXPERT and name not in NIH_UNMAPPED]
    if strange or ("No Finding" in names and len(names) > 1):
        raise ValueError(cell)
    return {NIH_TO_CHEXPERT[name]: POSITIVE for name in names if name in NIH_TO_CHEXPERT}


def _check(table: Path, frame: pd.DataFrame) -> None:
    def first(expected: str, column: str, bad: pd.Series) -> None:
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise bad_row(table, row, expected, frame[column].iloc[row], public=True)

    index = frame["Image Index"]
    first("a film name like 00000001_000.png", "Image Index", ~index.str.fullmatch(r"[\w.-]+\.\w+"))
    first("a film name that occurs once", "Image Index", index.duplicated())
    first("a view among PA, AP", "View Position", ~frame["View Position"].isin(VIEWS))


def _splits(root: Path) -> dict[str, str]:
    """film name -> split; UserError when a list is missing or a film is in both."""
    films = {split: read_lines(find_file(root, (name,), "NIH's official list")) for split, name in LISTS.items()}
    both = set(films["train"]) & set(films["test"])
    if both:
        raise UserError(
            f"no film in both {' and '.join(LISTS.values())} in {root}",
            f"{len(both)} in both, {min(both)} among them",
            "use the lists as they were released",
        )
    return {film: split for split, names in films.items() for film in names}


def _places(root: Path) -> dict[str, Path]:
    """film name -> path, from one listing of each folder (no look-up a film)."""
    folders = [root / "images"]
    for numbered in sorted(root.glob("images_[0-9]*")):
        folders += [numbered / "images", numbered]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise UserError(
            f"NIH's films in {root}/images or {root}/images_001 ...",
            "no such folder",
            "unpack the image archives there",
        )
    return {entry.name: folder / entry.name for folder in folders for entry in os.scandir(folder) if entry.is_file()}


def _records(table: Path, films: pd.DataFrame) -> list[Study]:
    labels_of = {}
    for cell in films["Finding Labels"].unique():
        try:
            labels_of[cell] = native_labels(cell)
        except ValueError:
            row = int(films.index[films["Finding Labels"] == cell][0])
            known = ", ".join(sorted((*NIH_TO_CHEXPERT, *NIH_UNMAPPED)))
            raise bad_row(table, row, f"names among {known} (joined by |)", cell, public=True) from None
    columns = [films[name].tolist() for name in ("Patient ID", "Image Index", "image", "View Position", "split")]
    cells = films["Finding Labels"].tolist()
    return [
        Study(
            source=NAME,
            patient_id=str(patient),
            study_id=Path(name).stem,
            image=image,
            view=view,
            split=split,
            labels=dict(labels_of[cell]),
            label_set=LABEL_SET,
        )
        for patient, name, image, view, split, cell in zip(*columns, cells, strict=True)
    ]
