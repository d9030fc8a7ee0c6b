"""The three on-disk layouts in which drawn studies are written (the data sets of the paper's section 3.1).

The files are those of `chexreason.data.mimic`, `.chexpert` and `.nih`, column for column, so that
the miniature goes through the loaders that real data go through. Every id is valid in form and
starts with a 9 where no real one does. Sex, age and dates are made up and stand for nothing.

Some studies get one more film, with the wrong view or a later place in the order, so that the rule
that picks a study's film is at work here too. These films are blank sheets: a loader that took one
would be found out at once.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from chexreason.labels import FINDINGS, NIH_TO_CHEXPERT, POSITIVE

#: A study's number within a split stays below this, so that ids and cases of two splits never meet.
MOST = 1_000_000

_PLACE = {"train": 0, "validate": 1, "test": 2}


@dataclass(frozen=True)
class Drawn:
    """One drawn study, as the tables record it."""

    split: str
    number: int  # 0, 1, 2, ... within the split
    view: str  # "PA" | "AP"
    recorded: Mapping[str, float]
    truth: frozenset[str]
    lesions: tuple[Mapping[str, str | float], ...]


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps its films and tables; paths are relative to the tree's root."""

    source: str  # the loader's name
    splits: tuple[str, ...]
    film: Callable[[str, int], str]  # (split, number) -> the study's film
    extra: Callable[[str, int], str | None]  # (split, number) -> its blank second film
    key: Callable[[str, int], str]  # (split, number) -> Study.key
    tables: Callable[[Sequence[Drawn], int], dict[str, str]]  # (studies, pixels a side) -> path -> CSV text


def truth_table(layout: Layout, studies: Iterable[Drawn]) -> str:
    """truth.csv: study_key, visible (joined by ;), lesions (JSON)."""
    rows = [
        (layout.key(x.split, x.number), ";".join(n for n in FINDINGS if n in x.truth), json.dumps(x.lesions))
        for x in studies
    ]
    return _csv(["study_key", "visible", "lesions"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _cells(recorded: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [str(recorded[name]) if name in recorded else "" for name in names]


def _identity(split: str, number: int) -> int:
    """A number from 0 to 2,999,999 that no other study of the tree has."""
    return _PLACE[split] * MOST + number


def _age(number: int) -> int:
    return 20 + number * 37 % 70


# MIMIC-CXR-JPG ------------------------------------------------------------------------------------


def _mimic_ids(split: str, number: int) -> tuple[int, int]:
    return 90_000_000 + _identity(split, number), 95_000_000 + _identity(split, number)


def _mimic_path(split: str, number: int, dicom: str) -> str:
    subject, study = _mimic_ids(split, number)
    return f"files/p{str(subject)[:2]}/p{subject}/s{study}/{dicom}.jpg"


def _dicom(split: str, number: int, place: int) -> str:
    """An id whose order among the study's films is `place`."""
    return f"{place:08x}-facade00-00000000-{_PLACE[split]:08x}-{number:08x}"


def _mimic_film(split: str, number: int) -> str:
    return _mimic_path(split, number, _dicom(split, number, 1))


def _mimic_extra(split: str, number: int) -> str | None:
    """A lateral that comes first by name, or a later AP film."""
    place = {3: 0, 5: 2}.get(number % 8)
    return None if place is None else _mimic_path(split, number, _dicom(split, number, place))


def _mimic_key(split: str, number: int) -> str:
    subject, study = _mimic_ids(split, number)
    return f"mimic/{subject}/{study}"


_MIMIC_VIEWS = {
    "PA": ("CHEST (PA AND LAT)", "postero-anterior"),
    "AP": ("CHEST (PORTABLE AP)", "antero-posterior"),
    "LATERAL": ("CHEST (PA AND LAT)", "lateral"),
}
_MIMIC_METADATA = (
    "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
    "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)  # fmt: skip


def _mimic_tables(studies: Sequence[Drawn], size: int) -> dict[str, str]:
    names = sorted(FINDINGS)
    chexpert, split, metadata = [], [], []
    for x in studies:
        subject, study = _mimic_ids(x.split, x.number)
        chexpert.append([subject, study, *_cells(x.recorded, names)])
        views = {_mimic_film(x.split, x.number): x.view}
        extra = _mimic_extra(x.split, x.number)
        if extra is not None:
            views[extra] = "LATERAL" if x.number % 8 == 3 else "AP"
        for path, view in views.items():
            dicom = PurePosixPath(path).stem
            procedure, code = _MIMIC_VIEWS[view]
            split.append([dicom, study, subject, x.split])
            date = 21_800_101 + x.number % 28
            row = [dicom, subject, study, procedure, view, size, size, date, "120000.0", procedure, code, "Erect"]
            metadata.append(row)
    return {
        "mimic-cxr-2.0.0-chexpert.csv.gz": _csv(["subject_id", "study_id", *names], chexpert),
        "mimic-cxr-2.0.0-split.csv.gz": _csv(["dicom_id", "study_id", "subject_id", "split"], split),
        "mimic-cxr-2.0.0-metadata.csv.gz": _csv(_MIMIC_METADATA, metadata),
    }


# CheXpert -----------------------------------------------------------------------------------------

_CHEXPERT = "CheXpert-v1.0-small"
_CHEXPERT_FOLDERS = {"train": "train", "validate": "valid", "test": "test"}


def _chexpert_study(split: str, number: int) -> str:
    return f"{_CHEXPERT}/{_CHEXPERT_FOLDERS[split]}/{_chexpert_patient(split, number)}/study1"


def _chexpert_patient(split: str, number: int) -> str:
    return f"patient{90_000_000 + _identity(split, number)}"


def _chexpert_film(split: str, number: int) -> str:
    return f"{_chexpert_study(split, number)}/view1_frontal.jpg"


def _chexpert_extra(split: str, number: int) -> str | None:
    return f"{_chexpert_study(split, number)}/view2_lateral.jpg" if number % 8 == 3 else None


def _chexpert_key(split: str, number: int) -> str:
    patient = _chexpert_patient(split, number)
    return f"chexpert/{patient}/{patient}-study1"


def _chexpert_tables(studies: Sequence[Drawn], size: int) -> dict[str, str]:
    rows: dict[str, list[list[object]]] = {split: [] for split in _CHEXPERT_FOLDERS}
    for x in studies:
        labels = _cells(x.recorded, FINDINGS)
        if x.split == "test":
            whole = [cell.removesuffix(".0") for cell in labels]
            rows["test"].append([_chexpert_study(x.split, x.number).replace("-small", ""), *whole])
            continue
        sex = ("Male", "Female")[x.number % 2]
        film = [_chexpert_film(x.split, x.number), sex, _age(x.number), "Frontal", x.view, *labels]
        rows[x.split].append(film)
        extra = _chexpert_extra(x.split, x.number)
        if extra is not None:
            rows[x.split].append([extra, sex, _age(x.number), "Lateral", "", *labels])
    header = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS]
    tables = {
        f"{_CHEXPERT}/train.csv": _csv(header, rows["train"]),
        f"{_CHEXPERT}/valid.csv": _csv(header, rows["validate"]),
        f"{_CHEXPERT}/test/groundtruth.csv": _csv(["Study", *FINDINGS], rows["test"]),
    }
    return {path: table for path, table in tables.items() if table.count("\n") > 1}


# NIH ChestX-ray14 ---------------------------------------------------------------------------------

_NIH_NAMES = {known: native for native, known in NIH_TO_CHEXPERT.items()}
#: As released: the commas in the last two names make four columns of them, and one more ends the line.
_NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


def _nih_patient(split: str, number: int) -> int:
    return 90_000_000 + _identity(split, number)


def _nih_film(split: str, number: int) -> str:
    return f"images/{_nih_patient(split, number)}_000.png"


def _nih_key(split: str, number: int) -> str:
    patient = _nih_patient(split, number)
    return f"nih/{patient}/{patient}_000"


def native_names(study: Drawn) -> list[str]:
    """NIH's names for the recorded positives.

    A lung lesion that was drawn as a mass is a Mass, any other a Nodule. A film with nothing
    recorded, not even No Finding, gets the commonest name that CheXpert does not have.
    """
    mass = any(x["finding"] == "Lung Lesion" and x.get("kind") == "mass" for x in study.lesions)
    names = {**_NIH_NAMES, "Lung Lesion": "Mass" if mass else "Nodule"}
    found = sorted(names[name] for name, value in study.recorded.items() if value == POSITIVE)
    return found or ["Infiltration"]


def _nih_tables(studies: Sequence[Drawn], size: int) -> dict[str, str]:
    rows = []
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for x in studies:
        patient, film = _nih_patient(x.split, x.number), PurePosixPath(_nih_film(x.split, x.number)).name
        sex, native = "MF"[x.number % 2], "|".join(native_names(x))
        rows.append([film, native, 0, patient, _age(x.number), sex, x.view, size, size, 1.43, 1.43, ""])
        lists[x.split].append(film + "\n")
    return {
        "Data_Entry_2017_v2020.csv": _csv(_NIH_HEADER.split(","), rows),
        "train_val_list.txt": "".join(lists["train"]),
        "test_list.txt": "".join(lists["test"]),
    }


#: `Hospital.layout` -> the layout.
LAYOUTS: Mapping[str, Layout] = {
    "mimic": Layout("mimic", tuple(_PLACE), _mimic_film, _mimic_extra, _mimic_key, _mimic_tables),
    "chexpert": Layout("chexpert", tuple(_PLACE), _chexpert_film, _chexpert_extra, _chexpert_key, _chexpert_tables),
    "nih": Layout("nih", ("train", "test"), _nih_film, lambda split, number: None, _nih_key, _nih_tables),
}
