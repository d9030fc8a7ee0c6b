"""How an image is taken and shown: geometry, exposure, scatter, noise, display curve, markers.

The three styles imitate what a model meets in the paper's three data sets (section 3.1): `equalised` (histogram
equalisation, as in MIMIC-CXR-JPG), `windowed` (a window and burned-in words, as in CheXpert) and `film-like` (8 bits as
stored, of uneven exposure, as in NIH). Curves and scatter are computed from the image without findings, so that a
finding changes its own pixels and no others.
"""

from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from companion.phantoms.canvas import Canvas, Map, Pose, grid


def _at(*values: Any) -> Any:
    return field(metadata={"at": dict(zip("ABC", values, strict=True))})


@dataclass(frozen=True)
class Style:
    """What a hospital's acquisitions are drawn from, with its value at A, B and C; all are our choice by eye."""

    curve: str = _at("equalised", "windowed", "film-like")
    ap: float = _at(0.62, 0.80, 0.40)  # share of AP images
    portable: float = _at(0.35, 0.60, 0.40)  # share of AP images that say so
    scatter: tuple[float, float] = _at((0.45, 0.95), (0.55, 1.20), (0.30, 0.90))
    noise: tuple[float, float] = _at((0.003, 0.008), (0.010, 0.022), (0.008, 0.018))
    detail: tuple[float, float] = _at((0.10, 0.28), (0.05, 0.20), (0.0, 0.15))  # strength of local contrast processing
    gamma: tuple[float, float] = _at((0.80, 1.10), (0.75, 1.30), (0.75, 1.35))
    floor: tuple[float, float] = _at((0.0, 0.04), (0.0, 0.06), (0.0, 0.08))  # grey of the blackest part of the body
    ceiling: tuple[float, float] = _at((0.95, 1.0), (0.85, 1.0), (0.80, 1.0))  # grey of the whitest
    misread: float = _at(0.05, 0.20, 0.30)  # share of images with a poor exposure: flat, too dark or too light
    inverted: float = _at(0.0, 0.0, 0.03)  # share of images stored with black and white exchanged
    marker: float = _at(0.8, 0.9, 0.85)  # share of images with a side marker
    collimation: float = _at(0.5, 0.3, 0.4)  # share of images with visible shutters
    white_border: float = _at(0.0, 0.1, 0.3)  # share of those whose border is white
    angle: float = _at(2.2, 2.5, 2.0)  # standard deviation of the rotation, degrees


def style_of(hospital: str) -> Style:
    """The style of hospital A, B or C."""
    return Style(**{entry.name: entry.metadata["at"][hospital] for entry in fields(Style)})


@dataclass(frozen=True)
class Mark:
    """Something burned into the image or laid on it in lead."""

    text: str
    x: float  # left edge, 0 to 1
    y: float  # upper edge, 0 to 1
    height: float = 0.04  # of the letters, as a share of the side
    turn: int = 0  # degrees
    ring: bool = False  # a letter on a dark disc


@dataclass(frozen=True)
class Acquisition:
    """One exposure and its display."""

    view: str  # "PA" or "AP"
    pose: Pose
    curve: str
    scatter: float  # scattered over primary light
    noise: float  # relative noise at unit exposure
    heel: tuple[float, float]  # change of depth across the image, in x and y
    detail: float
    gamma: float
    low: float  # quantile of depth shown at the floor
    high: float  # quantile shown at the ceiling
    floor: float
    ceiling: float
    inverted: bool
    marks: tuple[Mark, ...]
    shutters: tuple[float, float, float, float]  # left, right, top, bottom, as shares of the side
    border: float  # grey of what the shutters hide
    noise_seed: int


def _marks(style: Style, ap: bool, rng: np.random.Generator) -> tuple[Mark, ...]:
    left, y = float(rng.uniform(0.80, 0.92)), float(rng.uniform(0.02, 0.12))
    height, turn = float(rng.uniform(0.035, 0.06)), int(rng.choice([0, 0, 0, 90, 270, 10, 350]))
    ring, initials = rng.random() < 0.25, "".join(rng.choice(list("ABDGHJKMNRSTW"), 2))
    marks: list[Mark] = []
    if rng.random() < style.marker:
        marks.append(Mark("L", left, y, height, turn, ring))
        if rng.random() < 0.4:
            marks.append(Mark(initials, left - 0.005, y + height + 0.012, 0.55 * height, turn))
    if rng.random() < style.portable and ap:
        marks.append(Mark("PORTABLE", float(rng.uniform(0.03, 0.14)), float(rng.choice([0.02, 0.05, 0.93])), 0.033))
    if rng.random() < style.portable and ap:
        marks.append(Mark("AP", left - 0.12, y, 0.033))
    return tuple(marks)


def sample_acquisition(style: Style, rng: np.random.Generator) -> Acquisition:
    """One image in a hospital's style."""
    ap = bool(rng.random() < style.ap)
    pose = Pose(
        angle=style.angle * float(np.clip(rng.standard_normal(), -2.5, 2.5)) * (1.4 if ap else 0.8),
        shift_x=(0.045 if ap else 0.03) * float(rng.standard_normal()),
        shift_y=0.045 * float(rng.standard_normal()),
        zoom=float(rng.uniform(0.88, 1.14)),
    )
    marks = _marks(style, ap, rng)
    shutters = (0.0, 0.0, 0.0, 0.0)
    if rng.random() < style.collimation:
        a, b, c, d = (float(v) for v in rng.uniform(-0.02, [0.05, 0.05, 0.06, 0.07]).clip(0))
        shutters = (a, b, c, d)
    floor, ceiling = float(rng.uniform(*style.floor)), float(rng.uniform(*style.ceiling))
    gamma = float(rng.uniform(*style.gamma))
    border = 1.0 if rng.random() < style.white_border else 0.0
    wrong = rng.uniform(-1, 1)
    if rng.random() < style.misread:  # too dark or too light, and flat
        gamma *= float(np.exp(0.55 * wrong))
        floor, ceiling = floor + 0.10 * (1 - abs(wrong)) + 0.06, ceiling - 0.18
    return Acquisition(
        view="AP" if ap else "PA",
        pose=pose,
        curve=style.curve,
        scatter=float(rng.uniform(*style.scatter)) * (1.3 if ap else 1.0),
        noise=float(rng.uniform(*style.noise)) * (1.3 if ap else 1.0),
        heel=(float(0.07 * rng.standard_normal()) * (1.5 if ap else 1.0), float(0.07 * rng.standard_normal())),
        detail=float(rng.uniform(*style.detail)),
        gamma=gamma,
        low=float(rng.uniform(0.002, 0.02)),
        high=float(rng.uniform(0.97, 0.998)),
        floor=floor,
        ceiling=ceiling,
        inverted=bool(rng.random() < style.inverted),
        marks=marks,
        shutters=shutters,
        border=border,
        noise_seed=int(rng.integers(2**31)),
    )


def _curve(reference: Map, acquisition: Acquisition) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the display curve for the depths of a body, and its values, 0 to 1."""
    equalised, windowed = (acquisition.curve == name for name in ("equalised", "windowed"))
    quantiles = [acquisition.low / 2, 1.0] if equalised else [acquisition.low, acquisition.high]
    lo, hi = np.quantile(reference, quantiles)
    lo, hi = float(lo), float(max(hi, lo + 0.2))
    lo -= (0.0 if equalised else 0.12 if windowed else 0.18) * (hi - lo)  # the lungs are dark grey, not black
    below, above, number = (0.8, 0.9, 128) if equalised else (0.6, 1.2, 96) if windowed else (1.0, 1.2, 128)
    knots = np.linspace(lo - below, hi + above, number)
    t = (knots - lo) / (hi - lo)
    if equalised:  # mostly the reference's cumulative histogram
        ranked = np.searchsorted(np.sort(reference), knots) / reference.size
        values = 0.70 * ranked + 0.30 * np.clip(t, 0, 1)
    elif windowed:  # a straight window with soft ends
        soft = 0.5 + 0.5 * np.tanh(2.1 * (t - 0.5)) / np.tanh(1.2)
        values = np.clip(0.5 * soft + 0.5 * np.clip(t, 0, 1), 0, 1)
    else:  # X-ray film's long curve with a toe and a shoulder: flat in the air and in the densest parts
        values = np.interp(t, [-0.5, 0.0, 0.75, 1.0, 1.5], [-0.10, 0.0, 0.80, 0.98, 1.06]).clip(0)
    return knots, values**acquisition.gamma


def _look_up(shown: Map, knots: np.ndarray, values: np.ndarray, entries: int = 2048) -> Map:
    """The curve by table, which is several times faster than interpolating each pixel."""
    table = np.interp(np.linspace(knots[0], knots[-1], entries), knots, values).astype(np.float32)
    scale = np.float32((entries - 1) / (knots[-1] - knots[0]))
    place = np.clip((shown - np.float32(knots[0])) * scale + np.float32(0.5), 0, entries - 1)
    return table[place.astype(np.int32)]


@lru_cache(maxsize=256)
def _ink(text: str, height: int, turn: int, ring: bool) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel a mark's letters and its disc (none without a ring) cover, 0 to 1; letters are `height`
    pixels high.
    """
    font = ImageFont.load_default(size=max(6, round(1.35 * height)))
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    edge = round(0.45 * height) if ring else 1
    wide, high = right - left + 2 * edge, bottom - top + 2 * edge
    sheet = Image.new("L", (max(wide, high), high) if ring else (wide, high))
    ImageDraw.Draw(sheet).text(((sheet.width - (right - left)) / 2 - left, edge - top), text, fill=255, font=font)
    disc = Image.new("L", sheet.size)
    if ring:
        ImageDraw.Draw(disc).ellipse((0, 0, sheet.width - 1, sheet.height - 1), fill=255)
    letters, disc = (image.rotate(turn, expand=True) for image in (sheet, disc))
    return np.asarray(letters) / np.float32(255), np.asarray(disc) / np.float32(255)


def _write(image: Map, marks: tuple[Mark, ...]) -> None:
    size = image.shape[0]
    for mark in marks:
        letters, disc = _ink(mark.text, max(5, round(size * mark.height)), mark.turn, mark.ring)
        high, wide = letters.shape
        row, column = min(round(mark.y * size), size - high), min(round(mark.x * size), size - wide)
        place = image[row : row + high, column : column + wide]
        place += disc * (np.float32(0.03) - place)
        place += letters * (np.float32(0.98) - place)


def _mottle(rng: np.random.Generator, size: int) -> Map:
    """Correlated noise of deviation about 1: light spreads in the screen, over a pixel or two."""
    fine = rng.standard_normal((size, size), dtype=np.float32)
    half = rng.standard_normal((size // 2 + 1, size // 2 + 1), dtype=np.float32)
    coarse = np.asarray(Image.fromarray(half).resize((size, size), Image.Resampling.BILINEAR))
    fine += np.roll(fine, 1, 0) + np.roll(fine, 1, 1)
    fine *= np.float32(0.48)
    fine += np.float32(0.8) * coarse
    return fine


def expose(depth: Map, reference: Map, acquisition: Acquisition, canvas: Canvas) -> np.ndarray:
    """The image of an optical depth, uint8 (size, size); `reference` is the depth without findings.

    The detector sees ``I = exp(-D) + s * blur(J (1 - J))`` where ``J = exp(-D0)``: scatter comes from where there is a
    body that lets light through. Noise has the deviation ``n / sqrt(I)`` (relative), and what is shown is ``curve(-log
    I - k * (blur(-log I0) - mean))``.
    """
    size = depth.shape[0]
    rng = np.random.default_rng(acquisition.noise_seed)
    open_beam = np.exp(-reference)
    veil = np.float32(acquisition.scatter) * canvas.blur(open_beam * (1 - open_beam), 0.22)
    light = np.exp(-depth) + veil
    shown = -np.log(light)
    plain = -np.log(open_beam + veil)
    heel_x, heel_y = map(np.float32, acquisition.heel)
    x, y = grid(size)
    wide = canvas.blur(plain, 0.16)
    correction = np.float32(acquisition.detail) * (wide - wide.mean()) - (heel_x * x + heel_y * y)
    noise = _mottle(rng, size) * np.float32(acquisition.noise * size / 224)
    shown += noise / np.sqrt(light + np.float32(0.06)) - correction
    left, right, top, bottom = (round(v * size) for v in acquisition.shutters)
    rows, columns = slice(top, size - bottom), slice(left, size - right)
    step = max(1, size // 75)
    sample = (plain - correction)[rows, columns][::step, ::step]
    body = sample[reference[rows, columns][::step, ::step] > 0.25]
    knots, values = _curve(body.ravel(), acquisition)
    image = _look_up(shown, knots, acquisition.floor + (acquisition.ceiling - acquisition.floor) * values)
    if acquisition.inverted:
        image = 1 - image
    closed = np.full_like(image, acquisition.border)
    closed[rows, columns] = image[rows, columns]
    _write(closed, acquisition.marks)
    return (np.clip(closed, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
