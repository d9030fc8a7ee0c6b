"""The CheXpert loader against tiny trees in the real format."""

from pathlib import Path

import pytest

from chexreason.data import chexpert
from chexreason.data.tables import NotHeld
from chexreason.errors import UserError
from chexreason.labels import FINDINGS

HEADER = ",".join(["Path,Sex,Age,Frontal/Lateral,AP/PA", *FINDINGS])
MARKED = {"Edema": "-1.0", "Lung Opacity": "1.0", "Fracture": "0.0"}
# path below train/, AP/PA, labels
TRAIN = [
    ("patient00001/study1/view1_frontal.jpg", "AP", {"No Finding": "1.0", "Support Devices": "1.0"}),
    ("patient00002/study2/view1_frontal.jpg", "AP", MARKED),
    ("patient00002/study2/view2_lateral.jpg", "", MARKED),
    ("patient00002/study1/view2_frontal.jpg", "AP", {"Edema": "1.0"}),
    ("patient00002/study1/view10_frontal.jpg", "AP", {"Edema": "1.0"}),
    ("patient00003/study1/view1_frontal.jpg", "AP", {"Edema": "1.0"}),
    ("patient00003/study1/view2_frontal.jpg", "PA", {"Edema": "1.0"}),
    ("patient00004/study1/view1_lateral.jpg", "", {"Edema": "1.0"}),
    ("patient00005/study1/view1_frontal.jpg", "PA", {}),
    ("patient00006/study1/view1_frontal.jpg", "LL", {"Lung Lesion": "1.0"}),
]


def rows(folder: str, name: str, images) -> str:
    lines = [HEADER]
    for path, view, labels in images:
        side = "Lateral" if "lateral" in path else "Frontal"
        cells = [f"{name}/{folder}/{path}", "Female", "68", side, view]
        lines.append(",".join(cells + [labels.get(finding, "") for finding in FINDINGS]))
    return "\n".join(lines) + "\n"


def write(root: Path) -> Path:
    name = "CheXpert-v1.0-small"
    (root / name).mkdir()
    (root / name / "train.csv").write_text(rows("train", name, TRAIN))
    valid = [("patient64541/study1/view1_frontal.jpg", "PA", dict.fromkeys(FINDINGS, "0.0"))]
    (root / name / "valid.csv").write_text(rows("valid", name, valid))
    return root / name


def write_test_set(base: Path) -> None:
    """The radiologists' test table; it may put Lung Lesion and Lung Opacity the other way round."""
    other = {"Lung Opacity": "Lung Lesion", "Lung Lesion": "Lung Opacity"}
    order = [other.get(name, name) for name in FINDINGS]
    marks = ",".join("1" if name == "Lung Opacity" else "0" for name in order)
    studies = sorted({image.rsplit("/", 1)[0] for image in TEST})
    lines = [",".join(["Study", *order]), *(f"CheXpert-v1.0/test/{study},{marks}" for study in studies)]
    (base / "groundtruth.csv").write_text("\n".join(lines) + "\n")
    for image in TEST:
        (base / "test" / image).parent.mkdir(parents=True, exist_ok=True)
        (base / "test" / image).touch()


TEST = [
    "patient64741/study1/view1_frontal.jpg",
    "patient64741/study1/view2_lateral.jpg",
    "patient64742/study1/view10_frontal.jpg",
    "patient64742/study1/view2_frontal.jpg",
    "patient64743/study1/view1_lateral.jpg",
]


def test_one_frontal_image_a_study_by_the_stated_rule(tmp_path):
    cohort = chexpert.load(write(tmp_path), "train")
    assert [(study.study_id, study.image.name, study.view) for study in cohort.studies] == [
        ("patient00001-study1", "view1_frontal.jpg", "AP"),
        ("patient00002-study1", "view2_frontal.jpg", "AP"),  # 2 before 10
        ("patient00002-study2", "view1_frontal.jpg", "AP"),
        ("patient00003-study1", "view2_frontal.jpg", "PA"),  # PA before AP
        ("patient00006-study1", "view1_frontal.jpg", ""),  # a frontal image marked LL: view not stated
    ]
    assert cohort.left_out == {
        "images that are not frontal": 2,
        "further frontal images of a study": 2,
        "studies with no label at all": 1,
    }
    assert cohort.studies[2].labels == {"Edema": -1.0, "Lung Opacity": 1.0, "Fracture": 0.0}
    assert cohort.studies[2].key == "chexpert/patient00002/patient00002-study2"


def test_splits(tmp_path):
    base = write(tmp_path)
    (valid,) = chexpert.load(base, "validate").studies
    assert (valid.patient_id, valid.labels) == ("patient64541", dict.fromkeys(FINDINGS, 0.0))
    with pytest.raises(NotHeld, match=r"CheXpert's groundtruth\.csv in .*, got train\.csv, valid\.csv\."):
        chexpert.load(base, "test")
    with pytest.raises(UserError, match="a split among"):
        chexpert.load(base, "valid")
    assert [study.split for study in chexpert.load(base).studies] == ["train"] * 5 + ["validate"]


def test_the_test_set_names_studies_and_orders_its_labels_differently(tmp_path):
    base = write(tmp_path)
    write_test_set(base)
    cohort = chexpert.load(base, "test")
    assert [(study.patient_id, study.image.name, study.view) for study in cohort.studies] == [
        ("patient64741", "view1_frontal.jpg", ""),
        ("patient64742", "view2_frontal.jpg", ""),
    ]
    assert cohort.studies[0].labels == {**dict.fromkeys(FINDINGS, 0.0), "Lung Opacity": 1.0}
    assert cohort.left_out == {"images that are not frontal": 1}
    assert {study.split for study in chexpert.load(base).studies} == {"train", "validate", "test"}
    table = base / "groundtruth.csv"
    table.write_text(table.read_text().replace("test/patient64742/study1", "64742"))
    with pytest.raises(UserError, match=r"a study like .*, line 3, got a cell of 19 characters"):
        chexpert.load(base, "test")
