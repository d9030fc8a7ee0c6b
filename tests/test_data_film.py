"""Films: every mode the public sets hold, and every way a file can be broken."""

import pickle
import struct
import traceback
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexreason.data.film import MAX_PIXELS, UnreadableFilm, is_readable, open_film, readable
from chexreason.data.study import Study
from chexreason.errors import UserError

RAMP = np.tile(np.arange(256, dtype=np.uint8), (16, 1))


def study(image: Path) -> Study:
    return Study("nih", image.stem, image.stem, image, "PA", "test", {}, ())


def test_an_8_bit_film_comes_as_it_is(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "film.png")
    film = open_film(tmp_path / "film.png")
    assert (film.mode, film.size) == ("L", (256, 16))
    np.testing.assert_array_equal(np.asarray(film), RAMP)


@pytest.mark.parametrize(("low", "step"), [(0, 257), (0, 16), (1000, 100)])
def test_16_bit_is_rescaled_and_not_clipped(tmp_path, low, step):
    deep = (low + RAMP.astype(np.int64) * step).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "film.png")
    np.testing.assert_array_equal(np.asarray(open_film(tmp_path / "film.png")), RAMP)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_wider_greys_are_rescaled_too(tmp_path, dtype):
    Image.fromarray((RAMP.astype(dtype) - 100) * 1000).save(tmp_path / "film.tiff")
    np.testing.assert_array_equal(np.asarray(open_film(tmp_path / "film.tiff")), RAMP)


def test_one_flat_16_bit_film_is_black(tmp_path):
    Image.fromarray(np.full((4, 4), 30000, np.uint16)).save(tmp_path / "film.png")
    assert not np.asarray(open_film(tmp_path / "film.png")).any()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK"])
def test_other_modes_become_grey(tmp_path, mode):
    path = tmp_path / ("film.tiff" if mode == "CMYK" else "film.png")
    Image.fromarray(RAMP).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE).save(path)
    film = open_film(path)
    assert film.mode == "L"
    np.testing.assert_allclose(np.asarray(film).astype(int), RAMP, atol=1)


def test_what_is_transparent_becomes_black(tmp_path):
    film = Image.fromarray(RAMP).convert("RGBA")
    film.putalpha(Image.new("L", film.size, 0))
    film.save(tmp_path / "film.png")
    assert not np.asarray(open_film(tmp_path / "film.png")).any()


def test_a_palette_with_a_transparent_colour(tmp_path):
    film = Image.fromarray(RAMP).convert("P")
    film.save(tmp_path / "film.png", transparency=255)
    grey = np.asarray(open_film(tmp_path / "film.png"))
    np.testing.assert_array_equal(grey[:, :255], RAMP[:, :255])
    assert not grey[:, 255].any()


def test_an_inverted_film_is_left_inverted(tmp_path):
    Image.fromarray(255 - RAMP).save(tmp_path / "film.png")
    np.testing.assert_array_equal(np.asarray(open_film(tmp_path / "film.png")), 255 - RAMP)


def broken(tmp_path: Path) -> dict[str, Path]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    whole = {}
    for kind in ("png", "jpg"):
        whole[kind] = tmp_path / f"whole.{kind}"
        Image.fromarray(noise).save(whole[kind])
    files = {"missing": tmp_path / "missing.png", "folder": tmp_path / "folder.png"}
    files["folder"].mkdir()
    contents = {
        "empty.png": b"",
        "text.jpg": b"<html>please sign in</html>",
        "cut.png": whole["png"].read_bytes()[:2000],
        "cut.jpg": whole["jpg"].read_bytes()[:-500],
        "head.jpg": whole["jpg"].read_bytes()[:30],
        "bits.png": whole["png"].read_bytes()[:100] + b"\xff" * 50 + whole["png"].read_bytes()[150:],
    }
    for name, content in contents.items():
        files[name] = tmp_path / name
        files[name].write_bytes(content)
    return files


KINDS = ["missing", "folder", "empty.png", "text.jpg", "cut.png", "cut.jpg", "head.jpg", "bits.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_film_is_one_line_that_names_it(tmp_path, kind):
    path = broken(tmp_path)[kind]
    with pytest.raises(UnreadableFilm) as caught:
        open_film(path)
    assert isinstance(caught.value, UserError)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"Expected a readable film at {path}, got ")
    assert "\n" not in str(caught.value)
    assert not is_readable(path)


@pytest.mark.parametrize(
    "folder", ["files/p10/p10000032/s50414267", "p10000032/s50414267", "train/patient00001/study1"]
)
def test_a_film_filed_under_a_patient_is_not_named_in_the_message_nor_in_its_cause(tmp_path, folder):
    path = tmp_path / folder / "view1_frontal.jpg"
    path.parent.mkdir(parents=True)
    for content in (None, b"", b"no film at all"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UnreadableFilm, match=r"\(a patient\), got") as caught:
            open_film(path)
        assert caught.value.path == path
        shown = "".join(traceback.format_exception(caught.value))
        for secret in ("10000032", "50414267", "patient00001", "view1"):
            assert secret not in shown


def oversized_png(path: Path, side: int) -> Path:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [int(MAX_PIXELS**0.5) + 1, 10_000, 60_000])
def test_a_decompression_bomb_is_not_opened(tmp_path, side):
    with pytest.raises(UnreadableFilm, match="pixels"):
        open_film(oversized_png(tmp_path / "bomb.png", side))


def test_random_damage_never_escapes_as_another_error(tmp_path):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (32, 32), dtype=np.uint8)
    for kind in ("png", "jpg"):
        Image.fromarray(noise).save(tmp_path / f"film.{kind}")
        sound = (tmp_path / f"film.{kind}").read_bytes()
        for trial in range(300):
            damaged = bytearray(sound)
            for place in rng.integers(0, len(sound) if trial % 2 else 60, 3):
                damaged[place] = rng.integers(256)
            (tmp_path / "damaged").write_bytes(damaged[: rng.integers(1, len(damaged) + 1)])
            is_readable(tmp_path / "damaged")


def test_readable_sifts_counts_and_names(tmp_path):
    paths = broken(tmp_path)
    studies = [study(path) for path in paths.values()]
    sound = [study(tmp_path / "whole.png"), study(tmp_path / "whole.jpg")]
    good, bad = readable([sound[0], *studies, sound[1]])
    assert good == sound
    assert bad == list(paths.values())


def test_the_error_survives_the_way_out_of_a_process(tmp_path):
    error = pickle.loads(pickle.dumps(UnreadableFilm(tmp_path, "nothing")))
    assert (error.path, str(error)) == (tmp_path, str(UnreadableFilm(tmp_path, "nothing")))
