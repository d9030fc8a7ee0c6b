"""From a patient to optical depth: a Beer-Lambert sum of thickness maps, before and after findings.

Each tissue is a 2-D map of thickness times attenuation; the sum is the film's optical depth
``D(x, y) = sum_i mu_i t_i(x, y)``, and the detector sees ``exp(-D)``. Lungs are a negative term (air in
place of tissue). Findings change only the share of air in the lungs (multiplied, so that two
opacities in one place do not add up to more than solid tissue), the visibility of vessels, the size
of heart and mediastinum, and an additional depth. `depth_without` is the film without findings:
display curves and scatter are computed from it, so that a finding cannot change pixels far away.
"""

import numpy as np

from chexreason.phantom.anatomy import SIDES, Anatomy, Chest
from chexreason.phantom.canvas import Canvas, Map, Points, Pose

#: Attenuation of each tissue in units of optical depth at its thickest; our choice by eye.
DEPTHS: dict[str, float] = {
    "body": 2.00, "lung": 1.36, "heart": 0.34, "mediastinum": 0.24, "knob": 0.20, "spine": 0.30, "trachea": 0.24,
    "posterior rib": 0.32, "anterior rib": 0.19, "clavicle": 0.36, "scapula": 0.16, "hilum": 0.26,
    "vessel": 0.30, "breast": 0.18, "bubble": 0.50, "abdomen": 0.42,
}  # fmt: skip
RIB_WIDTH = 0.056
#: Share of the lung, front to back, that the heart takes the place of where it is thickest.
DISPLACED = 0.74


class Film:
    """The optical depth of one patient on one film; findings paint on `air`, `vessel_gain`, `extra`."""

    def __init__(self, anatomy: Anatomy, view: str, pose: Pose, size: int) -> None:
        self.anatomy = anatomy
        self.chest = Chest(anatomy, view)
        self.canvas = Canvas(size, pose)
        outlines = (self.chest.lung_outline(side) for side in SIDES)
        self.inside: Map = self.canvas.blur(self.canvas.polygon(*outlines), 0.011)
        on_right = self.canvas.x < self.chest.midline
        self.lungs: dict[str, Map] = {"right": self.inside * on_right, "left": self.inside * ~on_right}
        self.lung: Map = self.inside * (0.50 + 0.55 * self.canvas.blur(self.inside, 0.13))
        self.vessels: Map = self._vessels()
        self.solid: Map = self._solid()
        self.core: tuple[Map, Map] = self._core(1.0, 1.0)
        self.heart_growth = self.mediastinum_growth = 1.0
        self.air: Map = np.ones_like(self.inside)
        self.vessel_gain: Map = np.ones_like(self.inside)
        self.extra: Map = np.zeros_like(self.inside)

    def _core(self, heart_growth: float, mediastinum_growth: float) -> tuple[Map, Map]:
        """Heart and great vessels: the depth they add, and the share of lung that they displace."""
        canvas = self.canvas
        outline = canvas.polygon(self.chest.heart_outline(heart_growth))
        heart = canvas.blur(outline, 0.013) * (0.55 + 0.45 * canvas.blur(outline, 0.09))
        band = canvas.blur(canvas.polygon(self.chest.mediastinum_outline(mediastinum_growth)), 0.020)
        x, y = self.chest.knob_centre(mediastinum_growth)
        radius = self.anatomy.knob * (0.5 + 0.5 * mediastinum_growth)
        knob = canvas.ball(x, y, radius, 1.15 * radius)
        depth = DEPTHS["heart"] * heart + DEPTHS["mediastinum"] * band + DEPTHS["knob"] * knob
        vessels = np.maximum(0.92 * band, np.clip(1.2 * knob, 0, 0.92))
        return depth, 1 - (1 - DISPLACED * np.clip(heart, 0, 1)) * (1 - DISPLACED * vessels)

    def rib_strokes(self, paths: list[Points], width: float) -> Map:
        """Ribs as tubes: a dense rim around a lighter core."""
        n = len(paths)
        widths = [width] * n + [0.55 * width] * n
        return self.canvas.strokes(paths + paths, widths, [1.0] * n + [0.62] * n)

    def _bones(self) -> Map:
        a, chest = self.anatomy, self.chest
        arcs = [chest.ribs(side) for side in SIDES]
        back = self.rib_strokes([arc for backs, _ in arcs for arc in backs], RIB_WIDTH)
        front = self.rib_strokes([arc for _, fronts in arcs for arc in fronts[:7]], 1.1 * RIB_WIDTH)
        ribs = a.rib_weight * (DEPTHS["posterior rib"] * back + DEPTHS["anterior rib"] * front)
        collar = [chest.clavicle(side) for side in SIDES]
        bones = ribs + DEPTHS["clavicle"] * self.canvas.strokes(collar * 2, [0.062] * 2 + [0.034] * 2, [1, 1, 0.7, 0.7])
        bones += DEPTHS["scapula"] * self.canvas.polygon(*(chest.scapula(side) for side in SIDES))
        return self.canvas.blur(bones, 0.006)

    def _spine(self) -> Map:
        x = self.canvas.x - np.float32(self.chest.midline)
        x = x - np.float32(self.anatomy.scoliosis) * np.sin(np.float32(3) * self.canvas.y)
        column = np.exp(-np.square(np.square(x / np.float32(0.085))))
        discs = 0.86 + 0.14 * np.cos(np.float32(2 * np.pi / 0.125) * self.canvas.y)
        windpipe = np.exp(-np.square(np.square((x - np.float32(0.008)) / np.float32(0.038)))) / (
            1 + np.exp((self.canvas.y + 0.26) / np.float32(0.03))
        )
        return DEPTHS["spine"] * column * discs - DEPTHS["trachea"] * windpipe

    def _solid(self) -> Map:
        a, canvas = self.anatomy, self.canvas
        trunk = canvas.blur(canvas.polygon(self.chest.body_outline()), 0.012)
        profile = 0.72 + 0.34 * np.sqrt(np.clip(1 - (canvas.x / np.float32(1.25)) ** 2, 0, 1))
        below = (1 - self.inside) / (1 + np.exp((0.42 - canvas.y) / np.float32(0.09)))
        depth = trunk * (DEPTHS["body"] * a.habitus * profile + DEPTHS["abdomen"] * below)
        depth += (self._spine() + self._bones() * (1 - 0.65 * below)) * trunk
        for side in SIDES:
            x, y = self.chest.hilum(side)
            depth += DEPTHS["hilum"] * canvas.haze(x, y, 0.085, 0.13)
            if a.breast > 0.05:
                bx, by = self.chest.place(side, 0.62, 0.5)[0], a.breast_y
                depth += DEPTHS["breast"] * a.breast * canvas.ball(bx, by, 0.34, 0.27, 0.6)
        if a.bubble > 0.03:
            y = self.chest.dome_top("left") + 0.10 + a.bubble
            depth -= DEPTHS["bubble"] * canvas.ball(a.bubble_x, y, 1.35 * a.bubble, a.bubble, 0.6)
        return depth.astype(np.float32)

    def _vessels(self) -> Map:
        paths, widths = zip(
            *(pair for side in SIDES for pair in zip(*self.chest.vessel_tree(side), strict=True)), strict=True
        )
        order = np.argsort(widths)
        values = np.clip(0.25 + 26 * np.asarray(widths), 0, 1)
        drawn = self.canvas.strokes([paths[i] for i in order], [widths[i] for i in order], [values[i] for i in order])
        return self.canvas.blur(drawn, 0.005) * self.inside

    def _sum(self, core: tuple[Map, Map], air: Map | float, vessel_gain: Map | float, extra: Map | float) -> Map:
        depth, displaced = core
        free = 1 - displaced
        lung = DEPTHS["vessel"] * self.vessels * vessel_gain * free - DEPTHS["lung"] * self.lung * air * free
        return self.solid + depth + lung + extra

    def depth_without(self) -> Map:
        """Optical depth of the film without any finding."""
        return self._sum(self.core, 1.0, 1.0, 0.0)

    def depth(self) -> Map:
        """Optical depth with all that was painted."""
        grown = (self.heart_growth, self.mediastinum_growth) != (1.0, 1.0)
        core = self._core(self.heart_growth, self.mediastinum_growth) if grown else self.core
        return self._sum(core, self.air, self.vessel_gain, self.extra)
