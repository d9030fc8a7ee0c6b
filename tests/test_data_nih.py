"""The NIH ChestX-ray14 loader: tiny trees in the real format, and 58 real images."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from chexreason import data
from chexreason.data import nih
from chexreason.data.image import readable
from chexreason.labels import NIH_SHARED

# image, labels, follow-up, patient, view, split
FILMS = [
    ("00000010_000.png", "Effusion|Infiltration|Mass|Nodule", 0, 10, "AP", "train"),
    ("00000002_000.png", "No Finding", 0, 2, "PA", "test"),
    ("00000001_000.png", "Cardiomegaly", 0, 1, "PA", "train"),
    ("00000001_001.png", "Cardiomegaly|Emphysema", 1, 1, "AP", "train"),
    ("00000003_000.png", "Hernia", 0, 3, "PA", "test"),
    ("00000004_000.png", "Pleural_Thickening|Pneumothorax", 0, 4, "PA", ""),
]


def table(sex: str = "Patient Gender", age: str = "058Y", comma: str = ",") -> str:
    lines = [
        f"Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,{sex},View Position,"
        f"OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]{comma}"
    ]
    for image, labels, follow_up, patient, view, _ in FILMS:
        lines.append(f"{image},{labels},{follow_up},{patient},{age},M,{view},2682,2749,0.143,0.143{comma}")
    return "\n".join(lines) + "\n"


def write(root: Path, text: str | None = None) -> Path:
    (root / "Data_Entry_2017_v2020.csv").write_text(table() if text is None else text)
    for split, file in nih.LISTS.items():
        images = [image[0] for image in FILMS if image[-1] == split]
        (root / file).write_text("\n".join(images) + "\n")
    (root / "images").mkdir(exist_ok=True)
    for image in FILMS:
        (root / "images" / image[0]).touch()
    return root


@pytest.mark.parametrize("comma", ["", ","])
@pytest.mark.parametrize("sex", ["Patient Gender", "Patient Sex"])
@pytest.mark.parametrize("age", ["058Y", "58"])
def test_the_releases_headers(tmp_path, comma, sex, age):
    cohort = data.load("nih", write(tmp_path, table(sex, age, comma)))
    assert [(study.patient_id, study.study_id, study.view, study.split) for study in cohort.studies] == [
        ("1", "00000001_000", "PA", "train"),
        ("1", "00000001_001", "AP", "train"),
        ("2", "00000002_000", "PA", "test"),
        ("3", "00000003_000", "PA", "test"),
        ("10", "00000010_000", "AP", "train"),  # by number, not by name
    ]
    assert cohort.left_out == {"images in neither list": 1}
    assert cohort.studies[0].key == "nih/1/00000001_000"


def test_labels(tmp_path):
    by_id = {study.study_id: study for study in nih.load(write(tmp_path)).studies}
    assert by_id["00000010_000"].labels == {"Pleural Effusion": 1.0, "Lung Lesion": 1.0}
    assert by_id["00000001_001"].labels == {"Cardiomegaly": 1.0}
    assert by_id["00000003_000"].labels == {}  # NIH saw something that CheXpert has no name for
    assert by_id["00000002_000"].labels == {"No Finding": 1.0}
    assert {*NIH_SHARED, "Pleural Effusion"} == set(nih.LABEL_SET) == set(data.SOURCES["nih"].label_set)


def test_rows_and_images_that_are_not_there(tmp_path):
    root = write(tmp_path)
    (root / "images/00000001_000.png").unlink()
    (root / "images/00000001_001.png").unlink()
    (root / "images/00000001_001.png").symlink_to("00000001_001.png")  # leads to itself
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000099_000.png\n")
    cohort = nih.load(root, "train")
    assert [study.image for study in cohort.studies] == [root / f"images/00000001_00{k}.png" for k in (0, 1)]
    assert cohort.left_out == {"listed images without a row in the table": 1}
    good, bad = readable(cohort.studies)
    assert (good, len(bad)) == ([], 2)


def test_real_images_load_decode_and_map(nih_sample):
    cohort = data.load("nih", nih_sample)
    with (nih_sample / "derived_labels.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert not cohort.left_out
    by_file = {study.image.name: study for study in cohort.studies}
    assert len(by_file) == len(rows)
    for row in rows:
        study = by_file[row["image_index"]]
        assert (study.patient_id, study.view) == (row["patient_id"], row["view"])
        assert study.split == {"train_val": "train", "test": "test"}[row["official_split"]]
        assert {name for name in nih.LABEL_SET if row[name] == "1"} == set(study.labels)
    splits = Counter(row["official_split"] for row in rows)
    assert len(data.load("nih", nih_sample, "test")) == splits["test"]
    good, bad = readable(cohort.studies)
    assert (len(good), bad) == (len(rows), [])
