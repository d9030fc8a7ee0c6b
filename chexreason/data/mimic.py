"""MIMIC-CXR-JPG: labels mined from reports; the paper trains and validates on it (section 3.1).

Layout (versions 2.0.0 and 2.1.0, credentialed access on PhysioNet)::

    <root>/files/p10/p10000032/s50414267/<dicom_id>.jpg
    <root>/mimic-cxr-2.0.0-chexpert.csv.gz    subject_id, study_id, 14 labels in alphabetical order
    <root>/mimic-cxr-2.0.0-split.csv.gz       dicom_id, study_id, subject_id, split
    <root>/mimic-cxr-2.0.0-metadata.csv.gz    dicom_id, subject_id, study_id, ..., ViewPosition, ...

The tables may be unpacked (.csv). *The film of a study*: PA before AP, then the smallest dicom id;
laterals and films whose view is not stated are not used. A study without a label row, or whose row
is blank, is left out and counted: nothing is known of it, which is not the same as "normal".

The paper does not say which readings it scored against. `load` takes the report labels for every
split; version 2.1.0 also brings radiologists' readings of 687 test studies, in
`radiologist_labels`.
"""

from pathlib import Path

import pandas as pd

from chexreason.data.study import SPLITS, Cohort, Study, check_split, cohort
from chexreason.data.tables import (
    ID,
    TEXT,
    bad_row,
    find_file,
    find_folder,
    label_columns,
    label_dicts,
    read_table,
)
from chexreason.labels import FINDINGS

NAME = "mimic"

#: Best view first. Every other value of ViewPosition (LATERAL, LL, AP AXIAL, blank, ...) is left out.
VIEWS: tuple[str, ...] = ("PA", "AP")


def load(root: Path, split: str | None = None) -> Cohort:
    """The studies of one split ("train", "validate", "test"), or of all, by patient and study.

    Raises UserError for a missing folder or table, a missing column, a malformed cell, an unknown
    split, or a split without a usable study.
    """
    check_split(split)
    root = find_folder(root, "MIMIC-CXR-JPG")
    find_folder(root / "files", "MIMIC-CXR-JPG's films")
    films = _films(root, split)
    all_films = len(films)
    films = films[films["ViewPosition"].isin(VIEWS)]
    left_out = {"films that are not frontal, or do not say so": all_films - len(films)}
    chosen = _one_film_a_study(films)
    left_out["further frontal films of a study"] = len(films) - len(chosen)

    table = _table(root, "chexpert")
    labels = read_table(table, {"subject_id": ID, "study_id": ID, **label_columns()})
    twice = labels["study_id"].duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax())
        raise bad_row(table, row, "a study_id that occurs once", str(labels["study_id"].iloc[row]))
    studies = chosen.merge(labels.drop(columns="subject_id"), on="study_id", how="left", indicator="row")
    no_row = studies["row"] != "both"
    blank = ~no_row & studies[list(FINDINGS)].isna().all(axis=1)
    left_out["studies without a row in the label table"] = int(no_row.sum())
    left_out["studies with no label at all"] = int(blank.sum())
    studies = studies[~(no_row | blank)].sort_values(["subject_id", "study_id"])
    return cohort(_records(root, studies), left_out, split, table)


def radiologist_labels(root: Path) -> dict[str, dict[str, float]]:
    """study_id -> labels read by radiologists, from version 2.1.0's labelled test set."""
    root = find_folder(root, "MIMIC-CXR-JPG")
    table = find_file(root, _patterns("test-set-labeled"), "the radiologists' test labels of version 2.1.0")
    frame = read_table(table, {"study_id": ID, **label_columns()})
    return dict(zip(frame["study_id"].astype(str), label_dicts(frame), strict=True))


def _patterns(name: str) -> tuple[str, str]:
    return f"mimic-cxr-2.?.?-{name}.csv.gz", f"mimic-cxr-2.?.?-{name}.csv"


def _table(root: Path, name: str) -> Path:
    return find_file(root, _patterns(name), f"MIMIC-CXR-JPG's {name} table")


def _films(root: Path, split: str | None) -> pd.DataFrame:
    """dicom_id, study_id, subject_id, split, ViewPosition of every film of the split."""
    table = _table(root, "split")
    films = read_table(table, {"dicom_id": TEXT, "study_id": ID, "subject_id": ID, "split": TEXT})
    strange = ~films["split"].isin(SPLITS).to_numpy()
    if strange.any():
        row = int(strange.argmax())
        raise bad_row(table, row, f"a split among {', '.join(SPLITS)}", films["split"].iloc[row])
    if split is not None:
        films = films[films["split"] == split]
    views = read_table(_table(root, "metadata"), {"dicom_id": TEXT, "ViewPosition": TEXT})
    view_of = views.drop_duplicates("dicom_id").set_index("dicom_id")["ViewPosition"]
    return films.assign(ViewPosition=films["dicom_id"].map(view_of).fillna(""))


def _one_film_a_study(films: pd.DataFrame) -> pd.DataFrame:
    rank = films["ViewPosition"].map({view: place for place, view in enumerate(VIEWS)})
    return films.assign(rank=rank).sort_values(["rank", "dicom_id"]).drop_duplicates("study_id")


def _records(root: Path, studies: pd.DataFrame) -> list[Study]:
    columns = [studies[name].tolist() for name in ("subject_id", "study_id", "dicom_id", "ViewPosition", "split")]
    return [
        Study(
            source=NAME,
            patient_id=str(patient),
            study_id=str(study),
            image=root / f"files/p{str(patient)[:2]}/p{patient}/s{study}/{dicom}.jpg",
            view=view,
            split=split,
            labels=labels,
            label_set=FINDINGS,
        )
        for patient, study, dicom, view, split, labels in zip(*columns, label_dicts(studies), strict=True)
    ]
