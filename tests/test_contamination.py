"""Lines that no patient and no image may cross: found where they are crossed, and only there."""

import gzip
import re
import shutil

import pytest

from chexreason import cohorts, data
from chexreason.errors import UserError
from companion.replication import contamination


def found(held) -> dict[str, contamination.Overlap]:
    return {one.what: one for one in contamination.overlaps(held)}


def study(held, source: str, split: str):
    return data.load(source, held.data[source].root, split).studies[0]


def test_clean_data_cross_no_line_and_every_line_is_checked(held) -> None:
    lines = found(held)
    assert len(lines) == 9
    assert all(line.shared == 0 and line.of > 0 for line in lines.values())
    assert str(lines["patients in both sft and rl"]) == "patients in both sft and rl: 0 of 10"


@pytest.mark.parametrize(("source", "title"), [("chexpert", "CheXpert"), ("nih", "NIH ChestX-ray14")])
def test_a_training_image_among_the_test_images_is_found_by_its_bytes(held, source, title) -> None:
    shutil.copyfile(study(held, source, "train").image, study(held, source, "test").image)
    lines = found(held)
    assert lines.pop(f"test images of {title} that are in its training part").shared == 1
    assert not any(line.shared for line in lines.values())


def test_an_image_that_is_trained_on_is_found_in_another_data_set(held) -> None:
    taught = cohorts.drawn(held, "sft").studies[0].image
    shutil.copyfile(taught, study(held, "chexpert", "test").image)
    lines = found(held)
    assert lines.pop("images both trained and scored on").shared == 1
    assert not any(line.shared for line in lines.values())


def test_a_patient_in_training_and_test_part_is_found(held) -> None:
    root = held.data["mimic"].root
    table = root / "mimic-cxr-2.0.0-split.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    patient = study(held, "mimic", "train").patient_id
    other = study(held, "mimic", "test").patient_id
    assert text.count(f",{other},test") >= 1
    table.write_bytes(gzip.compress(text.replace(f",{other},test", f",{patient},test").encode()))
    for name in ("chexpert", "metadata"):
        table = root / f"mimic-cxr-2.0.0-{name}.csv.gz"
        text = gzip.decompress(table.read_bytes()).decode()
        table.write_bytes(gzip.compress(text.replace(f"{other},", f"{patient},").encode()))
    lines = found(held)
    assert lines["patients in training and test part of MIMIC-CXR-JPG"].shared == 1
    assert lines["patients in training and test part of CheXpert"].shared == 0


def base(held):
    return held.data["chexpert"].root / "CheXpert-v1.0-small"


def test_a_part_that_is_not_held_is_said_to_be_unchecked(held) -> None:
    (base(held) / "train.csv").unlink()
    line = found(held)["patients in training and test part of CheXpert"]
    assert line.shared is None
    assert str(line).endswith("not checked, no train part here")


@pytest.mark.parametrize(
    ("old", "new"), [(r"(,(?:Frontal|Lateral),[^,]*),.*", r"\1" + "," * 14), ("view1_frontal", "view1_lateral")]
)
def test_patients_of_rows_that_make_no_study_are_checked_too(held, old, new) -> None:
    table = base(held) / "train.csv"
    train, test = (study(held, "chexpert", split).patient_id for split in ("train", "test"))
    table.write_text(re.sub(old, new, table.read_text().replace(train, test)))
    assert str(found(held)["patients in training and test part of CheXpert"]).endswith("CheXpert: 1 of 5")


def test_a_test_study_without_a_label_is_checked_too(held) -> None:
    table = held.data["mimic"].root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    blank = study(held, "mimic", "test").study_id
    text = gzip.decompress(table.read_bytes()).decode()
    table.write_bytes(gzip.compress(re.sub(rf"({blank}),.*", r"\1" + "," * 14, text).encode()))
    assert str(found(held)["patients in training and test part of MIMIC-CXR-JPG"]).endswith("MIMIC-CXR-JPG: 0 of 3")


@pytest.mark.parametrize(
    ("how", "got"),
    [(how, "a link or folder of that name") for how in ("dangling", "loop", "folder")]
    + [(name, re.escape(name)) for name in ("train.csv.gz", "Train.csv")],
)
def test_a_train_table_that_cannot_be_read_is_not_taken_for_one_that_is_not_held(held, how, got) -> None:
    table = base(held) / "train.csv"
    moved = table.rename(table.with_name("annexed" if how in ("dangling", "loop", "folder") else how))
    if how == "folder":
        table.mkdir()
    elif how in ("dangling", "loop"):
        moved.unlink()
        table.symlink_to("nowhere" if how == "dangling" else table.name)
    with pytest.raises(UserError, match=rf"a file train\.csv in .*, got {got}\. "):
        found(held)


def test_patients_need_tables_and_no_images_and_a_broken_table_ends_the_check(held) -> None:
    table, parts = base(held) / "train.csv", "patients in training and test part of CheXpert"
    train, test = (study(held, "chexpert", split).patient_id for split in ("train", "test"))
    table.write_text(table.read_text().replace(train, test))
    shutil.rmtree(base(held) / "train")
    lines = found(held)
    assert str(lines[parts]).endswith("CheXpert: 1 of 5")
    images = "test images of CheXpert that are in its training part: not checked, 4 images are not there"
    assert str(lines[images.partition(":")[0]]) == images
    table.write_text(table.read_text().replace(",1.0", ",0.5", 1))
    with pytest.raises(UserError, match=r"train\.csv, line .*not shown"):
        found(held)
