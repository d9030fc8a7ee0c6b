"""A film as 8-bit grey, whatever file it came in (paper, section 3.1).

Two traps of the public sets are handled here and nowhere else. Pillow clips 16-bit images when it
makes them 8-bit, which turns a film white, so they are rescaled first. And a few NIH films carry
an alpha channel. Films that are inverted, sideways or cut off are left as they are: they belong to
the data set that the paper scored. A file that cannot be decoded is an `UnreadableFilm`; a run
sifts those out beforehand, counts them and names them.
"""

import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chexreason.data.study import Study
from chexreason.errors import UserError

#: More pixels than any detector has (the largest films of the three sets have some 16 million).
MAX_PIXELS = 80_000_000

#: What Pillow's decoders raise on damaged files. A new kind would end the run with a traceback,
#: which is right: it would be ours to understand.
_DAMAGE = (
    OSError,  # missing, truncated, unknown format
    SyntaxError,  # broken PNG header
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # when warnings are errors
)


class UnreadableFilm(UserError):
    """A film that is missing, damaged or no image; `path` names it."""

    def __init__(self, path: Path, came: str) -> None:
        self.path = path
        super().__init__(f"a readable film at {path}", came, "download that file again or leave the study out")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.path, self.came)  # so that it survives the way out of a worker process


def open_film(path: Path) -> Image.Image:
    """The film as a fully decoded image of mode "L" (8-bit grey), at its own size.

    16-bit and floating-point films are rescaled from their darkest to their brightest value;
    colour becomes luminance; what is transparent becomes black. Raises UnreadableFilm.
    """
    image = _decode(Path(path))
    if image.mode.startswith("I") or image.mode == "F":
        return _rescaled(np.asarray(image, dtype=np.float64))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image if image.mode == "L" else image.convert("L")


def readable(studies: Iterable[Study], threads: int = 2) -> tuple[list[Study], list[Path]]:
    """Sift the studies: those whose film decodes to the end, and the paths of the films that do not.

    Both lists keep the order of `studies`. Every film is decoded (JPEGs at reduced size, which
    still reads each byte), so call this on the studies that a run uses, not on a whole data set.
    """
    studies = list(studies)
    with ThreadPoolExecutor(threads) as pool:
        sound = list(pool.map(lambda study: is_readable(study.image), studies))
    good = [study for study, ok in zip(studies, sound, strict=True) if ok]
    bad = [study.image for study, ok in zip(studies, sound, strict=True) if not ok]
    return good, bad


def is_readable(path: Path) -> bool:
    """Whether the whole film can be decoded."""
    try:
        _decode(path, draft=True)
    except UnreadableFilm:
        return False
    return True


def _decode(path: Path, draft: bool = False) -> Image.Image:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableFilm(path, f"an image of {image.width} x {image.height} pixels")
            if draft:
                image.draft("L", (256, 256))
            image.load()
            return image.copy()
    except FileNotFoundError as error:
        raise UnreadableFilm(path, "no such file") from error
    except _DAMAGE as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())
        raise UnreadableFilm(path, reason or type(error).__name__) from error


def _rescaled(grey_HW: np.ndarray) -> Image.Image:
    """Any real-valued grey (H, W) -> 8 bit, its darkest value to 0 and its brightest to 255."""
    grey_HW = np.nan_to_num(grey_HW, posinf=0.0, neginf=0.0)
    low, high = float(grey_HW.min()), float(grey_HW.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return Image.fromarray(np.round((grey_HW - low) * scale).astype(np.uint8), mode=None)
