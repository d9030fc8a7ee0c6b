"""Images decoded and shrunk once, for a profile that names `once` as its engine for `images`.

A MIMIC image has some 8 million pixels; MedGemma looks at 0.8 million of them, Qwen2.5-VL at 0.4 million at most.
Decoding and shrinking it for each prompt, epoch and model would cost more than some of the models. So it is decoded
once, shrunk to the most that any model takes, and kept without compression, named by its content and by how it was
made: a changed file is a new image and two copies of one file are one. A link named after the source's path, size and
time of change leads to it, so that the second time nothing of the source is read. Both are written to a temporary
file and renamed. An image that was written to after its link was made is read to the end; one that is not what its
first line says is made anew. It changes an image no more than a second resampling would.
"""

import contextlib
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data.image import UnreadableImage, open_image
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest

#: How an image is prepared; another way is another image.
METHOD = "grey, Lanczos"


def once(asked: Cohort, profile: Profile, pixels: int) -> tuple[list[Study], list[Path]]:
    """In place of `data.image.readable`: the images of a cohort are prepared below the profile's cache."""
    return prepare(asked.studies, pixels, profile.cache / "ready", label=f"{asked.name} images")


def prepare(
    studies: Sequence[Study], pixels: int, folder: Path, *, threads: int | None = None, label: str = "images"
) -> tuple[list[Study], list[Path]]:
    """The studies with images of at most `pixels` pixels from below `folder`, and the images that cannot be read.

    Both keep the order. Shows progress; stopped at any point, the next call goes on. Raises UserError where
    the folder cannot be written.
    """
    with (
        ThreadPoolExecutor(threads or os.cpu_count()) as pool,
        tqdm(total=len(studies), desc=f"preparing {label}", unit="image", mininterval=2.0, leave=False) as bar,
    ):

        def one(study: Study) -> Path | None:
            try:
                return ready(study.image, pixels, folder)
            except UnreadableImage:
                return None
            finally:
                bar.update()

        images = list(zip(studies, pool.map(one, studies), strict=True))
    good = [replace(study, image=image) for study, image in images if image]
    return good, [study.image for study, image in images if not image]


def ready(source: Path, pixels: int, folder: Path) -> Path:
    """The prepared image of a source file, made now if it has not been. Raises UnreadableImage."""
    try:
        about = source.stat()
        name = digest_of([str(source), about.st_size, about.st_mtime_ns, pixels, METHOD])
        link = folder / "sources" / name[:2] / name
        if _untouched(link):
            return link
        image = folder / "images" / f"{digest_of([file_digest(source), pixels, METHOD])}.pgm"
    except FileNotFoundError:
        raise UnreadableImage(source, "no such file") from None
    except OSError as error:
        raise UnreadableImage(source, error.strerror or "unreadable") from None
    if not _whole(image):
        grey = shrunk(open_image(source), pixels)
        raw = grey.tobytes()
        # A portable grey map: a line of text with the size and a comment, one with the brightest grey, then the pixels.
        first = f"P5 {grey.width} {grey.height} # {zlib.crc32(raw):08x}\n".encode()
        _put(image, lambda partial: _write(partial, first + b"255\n" + raw))
    _put(link, lambda partial: partial.symlink_to(os.path.relpath(image, link.parent)))
    return link


def shrunk(image: Image.Image, pixels: int) -> Image.Image:
    """The image at the same shape with at most `pixels` pixels; a smaller one as it is.

    >>> shrunk(Image.new("L", (400, 100)), 10_000).size
    (200, 50)
    """
    share = (pixels / (image.width * image.height)) ** 0.5
    if share >= 1:
        return image
    size = max(1, int(image.width * share)), max(1, int(image.height * share))
    return image.resize(size, Image.Resampling.LANCZOS)


def _untouched(link: Path) -> bool:
    """Whether a link leads to an image that is as long as its first line says and that nobody wrote to since."""
    try:
        with link.open("rb") as file:
            about, (_, width, height, *_) = os.fstat(file.fileno()), (first := file.readline(40)).split()
            whole = about.st_size == len(first) + len(b"255\n") + int(width) * int(height)
            return whole and about.st_mtime_ns < link.lstat().st_mtime_ns
    except (OSError, ValueError):
        return False


def _whole(image: Path) -> bool:
    """Whether a prepared image is there and its pixels are those that its first line was written for."""
    try:
        first, _, pixels = image.read_bytes().split(b"\n", 2)
        _, width, height, _, crc = first.split()
        return len(pixels) == int(width) * int(height) and zlib.crc32(pixels) == int(crc, 16)
    except (OSError, ValueError):
        return False


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    now = path.stat().st_mtime
    os.utime(path, (now, now - 1))  # a clock that ticks slowly would give its link the same time
    with path.open("rb") as file:
        os.fsync(file.fileno())  # or a loss of power could leave the name without the bytes


def _put(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file under a name that no other thread or process uses, then rename it."""
    partial = path.with_name(f"{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(partial)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)  # another thread may be quicker
        partial.replace(path)
    except OSError as error:
        raise UserError(
            f"room and permission to prepare images in {path.parent}", error.strerror or str(error),
            "free some space or choose another cache folder, then run the same command again",
        ) from error  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
