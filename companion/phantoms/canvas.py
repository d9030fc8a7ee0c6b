"""Drawing in patient coordinates: polygons, strokes, textures and blurs as float32 maps.

The phantoms stand in for the images of section 3.1 of the paper. All shapes are given in patient coordinates, x from -1
(image left, the patient's right) to 1 and y from -1 (top) to 1, and an image's pose (rotation, shift, zoom) is applied
to the points and not to pixels. The same image therefore comes out the same at any size, and nothing is resampled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Map = NDArray[np.float32]  #: (size, size), row 0 at the top
Points = NDArray[np.float64]  #: (n, 2) as x, y in patient coordinates

#: Shapes are filled at this multiple of the image's size and averaged down, against jagged edges.
OVERSAMPLING = 2


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Map, Map]:
    """Pixel centres of an image in units of half its side: x (size, size), y (size, size) in (-1, 1)."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


@lru_cache(maxsize=8)
def _basis(steps: int) -> Points:
    t = np.arange(steps) / steps
    return 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1)


def spline(points: Sequence[Sequence[float]] | Points, steps: int = 6, closed: bool = False) -> Points:
    """A Catmull-Rom curve through all the points, (..., n, 2) -> (..., m, 2)."""
    p = np.asarray(points, dtype=np.float64)
    first, last = p[..., :1, :], p[..., -1:, :]
    if closed:
        p = np.concatenate([last, p, p[..., :2, :]], -2)
    else:
        p = np.concatenate([2 * first - p[..., 1:2, :], p, 2 * last - p[..., -2:-1, :]], -2)
    windows = np.stack([p[..., :-3, :], p[..., 1:-2, :], p[..., 2:-1, :], p[..., 3:, :]], -2)  # (..., segments, 4, 2)
    curve = (_basis(steps) @ windows).reshape(*p.shape[:-2], -1, 2)
    return curve if closed else np.concatenate([curve, last], -2)


def _slight_blur(image: Map, sigma: float) -> Map:
    """A Gaussian blur of a pixel or so, by shifted sums: faster than a general filter at this width."""
    reach = max(1, int(2.5 * sigma + 0.5))
    weights = np.exp(-0.5 * (np.arange(reach + 1) / max(sigma, 1e-6)) ** 2).astype(np.float32)
    weights /= weights[0] + 2 * weights[1:].sum()
    for axis in (0, 1):
        n = image.shape[axis]
        wide = image.take(np.arange(-reach, n + reach).clip(0, n - 1), axis)  # the edges repeated
        shifted = [wide[k : k + n] if axis == 0 else wide[:, k : k + n] for k in range(2 * reach + 1)]
        image = weights[0] * shifted[reach]
        for k in range(1, reach + 1):
            image += weights[k] * (shifted[reach - k] + shifted[reach + k])
    return image


@dataclass(frozen=True)
class Pose:
    """Where the patient stands on the image: rotation in degrees, shift in half sides, zoom."""

    angle: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    zoom: float = 1.0


class Canvas:
    """A square of `size` pixels with a pose; every method returns a new (size, size) float32 map."""

    def __init__(self, size: int, pose: Pose) -> None:
        self.size = size
        turn = np.deg2rad(pose.angle)
        self._matrix = pose.zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self._shift = np.array([pose.shift_x, pose.shift_y])
        back = np.linalg.inv(self._matrix).astype(np.float32)
        gx, gy = grid(size)
        gx, gy = gx - np.float32(pose.shift_x), gy - np.float32(pose.shift_y)
        self.x: Map = back[0, 0] * gx + back[0, 1] * gy
        self.y: Map = back[1, 0] * gx + back[1, 1] * gy
        self._scale = OVERSAMPLING * size / 2 * pose.zoom

    def pixels(self, points: Points) -> list[tuple[float, float]]:
        """Patient coordinates -> positions on the oversampled drawing."""
        placed = (points @ self._matrix.T + self._shift + 1) * (OVERSAMPLING * self.size / 2) - 0.5
        return list(map(tuple, placed.tolist()))

    def _sheet(self) -> Image.Image:
        return Image.new("L", (OVERSAMPLING * self.size,) * 2)

    def _read(self, sheet: Image.Image) -> Map:
        return np.asarray(sheet.reduce(OVERSAMPLING), dtype=np.float32) / np.float32(255)

    def polygon(self, *outlines: Points) -> Map:
        """The union of filled outlines, 0 to 1 with soft edges of a pixel."""
        sheet = self._sheet()
        brush = ImageDraw.Draw(sheet)
        for outline in outlines:
            brush.polygon(self.pixels(outline), fill=255)
        return self._read(sheet)

    def strokes(self, paths: Sequence[Points], widths: Sequence[float], values: Sequence[float]) -> Map:
        """Lines of the given widths (patient units) and values (0 to 1); later ones cover earlier ones."""
        sheet = self._sheet()
        if not paths:
            return self._read(sheet)
        brush = ImageDraw.Draw(sheet)
        points = self.pixels(np.concatenate(paths))  # all at once: there are hundreds of short vessels
        fills = np.rint(255 * np.asarray(values)).astype(int).tolist()
        pixels = np.maximum(1, np.rint(self._scale * np.asarray(widths))).astype(int).tolist()
        start = 0
        for path, width, fill in zip(paths, pixels, fills, strict=True):
            placed, start = points[start : start + len(path)], start + len(path)
            brush.line(placed, fill=fill, width=width)
        return self._read(sheet)

    def _spot(self, x: float, y: float, rx: float, ry: float, reach: float, value: Callable[[Map], Map]) -> Map:
        """``value(r**2)`` of the distance from a point in radii, up to `reach` of them; 0 further away."""
        column, row = ((self._matrix @ [x, y] + self._shift + 1) * (self.size / 2)).tolist()
        span = reach * max(rx, ry) * self._scale / OVERSAMPLING + 2
        window = tuple(slice(max(0, int(c - span)), max(0, int(c + span) + 1)) for c in (row, column))
        r2 = ((self.x[window] - np.float32(x)) / np.float32(rx)) ** 2
        r2 += ((self.y[window] - np.float32(y)) / np.float32(ry)) ** 2
        out = np.zeros_like(self.x)
        out[window] = value(r2)
        return out

    def ball(self, x: float, y: float, rx: float, ry: float | None = None, power: float = 0.5) -> Map:
        """An ellipsoid's thickness, 1 at the centre and 0 outside: ``(1 - r**2)**power``."""
        return self._spot(x, y, rx, ry or rx, 1, lambda r2: np.clip(1 - r2, 0, None) ** np.float32(power))

    def cloud(self, x: float, y: float, rx: float, ry: float) -> Map:
        """A soft spot close to `haze` that ends at 1.6 of its radii: ``(1 - (r / 1.6)**2)**2``, 1 at the centre."""
        return self._spot(x, y, 1.6 * rx, 1.6 * ry, 1, lambda r2: np.square(np.clip(1 - r2, 0, None)))

    def haze(self, x: float, y: float, rx: float, ry: float) -> Map:
        """A Gaussian spot, 1 at the centre; cut off where it is below 1/8000."""
        return self._spot(x, y, rx, ry, 3, lambda r2: np.exp(-r2))

    def markings(self, rng: np.random.Generator) -> Map:
        """Noise of 24, 48 and 96 bumps along a side, mean 0 and deviation about 0.8; the same at any size."""
        sheet = 0.6 * rng.standard_normal((96, 96))
        for cells, weight in ((48, 0.5), (24, 0.35)):
            sheet += np.kron(weight * rng.standard_normal((cells, cells)), np.ones((96 // cells, 96 // cells)))
        smooth = Image.fromarray(sheet.astype(np.float32)).resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(smooth)

    def texture(self, rng: np.random.Generator, cells: int) -> Map:
        """Smooth noise, mean 0 and deviation about 0.7, with `cells` bumps along a side; the same at any size."""
        seeds = rng.standard_normal((cells, cells)).astype(np.float32)
        return np.asarray(Image.fromarray(seeds).resize((self.size, self.size), Image.Resampling.BICUBIC))

    def blur(self, image: Map, sigma: float) -> Map:
        """A Gaussian blur; sigma in patient units. Wide ones run on a coarse copy."""
        pixels = sigma * self._scale / OVERSAMPLING
        shrink = 8 if pixels > 16 else 4 if pixels > 8 else 1
        if pixels < 1.4:
            return _slight_blur(image, pixels)
        if shrink == 1 or self.size % shrink:
            return ndimage.gaussian_filter(image, pixels, mode="nearest", truncate=2.5)
        coarse = image.reshape(self.size // shrink, shrink, self.size // shrink, shrink).mean((1, 3))
        coarse = ndimage.gaussian_filter(coarse, pixels / shrink, mode="nearest", truncate=2.5)
        return np.asarray(Image.fromarray(coarse).resize((self.size, self.size), Image.Resampling.BILINEAR))
