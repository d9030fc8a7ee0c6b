"""Findings of the heart, the pleura and the ribs: each a painter, as in `airspace`.

Heart and mediastinum are drawn at a new width. A pneumothorax is a crescent of plain air outside a visible pleural
line; an effusion rises towards the wall (meniscus); pleural thickening is a dense band along the wall or over the apex;
a fracture takes a rib's arc away and puts a broken one in its place.
"""

import numpy as np

from companion.phantoms.airspace import Seen, fill, sides_of
from companion.phantoms.anatomy import RIBS, SIGN
from companion.phantoms.canvas import Map, Points
from companion.phantoms.lesion import Lesion
from companion.phantoms.radiograph import DEPTHS, RIB_WIDTH, Radiograph


def cardiomegaly(image: Radiograph, lesion: Lesion) -> Seen:
    """A wide heart: the cardiothoracic ratio grows by 6 to 36 per cent."""
    growth = 1.06 + 0.30 * lesion.severity
    image.heart_growth = growth
    yield image.canvas.polygon(image.chest.heart_outline(growth)) > 0.5


def enlarged_cardiomediastinum(image: Radiograph, lesion: Lesion) -> Seen:
    """A wide upper mediastinum."""
    growth = 1.16 + 0.60 * lesion.severity
    image.mediastinum_growth = growth
    x, y = image.chest.knob_centre(growth)
    radius = image.anatomy.knob * (0.5 + 0.5 * growth)
    knob = image.canvas.ball(x, y, radius, 1.15 * radius)
    band = image.canvas.polygon(image.chest.mediastinum_outline(growth)) + knob
    yield (band > 0.5) & (image.canvas.y > -0.90)


def _shrunken(image: Radiograph, side: str, depth: float) -> tuple[Map, Points]:
    """A lung fallen away from wall and apex by `depth`: its soft shape and its outer edge."""
    outline = image.chest.lung_outline(side)
    x = SIGN[side] * (outline[:, 0] - image.chest.midline)
    floor, top = image.chest.dome_top(side), image.chest.apex
    height = np.clip((floor - outline[:, 1]) / (floor - top), 0, 1)
    outward = np.clip((x - 0.12) / 0.35, 0, 1)
    moved = outline.copy()
    moved[:, 0] -= SIGN[side] * depth * outward * (0.35 + 0.75 * height)
    moved[:, 1] += 1.15 * depth * height**4 * np.clip(outward + 0.5, 0, 1)
    edge = moved[(x > 0.22) & (outline[:, 1] < floor - 0.05)]
    shape = image.canvas.blur(image.canvas.polygon(moved), 0.011)
    outwards = SIGN[side] * (edge[:, 0] - image.chest.midline) - 0.3
    return shape, edge[np.argsort(np.arctan2(edge[:, 1] - floor, outwards))]


def pneumothorax(image: Radiograph, lesion: Lesion) -> Seen:
    """Air outside the lung: a lucent crescent without vessels and the line of the pleura."""
    s, side = lesion.severity, lesion.side
    shape, edge = _shrunken(image, side, 0.045 + 0.23 * s)
    across = SIGN[side] * (image.canvas.x - np.float32(image.chest.midline))
    floor = image.chest.dome_top(side)
    outer = (image.canvas.y < floor - 0.03) | (across > 0.72 * image.chest.lateral(side, floor))
    crescent = np.clip(image.lungs[side] - shape, 0, 1) * outer
    image.vessel_gain *= 1 - crescent
    image.extra -= np.float32(0.07 + 0.15 * s) * crescent
    line = image.canvas.blur(image.canvas.strokes([edge], [0.024], [1.0]), 0.004) * image.lungs[side]
    image.extra += np.float32(0.12 + 0.14 * s) * line
    yield (crescent > 0.08) | (line > 0.15)


def pleural_effusion(image: Radiograph, lesion: Lesion) -> Seen:
    """Fluid at the base that rises towards the wall."""
    s = lesion.severity
    for side in sides_of(lesion):
        chest = image.chest
        wall = float(chest.lateral(side, 0.3))
        across = np.clip(SIGN[side] * (image.canvas.x - np.float32(chest.midline)) / np.float32(wall), 0, 1)
        level = chest.dome_top(side) + 0.4 * chest.anatomy.dome + (0.09 - 0.42 * s)
        surface = np.float32(level + 0.16) - np.float32(0.26 + 0.10 * s) * across**3
        below = 1 / (1 + np.exp(np.clip((surface - image.canvas.y) / np.float32(0.018), -30, 30)))
        share = np.float32(0.22 + 0.48 * s) * below * image.lungs[side]
        fill(image, share)
        image.extra += np.float32(0.02 + 0.12 * s) * share
        yield share > 0.04


def pleural_other(image: Radiograph, lesion: Lesion) -> Seen:
    """Pleural thickening: a dense, uneven band at the wall or over the apex."""
    s, rng = lesion.severity, lesion.rng()
    for side in sides_of(lesion):
        depth = 0.085 + 0.085 * s
        shape, _ = _shrunken(image, side, depth)
        uneven = np.clip(1 + 0.35 * image.canvas.texture(rng, 16), 0.35, 1.5)
        span = 0.36 + 0.14 * s
        centre = image.chest.apex if lesion.zone == "apical" else image.chest.place(side, 0.9, lesion.q)[1]
        along = np.clip((span + 0.06 - np.abs(image.canvas.y - np.float32(centre))) / np.float32(0.12), 0, 1)
        band = np.clip(1.25 * (image.lungs[side] - shape) * uneven, 0, 1) * along
        fill(image, np.float32(0.85) * band)
        image.extra += np.float32(0.24 + 0.24 * s) * band
        yield band > 0.03


def _resampled(arc: Points, number: int = 72) -> Points:
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(arc, axis=0).T))])
    even = np.linspace(0, lengths[-1], number)
    return np.stack([np.interp(even, lengths, arc[:, 0]), np.interp(even, lengths, arc[:, 1])], 1)


def _broken(points: Points, at: int, step: float, gap: float) -> tuple[Points, Points]:
    """An arc in two parts, cut around point number `at`; the outer part starts shifted by `step`."""
    away = np.hypot(*(points - points[at]).T)
    number = np.arange(len(points))
    inner, outer = points[(number <= at) & (away >= gap / 2)], points[(number >= at) & (away >= gap / 2)]
    fade = np.clip(1 - (np.hypot(*(outer - outer[0]).T) / 0.30) ** 2, 0, None) ** 2  # further out it keeps its place
    return inner, outer + np.stack([np.zeros(len(outer)), step * fade], 1)


def fracture(image: Radiograph, lesion: Lesion) -> Seen:
    """Two to five neighbouring ribs broken: a step and a gap with dense ends, or a spindle of callus."""
    rng, s, side = lesion.rng(), lesion.severity, lesion.side
    healing = lesion.kind == "healing"
    weight = np.float32(DEPTHS["posterior rib"] * image.anatomy.rib_weight)
    first = round(1 + 4 * lesion.q)
    for number in range(first, min(first + 2 + round(3 * s), RIBS)):
        points = _resampled(image.chest.ribs(side)[0][number])
        at = round(71 * float(np.clip(lesion.p + 0.05 * rng.standard_normal(), 0.35, 0.82)))
        step = (0.065 + 0.045 * s) * (0.4 if healing else 1.0) * (1 if rng.random() < 0.7 else -1)
        inner, outer = _broken(points, at, step, 0.012 if healing else 0.060 + 0.04 * s)
        near = image.canvas.cloud(float(points[at, 0]), float(points[at, 1]), 0.17, 0.15)
        broken = image.rib_strokes([inner, outer], RIB_WIDTH)
        change = image.canvas.blur(broken * (1 + 1.4 * near) - image.rib_strokes([points], RIB_WIDTH), 0.006)
        image.extra += weight * change
        if healing:
            spindles = [points[max(0, at - k) : at + k + 1] for k in (7, 5, 3)]
            widths = [1.35 * RIB_WIDTH, (1.7 + 0.3 * s) * RIB_WIDTH, (2.0 + 0.5 * s) * RIB_WIDTH]
            mark = image.canvas.blur(image.canvas.strokes(spindles, widths, [0.7, 0.85, 1.0]), 0.008)
            image.extra += np.float32(0.55 + 0.30 * s) * mark
        else:
            tips = [np.stack([tip - [0.004, 0.030], tip + [0.004, 0.030]]) for tip in (inner[-1], outer[0])]
            mark = image.canvas.blur(image.canvas.strokes(tips, [0.020] * 2, [1.0] * 2), 0.004)
            image.extra += np.float32(0.60 + 0.30 * s) * mark
        yield (np.abs(change) > 0.08) | (mark > 0.1)
