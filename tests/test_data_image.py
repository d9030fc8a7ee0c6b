"""Images: every mode the public sets hold, every way a file can be broken, and images that are prepared once."""

import struct
import traceback
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexreason.data.image import MAX_PIXELS, UnreadableImage, is_readable, open_image, readable
from chexreason.data.study import Study, masked

RAMP = np.tile(np.arange(256, dtype=np.uint8), (16, 1))


def study(image: Path) -> Study:
    return Study("mimic", image.stem, image.stem, image, "PA", "train", {"Edema": 1.0}, ())


def see(image: Image.Image, path: Path, **options) -> np.ndarray:
    """What `open_image` makes of an image saved at a path."""
    image.save(path, **options)
    seen = open_image(path)
    assert (seen.mode, seen.size) == ("L", image.size)
    return np.asarray(seen)


@pytest.mark.parametrize("grey", [RAMP, 255 - RAMP, RAMP * np.uint16(257), 1000 + RAMP * np.uint16(16)])
def test_8_bit_stays_as_it_is_and_wider_greys_are_rescaled_not_clipped(tmp_path, grey):
    seen = see(Image.fromarray(grey), tmp_path / "image.png")
    np.testing.assert_array_equal(seen, 255 - RAMP if grey is not RAMP and grey.dtype == np.uint8 else RAMP)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK"])
def test_other_modes_become_grey(tmp_path, mode):
    image = Image.fromarray(RAMP).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)
    seen = see(image, tmp_path / ("image.jpg" if mode == "CMYK" else "image.png"))
    np.testing.assert_allclose(seen.astype(int), RAMP, atol=3 if mode == "CMYK" else 1)


def test_what_is_transparent_becomes_black_and_so_does_a_flat_16_bit_image(tmp_path):
    clear = Image.fromarray(RAMP).convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 0))
    assert not see(clear, tmp_path / "clear.png").any()
    assert not see(Image.fromarray(np.full((4, 4), 30000, np.uint16)), tmp_path / "flat.png").any()
    grey = see(Image.fromarray(RAMP).convert("P"), tmp_path / "palette.png", transparency=255)
    np.testing.assert_array_equal(grey[:, :255], RAMP[:, :255])
    assert not grey[:, 255].any()


def broken(folder: Path) -> dict[str, Path]:
    """One file for each way of being broken, beside two whole ones."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for kind in ("png", "jpg"):
        Image.fromarray(noise).save(folder / f"whole.{kind}")
    png, jpg = ((folder / f"whole.{kind}").read_bytes() for kind in ("png", "jpg"))
    contents = {
        "empty.png": b"", "text.jpg": b"<html>please sign in</html>", "cut.png": png[:2000], "cut.jpg": jpg[:-500],
        "head.jpg": jpg[:30], "padded.jpg": jpg[: len(jpg) // 2] + bytes(len(jpg) - len(jpg) // 2),
        "bits.png": png[:100] + b"\xff" * 50 + png[150:],
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to("loop.png")
    for name, size, kind in (("thin.png", (20, 4100), "PNG"), ("gif.png", (9, 9), "GIF"), ("ps.png", (9, 9), "EPS")):
        Image.new("L", size).save(folder / name, kind)
    others = ("missing.png", f"{'9' * 300}.png", "folder.png", "loop.png", "thin.png", "gif.png", "ps.png")
    return {name: folder / name for name in (*others, *contents)}


def test_a_broken_image_is_one_line_that_names_it_and_a_run_sifts_it_out(tmp_path):
    paths = broken(tmp_path)
    for path in paths.values():
        with pytest.raises(UnreadableImage) as caught:
            open_image(path)
        assert caught.value.path == path
        assert str(caught.value).startswith(f"Expected a readable image at {masked(path, 50)}, got ")
        assert path.stem not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 200
        assert not is_readable(path)
    sound = [study(tmp_path / "whole.png"), study(tmp_path / "whole.jpg")]
    assert readable([sound[0], *map(study, paths.values()), sound[1]]) == (sound, list(paths.values()))


@pytest.mark.parametrize("folder", ["files/p10/p10000032/s50414267", "P10/P10000032", "train/patient00001/study1"])
@pytest.mark.parametrize("name", ["view1_frontal.jpg", "00000001_000.PNG", "02aa-bb.jpg_.gstmp", "x.10000032", "x.jpg"])
def test_no_patient_study_or_image_is_named_in_the_message_nor_in_its_cause(tmp_path, folder, name):
    path = tmp_path / folder / name
    path.parent.mkdir(parents=True)
    for content in (None, b"", b"no image at all"):
        if content is not None:
            path.write_bytes(content)
        (path.parent / "scan.doe_jane").touch()
        with pytest.raises(UnreadableImage) as caught:
            open_image(path)
        assert caught.value.path == path
        shown = "".join(traceback.format_exception(caught.value))
        secrets = ("doe_jane", "10000032", "50414267", "patient00001", "view1", "00000001", "02aa")
        assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("s50414267.txt", "s*.txt"), ("p10000032.zip", "p*.zip"), ("patient00001.tar", "patient*.tar"),
     ("p10000032 (1)", "p* (1)"), ("00000211_000.npy", "*_000.npy"), ("subject_1003", "subject_*"),
     ("patient00001_study1_view1_frontal.webp", "patient*_study*_view1_frontal.webp"),
     ("02aa804e-bde0afdd-112c0b34-7bc16630-4e384014", "*"), ("02aa804e-bde0afdd", "*"), ("tests2", "tests2"),
     ("images_001", "images_001"), ("mimic-cxr-jpg-2.1.0", "mimic-cxr-jpg-2.1.0"), ("CheXpert-v1.0", "CheXpert-v1.0")],
)  # fmt: skip
def test_what_is_masked_in_a_path_and_what_is_not(name, shown):
    assert masked(Path("/data") / name / "files") == f"/data/{shown}/files"


@pytest.mark.parametrize("side", [int(MAX_PIXELS**0.5) + 1, 10_000, 60_000])
def test_a_decompression_bomb_is_not_opened(tmp_path, side):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header, body = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), zlib.compress(b"\0" * 1000)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(UnreadableImage, match="pixels"):
        open_image(tmp_path / "bomb.png")


def test_random_damage_never_escapes_as_another_error(tmp_path):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (32, 32), dtype=np.uint8)
    for kind in ("png", "jpg"):
        Image.fromarray(noise).save(tmp_path / f"image.{kind}")
        sound = (tmp_path / f"image.{kind}").read_bytes()
        for trial in range(300):
            damaged = bytearray(sound)
            for place in rng.integers(0, len(sound) if trial % 2 else 60, 3):
                damaged[place] = rng.integers(256)
            (tmp_path / "damaged").write_bytes(damaged[: rng.integers(1, len(damaged) + 1)])
            is_readable(tmp_path / "damaged")
