"""From a patient to optical depth: a Beer-Lambert sum of thickness maps, before and after findings.

Each tissue is a 2-D map of thickness times attenuation; the sum is the image's optical depth ``D(x, y) = sum_i mu_i
t_i(x, y)``, and the detector sees ``exp(-D)``. Lungs are a negative term (air in place of tissue). Findings change only
the share of air in the lungs (multiplied, so that two opacities in one place do not add up to more than solid tissue),
the visibility of vessels, the size of heart and mediastinum, and an additional depth. `depth_without` is the image
without findings: display curves and scatter are computed from it, so that a finding cannot change pixels far away.
"""

import numpy as np

from companion.phantoms.anatomy import SIDES, Anatomy, Chest
from companion.phantoms.canvas import Canvas, Map, Points, Pose

#: Attenuation of each tissue in units of optical depth at its thickest; our choice by eye.
DEPTHS: dict[str, float] = {
    "body": 2.00, "arm": 1.15, "lung": 1.28, "heart": 0.36, "mediastinum": 0.26, "knob": 0.20, "spine": 0.26,
    "trachea": 0.20, "posterior rib": 0.22, "anterior rib": 0.15, "clavicle": 0.26, "scapula": 0.10, "humerus": 0.30,
    "hilum": 0.20, "vessel": 0.42, "breast": 0.22, "bubble": 0.45, "abdomen": 0.62, "markings": 0.055,
}  # fmt: skip
RIB_WIDTH = 0.056
#: Share of the lung, front to back, that the heart takes the place of where it is thickest.
DISPLACED = 0.74
#: Share of a rib's contrast that is lost where heart or fluid lies in the beam's way and hardens it.
HARDENED = 0.45


class Radiograph:
    """The optical depth of one patient on one image; findings paint on `air`, `vessel_gain`, `extra`."""

    def __init__(self, anatomy: Anatomy, view: str, pose: Pose, size: int) -> None:
        self.anatomy = anatomy
        self.chest = Chest(anatomy, view)
        self.canvas = Canvas(size, pose)
        outlines = (self.chest.lung_outline(side) for side in SIDES)
        self.inside: Map = self.canvas.blur(self.canvas.polygon(*outlines), 0.011)
        on_right = self.canvas.x < self.chest.midline
        self.lungs: dict[str, Map] = {"right": self.inside * on_right, "left": self.inside * ~on_right}
        depth = 0.50 + 0.55 * self.canvas.blur(self.inside, 0.13)
        self.lung: Map = self.inside * depth - self._markings() * self.inside
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

    def _markings(self) -> Map:
        """The fine markings of the lung: noise at three scales, part of the patient."""
        rng = np.random.default_rng([self.anatomy.vessel_seed, 3])
        return np.float32(DEPTHS["markings"] * self.anatomy.texture) * self.canvas.markings(rng)

    def rib_strokes(self, paths: list[Points], width: float) -> Map:
        """Ribs as tubes: a lighter core in a denser rim, with the crisp line of the lower edge."""
        n = len(paths)
        edges = [path + [0.0, 0.40 * width] for path in paths]
        widths = [width] * n + [0.62 * width] * n + [0.20 * width] * n
        return self.canvas.strokes(paths + paths + edges, widths, [0.86] * n + [0.62] * n + [1.0] * n)

    def _bones(self) -> Map:
        a, chest = self.anatomy, self.chest
        arcs = [chest.ribs(side) for side in SIDES]
        back = self.rib_strokes([arc for backs, _ in arcs for arc in backs], RIB_WIDTH)
        front = self.rib_strokes([arc for _, fronts in arcs for arc in fronts[1:7]], 0.95 * RIB_WIDTH)
        ribs = a.rib_weight * (DEPTHS["posterior rib"] * back + DEPTHS["anterior rib"] * front)
        collar = [chest.clavicle(side) for side in SIDES]
        ends = [arc[part] for arc in collar for part in (slice(0, 6), slice(-6, None))]
        widths, values = [0.072] * 4 + [0.054] * 2 + [0.030] * 2, [0.8] * 4 + [1, 1, 0.72, 0.72]
        clavicles = self.canvas.strokes(ends + collar * 2, widths, values)
        blades = [chest.scapula(side) for side in SIDES]
        edges = [np.concatenate([blade, blade[:1]]) for blade in blades]
        (left_head, left_shaft), (right_head, right_shaft) = (chest.humerus(side) for side in SIDES)
        shafts = self.canvas.strokes([left_shaft, right_shaft] * 2, [0.11] * 2 + [0.06] * 2, [1.0, 1.0, 0.55, 0.55])
        heads = self.canvas.ball(*left_head, 0.115, 0.12, 0.3) + self.canvas.ball(*right_head, 0.115, 0.12, 0.3)
        bones = DEPTHS["clavicle"] * clavicles + DEPTHS["humerus"] * np.maximum(shafts, 0.8 * heads)
        rims = 1.1 * self.canvas.strokes(edges, [0.026] * 2, [1.0] * 2)
        bones += DEPTHS["scapula"] * (self.canvas.polygon(*blades) + rims)
        self.ribs: Map = self.canvas.blur(ribs.astype(np.float32), 0.005)
        return self.ribs + self.canvas.blur(bones, 0.005)

    def _spine(self) -> Map:
        out = np.zeros_like(self.canvas.x)
        near = np.flatnonzero((np.abs(self.canvas.x - np.float32(self.chest.spine)) < 0.25).any(0))
        strip = slice(near[0], near[-1] + 1)  # all else is further from the spine
        across, y = self.canvas.x[:, strip], self.canvas.y[:, strip]
        x = across - np.float32(self.chest.spine) - np.float32(self.anatomy.scoliosis) * np.sin(np.float32(3) * y)
        column = np.exp(-np.square(np.square(x / (np.float32(0.082) + np.float32(0.014) * y))))
        phase = np.cos(np.float32(2 * np.pi / 0.135) * y)
        pedicles = np.exp(-np.square((np.abs(x) - np.float32(0.052)) / np.float32(0.020))) * np.clip(phase, 0, 1)
        out[:, strip] = DEPTHS["spine"] * (column * (0.84 + 0.16 * phase) + 0.25 * pedicles)
        windpipe = np.exp(-np.square(np.square((across - np.float32(self.chest.midline + 0.012)) / np.float32(0.042))))
        out[:, strip] -= DEPTHS["trachea"] * windpipe / (1 + np.exp((y + 0.28) / np.float32(0.03)))
        return out

    def _bowel(self) -> Map:
        """Gas under the left dome: the stomach's bubble with its fluid level, and some bowel."""
        a, canvas = self.anatomy, self.canvas
        rng = np.random.default_rng([a.vessel_seed, 2])
        gas = np.zeros_like(canvas.x)
        dome = self.chest.dome_top("left")
        if a.bubble > 0.03:
            y = dome + 0.09 + a.bubble
            level = 1 / (1 + np.exp((canvas.y - np.float32(y + rng.uniform(0.1, 0.8) * a.bubble)) / np.float32(0.01)))
            gas = canvas.ball(a.bubble_x, y, rng.uniform(1.1, 1.8) * a.bubble, a.bubble, 0.5) * level
        for _ in range(int(rng.integers(-2, 4))):
            x, y, radius = rng.uniform(0.15, 0.65), dome + rng.uniform(0.25, 0.6), rng.uniform(0.04, 0.09)
            strength = rng.uniform(0.2, 0.6)
            gas = np.maximum(gas, strength * canvas.ball(x, y, radius * rng.uniform(0.8, 1.6), radius, 0.5))
        return gas

    def _solid(self) -> Map:
        a, chest, canvas = self.anatomy, self.chest, self.canvas
        trunk = canvas.blur(canvas.polygon(chest.body_outline()), 0.012)
        rounded = 0.42 + 0.58 * np.clip(1.25 * canvas.blur(trunk, 0.16) - 0.1, 0, 1)
        below = (1 - self.inside) / (1 + np.exp((0.36 - canvas.y) / np.float32(0.10)))
        depth = trunk * (DEPTHS["body"] * a.habitus * rounded + DEPTHS["abdomen"] * below)
        arms = canvas.polygon(*(chest.arm_outline(side) for side in SIDES))
        arms *= canvas.blur(arms, 0.05) * (1 - 0.7 * trunk)
        depth += DEPTHS["arm"] * arms
        depth += self._spine() * trunk + self._bones() * np.maximum(trunk, arms) * (1 - 0.55 * below)
        for side in SIDES:
            x, y = chest.hilum(side)
            depth += DEPTHS["hilum"] * canvas.haze(x, y + 0.02, 0.065, 0.12)
            if a.breast > 0.05:
                bx, by = chest.place(side, 0.62, 0.5)[0], a.breast_y
                fading = 1 / (1 + np.exp((np.float32(by - 0.10) - canvas.y) / np.float32(0.07)))
                depth += DEPTHS["breast"] * a.breast * canvas.ball(bx, by, 0.34, 0.30, 0.4) * fading
        return (depth - DEPTHS["bubble"] * self._bowel() * trunk).astype(np.float32)

    def _vessels(self) -> Map:
        paths, widths = zip(
            *(pair for side in SIDES for pair in zip(*self.chest.vessel_tree(side), strict=True)), strict=True
        )
        order = np.argsort(widths)
        values = np.clip(0.20 + 22 * np.asarray(widths), 0, 1)
        drawn = self.canvas.strokes([paths[i] for i in order], [widths[i] for i in order], [values[i] for i in order])
        return self.canvas.blur(drawn, 0.0045) * self.inside

    def _sum(self, core: tuple[Map, Map], air: Map | float, vessel_gain: Map | float, extra: Map | float) -> Map:
        depth, displaced = core
        free = 1 - displaced
        hardened = HARDENED * self.ribs * self.inside * (1 - free * air)
        lung = DEPTHS["vessel"] * self.vessels * vessel_gain * free - DEPTHS["lung"] * self.lung * air * free
        # Gas over gas could come out lighter than air, and scatter from there would be light that is taken away.
        return np.maximum(self.solid + depth + lung + extra - hardened, np.float32(0))

    def depth_without(self) -> Map:
        """Optical depth of the image without any finding."""
        return self._sum(self.core, 1.0, 1.0, 0.0)

    def depth(self) -> Map:
        """Optical depth with all that was painted."""
        grown = (self.heart_growth, self.mediastinum_growth) != (1.0, 1.0)
        core = self._core(self.heart_growth, self.mediastinum_growth) if grown else self.core
        return self._sum(core, self.air, self.vessel_gain, self.extra)
