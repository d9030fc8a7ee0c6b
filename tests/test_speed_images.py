"""Images that are decoded and shrunk once: known by content, named without a patient, made again where cut short."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexreason.data.image import open_image
from chexreason.data.study import Study
from chexreason.errors import UserError
from companion.speed import images
from companion.speed.images import prepare, ready


def study(image: Path) -> Study:
    return Study("mimic", image.stem, image.stem, image, "PA", "train", {"Edema": 1.0}, ())


def noise_at(path: Path, shape: tuple[int, int] = (300, 200), seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize("shape", [(300, 200), (3056, 2544), (50, 4000), (200, 1), (90, 100)])
def test_an_image_is_shrunk_below_the_limit_at_its_shape_and_a_small_one_kept(tmp_path, shape):
    source = noise_at(tmp_path / "a.png", shape)
    made, (height, width) = open_image(ready(source, 10_000, tmp_path / "ready")), shape
    assert made.width * made.height <= 10_000
    if min(shape) > 1:
        assert made.width * made.height > 8_000
        assert made.width / made.height == pytest.approx(width / height, rel=0.1)
    wanted = open_image(source).resize(made.size, Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(made, np.asarray(open_image(source) if width * height < 10_000 else wanted))


def test_a_prepared_image_is_known_by_content_and_limit_and_names_no_patient(tmp_path, monkeypatch):
    source, copy = noise_at(tmp_path / "p10000032.png"), noise_at(tmp_path / "b.png")
    first, second = (ready(path, 10_000, tmp_path / "ready") for path in (source, copy))
    assert first != second
    assert first.resolve() == second.resolve()
    assert ready(source, 5_000, tmp_path / "ready").resolve() != first.resolve()
    names = [name for path in (tmp_path / "ready").rglob("*") for name in (path.name, str(path.resolve()))]
    assert not [name for name in names if "10000032" in name.removeprefix(str(tmp_path))]
    with monkeypatch.context() as patch:  # the second time the source is not read
        patch.setattr(images, "open_image", None)
        patch.setattr(images, "file_digest", None)
        assert ready(source, 10_000, tmp_path / "ready") == first
    noise_at(source, seed=1)
    os.utime(source, ns=(1, 1))
    assert ready(source, 10_000, tmp_path / "ready").resolve() != second.resolve()


def test_studies_keep_order_and_labels_and_bad_images_are_named(tmp_path):
    paths = [noise_at(tmp_path / f"{k}.png", seed=k % 3) for k in range(40)]
    paths[2].write_bytes(paths[2].read_bytes()[:200])
    paths[4].unlink()
    for _ in range(2):  # the second time too
        good, bad = prepare([study(path) for path in paths], 10_000, tmp_path / "ready", threads=8)
        assert bad == [paths[2], paths[4]]
        assert [one.study_id for one in good] == [str(k) for k in range(40) if k not in (2, 4)]
        assert all(one.labels == {"Edema": 1.0} and tmp_path / "ready" in one.image.parents for one in good)
    assert len(list((tmp_path / "ready" / "images").iterdir())) == 3, "copies become one image, also side by side"


def test_an_image_that_is_cut_or_damaged_is_made_again(tmp_path, monkeypatch):
    source, folder = noise_at(tmp_path / "a.png"), tmp_path / "ready"

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match="No space left"):
            prepare([study(source)], 10_000, folder)
    assert not [path for path in folder.rglob("*") if path.is_file()], "nothing half made is left"
    link = ready(source, 10_000, folder)
    image = link.resolve()
    whole = image.read_bytes()
    first = whole[: whole.index(b"255\n") + 4]
    for cut in (
        b"", whole[:50], whole[: len(whole) // 2], bytes(len(whole)), whole + b"x", b"P5 1 1\n", b"P5 1 1 255\nx",
        first + bytes(len(whole) - len(first)), b"P5 1 1 # 8cdc1683\n255\n", None, "link",
    ):  # fmt: skip
        place = link if cut == "link" else image
        if isinstance(cut, bytes):
            place.write_bytes(cut)
        else:
            place.unlink()
            (place / "folder").mkdir(parents=True)
        good, bad = prepare([study(source)], 10_000, folder)
        assert (len(good), bad, good[0].image.read_bytes(), image.read_bytes()) == (1, [], whole, whole)
    image.unlink()  # a link to an image that somebody removed
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert open_image(ready(source, 10_000, folder)).width
    assert len(synced) == 1, "on the disk before it has its name"
