"""How a film is taken and shown: geometry, exposure, scatter, noise, display curve, markers.

The three styles imitate what a model meets in the paper's three data sets (section 3.1): `equalised`
(histogram equalisation, as in MIMIC-CXR-JPG), `windowed` (a window and burned-in words, as in
CheXpert) and `bright` (the flatter, lighter look of NIH). Curves and scatter are computed from the
film without findings, so that a finding changes its own pixels and no others.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chexreason.phantom.canvas import Canvas, Map, Pose


@dataclass(frozen=True)
class Style:
    """The ranges from which a hospital's acquisitions are drawn."""

    curve: str  # a name in CURVES
    ap: float  # share of AP films
    portable: float  # share of AP films that say so
    scatter: tuple[float, float]
    noise: tuple[float, float]
    detail: tuple[float, float]  # strength of the local contrast processing
    gamma: tuple[float, float]
    marker: float  # share of films with a side marker
    collimation: float  # share of films with visible shutters
    angle: float  # standard deviation of the rotation, degrees


@dataclass(frozen=True)
class Acquisition:
    """One exposure and its display."""

    view: str  # "PA" or "AP"
    pose: Pose
    curve: str
    scatter: float  # scattered over primary light
    noise: float  # relative noise at unit exposure
    detail: float
    gamma: float
    low: float  # quantile of depth shown black
    high: float  # quantile shown white
    words: tuple[tuple[str, float, float], ...]  # burned-in text, x, y in 0..1
    shutters: tuple[float, float, float, float]  # left, right, top, bottom, as shares of the side
    noise_seed: int


def sample_acquisition(style: Style, rng: np.random.Generator) -> Acquisition:
    """One film in a hospital's style."""
    ap = rng.random() < style.ap
    pose = Pose(
        angle=style.angle * float(np.clip(rng.standard_normal(), -2.5, 2.5)) * (1.3 if ap else 0.8),
        shift_x=0.03 * float(rng.standard_normal()),
        shift_y=0.035 * float(rng.standard_normal()),
        zoom=float(rng.uniform(0.94, 1.10)),
    )
    left = float(rng.uniform(0.78, 0.90))
    y = float(rng.uniform(0.02, 0.10))
    words: list[tuple[str, float, float]] = []
    if rng.random() < style.marker:
        words.append(("L", left, y))
    if ap and rng.random() < style.portable:
        words.append(("PORTABLE", float(rng.uniform(0.03, 0.10)), float(rng.choice([0.02, 0.92]))))
    if ap and rng.random() < style.portable:
        words.append(("AP", left - 0.11, y))
    shutters = (0.0, 0.0, 0.0, 0.0)
    if rng.random() < style.collimation:
        a, b, c, d = (float(v) for v in rng.uniform(0, [0.05, 0.05, 0.05, 0.08]))
        shutters = (a, b, c, d)
    return Acquisition(
        view="AP" if ap else "PA",
        pose=pose,
        curve=style.curve,
        scatter=float(rng.uniform(*style.scatter)) * (1.3 if ap else 1.0),
        noise=float(rng.uniform(*style.noise)) * (1.3 if ap else 1.0),
        detail=float(rng.uniform(*style.detail)),
        gamma=float(rng.uniform(*style.gamma)),
        low=float(rng.uniform(0.005, 0.03)),
        high=float(rng.uniform(0.97, 0.995)),
        words=tuple(words),
        shutters=shutters,
        noise_seed=int(rng.integers(2**31)),
    )


def _frame(shutters: tuple[float, float, float, float], size: int) -> tuple[slice, slice]:
    left, right, top, bottom = (round(v * size) for v in shutters)
    return slice(top, size - bottom), slice(left, size - right)


def _levels(reference: Map, low: float, high: float) -> tuple[float, float]:
    lo, hi = np.quantile(reference, [low, high])
    return float(lo), float(max(hi, lo + 0.2))


def equalised(reference: Map, acquisition: Acquisition) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a curve that is mostly the reference's cumulative histogram."""
    lo, hi = _levels(reference, acquisition.low / 2, 1.0)
    knots = np.linspace(lo, hi + 0.9, 96)
    ranked = np.searchsorted(np.sort(reference), knots) / reference.size
    straight = np.clip((knots - lo) / (hi - lo), 0, 1)
    return knots, (0.66 * ranked + 0.34 * straight) ** acquisition.gamma


def windowed(reference: Map, acquisition: Acquisition) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a straight window with soft ends."""
    lo, hi = _levels(reference, acquisition.low, acquisition.high)
    lo -= 0.12 * (hi - lo)  # the lungs are dark grey, not black
    knots = np.linspace(lo - 0.6, hi + 1.2, 96)
    t = (knots - lo) / (hi - lo)
    soft = 0.5 + 0.5 * np.tanh(2.1 * (t - 0.5)) / np.tanh(1.2)
    return knots, np.clip(0.5 * soft + 0.5 * np.clip(t, 0, 1), 0, 1) ** acquisition.gamma


def bright(reference: Map, acquisition: Acquisition) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a light, flat curve that lets the densest parts run to white."""
    lo, hi = _levels(reference, acquisition.low, acquisition.high)
    knots = np.linspace(lo - 0.3, hi + 1.2, 96)
    t = np.clip((knots - lo) / (hi + 0.10 - lo), 0, 1)
    return knots, 0.04 + 0.96 * t**acquisition.gamma


def _look_up(shown: Map, knots: np.ndarray, values: np.ndarray, entries: int = 2048) -> Map:
    """The curve by table, which is several times faster than interpolating each pixel."""
    table = np.interp(np.linspace(knots[0], knots[-1], entries), knots, values).astype(np.float32)
    scale = np.float32((entries - 1) / (knots[-1] - knots[0]))
    place = np.clip((shown - np.float32(knots[0])) * scale + np.float32(0.5), 0, entries - 1)
    return table[place.astype(np.int32)]


@lru_cache(maxsize=64)
def _word(text: str, height: int) -> np.ndarray:
    """A word as a bool map, `height` pixels high."""
    font = ImageFont.load_default(size=max(6, height))
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    sheet = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(sheet).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(sheet) > 110


def _write(image: Map, words: tuple[tuple[str, float, float], ...]) -> None:
    size = image.shape[0]
    for text, x, y in words:
        ink = _word(text, round(size * 0.055))
        row, column = min(round(y * size), size - ink.shape[0]), min(round(x * size), size - ink.shape[1])
        image[row : row + ink.shape[0], column : column + ink.shape[1]][ink] = 0.98


def expose(depth: Map, reference: Map, acquisition: Acquisition, canvas: Canvas) -> np.ndarray:
    """The film of an optical depth, uint8 (size, size); `reference` is the depth without findings.

    The detector sees ``I = exp(-D) + s * blur(exp(-D0))`` with noise of deviation ``n / sqrt(I)``
    (relative), and shows ``curve(-log I - k * (blur(-log I0) - mean))``.
    """
    size = depth.shape[0]
    rng = np.random.default_rng(acquisition.noise_seed)
    open_beam = np.exp(-reference)
    veil = np.float32(acquisition.scatter) * canvas.blur(open_beam, 0.22)
    light = np.exp(-depth) + veil
    shown = -np.log(light)
    plain = -np.log(open_beam + veil)
    wide = canvas.blur(plain, 0.16)
    correction = np.float32(acquisition.detail) * (wide - wide.mean())
    grain = rng.standard_normal((size, size), dtype=np.float32)
    grain = 0.8 * grain + 0.35 * (np.roll(grain, 1, 0) + np.roll(grain, 1, 1))
    shown += grain * np.float32(acquisition.noise * size / 224) / np.sqrt(light + np.float32(0.06)) - correction
    rows, columns = _frame(acquisition.shutters, size)
    step = max(1, size // 75)
    sample = (plain - correction)[rows, columns][::step, ::step]
    body = sample[reference[rows, columns][::step, ::step] > 0.25]
    knots, values = CURVES[acquisition.curve](body.ravel(), acquisition)
    image = _look_up(shown, knots, values)
    closed = np.zeros_like(image)
    closed[rows, columns] = image[rows, columns]
    _write(closed, acquisition.words)
    return (np.clip(closed, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


#: name -> curve; a hospital's style names one.
CURVES = {"equalised": equalised, "windowed": windowed, "bright": bright}
