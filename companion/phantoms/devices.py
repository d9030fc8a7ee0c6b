"""Support Devices: tubes, lines, a pacemaker, electrodes, wires. A painter, as in `airspace`.

The kinds of a case are listed in the lesion's `kind`, joined by "+"; severity is how many there are.
"""

from collections.abc import Callable, Sequence

import numpy as np

from companion.phantoms.airspace import Seen
from companion.phantoms.anatomy import SIGN
from companion.phantoms.canvas import Map, spline
from companion.phantoms.lesion import Lesion
from companion.phantoms.radiograph import Radiograph

#: All devices are drawn at this share of their full contrast.
CONTRAST = 0.92


def _line(image: Radiograph, points: Sequence[tuple[float, float]], width: float, depth: float, hollow: int = 0) -> Map:
    """A tube along points, with a lighter core if it is hollow."""
    paths = [spline(np.array(points) + [image.chest.midline, 0.0], 8)] * (1 + hollow)
    drawn = image.canvas.strokes(paths, [width, 0.5 * width][: len(paths)], [1.0, 0.45][: len(paths)])
    return np.float32(depth) * image.canvas.blur(drawn, 0.003)


def endotracheal_tube(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """Down the windpipe to above the carina."""
    tip = -0.34 + 0.05 * rng.standard_normal()
    return _line(image, [(0.015, -1.1), (0.0, -0.8), (0.008, -0.55), (0.01, tip)], 0.040, 0.80, hollow=1)


def gastric_tube(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """Down the gullet, through the diaphragm and into the stomach."""
    x = 0.2 + 0.15 * rng.random()
    return _line(image, [(0.03, -1.1), (0.02, -0.5), (0.03, 0.1), (0.06, 0.5), (x, 0.72), (x + 0.1, 0.9)], 0.024, 0.60)


def central_line(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """From the neck or below the collar bone to the superior vena cava."""
    tip = (-0.10, -0.05 + 0.08 * rng.standard_normal())
    if rng.random() < 0.5:
        start = [(-0.24, -1.1), (-0.20, -0.75), (-0.12, -0.5)]
    else:
        start = [(0.62 * side, -0.75), (0.42 * side, -0.62), (0.16 * side, -0.55), (-0.08, -0.42)]
    return _line(image, [*start, (-0.11, -0.25), tip], 0.024, 0.75)


def pacemaker(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """A can below the collar bone with leads to the heart."""
    x, y = side * (0.56 + 0.05 * rng.standard_normal()), -0.46 + 0.04 * rng.standard_normal()
    can = image.canvas.ball(x + image.chest.midline, y, 0.125, 0.105, 0.18)
    vein = [(x - 0.08 * side, y - 0.08), (0.28 * side, -0.58), (0.0 if side > 0 else -0.06, -0.45), (-0.10, -0.2)]
    right_heart = _line(image, [*vein, (-0.12, 0.15), (-0.02, 0.32), (0.22, 0.42)], 0.022, 0.62)
    atrium = _line(image, [*vein, (-0.14, 0.05), (-0.17, -0.02)], 0.020, 0.55)
    return np.maximum(np.maximum(right_heart, atrium), np.float32(1.25) * can)


def electrodes(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """Electrodes on the skin with their cables."""
    out = np.zeros_like(image.air)
    for x, y in ((-0.62, -0.45), (0.62, -0.48), (-0.66, 0.42), (0.68, 0.36), (0.25, 0.12))[: int(rng.integers(3, 6))]:
        px, py = x + 0.05 * rng.standard_normal(), y + 0.05 * rng.standard_normal()
        away = (px + np.sign(px) * rng.uniform(0.15, 0.3), py + rng.uniform(-0.15, 0.3))
        cable = _line(image, [(px, py), away, (np.sign(px) * 1.1, away[1] + rng.uniform(-0.1, 0.3))], 0.017, 0.60)
        disc = image.canvas.ball(px + image.chest.midline, py, 0.042, 0.042, 0.2)
        out = np.maximum(out, np.maximum(cable, np.float32(0.90) * disc))
    return out


def chest_tube(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """Through the wall and up towards the apex, with a dense stripe."""
    top = -0.45 + 0.12 * rng.standard_normal()
    points = [
        (1.0 * side, 0.42),
        (0.78 * side, 0.30),
        (0.62 * side, 0.05),
        (0.46 * side, 0.5 * top),
        (0.36 * side, top),
    ]
    return _line(image, points, 0.046, 0.75, hollow=1)


def sternal_wires(image: Radiograph, side: float, rng: np.random.Generator) -> Map:
    """Loops down the breastbone after surgery."""
    turn = np.linspace(0, 2 * np.pi, 14)
    loops = []
    for y in np.linspace(-0.42, 0.32, int(rng.integers(5, 7))):
        cx, cy = image.chest.midline + 0.012 * rng.standard_normal(), y + 0.012 * rng.standard_normal()
        loops.append(np.stack([cx + 0.052 * np.cos(turn), cy + 0.030 * np.sin(turn)], 1))
    drawn = image.canvas.strokes(loops, [0.017] * len(loops), [1.0] * len(loops))
    return np.float32(0.85) * image.canvas.blur(drawn, 0.003)


def support_devices(image: Radiograph, lesion: Lesion) -> Seen:
    """All the devices that the lesion's kind lists."""
    rng = lesion.rng()
    side = SIGN.get(lesion.side, 1.0)
    drawn = np.zeros_like(image.air)
    for kind in lesion.kind.split("+"):
        drawn = np.maximum(drawn, DEVICES[kind](image, side, rng))
    image.extra += np.float32(CONTRAST) * drawn
    yield drawn > 0.12


#: kind -> what draws it; a new device is added here and in `findings.DEVICE_SETS`.
DEVICES: dict[str, Callable[[Radiograph, float, np.random.Generator], Map]] = {
    "endotracheal tube": endotracheal_tube,
    "gastric tube": gastric_tube,
    "central line": central_line,
    "pacemaker": pacemaker,
    "electrodes": electrodes,
    "chest tube": chest_tube,
    "sternal wires": sternal_wires,
}
