"""The CheXpert loader against tiny trees in the real format."""

from pathlib import Path

import pytest

from chexreason import data
from chexreason.data import chexpert
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


def write(root: Path, name: str = "CheXpert-v1.0-small") -> Path:
    base = root / name
    base.mkdir(parents=True)
    (base / "train.csv").write_text(rows("train", name, TRAIN))
    valid = [("patient64541/study1/view1_frontal.jpg", "PA", dict.fromkeys(FINDINGS, "0.0"))]
    (base / "valid.csv").write_text(rows("valid", name, valid))
    return base


def write_test_set(folder: Path, base: Path) -> None:
    """The radiologists' test table; it may put Lung Lesion and Lung Opacity the other way round."""
    other = {"Lung Opacity": "Lung Lesion", "Lung Lesion": "Lung Opacity"}
    order = [other.get(name, name) for name in FINDINGS]
    marks = ",".join("1" if name == "Lung Opacity" else "0" for name in order)
    studies = sorted({image.rsplit("/", 1)[0] for image in TEST})
    lines = [",".join(["Study", *order]), *(f"CheXpert-v1.0/test/{study},{marks}" for study in studies)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "groundtruth.csv").write_text("\n".join(lines) + "\n")
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


@pytest.mark.parametrize("name", ["CheXpert-v1.0", "CheXpert-v1.0-small"])
@pytest.mark.parametrize("parent", [True, False])
def test_root_may_be_the_folder_or_the_one_that_holds_it(tmp_path, name, parent):
    base = write(tmp_path, name)
    cohort = data.load("chexpert", tmp_path if parent else base, "train")
    assert cohort.studies[0].image == base / "train/patient00001/study1/view1_frontal.jpg"


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
    assert (valid.split, valid.patient_id) == ("validate", "patient64541")
    assert valid.labels == dict.fromkeys(FINDINGS, 0.0)
    with pytest.raises(UserError, match=r"test/groundtruth\.csv.*, got none of them"):
        chexpert.load(base, "test")
    with pytest.raises(UserError, match="a split among"):
        chexpert.load(base, "valid")
    assert [study.split for study in chexpert.load(base).studies] == ["train"] * 5 + ["validate"]
    write_test_set(base, base)
    assert {study.split for study in chexpert.load(base).studies} == {"train", "validate", "test"}


@pytest.mark.parametrize("place", ["test", ".", ".."])
@pytest.mark.parametrize("only_test", [True, False])
def test_the_test_set(tmp_path, place, only_test):
    base = tmp_path / "CheXpert-v1.0" if only_test else write(tmp_path, "CheXpert-v1.0")
    base.mkdir(exist_ok=True)
    write_test_set(base / place, base)
    cohort = chexpert.load(base, "test")
    assert [(study.patient_id, study.image.name, study.view) for study in cohort.studies] == [
        ("patient64741", "view1_frontal.jpg", ""),
        ("patient64742", "view2_frontal.jpg", ""),
    ]
    assert cohort.studies[0].labels == {**dict.fromkeys(FINDINGS, 0.0), "Lung Opacity": 1.0}
    assert cohort.left_out == {"images that are not frontal": 1}


def test_a_test_table_with_paths_and_one_with_a_malformed_study(tmp_path):
    base = write(tmp_path)
    rows = [",".join(["Path", *FINDINGS]), "test/patient64741/study1/view1_frontal.jpg" + ",0" * 14]
    (base / "test_labels.csv").write_text("\n".join(rows) + "\n")
    (study,) = chexpert.load(base, "test").studies
    assert study.image == base / "test/patient64741/study1/view1_frontal.jpg"
    write_test_set(base, base)
    table = base / "groundtruth.csv"
    table.write_text(table.read_text().replace("test/patient64742/study1", "64742"))
    with pytest.raises(UserError, match=r"a study like .*, line 3, got a cell of 19 characters"):
        chexpert.load(base, "test")


def test_a_folder_that_holds_nothing_or_two_releases(tmp_path):
    with pytest.raises(UserError, match=r"CheXpert at .*nowhere, got nothing at that path"):
        chexpert.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"a table among train\.csv, .*, got none of them"):
        chexpert.load(tmp_path)
    write(tmp_path, "CheXpert-v1.0")
    write(tmp_path, "CheXpert-v1.0-small")
    with pytest.raises(UserError, match=r"got CheXpert-v1\.0 and CheXpert-v1\.0-small\. Give the folder"):
        chexpert.load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Frontal/Lateral", "Side", r"one column 'Frontal/Lateral' in .*train\.csv"),
        ("-1.0", "u", r"a label of .* under 'Edema' in .*train\.csv, line 3, got a cell of 1 character, not shown"),
        ("/view2_lateral.jpg", "/oblique.jpg", r"a path like .* in .*train\.csv, line 4, got a cell of"),
    ],
)
def test_malformed_tables_are_named_with_their_line(tmp_path, old, new, message):
    base = write(tmp_path)
    text = (base / "train.csv").read_text()
    assert old in text
    (base / "train.csv").write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        chexpert.load(base, "train")
