"""Films made ready once: 8-bit grey, no larger than a model looks at, in a cache keyed by content (section 3.2.1).

A MIMIC film has some 8 million pixels; MedGemma looks at 0.8 million of them, Qwen2.5-VL at 0.4 million at most.
Decoding and shrinking the whole film for each prompt, epoch and model would cost more than some of the models.
So a film is decoded once, shrunk to the most that any model takes, and kept without compression, which is read in a
fraction of a millisecond. Films are named by what is in them and how they were made, so a changed file is a new film
and two copies of one file are one. A link named after the source's path, size and time of change leads to the film,
so that the second time nothing of the source is read. Both are made aside and renamed: a link leads to a whole film.
"""

import contextlib
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from chexreason.data.film import UnreadableFilm, open_film
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest

#: How a film is made ready; another way is another film.
METHOD = "grey, Lanczos"


def prepare(
    studies: Sequence[Study], pixels: int, folder: Path, *, threads: int | None = None, label: str = "films"
) -> tuple[list[Study], list[Path]]:
    """The studies with films of at most `pixels` pixels from below `folder`, and the films that cannot be read.

    Both keep the order. Shows progress; stopped at any point, the next call goes on. Raises UserError where
    the folder cannot be written.
    """
    with (
        ThreadPoolExecutor(threads or os.cpu_count()) as pool,
        tqdm(total=len(studies), desc=f"making {label} ready", unit="film", mininterval=2.0, leave=False) as bar,
    ):

        def one(study: Study) -> Path | None:
            try:
                return ready(study.image, pixels, folder)
            except UnreadableFilm:
                return None
            finally:
                bar.update()

        films = list(pool.map(one, studies))
    good = [replace(study, image=film) for study, film in zip(studies, films, strict=True) if film]
    return good, [study.image for study, film in zip(studies, films, strict=True) if not film]


def ready(source: Path, pixels: int, folder: Path) -> Path:
    """The film of a source file, made ready now if it has not been. Raises UnreadableFilm."""
    try:
        about = source.stat()
    except OSError as error:
        raise UnreadableFilm(source, "no such file") from error
    name = digest_of([str(source), about.st_size, about.st_mtime_ns, pixels, METHOD])
    link = folder / "sources" / name[:2] / name
    if link.exists():
        return link
    film = folder / "films" / f"{digest_of([_content(source), pixels, METHOD])}.pgm"
    if not film.is_file():
        grey_map = _grey_map(shrunk(open_film(source), pixels))
        _put(film, lambda aside: aside.write_bytes(grey_map))
    _put(link, lambda aside: aside.symlink_to(os.path.relpath(film, link.parent)))
    return link


def shrunk(film: Image.Image, pixels: int) -> Image.Image:
    """The film at the same shape with at most `pixels` pixels; a smaller one as it is.

    >>> shrunk(Image.new("L", (400, 100)), 10_000).size
    (200, 50)
    """
    share = (pixels / (film.width * film.height)) ** 0.5
    if share >= 1:
        return film
    size = max(1, int(film.width * share)), max(1, int(film.height * share))
    return film.resize(size, Image.Resampling.LANCZOS)


def _content(source: Path) -> str:
    try:
        return file_digest(source)
    except OSError as error:
        raise UnreadableFilm(source, error.strerror or "unreadable") from error


def _grey_map(film: Image.Image) -> bytes:
    """A portable grey map: a line of text with the size, then the pixels as they are."""
    return f"P5 {film.width} {film.height} 255\n".encode() + film.tobytes()


def _put(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file aside, under a name that no other thread or process uses, then rename it."""
    aside = path.with_name(f"{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(aside)
        aside.replace(path)
    except OSError as error:
        raise UserError(
            f"room and permission to make films ready in {path.parent}", error.strerror or str(error),
            "free some space or choose another cache folder, then run the same command again: it goes on",
        ) from error  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
