"""The three on-disk layouts in which drawn studies are written (the data sets of the paper's section 3.1).

The files are those of `chexreason.data.mimic`, `.chexpert` and `.nih`, column for column, so that the miniature goes
through the loaders that real data go through. Every id is valid in form and starts with a 9 where no real one does.
Sex, age and dates are made up and stand for nothing.

Some studies get a second image, with the wrong view or a later place in the order, so that the rule that picks a
study's image is at work here too. It is a blank sheet: a loader that took one would be found out at once.
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
class Files:
    """What a study is called, and where its images lie, relative to the tree's root."""

    key: str  # `Study.key`
    image: str
    second: str | None = None  # its blank second image


@dataclass(frozen=True)
class Layout:
    """How a data set keeps its images and tables; paths are relative to the tree's root."""

    splits: tuple[str, ...]
    files: Callable[[str, int], Files]  # (split, number) -> the study's files
    tables: Callable[[Sequence[Drawn], int], dict[str, str]]  # (studies, pixels a side) -> path -> text


def truth_table(layout: Layout, studies: Iterable[Drawn]) -> str:
    """truth.csv: study_key, visible (joined by ;), lesions (JSON)."""
    rows = [
        (layout.files(x.split, x.number).key, ";".join(n for n in FINDINGS if n in x.truth), json.dumps(x.lesions))
        for x in studies
    ]
    return _csv(["study_key", "visible", "lesions"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _cells(recorded: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [str(recorded[name]) if name in recorded else "" for name in names]


def _patient(split: str, number: int) -> int:
    """A patient's number, which no other study of the tree has."""
    return 90_000_000 + _PLACE[split] * MOST + number


def _age(number: int) -> int:
    return 20 + number * 37 % 70


# MIMIC-CXR-JPG ------------------------------------------------------------------------------------


def _mimic(split: str, number: int) -> Files:
    """The study's image is the second by name; the blank one is a lateral before it or an AP image after it."""
    subject = _patient(split, number)
    study = subject + 5_000_000
    first, image, last = (
        f"files/p{str(subject)[:2]}/p{subject}/s{study}/{k:08x}-facade00-00000000-{_PLACE[split]:08x}-{number:08x}.jpg"
        for k in range(3)
    )
    return Files(f"mimic/{subject}/{study}", image, {3: first, 5: last}.get(number % 8))


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
        files = _mimic(x.split, x.number)
        _, subject, study = files.key.split("/")
        chexpert.append([subject, study, *_cells(x.recorded, names)])
        views = {files.image: x.view, files.second: "LATERAL" if x.number % 8 == 3 else "AP"}
        for path, view in views.items():
            if path is None:
                continue
            dicom, (procedure, code) = PurePosixPath(path).stem, _MIMIC_VIEWS[view]
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


def _chexpert(split: str, number: int) -> Files:
    patient = f"patient{_patient(split, number)}"
    folder = f"{_CHEXPERT}/{_CHEXPERT_FOLDERS[split]}/{patient}/study1"
    lateral = f"{folder}/view2_lateral.jpg" if number % 8 == 3 else None
    return Files(f"chexpert/{patient}/{patient}-study1", f"{folder}/view1_frontal.jpg", lateral)


def _chexpert_tables(studies: Sequence[Drawn], size: int) -> dict[str, str]:
    rows: dict[str, list[list[object]]] = {split: [] for split in _CHEXPERT_FOLDERS}
    for x in studies:
        labels, files = _cells(x.recorded, FINDINGS), _chexpert(x.split, x.number)
        if x.split == "test":
            study = str(PurePosixPath(files.image).parent).replace("-small", "")
            rows["test"].append([study, *(cell.removesuffix(".0") for cell in labels)])
            continue
        patient = ("Male", "Female")[x.number % 2], _age(x.number)
        rows[x.split].append([files.image, *patient, "Frontal", x.view, *labels])
        if files.second is not None:
            rows[x.split].append([files.second, *patient, "Lateral", "", *labels])
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


def _nih(split: str, number: int) -> Files:
    patient = _patient(split, number)
    return Files(f"nih/{patient}/{patient}_000", f"images/{patient}_000.png")


def native_names(study: Drawn) -> list[str]:
    """NIH's names for the recorded positives.

    A lung lesion that was drawn as a mass is a Mass, any other a Nodule. An image with nothing recorded, not even No
    Finding, gets the commonest name that CheXpert does not have.
    """
    mass = any(x["finding"] == "Lung Lesion" and x.get("kind") == "mass" for x in study.lesions)
    names = {**_NIH_NAMES, "Lung Lesion": "Mass" if mass else "Nodule"}
    return sorted(names[name] for name, value in study.recorded.items() if value == POSITIVE) or ["Infiltration"]


def _nih_tables(studies: Sequence[Drawn], size: int) -> dict[str, str]:
    rows = []
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for x in studies:
        image, sex = PurePosixPath(_nih(x.split, x.number).image).name, "MF"[x.number % 2]
        labels, patient = "|".join(native_names(x)), _patient(x.split, x.number)
        rows.append([image, labels, 0, patient, _age(x.number), sex, x.view, size, size, 1.43, 1.43, ""])
        lists[x.split].append(image + "\n")
    return {
        "Data_Entry_2017_v2020.csv": _csv(_NIH_HEADER.split(","), rows),
        "train_val_list.txt": "".join(lists["train"]),
        "test_list.txt": "".join(lists["test"]),
    }


#: `Hospital.layout`, which is the loader's name -> the layout.
LAYOUTS: Mapping[str, Layout] = {
    "mimic": Layout(tuple(_PLACE), _mimic, _mimic_tables),
    "chexpert": Layout(tuple(_PLACE), _chexpert, _chexpert_tables),
    "nih": Layout(("train", "test"), _nih, _nih_tables),
}
