"""A patient's chest: sampled proportions, and the outlines of what a frontal image shows.

Stands in for the patients of section 3.1. `Anatomy` holds what belongs to the patient and stays the same when the image
is taken again elsewhere; `Chest` is that patient in one projection (an AP image magnifies the heart, lifts the
diaphragm and brings the scapulae over the lungs). The patient's right is at the image's left; sides are the patient's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from companion.phantoms.canvas import Points, spline

#: A side's sign on the x axis.
SIGN: dict[str, float] = {"right": -1.0, "left": 1.0}
SIDES: tuple[str, ...] = ("right", "left")
RIBS = 9


def _normal(rng: np.random.Generator, mean: float, sd: float) -> float:
    return float(mean + sd * np.clip(rng.standard_normal(), -2.2, 2.2))


def _drawn(sample: Callable[[np.random.Generator], Any], kind: type = float) -> Any:
    return field(metadata={"sample": lambda rng: kind(sample(rng))})


def _near(mean: float, sd: float) -> Any:
    return _drawn(lambda rng: _normal(rng, mean, sd))


@dataclass(frozen=True)
class Anatomy:
    """One patient, each field with the range that it is drawn from; all of them are our choice by eye.

    Lengths are in half sides of the image; the other fields are factors around 1.
    """

    habitus: float = _drawn(lambda rng: np.exp(_normal(rng, 0, 0.17)))  # thickness of the trunk
    width: float = _near(0.755, 0.04)  # half width of the rib cage, about 0.78
    top: float = _near(-0.76, 0.045)  # height of the lung apices, about -0.72
    base: float = _near(0.40, 0.055)  # height of the right dome of the diaphragm, about 0.42
    left_drop: float = _near(0.045, 0.03)  # how much lower the left dome is
    dome: float = _near(0.24, 0.04)  # height of the dome above the costophrenic angle
    asymmetry: float = _near(0, 0.02)  # right lung wider (positive) or narrower
    lean: float = _near(0, 0.025)  # turned to one side: shift of the midline shadows
    heart: float = _near(0.455, 0.036)  # transverse diameter of the heart over that of the chest, PA
    heart_split: float = _near(0.69, 0.035)  # share of the heart that lies left of the midline
    heart_height: float = _near(0.68, 0.05)
    mediastinum: float = _near(0.128, 0.018)  # half width of the upper mediastinum
    knob: float = _near(0.090, 0.018)  # radius of the aortic knob
    scoliosis: float = _near(0, 0.018)
    breath: float = _near(0, 0.045)  # depth of the breath held: positive lowers the diaphragm
    turn: float = _near(0, 0.025)  # turned about the long axis: the spine against the shadows in front of it
    rib_weight: float = _near(1, 0.2)
    rib_slope: float = _near(1, 0.16)
    rib_offset: float = _near(0, 0.035)
    vessels: float = _near(1, 0.20)  # calibre of the vessels
    vessel_seed: int = _drawn(lambda rng: rng.integers(2**31), int)
    texture: float = _near(1, 0.30)  # strength of the fine markings of the lung
    breast: float = _drawn(lambda rng: max(0.0, rng.uniform(-0.9, 1.0)))  # 0 for none
    breast_y: float = _near(0.38, 0.06)
    bubble: float = _drawn(lambda rng: max(0.0, rng.uniform(-0.03, 0.13)))  # radius of the gastric bubble, 0 for none
    bubble_x: float = _near(0.34, 0.06)
    shoulder: float = _near(0, 0.05)
    arm: float = _drawn(lambda rng: rng.uniform(0.02, 0.45))  # how far an arm hangs from the trunk
    waist: float = _near(0.04, 0.05)  # how much narrower the trunk is at the waist


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """A patient; the fields are drawn in their order."""
    return Anatomy(**{entry.name: entry.metadata["sample"](rng) for entry in fields(Anatomy)})


class Chest:
    """A patient in one projection: the outlines as curves in patient coordinates."""

    def __init__(self, anatomy: Anatomy, view: str) -> None:
        self.anatomy, self.view = anatomy, view
        ap = view == "AP"
        self.heart_gain = 1.13 if ap else 1.0
        self.lift = (0.075 if ap else 0.0) - anatomy.breath  # a lying patient breathes in less
        self.apex = anatomy.top + 0.25 * self.lift
        self.midline = anatomy.lean
        self.spine = anatomy.lean - anatomy.turn

    def lateral(self, side: str, y: float | np.ndarray) -> np.ndarray:
        """Half width of a lung at height y, from the midline."""
        q = np.clip((np.asarray(y, dtype=np.float64) - self.apex) / (0.66 - self.apex), 0, 1)
        shape = np.interp(q, [0, 0.06, 0.19, 0.38, 0.6, 0.8, 1], [0.36, 0.54, 0.735, 0.885, 0.965, 1.0, 1.0])
        return shape * (self.anatomy.width - SIGN[side] * (self.anatomy.asymmetry + 0.6 * self.anatomy.turn))

    def dome_top(self, side: str) -> float:
        """Height of a side's hemidiaphragm."""
        return self.anatomy.base - self.lift + (self.anatomy.left_drop if side == "left" else 0.0)

    def lung_outline(self, side: str, raised: float = 0.0) -> Points:
        """The outline of a lung; `raised` lifts the diaphragm."""
        a, top, dome = self.anatomy, self.apex, self.dome_top(side) - raised
        corner = dome + a.dome
        heights = top + np.array([0.0, 0.06, 0.19, 0.38, 0.6, 0.8]) * (0.66 - top)
        wall = [(float(self.lateral(side, y)), float(y)) for y in heights if y < corner - 0.14]
        w = float(self.lateral(side, corner))
        diaphragm = [(w, corner - 0.08), (0.975 * w, corner), (0.91 * w, corner - 0.10)]  # a pointed angle
        diaphragm += [(0.80 * w, dome + 0.25 * a.dome), (0.64 * w, dome + 0.04 * a.dome), (0.47 * w, dome)]
        diaphragm += [(0.30 * w, dome + 0.10 * a.dome), (0.15 * w, dome + 0.28 * a.dome)]
        inner = [(0.09, 0.2), (0.08, -0.2), (0.10, -0.5), (0.17, top + 0.06)]
        points = np.array([*wall, *diaphragm, *inner])
        points[:, 0] = self.midline + SIGN[side] * points[:, 0]
        return spline(points, 5, closed=True)

    def place(self, side: str, p: float, q: float) -> tuple[float, float]:
        """A point of a lung: p from 0 (medial) to 1 (wall), q from 0 (apex) to 1 (diaphragm)."""
        floor = self.dome_top(side) + self.anatomy.dome * float(np.interp(p, [0.1, 0.5, 0.75, 1], [0.3, 0, 0.15, 0.9]))
        y = self.apex + q * (floor - self.apex)
        medial, lateral = 0.12, float(self.lateral(side, y))
        return self.midline + SIGN[side] * (medial + p * (lateral - medial)), y

    def hilum(self, side: str) -> tuple[float, float]:
        """Where a lung's vessels come from."""
        y = -0.10 if side == "left" else -0.06
        return self.midline + SIGN[side] * 0.17, y - 0.4 * self.lift

    def heart_outline(self, growth: float = 1.0) -> Points:
        """The heart's silhouette; growth multiplies its width (and a little its height)."""
        a = self.anatomy
        width = 2 * a.width * a.heart * self.heart_gain * growth
        right, left = width * (1 - a.heart_split), width * a.heart_split
        bottom = self.dome_top("left") + 0.30 * a.dome
        height = a.heart_height * (1 + 0.35 * (growth - 1))
        top = bottom - height
        points = [
            (-0.45 * right, top), (0.30 * left, top), (0.50 * left, top + 0.14 * height),
            (0.72 * left, top + 0.38 * height), (0.92 * left, top + 0.63 * height), (left, top + 0.84 * height),
            (0.88 * left, bottom - 0.01), (0.2 * left, bottom + 0.03), (-0.75 * right, bottom - 0.01),
            (-right, top + 0.72 * height), (-0.92 * right, top + 0.48 * height), (-0.62 * right, top + 0.2 * height),
        ]  # fmt: skip
        return spline(np.array(points) + [self.midline, 0.0], 5, closed=True)

    def mediastinum_outline(self, growth: float = 1.0) -> Points:
        """The vessels above the heart; growth widens them."""
        n = self.anatomy.mediastinum * (1.08 if self.view == "AP" else 1.0)
        m, some = n * growth, n * (0.4 + 0.6 * growth)
        right = [(0.7 * n, -1.05), (0.72 * n, -0.95), (0.8 * n, -0.82), (0.85 * some, -0.64), (1.02 * m, -0.42)]
        right += [(1.05 * m, -0.2), (1.1 * some, 0.08), (0.9 * n, 0.5)]
        left = [(-0.9 * n, 0.5), (-1.05 * some, 0.08), (-1.0 * m, -0.25), (-0.95 * m, -0.45), (-0.85 * some, -0.64)]
        points = [*right, *left, (-0.8 * n, -0.82), (-0.72 * n, -0.95), (-0.7 * n, -1.05)]
        return spline(np.array(points) + [self.midline, 0.0], 4, closed=True)

    def knob_centre(self, growth: float = 1.0) -> tuple[float, float]:
        """The aortic knob, left of the midline."""
        return self.midline + 0.085 * growth, -0.36

    def ribs(self, side: str) -> tuple[Points, Points]:
        """The posterior and the anterior arcs of a side's ribs from the top: (RIBS, points, 2) each.

        From the spine a rib rises a little, then falls more and more steeply to the wall; in front it goes on down,
        steeper, towards the breastbone.
        """
        a, number = self.anatomy, np.arange(RIBS)
        span = self.dome_top(side) + a.dome + 0.04 - self.apex
        start = self.apex - 0.06 + a.rib_offset + span * 0.089 * number
        drop = a.rib_slope * (0.10 + 0.030 * number)
        y = start + drop
        wall = self.lateral(side, y) + 0.015
        rise = 0.030 * np.clip(number, 0, 2) / 2
        back = self.spine - self.midline
        inner = np.full(RIBS, SIGN[side] * back + 0.05)
        back_x = [inner, 0.26 * wall, 0.52 * wall, 0.78 * wall, 0.94 * wall, wall]
        back_y = [start, start - rise, start - 0.4 * rise + 0.14 * drop, start + 0.47 * drop]
        back_y += [start + 0.8 * drop, y + 0.03]
        front_x = [wall, 0.985 * wall, 0.88 * wall, 0.70 * wall, 0.50 * wall, 0.38 * wall]
        front_y = [y + 0.03, y + 0.075, y + 0.15, y + 0.225, y + 0.285, y + 0.30]
        arcs = []
        for xs, ys in ((back_x, back_y), (front_x, front_y)):
            points = np.stack([self.midline + SIGN[side] * np.stack(xs, 1), np.stack(ys, 1)], -1)
            arcs.append(spline(points, 6))
        return arcs[0], arcs[1]

    def clavicle(self, side: str) -> Points:
        """The collar bone, from the breastbone outwards: an S that rises; flatter and higher on an AP image."""
        ap = self.view == "AP"
        y = self.apex + (0.13 if ap else 0.21) + 0.4 * SIGN[side] * self.anatomy.turn
        rise = 0.55 if ap else 1.0
        points = [(0.05, 0.035), (0.14, 0.02), (0.30, -0.035), (0.48, -0.115), (0.66, -0.155), (0.84, -0.14)]
        points += [(0.95, -0.15)]
        placed = np.array([(x, y + rise * dy + self.anatomy.shoulder * x) for x, dy in points])
        return spline(placed * [SIGN[side], 1.0] + [self.midline, 0.0], 6)

    def scapula(self, side: str) -> Points:
        """The shoulder blade; on a PA image it is turned out of the lung."""
        inward, s = (-0.15 if self.view == "AP" else 0.0), self.anatomy.shoulder
        points = [(0.80, -0.66), (0.97, -0.62), (0.96, -0.47), (0.90, -0.33), (0.84, -0.12), (0.79, 0.03)]
        points += [(0.755, -0.02), (0.76, -0.25), (0.755, -0.48)]
        return spline(
            (np.array(points) + [inward, s + 0.5 * self.lift]) * [SIGN[side], 1.0] + [self.midline, 0], 4, closed=True
        )

    def humerus(self, side: str) -> tuple[tuple[float, float], Points]:
        """Centre of the head and the shaft of the upper arm bone."""
        x, y = 1.02 - (0.05 if self.view == "AP" else 0.0), -0.54 + self.anatomy.shoulder
        shaft = [(x + 0.03, y), (x + 0.07, y + 0.3), (x + 0.09 + 0.5 * self.anatomy.arm, y + 1.1)]
        return (self.midline + SIGN[side] * x, y), spline(np.array(shaft) * [SIGN[side], 1.0] + [self.midline, 0.0], 4)

    def body_outline(self) -> Points:
        """Neck, shoulders and trunk."""
        a = self.anatomy
        w = a.width + 0.095 + 0.26 * max(a.habitus - 0.85, 0.0)
        s = a.shoulder - (0.05 if self.view == "AP" else 0.0)
        half = [(0.20, -1.3), (0.22, -1.0), (0.30, -0.90 + 0.5 * s), (0.58, -0.82 + s), (0.90, -0.72 + s)]
        half += [(1.10, -0.58 + s), (1.17, -0.35), (1.12, -0.15), (w + 0.05, -0.06), (w + 0.01, 0.25)]
        half += [(w - a.waist, 0.75), (w - 0.5 * a.waist, 1.4)]
        right = np.array(half)
        return spline(np.concatenate([right, right[::-1] * [-1.0, 1.0]]), 4, closed=True) + [self.midline * 0.5, 0.0]

    def arm_outline(self, side: str) -> Points:
        """The upper arm beside the trunk."""
        a = self.anatomy
        edge = a.width + 0.12 + 0.26 * max(a.habitus - 0.85, 0.0)
        thick = 0.24 + 0.12 * max(a.habitus - 0.85, 0.0)
        half = [(1.0, -0.55), (edge + 0.03 + 0.2 * a.arm, -0.05), (edge + 0.7 * a.arm, 0.5), (edge + a.arm, 1.3)]
        inner = np.array(half)
        outer = (inner + [thick, 0.0])[::-1]
        return spline(np.concatenate([inner, outer]) * [SIGN[side], 1.0], 3, closed=True) + [self.midline * 0.5, 0.0]

    def vessel_tree(self, side: str) -> tuple[list[Points], list[float]]:
        """Branching paths from the hilum outwards and their widths (patient units), trunks first."""
        rng = np.random.default_rng([self.anatomy.vessel_seed, 0 if side == "right" else 1])
        angle = np.array([-1.35, -0.95, -0.5, -0.1, 0.35, 0.75, 1.05, 1.3]) + 0.14 * rng.standard_normal(8)
        x, y = self.hilum(side)
        root = np.stack([np.full(8, x), y + 0.04 * angle + 0.03 * rng.standard_normal(8)], 1)  # (branches, 2)
        width = np.array([0.020, 0.028, 0.018, 0.018, 0.020, 0.030, 0.040, 0.032])
        length = np.array([0.17, 0.19, 0.16, 0.17, 0.19, 0.22, 0.24, 0.24])
        steps = np.array([0.0, 0.5, 1.0])
        paths: list[Points] = []
        widths: list[float] = []
        for _ in range(4):
            bend = 0.22 * rng.standard_normal(len(angle))
            turned = angle[:, None] + bend[:, None] * steps
            ahead = np.stack([SIGN[side] * np.cos(turned), np.sin(turned)], 2)
            branch = root[:, None] + (length[:, None] * steps)[..., None] * ahead  # (branches, 3, 2)
            paths.extend(branch)
            widths.extend(width * self.anatomy.vessels)
            fork = rng.normal([-0.36, 0.32], 0.16, (len(angle), 2))
            angle = ((angle + bend)[:, None] + fork).ravel()
            root = np.repeat(branch[:, -1], 2, axis=0)
            length = np.repeat(length, 2) * rng.uniform(0.68, 0.95, len(angle))
            width = np.repeat(width, 2) * rng.uniform(0.5, 0.72, len(angle))
        return paths, widths
