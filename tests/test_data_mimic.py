"""The MIMIC-CXR-JPG loader against tiny trees in the real format."""

import gzip
from pathlib import Path

import pytest

from chexreason import data
from chexreason.data import mimic
from chexreason.errors import UserError
from chexreason.labels import FINDINGS

ALPHABETICAL = sorted(FINDINGS)
METADATA = "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate"
# dicom, subject, study, split, view
FILMS = [
    ("bb", 10000032, 50414267, "train", "PA"),
    ("aa", 10000032, 50414267, "train", "LATERAL"),
    ("cc", 10000032, 53189527, "train", "AP"),
    ("ca", 10000032, 53189527, "train", "AP"),
    ("cd", 10000032, 53189527, "train", "PA"),
    ("ee", 10000764, 57375967, "validate", "AP"),
    ("ed", 10000764, 57375967, "validate", "AP"),
    ("ff", 10000898, 50771383, "test", "LL"),
    ("ab", 10000898, 54205396, "test", ""),
    ("ac", 10000935, 50578979, "test", "PA"),
    ("ad", 10000935, 51178377, "test", "PA"),
    ("ae", 10000980, 50985099, "test", "AP AXIAL"),
    ("af", 10000980, 51967283, "test", "PA"),
]
LABELS = {
    (10000032, 50414267): {"No Finding": "1.0"},
    (10000032, 53189527): {"Edema": "-1.0", "Lung Opacity": "1.0", "Fracture": "0.0"},
    (10000764, 57375967): {"Pneumonia": "1.0"},
    (10000898, 50771383): {"Edema": "1.0"},
    (10000898, 54205396): {"Edema": "1.0"},
    (10000935, 50578979): {},
    (10000980, 51967283): {"Support Devices": "1.0"},
}


def chexpert_csv(columns=ALPHABETICAL) -> str:
    lines = [",".join(["subject_id", "study_id", *columns])]
    for (subject, study), labels in LABELS.items():
        lines.append(",".join([str(subject), str(study), *(labels.get(name, "") for name in ALPHABETICAL)]))
    return "\n".join(lines) + "\n"


def tables() -> dict[str, str]:
    split = ["dicom_id,study_id,subject_id,split", *(f"{d},{s},{p},{x}" for d, p, s, x, _ in FILMS)]
    views = [f'{d},{p},{s},"CHEST (PA AND LAT), 2 VIEWS",{view},3056,2544,21800506' for d, p, s, _, view in FILMS]
    lines = {"split": split, "metadata": [METADATA, *views]}
    return {"chexpert": chexpert_csv(), **{name: "\n".join(rows) + "\n" for name, rows in lines.items()}}


def write(root: Path, **changed: str) -> Path:
    (root / "files").mkdir(parents=True, exist_ok=True)
    for name, text in {**tables(), **changed}.items():
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return root


def test_one_frontal_image_a_study_by_the_stated_rule(tmp_path):
    cohort = data.load("mimic", write(tmp_path))
    chosen = {study.study_id: (study.image.stem, study.view, study.split) for study in cohort.studies}
    assert chosen == {
        "50414267": ("bb", "PA", "train"),
        "53189527": ("cd", "PA", "train"),  # PA before AP
        "57375967": ("ed", "AP", "validate"),  # then the smallest dicom id
        "51967283": ("af", "PA", "test"),
    }
    assert cohort.left_out == {
        "images that are not frontal, or do not say so": 4,
        "further frontal images of a study": 3,
        "studies without a row in the label table": 1,
        "studies with no label at all": 1,
    }


def test_order_paths_ids_and_labels(tmp_path):
    studies = mimic.load(write(tmp_path)).studies
    assert list(studies) == sorted(studies, key=lambda study: (study.patient_id, study.study_id))
    first, second = studies[:2]
    assert first.image == tmp_path / "files/p10/p10000032/s50414267/bb.jpg"
    assert first.image.is_absolute()
    assert first.key == "mimic/10000032/50414267"
    assert second.labels == {"Edema": -1.0, "Lung Opacity": 1.0, "Fracture": 0.0}
    assert second.label_set == FINDINGS


def test_the_report_labels_may_use_the_alias_too(tmp_path):
    names = ["Airspace Opacity" if name == "Lung Opacity" else name for name in ALPHABETICAL]
    studies = mimic.load(write(tmp_path, chexpert=chexpert_csv(names)), "train").studies
    assert studies[1].labels["Lung Opacity"] == 1.0


def test_one_split_is_what_the_whole_has_of_it_and_an_unknown_or_empty_one_is_named(tmp_path):
    root = write(tmp_path)
    for split, n in (("train", 2), ("validate", 1), ("test", 1)):
        studies = mimic.load(root, split).studies
        assert len(studies) == n
        assert studies == tuple(study for study in mimic.load(root).studies if study.split == split)
    with pytest.raises(UserError, match="a split among test, train, validate, got 'valid'"):
        mimic.load(root, "valid")
    lateral = tables()["metadata"].replace(",AP,", ",LATERAL,")
    with pytest.raises(UserError, match=r"usable study of split 'validate' .*left out: 2 images that are not"):
        mimic.load(write(root, metadata=lateral), "validate")
