"""Findings of the lung itself: opacity, lesion, edema, consolidation, pneumonia, atelectasis.

A painter takes the radiograph and a lesion, changes its air, vessels or additional depth, and yields where the finding
is seen. Severity runs from 0 (barely) to 1. The six are told apart as a reader does: haze without edges (opacity),
round and sharp (lesion), both hila with lines at the wall (edema), one dense lobe with air-filled bronchi
(consolidation), patches in a haze (pneumonia), plates with loss of volume (atelectasis).
"""

from collections.abc import Iterator

import numpy as np

from companion.phantoms.anatomy import SIDES, SIGN
from companion.phantoms.canvas import Map, spline
from companion.phantoms.lesion import Lesion
from companion.phantoms.radiograph import Radiograph

#: What a painter yields: bool maps (size, size), whose union is where the finding is seen.
Seen = Iterator[np.ndarray]


def sides_of(lesion: Lesion) -> tuple[str, ...]:
    """The sides that a lesion lies on."""
    return SIDES if lesion.side == "both" else (lesion.side,)


def fill(image: Radiograph, share: Map, hide_vessels: float = 1.0) -> None:
    """Replace a share (0 to 1, a map) of the lung's air by fluid or tissue."""
    image.air *= 1 - share
    image.vessel_gain *= 1 - hide_vessels * share


def lung_opacity(image: Radiograph, lesion: Lesion) -> Seen:
    """A hazy patch without edges."""
    rng = lesion.rng()
    for side in sides_of(lesion):
        x, y = image.chest.place(side, lesion.p, lesion.q)
        radius = (0.14 + 0.12 * lesion.severity) * rng.uniform(0.9, 1.15)
        ripple = 1 + 0.25 * image.canvas.texture(rng, 9)
        patch = image.canvas.cloud(x, y, radius, radius * rng.uniform(0.85, 1.3)) * np.clip(ripple, 0.3, 1.6)
        share = np.clip((0.07 + 0.17 * lesion.severity) * patch, 0, 0.85) * image.lungs[side]
        fill(image, share, 0.5)
        yield share > 0.02


def lung_lesion(image: Radiograph, lesion: Lesion) -> Seen:
    """One to four round nodules or a mass."""
    rng = lesion.rng()
    number = 1 if lesion.kind == "mass" else int(rng.integers(1, 3 + round(2 * lesion.severity)))
    for k in range(number):
        side = lesion.side if lesion.side in SIGN else SIDES[int(rng.integers(2))]
        p = lesion.p if k == 0 else rng.uniform(0.3, 0.85)
        q = lesion.q if k == 0 else rng.uniform(0.2, 0.8)
        x, y = image.chest.place(side, p, q)
        radius = (0.052 + 0.034 * lesion.severity) * rng.uniform(0.85, 1.2) * (1.75 if lesion.kind == "mass" else 1.0)
        ripple = 1 + 0.10 * image.canvas.texture(rng, 14)
        ball = image.canvas.ball(x, y, radius, radius * rng.uniform(0.88, 1.14), 0.45) * ripple * image.lungs[side]
        image.extra += np.float32(0.42 + 0.38 * lesion.severity) * ball
        yield ball > 0.05


def edema(image: Radiograph, lesion: Lesion) -> Seen:
    """Haze around both hila, wide vessels, short lines at the wall."""
    rng, s = lesion.rng(), lesion.severity
    clouds = np.clip(1 + 0.35 * image.canvas.texture(rng, 11), 0.2, 1.8)
    paths = []
    for side in SIDES:
        x, y = image.chest.hilum(side)
        cloud = image.canvas.cloud(x + SIGN[side] * 0.10, y + 0.10, 0.24 + 0.16 * s, 0.36 + 0.16 * s)
        wing = np.clip(1.15 * cloud - 0.15, 0, 1)
        share = np.clip((0.04 + 0.21 * s) * wing * clouds, 0, 0.85) * image.lungs[side]
        image.air *= 1 - share
        image.vessel_gain *= 1 + (0.04 + 0.17 * s) * np.clip(1.5 * wing, 0, 1) * image.lungs[side]
        yield (wing > 0.04) & (image.lungs[side] > 0.1)
        for q in np.linspace(0.62, 0.96, 4 + round(4 * s)):
            inner = image.chest.place(side, 0.80, q + 0.015 * rng.standard_normal())
            paths.append(np.array([image.chest.place(side, 0.97, q), inner]))
    lines = image.canvas.strokes(paths, [0.014] * len(paths), [1.0] * len(paths)) * image.inside
    image.extra += np.float32(0.035 + 0.05 * s) * lines
    yield (lines > 0.08)


def _bronchi(image: Radiograph, x: float, y: float, reach: float, side: str, rng: np.random.Generator) -> Map:
    """Branching tubes that point away from the hilum."""
    hx, hy = image.chest.hilum(side)
    angle = np.arctan2(y - hy, (x - hx) or 1e-3)
    start = np.array([x, y]) - 0.75 * reach * np.array([np.cos(angle), np.sin(angle)])
    stack = [(start, angle, 0.75 * reach, 3)]
    paths, widths = [], []
    while stack:
        root, direction, length, order = stack.pop()
        tip = root + length * np.array([np.cos(direction), np.sin(direction)])
        paths.append(np.array([root, tip]))
        widths.append(0.010 + 0.004 * order)
        if order > 0:
            for turn in rng.normal([-0.45, 0.45], 0.12):
                stack.append((tip, direction + turn, 0.68 * length, order - 1))
    return image.canvas.blur(image.canvas.strokes(paths, widths, [1.0] * len(paths)), 0.006)


def consolidation(image: Radiograph, lesion: Lesion) -> Seen:
    """A dense lobe, sharp on the side of its fissure, with air-filled bronchi in it."""
    rng, s, side = lesion.rng(), lesion.severity, lesion.side
    x, y = image.chest.place(side, lesion.p, lesion.q)
    radius = 0.15 + 0.13 * s
    lobe = 2.6 * image.canvas.cloud(x, y, radius * 1.1, radius) + 0.25 * image.canvas.texture(rng, 9)
    lobe = np.clip(lobe - 0.9, 0, 1)
    tilt = SIGN[side] * rng.uniform(-0.15, 0.25)
    edge = (image.canvas.y - np.float32(y)) - tilt * (image.canvas.x - np.float32(x))
    reach = np.float32(0.45 * radius)
    beyond = (edge - reach) if lesion.zone == "upper" else (-edge - reach)
    lobe = lobe / (1 + np.exp(np.clip(beyond / np.float32(0.010), -30, 30))) * image.lungs[side]
    air_left = 0.60 * _bronchi(image, x, y, radius, side, rng)
    share = np.clip((0.09 + 0.29 * s) * lobe * (1 - air_left), 0, 0.92)
    fill(image, share)
    image.extra += np.float32(0.06) * share
    yield lobe > 0.12


def pneumonia(image: Radiograph, lesion: Lesion) -> Seen:
    """Fluffy patches of consolidation in a haze, in one or both lungs."""
    rng, s = lesion.rng(), lesion.severity
    for side in sides_of(lesion):
        x, y = image.chest.place(side, lesion.p, lesion.q)
        radius = (0.24 + 0.12 * s) * rng.uniform(0.9, 1.1)
        region = image.canvas.cloud(x, y, radius, radius * 1.15) * image.lungs[side]
        fluff = np.zeros_like(image.air)
        for _ in range(7 + round(7 * s)):
            fx, fy = x + radius * 0.62 * rng.standard_normal(), y + radius * 0.62 * rng.standard_normal()
            r = rng.uniform(0.055, 0.105)
            fluff = np.maximum(fluff, image.canvas.cloud(fx, fy, r, r * rng.uniform(0.8, 1.3)))
        ragged = np.clip(1 + 0.3 * image.canvas.texture(rng, 30), 0.3, 1.6)
        share = (0.075 + 0.125 * s) * region + (0.155 + 0.26 * s) * fluff * ragged * np.clip(1.6 * region, 0, 1)
        share = np.clip(share, 0, 0.92)
        fill(image, share, 0.8)
        yield share > 0.015


def atelectasis(image: Radiograph, lesion: Lesion) -> Seen:
    """Plates of collapsed lung above a raised diaphragm."""
    rng, s = lesion.rng(), lesion.severity
    for side in sides_of(lesion):
        raised = 0.01 + 0.07 * s
        kept = image.canvas.blur(image.canvas.polygon(image.chest.lung_outline(side, raised=raised)), 0.011)
        below = image.canvas.y > np.float32(image.chest.dome_top(side) - raised - 0.02)
        lost = np.clip(image.lungs[side] - kept, 0, 1) * below
        fill(image, 0.7 * lost)
        yield lost > 0.08
        plates = []
        for k in range(1 + round(2 * s)):
            q = lesion.q - 0.10 * s - 0.105 * k + 0.02 * rng.standard_normal()
            start, end = rng.uniform(0.10, 0.25), rng.uniform(0.72, 0.95)
            tilt = rng.uniform(-0.05, 0.09)
            plates.append(spline([image.chest.place(side, p, q + tilt * (p - 0.5)) for p in (start, 0.5, end)], 5))
        widths = [0.020 + 0.016 * s] * len(plates)
        band = image.canvas.blur(image.canvas.strokes(plates, widths, [1.0] * len(plates)), 0.007) * image.lungs[side]
        image.extra += np.float32(0.07 + 0.12 * s) * band
        yield band > 0.2
