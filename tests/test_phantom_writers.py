"""Drawn trees: what is written comes back through the real loaders, whole or not at all."""

import contextlib
import errno
import gzip
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from chexreason import data
from chexreason.data import PHANTOM_MARKER, PHANTOM_UNFINISHED, TRUTH
from chexreason.data.image import open_image
from chexreason.errors import UserError
from chexreason.labels import POSITIVE
from companion.phantoms import HOSPITALS, prepare, writers
from companion.phantoms.case import draw, sample_case
from companion.phantoms.layouts import LAYOUTS, MOST, Drawn, native_names
from companion.phantoms.writers import first_index, write_tree

SIDE = 48
SEED = 5
SIZES = {
    "A": {"train": 14, "validate": 3, "test": 3},
    "B": {"train": 5, "validate": 2, "test": 5},
    "C": {"train": 3, "test": 12},
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("phantoms")
    for hospital, sizes in SIZES.items():
        write_tree(root / hospital, hospital, sizes, SEED, SIDE, progress=False)
    return {hospital: root / hospital for hospital in SIZES}


def cases(hospital: str):
    """study key -> (split, case), sampled without the writer."""
    files = LAYOUTS[HOSPITALS[hospital].layout].files
    return {
        files(split, number).key: (split, sample_case(SEED, first_index(hospital, split) + number, hospital))
        for split, n in SIZES[hospital].items()
        for number in range(n)
    }


@pytest.mark.parametrize(("hospital", "reasons"), [("A", 2), ("B", 1), ("C", 0)])
def test_the_real_loader_gives_back_labels_view_image_and_truth(trees, hospital, reasons):
    cohort, root = data.load(HOSPITALS[hospital].layout, trees[hospital]), trees[hospital]
    expected, truth, lesions = cases(hospital), data.truth(trees[hospital]), prepare.lesions(trees[hospital])
    blank = {key for key, (_, case) in expected.items() if hospital != "C" and not case.recorded}
    assert {study.key for study in cohort.studies} == set(expected) - blank
    assert sum("image" in reason for reason in cohort.left_out) == reasons, "the second images"
    assert any(np.ptp(np.asarray(Image.open(path))) == 0 for path in root.rglob("*.[jp][pn]g")) == (reasons > 0)
    for study in cohort.studies:
        split, case = expected[study.key]
        # NIH lists what it found and nothing else.
        stated = {k: v for k, v in case.recorded.items() if v == POSITIVE} if hospital == "C" else case.recorded
        assert (study.split, study.labels) == (split, stated)
        assert study.view == ("" if (hospital, split) == ("B", "test") else case.acquisition.view)
        off = np.abs(np.asarray(open_image(study.image), dtype=float) - draw(case, SIDE).astype(float))
        assert off.mean() < (1e-9 if hospital == "C" else 3)  # PNG keeps every value; JPEG comes near
    for key, (_, case) in expected.items():
        assert truth[key] == case.truth
        assert lesions[key] == [lesion.to_dict() for lesion in case.lesions]


def test_no_case_is_drawn_twice_at_any_hospital_or_split():
    starts = [first_index(hospital, split) for hospital in HOSPITALS for split in ("train", "validate", "test")]
    assert min(np.diff(sorted(starts))) >= MOST


@pytest.mark.parametrize(
    ("recorded", "kind", "names"),
    [
        ({"Lung Lesion": 1.0}, "mass", ["Mass"]),
        ({"Lung Lesion": 1.0}, "nodule", ["Nodule"]),
        ({"Pleural Other": 1.0, "Pleural Effusion": 1.0, "Edema": 0.0}, "", ["Effusion", "Pleural_Thickening"]),
        ({"No Finding": 1.0}, "", ["No Finding"]),
        ({"Edema": 0.0}, "", ["Infiltration"]),
    ],
)
def test_nih_names(recorded, kind, names):
    lesions = ({"finding": "Lung Lesion", "kind": kind},)
    assert native_names(Drawn("test", 0, "PA", recorded, frozenset(), lesions)) == names


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_two_processes_draw_the_same_bytes_as_one(tmp_path, monkeypatch):
    write_tree(tmp_path / "one", "A", {"train": 12}, SEED, SIDE, progress=False, workers=1)
    monkeypatch.setattr(writers, "WORTH_A_POOL", 1)
    write_tree(tmp_path / "two", "A", {"train": 12}, SEED, SIDE, progress=False, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_equal_request_is_skipped(trees, monkeypatch):
    monkeypatch.setattr(writers, "_draw", None)
    before = {path: path.stat().st_mtime_ns for path in trees["A"].rglob("*")}
    write_tree(trees["A"], "A", SIZES["A"], SEED, SIDE)
    assert before == {path: path.stat().st_mtime_ns for path in trees["A"].rglob("*")}


@pytest.mark.parametrize("hospital", SIZES)
def test_what_is_gone_or_cut_is_drawn_anew_and_nothing_else(tmp_path, monkeypatch, hospital):
    draw = {"hospital": hospital, "sizes": SIZES[hospital], "seed": SEED, "size": SIDE}
    monkeypatch.setattr(writers, "tqdm", lambda drawn, *_, **__: drawn)
    profile = SimpleNamespace(used=["one"], stages=[], data={"one": SimpleNamespace(root=tmp_path / "tree", draw=draw)})
    prepare.prepare(profile, teach=False)
    before = contents(tmp_path / "tree")
    images = sorted((tmp_path / "tree").rglob("*.[jp][pn]g"))
    for image, content in zip(images, (b"", b"\0" * 5000, images[2].read_bytes()[:-1], None), strict=False):
        image.unlink() if content is None else image.write_bytes(content)
    saved, save = [], writers.save_image
    monkeypatch.setattr(writers, "save_image", lambda image, path: (saved.append(path), save(image, path)))
    prepare.prepare(profile, teach=False)
    assert (sorted(saved), contents(tmp_path / "tree")) == (images[:4], before)
    with monkeypatch.context() as patch:  # a tree that is whole is not locked: its folder may be read-only
        patch.setattr(prepare, "alone", None)
        prepare.prepare(profile, teach=False)
    locks = []
    monkeypatch.setattr(prepare, "alone", lambda lock: locks.append(lock) or contextlib.nullcontext())
    for module in (prepare, writers):
        monkeypatch.setattr(module, "generator_digest", lambda: "another")
    prepare.prepare(profile, teach=False)
    assert (locks, len(saved)) == ([tmp_path / ".tree.lock"], 4 + len(images)), "another generator's, under its lock"


def cut_between_rows(path: Path) -> None:
    packed = path.suffix == ".gz"
    rows = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).splitlines(keepends=True)[:-2]
    path.write_bytes(gzip.compress(b"".join(rows)) if packed else b"".join(rows))


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "cut between rows": cut_between_rows,
    "of another shape": lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "sizes": 3})),
    "half of another generator": lambda path: path.rename(path.with_name(PHANTOM_UNFINISHED)).write_text(
        json.dumps({**json.loads(path.with_name(PHANTOM_UNFINISHED).read_text()), "generator": "other"})
    ),
    "beside a half one": lambda path: shutil.copy(path, path.with_name(PHANTOM_UNFINISHED)),
    "without its beginning": lambda path: path.write_bytes(path.read_bytes()[200:]),
    "gone": Path.unlink,
    "a folder": lambda path: (path.unlink(), path.mkdir(), (path / "x").touch()),
    "a file above": lambda path: (shutil.rmtree(path.parent), path.parent.touch()),
    "another dictionary": lambda path: path.write_text("{}"),
}
TABLES = {
    "A": ["mimic-cxr-2.0.0-chexpert.csv.gz", "mimic-cxr-2.0.0-split.csv.gz", "mimic-cxr-2.0.0-metadata.csv.gz", TRUTH],
    "B": ["CheXpert-v1.0-small/train.csv", "CheXpert-v1.0-small/test/groundtruth.csv", TRUTH],
    "C": ["Data_Entry_2017_v2020.csv", "train_val_list.txt", TRUTH],
}
IMAGES = {"A": "files/p90/p90000000/s95000000/*1-facade*.jpg", "C": "images/90000000_000.png"}


@pytest.mark.parametrize(
    ("hospital", "name", "damage"),
    [(at, name, how) for at, names in TABLES.items() for name in names
     for how in ("cut", "cut between rows", "gone", "a folder")]
    + [("A", PHANTOM_MARKER, how)
       for how in ("cut", "gone", "a folder", "another dictionary", "of another shape", "beside a half one",
                   "half of another generator")]
    + [(at, name, how) for at, name in IMAGES.items() for how in ("without its beginning", "a folder", "a file above")],
)  # fmt: skip
def test_what_is_damaged_is_drawn_anew_by_the_same_command(tmp_path, trees, hospital, name, damage):
    root = shutil.copytree(trees[hospital], tmp_path / "tree")
    draw = {"hospital": hospital, "sizes": SIZES[hospital], "seed": SEED, "size": SIDE, "progress": False}
    DAMAGES[damage](next(root.glob(name)))
    prepare.prepare(
        SimpleNamespace(used=["one"], stages=[], data={"one": SimpleNamespace(root=root, draw=draw)}), teach=False
    )
    assert contents(root) == contents(trees[hospital])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seed": 6}, "seed 5 and not 6"),
        ({"sizes": {"train": 4}}, r"sizes \{'train': 14.*\} and not \{'train': 4\}"),
        ({"hospital": "B"}, "hospital A and not B, layout mimic and not chexpert"),
    ],
)
def test_another_request_for_the_same_folder_is_refused(trees, changed, told):
    request = {"hospital": "A", "sizes": SIZES["A"], "seed": SEED, "size": SIDE, **changed}
    before = contents(trees["A"])
    with pytest.raises(UserError, match=r"Delete the folder .+\.") as refused:
        write_tree(trees["A"], **request)
    assert re.search(rf"tree of another request \({told}\)", refused.value.got)
    assert len(str(refused.value)) <= 200
    assert contents(trees["A"]) == before


def test_a_folder_with_somebodys_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"files that were not drawn here\. Choose another folder"):
        write_tree(tmp_path, "A", {"train": 2}, SEED, SIDE)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}
    with pytest.raises(UserError, match="got a file"):
        write_tree(tmp_path / "thesis.txt", "A", {"train": 2}, SEED, SIDE)


def stop_after(monkeypatch, n: int, error: BaseException) -> None:
    """The n-th image and all later ones end in `error`."""
    count = iter(range(10_000))
    save = writers.save_image

    def stopping(image, path):
        if next(count) >= n:
            raise error
        save(image, path)

    monkeypatch.setattr(writers, "save_image", stopping)


def test_a_stopped_run_is_no_tree_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    write_tree(tmp_path / "whole", "B", SIZES["B"], SEED, SIDE, progress=False)
    root = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        stop_after(patched, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            write_tree(root, "B", SIZES["B"], SEED, SIDE, progress=False)
    assert not data.is_phantom(root)
    with pytest.raises(UserError, match="half drawn"):
        data.load("chexpert", root)
    with pytest.raises(UserError, match="a tree of another r"):
        write_tree(root, "B", SIZES["B"], SEED + 1, SIDE)
    images = {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")}
    assert len(images) == 4
    write_tree(root, "B", SIZES["B"], SEED, SIDE, progress=False)
    assert {path: path.stat().st_mtime_ns for path in images} == images
    assert contents(root) == contents(tmp_path / "whole")


def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path, monkeypatch):
    root = tmp_path / "full"
    stop_after(monkeypatch, 2, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(UserError, match=r"got No space left on device\. Free some space") as caught:
        write_tree(root, "C", SIZES["C"], SEED, SIDE, progress=False)
    assert "\n" not in str(caught.value)
    assert not data.is_phantom(root)
    assert sorted(path.suffix for path in root.rglob("*") if path.is_file()) == [".partial", ".png", ".png"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hospital": "D"}, "a hospital among A, B, C, got 'D'"),
        ({"sizes": {"valid": 3}}, "a split of the mimic layout among train, validate, test, got 'valid'"),
        ({"hospital": "C", "sizes": {"validate": 3}}, "a split of the nih layout among train, test, got 'validate'"),
        ({"sizes": {"train": 2.5}}, "studies of split 'train', got 2.5"),
        ({"sizes": {"train": MOST + 1}}, "between 0 and 1000000 studies"),
        ({"size": 8}, "an image size"),
        ({"seed": -1}, "a seed"),
    ],
)
def test_a_wrong_request_leaves_nothing_behind(tmp_path, changed, message):
    request = {"hospital": "A", "sizes": {"train": 2}, "seed": SEED, "size": SIDE, **changed}
    with pytest.raises(UserError, match=message):
        write_tree(tmp_path / "tree", **request)
    assert not (tmp_path / "tree").exists()
