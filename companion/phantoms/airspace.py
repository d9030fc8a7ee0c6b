"""Findings of the lung itself: opacity, lesion, edema, consolidation, pneumonia, atelectasis.

A painter takes the film and a lesion, changes the film's air, vessels or additional depth, and
returns where the finding is seen as a (size, size) bool map. Severity runs from 0 (barely) to 1. The
six are told apart as a reader does: haze without edges (opacity), round and sharp (lesion), both
hila with lines at the wall (edema), one dense lobe with air-filled bronchi (consolidation), patches
in a haze (pneumonia), plates with loss of volume (atelectasis).
"""

import numpy as np

from companion.phantoms.anatomy import SIDES, SIGN
from companion.phantoms.canvas import Map, spline
from companion.phantoms.film import Film
from companion.phantoms.lesion import Lesion

Seen = np.ndarray  #: bool (size, size)


def sides_of(lesion: Lesion) -> tuple[str, ...]:
    """The sides that a lesion lies on."""
    return SIDES if lesion.side == "both" else (lesion.side,)


def fill(film: Film, share: Map, hide_vessels: float = 1.0) -> None:
    """Replace a share (0 to 1, a map) of the lung's air by fluid or tissue."""
    film.air *= 1 - share
    film.vessel_gain *= 1 - hide_vessels * share


def lung_opacity(film: Film, lesion: Lesion) -> Seen:
    """A hazy patch without edges."""
    rng = lesion.rng()
    seen = np.zeros(film.air.shape, dtype=bool)
    for side in sides_of(lesion):
        x, y = film.chest.place(side, lesion.p, lesion.q)
        radius = (0.14 + 0.12 * lesion.severity) * rng.uniform(0.9, 1.15)
        ripple = 1 + 0.25 * film.canvas.texture(rng, 9)
        patch = film.canvas.cloud(x, y, radius, radius * rng.uniform(0.85, 1.3)) * np.clip(ripple, 0.3, 1.6)
        share = np.clip((0.07 + 0.17 * lesion.severity) * patch, 0, 0.85) * film.lungs[side]
        fill(film, share, 0.5)
        seen |= share > 0.02
    return seen


def lung_lesion(film: Film, lesion: Lesion) -> Seen:
    """One to four round nodules or a mass."""
    rng = lesion.rng()
    number = 1 if lesion.kind == "mass" else int(rng.integers(1, 3 + round(2 * lesion.severity)))
    seen = np.zeros(film.air.shape, dtype=bool)
    for k in range(number):
        side = lesion.side if lesion.side in SIGN else SIDES[int(rng.integers(2))]
        p = lesion.p if k == 0 else rng.uniform(0.3, 0.85)
        q = lesion.q if k == 0 else rng.uniform(0.2, 0.8)
        x, y = film.chest.place(side, p, q)
        radius = (0.052 + 0.034 * lesion.severity) * rng.uniform(0.85, 1.2) * (1.75 if lesion.kind == "mass" else 1.0)
        ripple = 1 + 0.10 * film.canvas.texture(rng, 14)
        ball = film.canvas.ball(x, y, radius, radius * rng.uniform(0.88, 1.14), 0.45) * ripple * film.lungs[side]
        film.extra += np.float32(0.42 + 0.38 * lesion.severity) * ball
        seen |= ball > 0.05
    return seen


def edema(film: Film, lesion: Lesion) -> Seen:
    """Haze around both hila, wide vessels, short lines at the wall."""
    rng, s = lesion.rng(), lesion.severity
    seen = np.zeros(film.air.shape, dtype=bool)
    clouds = np.clip(1 + 0.35 * film.canvas.texture(rng, 11), 0.2, 1.8)
    paths = []
    for side in SIDES:
        x, y = film.chest.hilum(side)
        cloud = film.canvas.cloud(x + SIGN[side] * 0.10, y + 0.10, 0.24 + 0.16 * s, 0.36 + 0.16 * s)
        wing = np.clip(1.15 * cloud - 0.15, 0, 1)
        share = np.clip((0.04 + 0.21 * s) * wing * clouds, 0, 0.85) * film.lungs[side]
        film.air *= 1 - share
        film.vessel_gain *= 1 + (0.04 + 0.17 * s) * np.clip(1.5 * wing, 0, 1) * film.lungs[side]
        seen |= (wing > 0.04) & (film.lungs[side] > 0.1)
        for q in np.linspace(0.62, 0.96, 4 + round(4 * s)):
            outer, inner = (
                film.chest.place(side, 0.97, q),
                film.chest.place(side, 0.80, q + 0.015 * rng.standard_normal()),
            )
            paths.append(np.array([outer, inner]))
    lines = film.canvas.strokes(paths, [0.014] * len(paths), [1.0] * len(paths)) * film.inside
    film.extra += np.float32(0.035 + 0.05 * s) * lines
    return seen | (lines > 0.08)


def _bronchi(film: Film, x: float, y: float, reach: float, side: str, rng: np.random.Generator) -> Map:
    """Branching tubes that point away from the hilum."""
    hx, hy = film.chest.hilum(side)
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
    return film.canvas.blur(film.canvas.strokes(paths, widths, [1.0] * len(paths)), 0.006)


def consolidation(film: Film, lesion: Lesion) -> Seen:
    """A dense lobe, sharp on the side of its fissure, with air-filled bronchi in it."""
    rng, s, side = lesion.rng(), lesion.severity, lesion.side
    x, y = film.chest.place(side, lesion.p, lesion.q)
    radius = 0.15 + 0.13 * s
    lobe = np.clip(2.6 * film.canvas.cloud(x, y, radius * 1.1, radius) + 0.25 * film.canvas.texture(rng, 9) - 0.9, 0, 1)
    tilt = SIGN[side] * rng.uniform(-0.15, 0.25)
    edge = (film.canvas.y - np.float32(y)) - tilt * (film.canvas.x - np.float32(x))
    reach = np.float32(0.45 * radius)
    beyond = (edge - reach) if lesion.zone == "upper" else (-edge - reach)
    lobe = lobe / (1 + np.exp(np.clip(beyond / np.float32(0.010), -30, 30))) * film.lungs[side]
    air_left = 0.60 * _bronchi(film, x, y, radius, side, rng)
    share = np.clip((0.09 + 0.29 * s) * lobe * (1 - air_left), 0, 0.92)
    fill(film, share)
    film.extra += np.float32(0.06) * share
    return lobe > 0.12


def pneumonia(film: Film, lesion: Lesion) -> Seen:
    """Fluffy patches of consolidation in a haze, in one or both lungs."""
    rng, s = lesion.rng(), lesion.severity
    seen = np.zeros(film.air.shape, dtype=bool)
    for side in sides_of(lesion):
        x, y = film.chest.place(side, lesion.p, lesion.q)
        radius = (0.24 + 0.12 * s) * rng.uniform(0.9, 1.1)
        region = film.canvas.cloud(x, y, radius, radius * 1.15) * film.lungs[side]
        fluff = np.zeros_like(film.air)
        for _ in range(7 + round(7 * s)):
            fx, fy = x + radius * 0.62 * rng.standard_normal(), y + radius * 0.62 * rng.standard_normal()
            r = rng.uniform(0.055, 0.105)
            fluff = np.maximum(fluff, film.canvas.cloud(fx, fy, r, r * rng.uniform(0.8, 1.3)))
        ragged = np.clip(1 + 0.3 * film.canvas.texture(rng, 30), 0.3, 1.6)
        share = (0.075 + 0.125 * s) * region + (0.155 + 0.26 * s) * fluff * ragged * np.clip(1.6 * region, 0, 1)
        share = np.clip(share, 0, 0.92)
        fill(film, share, 0.8)
        seen |= share > 0.015
    return seen


def atelectasis(film: Film, lesion: Lesion) -> Seen:
    """Plates of collapsed lung above a raised diaphragm."""
    rng, s = lesion.rng(), lesion.severity
    seen = np.zeros(film.air.shape, dtype=bool)
    for side in sides_of(lesion):
        raised = 0.01 + 0.07 * s
        kept = film.canvas.blur(film.canvas.polygon(film.chest.lung_outline(side, raised=raised)), 0.011)
        below = film.canvas.y > np.float32(film.chest.dome_top(side) - raised - 0.02)
        lost = np.clip(film.lungs[side] - kept, 0, 1) * below
        fill(film, 0.7 * lost)
        seen |= lost > 0.08
        plates = []
        for k in range(1 + round(2 * s)):
            q = lesion.q - 0.10 * s - 0.105 * k + 0.02 * rng.standard_normal()
            start, end = rng.uniform(0.10, 0.25), rng.uniform(0.72, 0.95)
            tilt = rng.uniform(-0.05, 0.09)
            plates.append(spline([film.chest.place(side, p, q + tilt * (p - 0.5)) for p in (start, 0.5, end)], 5))
        widths = [0.020 + 0.016 * s] * len(plates)
        band = film.canvas.blur(film.canvas.strokes(plates, widths, [1.0] * len(plates)), 0.007) * film.lungs[side]
        film.extra += np.float32(0.07 + 0.12 * s) * band
        seen |= band > 0.2
    return seen
