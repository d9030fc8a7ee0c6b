"""The rules of the three loaders against tiny trees in the real formats, and 58 real images."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest

from chexreason import data
from chexreason.data import chexpert, mimic, nih
from chexreason.data.image import readable
from chexreason.data.tables import NotHeld
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED

MARKED = {"Edema": "-1.0", "Lung Opacity": "1.0", "Fracture": "0.0"}


def text(header: str, names, rows) -> str:
    """A table whose rows are some cells and a mapping of labels."""
    lines = [",".join([header, *names])]
    lines += [",".join([cells, *(labels.get(name, "") for name in names)]) for cells, labels in rows]
    return "\n".join(lines) + "\n"


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


@pytest.fixture
def release(tmp_path) -> Path:
    """CheXpert's train.csv and valid.csv."""
    normal = [("patient64541/study1/view1_frontal.jpg", "PA", dict.fromkeys(FINDINGS, "0.0"))]
    for name, folder, images in (("train.csv", "train", TRAIN), ("valid.csv", "valid", normal)):
        rows = [
            (f"CheXpert-v1.0/{folder}/{path},Female,68,{'Lateral' if 'lateral' in path else 'Frontal'},{view}", labels)
            for path, view, labels in images
        ]
        (tmp_path / name).write_text(text("Path,Sex,Age,Frontal/Lateral,AP/PA", FINDINGS, rows))
    return tmp_path


def test_chexpert_one_frontal_image_a_study_by_the_stated_rule(release):
    cohort = chexpert.load(release, "train")
    assert [(study.study_id, study.image.name, study.view) for study in cohort.studies] == [
        ("patient00001-study1", "view1_frontal.jpg", "AP"),
        ("patient00002-study1", "view2_frontal.jpg", "AP"),  # 2 before 10
        ("patient00002-study2", "view1_frontal.jpg", "AP"),
        ("patient00003-study1", "view2_frontal.jpg", "PA"),  # PA before AP
        ("patient00006-study1", "view1_frontal.jpg", ""),  # a frontal image marked LL: view not stated
    ]
    assert cohort.left_out == {
        "images that are not frontal": 2, "further frontal images of a study": 2, "studies with no label at all": 1,
    }  # fmt: skip
    assert cohort.studies[2].labels == {"Edema": -1.0, "Lung Opacity": 1.0, "Fracture": 0.0}
    assert cohort.studies[2].key == "chexpert/patient00002/patient00002-study2"
    (valid,) = chexpert.load(release, "validate").studies
    assert (valid.patient_id, valid.labels) == ("patient64541", dict.fromkeys(FINDINGS, 0.0))
    assert [study.split for study in chexpert.load(release).studies] == ["train"] * 5 + ["validate"]
    with pytest.raises(NotHeld, match=r"CheXpert's groundtruth\.csv in .*, got train\.csv, valid\.csv\."):
        chexpert.load(release, "test")


def test_chexpert_studies_whose_views_differ_are_counted_and_left_out(release):
    before, table = chexpert.load(release, "train"), release / "train.csv"
    rows = table.read_text()
    first = next(row for row in rows.splitlines() if "patient00003/study1/view2" in row)
    table.write_text(rows + first.replace("view2", "view3").replace("1.0,", "0.0,") + "\n")
    after = chexpert.load(release, "train")
    assert after.left_out["studies whose views differ in labels"] == 1
    assert after.studies == tuple(study for study in before.studies if study.patient_id != "patient00003")


def test_chexperts_test_set_names_studies_and_orders_its_labels_differently(release):
    swapped = {"Lung Opacity": "Lung Lesion", "Lung Lesion": "Lung Opacity"}
    images = {1: ["view1_frontal", "view2_lateral"], 2: ["view10_frontal", "view2_frontal"], 3: ["view1_lateral"]}
    marks = dict.fromkeys(FINDINGS, "0") | {"Lung Opacity": "1"}
    rows = [(f"CheXpert-v1.0/test/patient6474{k}/study1", marks) for k in images]
    table = release / "groundtruth.csv"
    table.write_text(text("Study", [swapped.get(name, name) for name in FINDINGS], rows))
    for k, names in images.items():
        folder = release / f"test/patient6474{k}/study1"
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.jpg").touch()
    cohort = chexpert.load(release, "test")
    assert [(study.patient_id, study.image.stem, study.view) for study in cohort.studies] == [
        ("patient64741", "view1_frontal", ""), ("patient64742", "view2_frontal", ""),
    ]  # fmt: skip
    assert cohort.studies[0].labels == {**dict.fromkeys(FINDINGS, 0.0), "Lung Opacity": 1.0}
    assert cohort.left_out == {"images that are not frontal": 1}
    assert {study.split for study in chexpert.load(release).studies} == {"train", "validate", "test"}
    table.write_text(table.read_text().replace("test/patient64742/study1", "64742"))
    with pytest.raises(UserError, match=r"a study like .*, line 3, got a cell of 19 characters"):
        chexpert.load(release, "test")


# dicom, study, subject, split, view
IMAGES = """
bb,50414267,10000032,train,PA|aa,50414267,10000032,train,LATERAL|cc,53189527,10000032,train,AP
ca,53189527,10000032,train,AP|cd,53189527,10000032,train,PA|ee,57375967,10000764,validate,AP
ed,57375967,10000764,validate,AP|ff,50771383,10000898,test,LL|ab,54205396,10000898,test,
ac,50578979,10000935,test,PA|ad,51178377,10000935,test,PA|ae,50985099,10000980,test,AP AXIAL
af,51967283,10000980,test,PA
"""
LABELS = [
    ("10000032,50414267", {"No Finding": "1.0"}), ("10000032,53189527", MARKED),
    ("10000764,57375967", {"Pneumonia": "1.0"}), ("10000898,50771383", {"Edema": "1.0"}),
    ("10000898,54205396", {"Edema": "1.0"}), ("10000935,50578979", {}), ("10000980,51967283", {"Fracture": "1.0"}),
]  # fmt: skip


def physionet(root: Path, opacity: str = "Lung Opacity") -> Path:
    """MIMIC-CXR-JPG's three tables; one of the names may be spelt otherwise."""
    images = [line.rpartition(",") for line in IMAGES.strip().replace("\n", "|").split("|")]
    tables = {
        "split": text("dicom_id,study_id,subject_id,split", (), [(row, {}) for row, _, _ in images]),
        "metadata": text("dicom_id,study_id,subject_id,split,PerformedProcedureStepDescription,ViewPosition", (),
                         [(f'{row},"CHEST, 2 VIEWS",{view}', {}) for row, _, view in images]),
        "chexpert": text("subject_id,study_id", sorted(FINDINGS), LABELS).replace("Lung Opacity", opacity),
    }  # fmt: skip
    (root / "files").mkdir(exist_ok=True)
    for name, table in tables.items():
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(table.encode()))
    return root


def test_mimic_one_frontal_image_a_study_by_the_stated_rule(tmp_path):
    cohort = mimic.load(physionet(tmp_path))
    assert [(study.study_id, study.image.stem, study.view, study.split) for study in cohort.studies] == [
        ("50414267", "bb", "PA", "train"),
        ("53189527", "cd", "PA", "train"),  # PA before AP
        ("57375967", "ed", "AP", "validate"),  # then the smallest dicom id
        ("51967283", "af", "PA", "test"),
    ]
    assert cohort.left_out == {
        "images that are not frontal, or do not say so": 4, "further frontal images of a study": 3,
        "studies without a row in the label table": 1, "studies with no label at all": 1,
    }  # fmt: skip
    first, second = cohort.studies[:2]
    assert (first.image, first.key) == (tmp_path / "files/p10/p10000032/s50414267/bb.jpg", "mimic/10000032/50414267")
    assert (second.labels, second.label_set) == ({"Edema": -1.0, "Lung Opacity": 1.0, "Fracture": 0.0}, FINDINGS)
    for split in ("train", "validate", "test"):
        assert mimic.load(tmp_path, split).studies == tuple(s for s in cohort.studies if s.split == split)
    with pytest.raises(UserError, match="a split among test, train, validate, got 'valid'"):
        mimic.load(tmp_path, "valid")
    assert mimic.load(physionet(tmp_path, "Airspace Opacity")).studies == cohort.studies


# image, labels, patient, view, list
NIH = [
    ("00000010_000.png", "Effusion|Infiltration|Mass|Nodule", 10, "AP", "train"),
    ("00000002_000.png", "No Finding", 2, "PA", "test"), ("00000001_000.png", "Cardiomegaly", 1, "PA", "train"),
    ("00000001_001.png", "Cardiomegaly|Emphysema", 1, "AP", "train"), ("00000003_000.png", "Hernia", 3, "PA", "test"),
    ("00000004_000.png", "Pleural_Thickening|Pneumothorax", 4, "PA", ""),
]  # fmt: skip


def chestxray14(root: Path, sex: str = "Patient Gender", age: str = "058Y", comma: str = ",") -> Path:
    size = "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    header = f"Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,{sex},View Position,{size}{comma}"
    rows = [f"{png},{found},0,{who},{age},M,{view},2682,2749,0.143,0.143{comma}" for png, found, who, view, _ in NIH]
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join([header, *rows]) + "\n")
    for split, file in nih.LISTS.items():
        (root / file).write_text("".join(f"{png}\n" for png, *_, listed in NIH if listed == split))
    (root / "images").mkdir(exist_ok=True)
    for png, *_ in NIH:
        (root / "images" / png).touch()
    return root


@pytest.mark.parametrize(
    ("sex", "age", "comma"), [("Patient Gender", "058Y", ","), ("Patient Sex", "58", ""), ("Patient Gender", "411", "")]
)
def test_nih_headers_order_and_labels(tmp_path, sex, age, comma):
    cohort = data.load("nih", chestxray14(tmp_path, sex, age, comma))
    assert [(study.patient_id, study.study_id, study.view, study.split, study.labels) for study in cohort.studies] == [
        ("1", "00000001_000", "PA", "train", {"Cardiomegaly": 1.0}),
        ("1", "00000001_001", "AP", "train", {"Cardiomegaly": 1.0}),
        ("2", "00000002_000", "PA", "test", {"No Finding": 1.0}),
        ("3", "00000003_000", "PA", "test", {}),  # NIH saw something that CheXpert has no name for
        ("10", "00000010_000", "AP", "train", {"Pleural Effusion": 1.0, "Lung Lesion": 1.0}),  # by number, not by name
    ]
    assert cohort.left_out == {"images in neither list": 1}
    assert cohort.studies[0].key == "nih/1/00000001_000"
    assert {*NIH_SHARED, "Pleural Effusion"} == set(nih.LABEL_SET) == set(data.SOURCES["nih"].label_set)


def test_nih_images_that_are_not_there(tmp_path):
    images = [chestxray14(tmp_path) / f"images/00000001_00{k}.png" for k in (0, 1)]
    for image in images:
        image.unlink()
    images[1].symlink_to(images[1].name)  # leads to itself
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    cohort = nih.load(tmp_path, "train")
    assert [study.image for study in cohort.studies] == images
    assert not cohort.left_out
    assert readable(cohort.studies) == ([], images)


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
