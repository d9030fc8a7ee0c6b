"""What publishers, mirrors, wget and cut downloads leave on a disk: it loads, or one line says what lies there."""

import gzip
import re
from pathlib import Path

import pytest

from chexreason import data
from chexreason.data.image import UnreadableImage, open_image
from chexreason.data.tables import NotHeld
from chexreason.errors import UserError
from chexreason.labels import FINDINGS

SMALL, FULL, LOCAL = "CheXpert-v1.0-small", "CheXpert-v1.0", "chexlocalize/CheXpert"
BATCHES = [f"CheXpert-v1.0 batch {k} ({what})" for k, what in ((1, "validate & csv"), (2, "train 1"), (3, "train 2"))]
VIEW = "view1_frontal.jpg"
ONE, TWO, THREE, FOUR = (f"patient{number}/study1" for number in ("00001", "21514", "64541", "64741"))


def below(folder: str, files: dict) -> dict:
    return {f"{folder}{name}": content for name, content in files.items()}


def chexpert(*images: str, prefix: str = "", by: str = "Path", views: bool = False) -> str:
    """A table of CheXpert's: images, or studies where `by` is Study; all of them show an edema."""
    stated, cells = (["Frontal/Lateral", "AP/PA"], ["Frontal", "AP"]) if views else ([], [])
    marks = ["1.0" if name == "Edema" else "0.0" for name in FINDINGS]
    lines = [[by, *stated, *FINDINGS], *([prefix + image, *cells, *marks] for image in images)]
    return "".join(",".join(line) + "\n" for line in lines)


TRAINED, VALID, TESTED = f"train/{ONE}/{VIEW}", f"valid/{THREE}/{VIEW}", f"test/{FOUR}/{VIEW}"
TRAIN = {f"{SMALL}/train.csv": chexpert(TRAINED, prefix=f"{SMALL}/", views=True), f"{SMALL}/{TRAINED}": ""}
VALIDATE = chexpert(VALID, prefix=f"{FULL}/", views=True)
TRUTH = chexpert(f"test/{FOUR}", prefix=f"{FULL}/", by="Study")
LOCALIZE = {
    "val_labels.csv": chexpert(f"val/{THREE}/{VIEW}"), "test_labels.csv": chexpert(TESTED),
    f"val/{THREE}/{VIEW}": "", TESTED: "",
}  # fmt: skip
AIMI = {
    f"{BATCHES[0]}/train.csv": chexpert(*(f"{FULL}/train/{study}/{VIEW}" for study in (ONE, TWO)), views=True),
    f"{BATCHES[0]}/valid.csv": VALIDATE, f"{BATCHES[0]}/{VALID}": "",
    f"{BATCHES[1]}/{ONE}/{VIEW}": "", f"{BATCHES[2]}/{TWO}/{VIEW}": "",
}  # fmt: skip
AIMI_LOADS = {
    f"{BATCHES[1]}/{ONE}/{VIEW}": "train", f"{BATCHES[2]}/{TWO}/{VIEW}": "train", f"{BATCHES[0]}/{VALID}": "validate",
}  # fmt: skip

PHYSIONET = "physionet.org/files/mimic-cxr-jpg/2.1.0/"
SUBJECTS, STUDIES = (10000001, 11000002), (50000001, 50000002)
DICOMS = [f"02faf08{k}-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd" for k in (1, 2)]
IMAGES = [f"files/p{str(p)[:2]}/p{p}/s{s}/{d}" for p, s, d in zip(SUBJECTS, STUDIES, DICOMS, strict=True)]
MIMIC = {
    "split": ["dicom_id,study_id,subject_id,split"]
    + [f"{d},{s},{p},train" for p, s, d in zip(SUBJECTS, STUDIES, DICOMS, strict=True)],
    "metadata": ["dicom_id,subject_id,study_id,ViewPosition"]
    + [f"{d},{p},{s},PA" for p, s, d in zip(SUBJECTS, STUDIES, DICOMS, strict=True)],
    "chexpert": [",".join(["subject_id,study_id", *sorted(FINDINGS)])]
    + [f"{p},{s}," + "," * 3 + "1.0" + "," * 10 for p, s in zip(SUBJECTS, STUDIES, strict=True)],
}


def mimic(*images: str, place: str = "", packed: bool = True, first: str = "", old: str = "", new: str = "") -> dict:
    """MIMIC-CXR-JPG's three tables, with a passage changed, beside files."""
    text = {name: first + "\n".join(lines).replace(old, new) + "\n" for name, lines in MIMIC.items()}
    tables = {f"mimic-cxr-2.0.0-{name}.csv": rows for name, rows in text.items()}
    pressed = {f"{name}.gz": gzip.compress(rows.encode()) for name, rows in tables.items()}
    return below(place, (pressed if packed else tables) | dict.fromkeys(images, ""))


HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,View Position,OriginalImage[Width,Height],"
PNG = "00000001_000.png", "00000002_000.png", "00000003_000.png"


def nih(*images: str, table: str = "Data_Entry_2017_v2020.csv", suffix: str = "", old: str = "", new: str = "") -> dict:
    """NIH's table and lists (two for the test, one for training) beside files."""
    rows = "".join(f"{png},Cardiomegaly,0,{k},058Y,PA,2500,2048,\n" for k, png in enumerate(PNG, 1))
    lists = {f"test_list{suffix}.txt": "\r\n".join(PNG[:2]), f"train_val_list{suffix}.txt": PNG[2]}
    return {table: (HEADER + "\n" + rows).replace(old, new), **lists, **dict.fromkeys(images, "")}


def lay(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


# source, root, files, the split of each image that is there, how many studies' images are not
LOADS = {
    "BOM and CRLF": (
        "chexpert", "", {"valid.csv": "\ufeff" + VALIDATE.replace("\n", "\r\n"), VALID: ""}, {VALID: "validate"}, 0,
    ),
    "test set alone": ("chexpert", "", {"groundtruth.csv": TRUTH, TESTED: ""}, {TESTED: "test"}, 0),
    "test set beside small": (
        "chexpert", SMALL, TRAIN | {"groundtruth.csv": TRUTH, TESTED: ""},
        {f"{SMALL}/{TRAINED}": "train", TESTED: "test"}, 0,
    ),
    "test set beside small, root above": (
        "chexpert", "", TRAIN | {"test/groundtruth.csv": TRUTH, f"test/{FOUR}/view2_frontal.jpg": ""},
        {f"{SMALL}/{TRAINED}": "train", f"test/{FOUR}/view2_frontal.jpg": "test"}, 0,
    ),
    "images of CheXlocalize beside small": (
        "chexpert", SMALL, TRAIN | {"groundtruth.csv": TRUTH, f"{LOCAL}/{TESTED}": ""},
        {f"{SMALL}/{TRAINED}": "train", f"{LOCAL}/{TESTED}": "test"}, 0,
    ),
    **{
        f"CheXlocalize, root {root}": (
            "chexpert", root, below(f"{LOCAL}/", LOCALIZE),
            {f"{LOCAL}/val/{THREE}/{VIEW}": "validate", f"{LOCAL}/{TESTED}": "test"}, 0,
        ) for root in ("", "chexlocalize", LOCAL)
    },
    "AIMI's batches": ("chexpert", "", AIMI, AIMI_LOADS, 0),
    "AIMI's first batch": ("chexpert", BATCHES[0], AIMI, AIMI_LOADS, 0),
    "AIMI's batches, one a zip": (
        "chexpert", "", {k: v for k, v in AIMI.items() if not k.startswith(BATCHES[2])} | {f"{BATCHES[2]}.zip": "PK"},
        {k: v for k, v in AIMI_LOADS.items() if not k.startswith(BATCHES[2])}, 1,
    ),
    "CheXpert, no image": ("chexpert", "", {"groundtruth.csv": TRUTH}, {}, 1),
    **{
        f"MIMIC, {what}": (
            "mimic", root, mimic(f"{IMAGES[0]}.jpg", **words),
            below(words.get("place", ""), {f"{IMAGES[0]}.jpg": "train"}), 1,
        ) for what, root, words in (
            ("packed", "", {}), ("unpacked", "", {"packed": False}),
            ("wget", "", {"place": PHYSIONET}), ("wget, its last folder", PHYSIONET, {"place": PHYSIONET}),
            ("gsutil", "", {"place": "mimic-cxr-jpg-2.1.0.physionet.org/"}),
            ("a zip", "", {"place": "mimic-cxr-jpg-chest-radiographs-with-structured-labels-2.1.0/"}),
            ("odd views", "", {"old": ",PA", "new": ",pa "}),
            ("ids as floats", "", {"old": "000001,", "new": "000001.0,"}),
            ("an index", "", {"first": ",", "old": "\n", "new": "\n0,"}),
        )
    },
    "MIMIC, packed by name only": (
        "mimic", "", {f"{name}.gz": text for name, text in mimic(packed=False).items()} | {"files/x": ""}, {}, 2,
    ),
    "NIH, images at the root": ("nih", "", nih(*PNG[:2]), dict.fromkeys(PNG[:2], "test"), 1),
    "MIMIC, leftovers of gsutil and wget": ("mimic", "", mimic(f"{IMAGES[0]}.jpg_.gstmp", "files/index.html"), {}, 2),
    **{
        f"NIH, {what}": (
            "nih", "", nih(*(f"{place}/{png}" for png in PNG[:n]), **words),
            {f"{place}/{png}": "train" if png == PNG[2] else "test" for png in PNG[:n]}, 3 - n,
        ) for what, place, n, words in (
            ("Kaggle", "images_001/images", 3, {"table": "Data_Entry_2017.csv"}), ("1 of 3", "images_001", 1, {}),
            ("unpacked into itself", "images/images", 3, {}),
            ("no comma at the end", "images", 3, {"old": ",\n", "new": "\n"}),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("case", LOADS)
def test_it_loads_and_a_missing_image_is_kept(tmp_path, case):
    source, root, files, there, missing = LOADS[case]
    lay(tmp_path, files)
    studies = data.load(source, tmp_path / root).studies
    images = {str(study.image.relative_to(tmp_path)): study.split for study in studies if study.image.is_file()}
    assert (images, len(studies)) == (there, len(there) + missing)
    for study in studies:
        assert set(study.labels) <= {"Cardiomegaly"} if source == "nih" else study.labels["Edema"] == 1.0


OTHER = VALIDATE.splitlines()[1].replace("1.0,0.0", "0.0,1.0") + "\n"
LIKE, UNLIKE = VALIDATE.splitlines()[1] + "\n", OTHER.replace("view1", "view2")
CUT = mimic("files/x", packed=False)
for _name, _row in (("split", "ab{0},{0},{0},train"), ("metadata", "ab{0},{0},{0},PA")):
    CUT[f"mimic-cxr-2.0.0-{_name}.csv"] += "".join(_row.format(k) + "\n" for k in range(10, 28))
TABLE, BEGUN = "mimic-cxr-2.0.0-chexpert.csv.gz", ("crdownload", "part", "partial", "download", "download/x")
PAGE = mimic("files/x", packed=False) | {"mimic-cxr-2.0.0-split.csv": "<html>"}
# source, root, files, words of the line, whether it is absent (not broken)
REFUSED = {
    "no folder": ("chexpert", "nowhere", {}, ["folder of CheXpert", "nothing at that path"], True),
    "a file": ("nih", "x", {"x": ""}, ["folder of NIH", "got a file"], False),
    "only other labels": (
        "chexpert", "", {"train_visualCheXbert.csv": VALIDATE}, ["train.csv", "train_visualCheXbert.csv, whose"], True,
    ),
    "two releases": ("chexpert", "", TRAIN | {f"{FULL}/a": ""}, [f"{FULL} and {SMALL}", "the one to use"], False),
    "a zip": ("chexpert", "", {f"{SMALL}.zip": "PK"}, ["train.csv", f"got {SMALL}.zip", "Unpack the arch"], True),
    "a tar": ("mimic", "", {"mimic-2.tar": ""}, ["got 1 whose names are not shown", "Unpack the archive there"], True),
    **{
        f"{source}, {name} for {wanted}": (
            source, "", {file: text for file, text in files.items() if file != wanted} | {name: ""}, [got, do], kind,
        )
        for source, files, wanted, names, do, kind in (
            ("chexpert", {}, "train.csv", (
                "train - Copy.csv", "Copy of train.csv", "train copy 2.csv", "train 2.csv", "train_1.csv",
                "train.csv.1", "train (10).csv", "train(1).csv", "train - Kopie.csv", "train (1) - Copy.csv",
                "train (copy).csv", "train - Copy (2).csv", "test/groundtruth (1).csv",
            ), "Rename it as released.", True),
            ("chexpert", {}, "train.csv", ("Train.csv",), "Rename it as released.", False),
            ("chexpert", {}, "train.csv", ("train.csv.gz",), "Unpack the archive there.", False),
            ("chexpert", {}, SMALL, (f"{SMALL} (1).zip", f"{FULL}.zip"), "Unpack the archive there.", True),
            ("chexpert", {}, SMALL, tuple(f"{SMALL}.zip.{end}" for end in BEGUN), "Finish its download.", True),
            ("mimic", mimic("files/x"), TABLE, (
                f"Copy of {TABLE}", *(TABLE.replace(".gz", f"{mark}.gz") for mark in (" (1)", "(10)", " - Copy", " 2")),
                TABLE.replace(".csv.gz", " (1).csv"), f"{PHYSIONET}{TABLE}.1",
            ), "Rename it as released.", True),
            ("mimic", mimic("files/x"), TABLE, tuple(f"{TABLE}.{end}" for end in BEGUN), "Finish its download.", True),
            ("mimic", mimic("files/x"), "files/x", ("files (1)/x", "files - Copy/x"), "Rename it as released.", True),
            ("nih", nih("images/x"), "images/x", ("images (1)/x", "images 2/x"), "Rename it as released.", True),
            ("nih", nih("images/x"), "images/x", ("images_001.tar (1).gz", "images_001.tar.gz"), "Unpack the a", True),
            ("nih", nih("images/x"), "images/x", ("images_001.tar.gz.part", "images.zip.part"), "Finish its d", True),
            ("nih", nih("images/x"), "test_list.txt", ("test_list (1).txt", "Copy of test_list.txt"), "Rename", True),
            ("nih", nih("images/x"), "Data_Entry_2017_v2020.csv", ("data_entry_2017.csv",), "Rename it", True),
        )
        for name in names
        for got in [name.removeprefix(PHYSIONET).removesuffix("x")]
    },
    "a folder for a table": ("chexpert", "", {"train.csv/x": ""}, ["got a link or folder", "Put the file"], False),
    "a download without a name": ("mimic", "", {"Unconfirmed 12.crdownload": ""}, ["got 1 who", "Finish the d"], True),
    "an empty table": ("chexpert", "", {"train.csv": ""}, ["train.csv, got an empty file", "Download it"], False),
    "png copies": (
        "chexpert", "", {"valid.csv": VALIDATE, f"valid/{THREE}/a.png": ""}, [".jpg files in", "got .png files"], False,
    ),
    **{
        f"CheXpert, {what}": ("chexpert", "", {"valid.csv": VALIDATE.replace(old, new, n)}, words, False)
        for what, old, new, n, words in (
            ("a row that is cut", "0.0,0.0,0.0\n", "0.0\n", 1, ["17 fields in", "valid.csv, line 2, got 15"]),
            ("semicolons", ",", ";", -1, ["separated by ';'", "commas"]), ("NUL", "1.0", "1\0", 1, ["NUL bytes"]),
            ("a megabyte", "1.0", "9" * 10**6, 1, ["larger"]), ("a quote", ",1.0", ',"1', 1, ["unexpected end"]),
            ("another column", "AP/PA", "View", 1, ["one column 'AP/PA' in", "columns Path, Frontal"]),
            ("a letter", ",1.0", ",u", 1, ["a label (1, 0, -1 or blank) under 'Edema'", "line 2", "of 1"]),
            ("a huge view", "view1", f"view{'9' * 30}", 1, ["a path like", "line 2"]),
            ("another side", "_frontal.jpg", "_oblique.jpg", 1, ["a path like", "line 2", "not shown"]),
        )
    },
    "DICOM": ("mimic", "", {"cxr-record-list.csv.gz": "", "files/x.dcm": ""}, ["MIMIC-CXR-JPG", "DICOM release"], True),
    "the folder of images": ("mimic", "", {"p10/p10000001/s50000001/a.jpg": ""}, ["1 whose names are not shown"], True),
    **{
        f"MIMIC, {kind} copies": ("mimic", "", mimic(f"{IMAGES[0]}{kind}"), [".jpg files", f"got {kind} files"], False)
        for kind in (".png", ".dcm")
    },
    "a web page": ("mimic", "", PAGE, ["a web page", "Sign in"], False),
    **{
        f"MIMIC, {what}": ("mimic", "", mimic("files/README", old=old, new=new), words, False)
        for what, old, new, words in (
            ("another column", "ViewPosition", "View", ["one column 'ViewPosition' in", "got the columns dicom_id"]),
            ("a column twice", "Fracture", "Edema", ["one column 'Edema' in", "got 2 of them"]),
            ("half a label", "1.0", "0.5", ["under 'Edema'", "chexpert.csv.gz, line 2", "a cell of 3"]),
            ("no id", ",50000001,,", ",,,", ["a whole number under 'study_id'", "line 2", "an empty cell"]),
            ("a study twice", "11000002,50000002,,", "11000002,50000001,,", ["a study_id that occurs once", "line 3"]),
            ("a letter", "11000002,train", "p11000002,train", ["a whole number under 'subject_id'", "line 3", "of 9"]),
            ("another split", "11000002,train", "11000002,val", ["a split among", "line 3", "a cell of 3"]),
            ("no view", ",PA", ",", ["a usable study", "left out: 2 images"]),
            ("two subjects", "50000002,11", "50000001,11", ["a study of one subject", "split.csv.gz, line 3"]),
            ("another's metadata", "11000002,50000002,PA", "0,0,PA", ["an image, study and subject as", "line 3"]),
            ("another's labels", "01,50000001,,", "09,50000001,,", ["study's subject_id", "chexpert.csv.gz, line 2"]),
            ("an image twice", DICOMS[1], DICOMS[0], ["dicom_id that occurs once", "line 3"]),
            ("a path out of it", DICOMS[0], "../../x", ["a dicom_id of digits", "line 2"]),
            ("an exponent", "10000001", "2e7", ["a whole number under 'subject_id'", "line 2"]),
            ("two splits", "50000002,11000002,train", "50000001,10000001,test", ["one split", "line 3"]),
        )
    },
    "NIH, zips": ("nih", "", nih("images/images_001.zip"), [".png files in", "got .zip files", "npack"], False),
    "NIH, jpg copies": ("nih", "", nih("images/00000001_000.jpg"), ["got .jpg files", "format of the"], False),
    "NIH, no images": ("nih", "", nih("images_001.tar.gz"), ["images/ or images_001/", "images_001.tar.gz"], True),
    "NIH, Kaggle's lists": ("nih", "", nih(suffix="_NIH"), ["list train_val_list.txt", "test_list_NIH.txt"], True),
    **{
        f"MIMIC, no {name}": (
            "mimic", "", {file: text for file, text in mimic("files/x").items() if name not in file},
            [f"MIMIC-CXR-JPG's {name} table mimic-cxr-2.?.?-{name}.csv.gz in", "got files/, mimic-cxr"], True,
        ) for name in MIMIC
    },
    "MIMIC, .JPG": ("mimic", "", mimic(f"{IMAGES[0]}.JPG"), ["got .JPG files", "names and format"], False),
    "MIMIC, two releases": (
        "mimic", "", mimic("files/x", place="2.0.0/") | mimic("files/x", place="2.1.0/"), ["got 2.0.0 and 2.1.0"], False
    ),
    "MIMIC, metadata cut": (
        "mimic", "", CUT | {"mimic-cxr-2.0.0-metadata.csv": "\n".join(MIMIC["metadata"][:2])},
        ["a row for each image of the split table in", "metadata.csv, got none for 19", "cut"], False,
    ),
    "MIMIC, split cut": (
        "mimic", "", mimic("files/x", packed=False) | {"mimic-cxr-2.0.0-split.csv": "\n".join(MIMIC["split"][:2])},
        ["a row for each image of the metadata table in", "split.csv, got none for 1", "cut"], False,
    ),
    "MIMIC, labels cut": ("mimic", "", CUT, ["a row for each of 20 studies in", "csv, got none for 18"], False),
    "CheXpert, labels of the views": (
        "chexpert", "", {"valid.csv": VALIDATE + UNLIKE}, ["a usable study", "1 studies whose views differ"], False,
    ),
    "CheXpert, labels of many studies' views": (
        "chexpert", "", {"valid.csv": VALIDATE + "".join((LIKE + UNLIKE).replace("645", f"70{k}") for k in range(9))},
        ["the labels of the study's other views", "line 4"], False,
    ),
    "CheXpert, a path twice": ("chexpert", "", {"valid.csv": VALIDATE + OTHER}, ["a path that occurs once"], False),
    "CheXpert, another split": (
        "chexpert", "", {"train.csv": VALIDATE}, ["a path of the split 'train'", "train.csv, line 2"], False
    ),
    "MIMIC, no images": ("mimic", "", mimic(), ["MIMIC-CXR-JPG's images at", "files, got nothing"], True),
    **{
        f"NIH, {what}": ("nih", "", nih("images/x", old=old, new=new) | changed, words, False)
        for what, old, new, words, changed in (
            ("an exponent", ",2,058Y", ",2e7,058Y", ["whole number under 'Patient ID'", "line 3"], {}),
            ("another column", "Finding Labels", "Labels", ["one column 'Finding Labels' in", "columns Im"], {}),
            ("another finding", "Cardiomegaly,0,1", "Hernai,0,1", ["NIH's names joined by |", "2, got 'Hernai'"], {}),
            ("no finding", "Cardiomegaly,0,1", ",0,1", ["NIH's names joined by |", "line 2, got ''"], {}),
            ("both", "Cardiomegaly,0,1", "Hernia|No Finding,0,1", ["line 2, got 'Hernia|No Finding'"], {}),
            ("a lateral", "PA", "LATERAL", ["a view among PA, AP", "line 2, got 'LATERAL'"], {}),
            ("an image twice", PNG[1], PNG[0], ["an image name that occurs once", "line 3"], {}),
            ("a path out of it", PNG[1], "../x.png", ["an image's file name", "line 3, got a cell of 8"], {}),
            ("no header", HEADER + "\n", "", ["one column 'Image Index' in", "a first line that is no header"], {}),
            ("another's image", ",2,058Y", ",3,058Y", ["the Patient ID that begins the image's name", "line 3"], {}),
            ("table cut", f"{PNG[2]},Cardiomegaly,0,3,058Y,PA,2500,2048,\n", "", ["a row for each", "none for 1"], {}),
            ("empty list", "", "", ["images in train_val_list.txt", "an empty list"], {"train_val_list.txt": "\n"}),
            ("a list of jpgs", "", "", ["a row for each image of", "none for 1"], {"train_val_list.txt": "x.jpg"}),
            ("a page as list", "", "", ["a row for each image of", "none for 1"], {"test_list.txt": "<html>"}),
            ("an image in two lists", "", "", ["in both train_val_list.txt and", "got 1"], {"test_list.txt": PNG[2]}),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_says_what_lies_there_and_names_no_patient(tmp_path, case):
    source, root, files, words, absent = REFUSED[case]
    with pytest.raises(UserError) as caught:
        data.load(source, lay(tmp_path, files) / root)
    line = str(caught.value)
    assert [word for word in words if word not in line] == [], line
    assert (len(line) <= 200, "\n" in line, isinstance(caught.value, NotHeld)) == (True, False, absent), line
    assert not re.search(r"patient\d|study\d|[ps]?[15]0{4,}|2e7|/p\d|0000\d|aaaa|view\d{2}", line), line


def test_what_lies_where_a_missing_image_should_be_is_said(tmp_path):
    studies = data.load("mimic", lay(tmp_path, mimic(f"{IMAGES[0]}.jpg_.gstmp", "files/index.html"))).studies
    with pytest.raises(UnreadableImage, match=r"s\*/\*\.jpg, got no such file, but \.gstmp files there\."):
        open_image(studies[0].image)
