"""CheXpert: the paper tests on it (section 3.1 and Table 5).

Layout (Stanford AIMI; full size or "-small")::

    CheXpert-v1.0[-small]/train.csv   Path, Sex, Age, Frontal/Lateral, AP/PA, 14 labels
    CheXpert-v1.0[-small]/valid.csv   the same; read by radiologists
    CheXpert-v1.0[-small]/train/patient00001/study1/view1_frontal.jpg
    groundtruth.csv                   Study, 14 labels; the test set, read by radiologists

`root` is the CheXpert-v1.0[-small] folder or the one that holds it. Splits: train.csv is "train",
valid.csv "validate", and the table of the test set "test". The latter was published later and
elsewhere, so it may lie beside the films (test/) or beside the other tables, as groundtruth.csv,
test_labels.csv or test.csv, and name its studies under `Study` or its films under `Path`. Labels
are found by name: the files do not agree on the order of Lung Lesion and Lung Opacity.

*The film of a study*: frontal films, PA before AP before "not stated", then the smallest view
number. The test table does not say AP or PA, so there the smallest view number decides and
`view` is "". A row's study is its path: the same study number recurs from patient to patient.
"""

import os
from pathlib import Path

import pandas as pd

from chexreason.data.study import SPLITS, Cohort, Study, check_split, cohort
from chexreason.data.tables import (
    TEXT,
    bad_row,
    column_names,
    find_folder,
    label_columns,
    label_dicts,
    read_table,
)
from chexreason.errors import UserError
from chexreason.labels import FINDINGS

NAME = "chexpert"

#: split -> where its table may lie, seen from the CheXpert-v1.0 folder; the first one found is read.
TABLES: dict[str, tuple[str, ...]] = {
    "train": ("train.csv",),
    "validate": ("valid.csv",),
    "test": tuple(
        f"{folder}{name}.csv" for name in ("groundtruth", "test_labels", "test") for folder in ("test/", "", "../")
    ),
}

_VIEW_RANK = {"PA": 0, "AP": 1}
_STUDY = r"(?:^|/)(train|valid|test)/(patient\d+)/(study\d+)"
_FILM = _STUDY + r"/(view(\d+)_(frontal|lateral)\.\w+)$"


def load(root: Path, split: str | None = None) -> Cohort:
    """The studies of one split ("train", "validate", "test"), or of all that are there.

    Raises UserError for a missing folder or table, a missing column, a malformed path or label, an
    unknown split, or a split without a usable study.
    """
    check_split(split)
    base = _base(root)
    tables = {name: _table(base, name) for name in (SPLITS if split is None else (split,))}
    found = {name: table for name, table in tables.items() if table is not None}
    if not found:
        wanted = ", ".join(file for name in tables for file in TABLES[name])
        raise UserError(
            f"a table among {wanted} in {base}",
            "none of them",
            "download it, or give the folder that holds it",
        )
    studies: list[Study] = []
    left_out: dict[str, int] = {}
    for name, table in found.items():
        films = _films(base, table)
        for reason, count in _sift(films).items():
            left_out[reason] = left_out.get(reason, 0) + count
        chosen = films[films["frontal"]].sort_values(["rank", "number", "film"])
        chosen = chosen.drop_duplicates(["patient", "study"]).sort_values(["patient", "study"])
        left_out["studies with no label at all"] = left_out.get("studies with no label at all", 0)
        blank = chosen[list(FINDINGS)].isna().all(axis=1)
        left_out["studies with no label at all"] += int(blank.sum())
        studies += _records(base, chosen[~blank], name)
    studies.sort(key=lambda study: (study.patient_id, study.study_id))
    return cohort(studies, left_out, split, base)


def _base(root: Path) -> Path:
    """The folder that holds the tables: `root` itself, or its one CheXpert-v1.0* folder."""
    root = find_folder(root, "CheXpert")
    if any(_table(root, split) for split in ("train", "validate")) or (root / "test").is_dir():
        return root
    inside = [path for path in sorted(root.glob("CheXpert-v1.0*")) if path.is_dir()]
    if len(inside) == 1:
        return inside[0]
    if inside:
        names = " and ".join(path.name for path in inside)
        raise UserError(f"one CheXpert-v1.0 folder in {root}", names, "give the folder of the one to use")
    return root  # perhaps a lone test table; `load` says what is missing


def _table(base: Path, split: str) -> Path | None:
    return next((base / name for name in TABLES[split] if (base / name).is_file()), None)


def _films(base: Path, table: Path) -> pd.DataFrame:
    """One row a film: folder, patient, study, film, number, frontal, view, rank, and the labels."""
    if table.parent == base and table.name in ("train.csv", "valid.csv"):
        asked = {"Path": TEXT, "Frontal/Lateral": TEXT, "AP/PA": TEXT}
        frame = read_table(table, {**asked, **label_columns()})
        return _parsed(table, frame, frame["AP/PA"])
    if "Path" in column_names(table):
        frame = read_table(table, {"Path": TEXT, **label_columns()})
    else:
        frame = read_table(table, {"Study": TEXT, **label_columns()})
        frame = frame.assign(Path=_first_frontals(base, table, frame["Study"]))
    return _parsed(table, frame, pd.Series("", index=frame.index))


def _parsed(table: Path, frame: pd.DataFrame, view: pd.Series) -> pd.DataFrame:
    parts = frame["Path"].str.extract(_FILM)
    wrong = parts[0].isna().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        expected = "a path like train/patient00001/study1/view1_frontal.jpg"
        raise bad_row(table, row, expected, frame["Path"].iloc[row])
    parts.columns = pd.Index(["folder", "patient", "study", "film", "number", "side"])
    view = view.where(view.isin(_VIEW_RANK), "")
    return pd.concat([parts.drop(columns="side"), frame[list(FINDINGS)]], axis=1).assign(
        number=parts["number"].astype("int64"),
        frontal=parts["side"] == "frontal",
        view=view,
        rank=view.map(_VIEW_RANK).fillna(len(_VIEW_RANK)),
    )


def _first_frontals(base: Path, table: Path, names: pd.Series) -> list[str]:
    """The frontal film of each study that the table names by its folder (500 look-ups).

    A study folder that is missing gets the film it would have: it is found out when films are read.
    One that holds laterals only yields a lateral, which is then left out and counted.
    """
    parts = names.str.extract(_STUDY + "/?$")
    wrong = parts[0].isna().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise bad_row(table, row, "a study like test/patient64741/study1", names.iloc[row])
    paths = []
    for folder, patient, study in parts.itertuples(index=False):
        here = base / folder / patient / study
        films = sorted(os.listdir(here)) if here.is_dir() else []
        numbered = sorted((len(name), name) for name in films if name.startswith("view"))  # 2 before 10
        frontal = [name for _, name in numbered if "_frontal." in name]
        first = frontal or [name for _, name in numbered] or ["view1_frontal.jpg"]
        paths.append(f"{folder}/{patient}/{study}/{first[0]}")
    return paths


def _sift(films: pd.DataFrame) -> dict[str, int]:
    frontal = films["frontal"]
    studies_with = films[frontal].groupby(["patient", "study"]).ngroups if frontal.any() else 0
    return {
        "films that are not frontal": int((~frontal).sum()),
        "further frontal films of a study": int(frontal.sum()) - studies_with,
    }


def _records(base: Path, films: pd.DataFrame, split: str) -> list[Study]:
    columns = [films[name].tolist() for name in ("folder", "patient", "study", "film", "view")]
    return [
        Study(
            source=NAME,
            patient_id=patient,
            study_id=f"{patient}-{study}",
            image=base / f"{folder}/{patient}/{study}/{film}",
            view=view,
            split=split,
            labels=labels,
            label_set=FINDINGS,
        )
        for folder, patient, study, film, view, labels in zip(*columns, label_dicts(films), strict=True)
    ]
