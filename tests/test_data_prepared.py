"""Films made ready: what they show, how they are named, and what happens when work is cut short."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexreason.data import prepared
from chexreason.data.film import UnreadableFilm, open_film
from chexreason.data.study import Study
from chexreason.errors import UserError


def film_at(path: Path, shape: tuple[int, int] = (300, 200), seed: int = 0, mode: str = "L") -> Path:
    grey = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(grey).convert(mode).save(path)
    return path


def study(image: Path) -> Study:
    return Study("mimic", image.stem, image.stem, image, "PA", "train", {"Edema": 1.0}, ())


def test_a_small_film_keeps_every_pixel(tmp_path):
    source = film_at(tmp_path / "a.png")
    np.testing.assert_array_equal(
        open_film(prepared.ready(source, 60_000, tmp_path / "ready")), np.asarray(open_film(source))
    )


@pytest.mark.parametrize("shape", [(300, 200), (3056, 2544), (50, 4000), (4000, 1)])
def test_a_large_film_is_shrunk_below_the_limit_at_its_shape(tmp_path, shape):
    film = open_film(prepared.ready(film_at(tmp_path / "a.png", shape), 10_000, tmp_path / "ready"))
    height, width = shape
    assert film.width * film.height <= 10_000
    if min(shape) > 1:
        assert film.width * film.height > 8_000
        assert film.width / film.height == pytest.approx(width / height, rel=0.1)


def test_it_is_shrunk_as_pillow_shrinks(tmp_path):
    source = film_at(tmp_path / "a.png", (400, 400))
    wanted = Image.open(source).resize((100, 100), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(open_film(prepared.ready(source, 10_000, tmp_path / "ready")), np.asarray(wanted))


def test_the_second_time_the_source_is_not_read(tmp_path, monkeypatch):
    source = film_at(tmp_path / "a.png")
    first = prepared.ready(source, 10_000, tmp_path / "ready")
    monkeypatch.setattr(prepared, "open_film", None)
    monkeypatch.setattr(prepared, "file_digest", None)
    assert prepared.ready(source, 10_000, tmp_path / "ready") == first


def test_a_changed_source_is_another_film_and_a_copy_the_same(tmp_path):
    source, copy = film_at(tmp_path / "a.png"), film_at(tmp_path / "b.png")
    first, second = (prepared.ready(path, 10_000, tmp_path / "ready") for path in (source, copy))
    assert first != second
    assert first.resolve() == second.resolve()
    film_at(source, seed=1)
    os.utime(source, ns=(1, 1))
    changed = prepared.ready(source, 10_000, tmp_path / "ready")
    assert changed.resolve() != second.resolve()
    np.testing.assert_array_equal(open_film(changed), np.asarray(prepared.shrunk(open_film(source), 10_000)))


def test_another_limit_is_another_film(tmp_path):
    source = film_at(tmp_path / "a.png")
    films = {prepared.ready(source, pixels, tmp_path / "ready").resolve() for pixels in (5_000, 10_000)}
    assert len(films) == 2


def test_studies_keep_order_and_labels_and_bad_films_are_named(tmp_path):
    films = [film_at(tmp_path / f"{k}.png", seed=k) for k in range(6)]
    films[2].write_bytes(films[2].read_bytes()[:200])
    films[4].unlink()
    studies = [study(film) for film in films]
    good, bad = prepared.prepare(studies, 10_000, tmp_path / "ready")
    assert bad == [films[2], films[4]]
    assert [one.key for one in good] == [studies[k].key for k in (0, 1, 3, 5)]
    assert all(one.labels == {"Edema": 1.0} for one in good)
    assert all((tmp_path / "ready") in one.image.parents for one in good)
    assert prepared.prepare(studies, 10_000, tmp_path / "ready") == (good, bad), "the second time too"


def test_no_name_in_the_cache_tells_a_patient(tmp_path):
    source = film_at(tmp_path / "p10000032.png")
    prepared.ready(source, 10_000, tmp_path / "ready")
    for path in (tmp_path / "ready").rglob("*"):
        assert "10000032" not in path.name
        if path.is_symlink():
            assert "10000032" not in os.readlink(path)


def test_a_film_cut_short_is_made_again(tmp_path, monkeypatch):
    source, folder = film_at(tmp_path / "a.png"), tmp_path / "ready"

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match="No space left"):
            prepared.prepare([study(source)], 10_000, folder)
    assert not [path for path in folder.rglob("*") if path.is_file()], "nothing half made is left"
    link = prepared.ready(source, 10_000, folder)
    link.resolve().unlink()  # a link to a film that somebody removed
    assert open_film(prepared.ready(source, 10_000, folder)).width


def test_many_copies_at_once_become_one_film(tmp_path):
    film_at(tmp_path / "0.png")
    for k in range(1, 40):
        (tmp_path / f"{k}.png").write_bytes((tmp_path / "0.png").read_bytes())
    good, bad = prepared.prepare(
        [study(tmp_path / f"{k}.png") for k in range(40)], 10_000, tmp_path / "ready", threads=8
    )
    assert (len(good), bad) == (40, [])
    assert len(list((tmp_path / "ready" / "films").iterdir())) == 1


def test_a_missing_source_says_so(tmp_path):
    with pytest.raises(UnreadableFilm, match="no such file"):
        prepared.ready(tmp_path / "none.png", 10_000, tmp_path / "ready")
