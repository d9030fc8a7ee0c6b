"""The 13 findings that can be drawn: how each is sampled (side, place, kind) and who paints it.

Each finding has its own random substream, so that leaving one out changes nothing about the others. Findings are
painted in the order of the table below: air first, devices on top.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from companion.phantoms import airspace, chestwall, devices
from companion.phantoms.airspace import Seen
from companion.phantoms.lesion import Lesion
from companion.phantoms.radiograph import Radiograph

#: Devices that come together, from few to many, with the least severity that calls for them.
DEVICE_SETS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.0, ("central line", "pacemaker", "electrodes", "sternal wires", "endotracheal tube", "chest tube")),
    (0.35, ("endotracheal tube+gastric tube", "central line+electrodes", "pacemaker+sternal wires",
            "chest tube+electrodes")),
    (0.65, ("endotracheal tube+gastric tube+central line", "central line+sternal wires+electrodes+chest tube",
            "endotracheal tube+gastric tube+central line+electrodes")),
)  # fmt: skip


def _zone(q: float) -> str:
    return "upper" if q < 0.4 else "mid" if q < 0.62 else "lower"


def _side(rng: np.random.Generator, both: float | None = None, right: float | None = None) -> str:
    if both is not None and rng.random() < both:
        return "both"
    return str(rng.choice(["right", "left"], p=None if right is None else [right, 1 - right]))


def _patch(rng: np.random.Generator, both: float, low: float, high: float) -> dict[str, Any]:
    side, q = _side(rng, both, 0.55), float(rng.uniform(low, high))
    return {"side": side, "p": float(rng.uniform(0.40, 0.75)), "q": q, "zone": _zone(q)}


def _fields(finding: str, rng: np.random.Generator, severity: float) -> dict[str, Any]:
    """Side, place and kind of a lesion; all chances and ranges are our choice."""
    match finding:
        case "Lung Opacity":
            return _patch(rng, 0.2, 0.25, 0.85)
        case "Lung Lesion":
            kind = "mass" if rng.random() < 0.3 else "nodule"
            return {**_patch(rng, 0.0, 0.2, 0.8), "kind": kind}
        case "Edema":
            return {"side": "both", "zone": "perihilar"}
        case "Consolidation":
            q = float(rng.choice([rng.uniform(0.27, 0.36), rng.uniform(0.66, 0.80)], p=[0.4, 0.6]))
            return {"side": _side(rng, right=0.6), "p": float(rng.uniform(0.45, 0.65)), "q": q, "zone": _zone(q)}
        case "Pneumonia":
            return _patch(rng, 0.25, 0.4, 0.85)
        case "Atelectasis":
            return {"side": _side(rng, 0.35), "q": float(rng.uniform(0.80, 0.90)), "zone": "lower"}
        case "Pneumothorax":
            return {"side": _side(rng, right=0.55), "zone": "apical"}
        case "Pleural Effusion":
            return {"side": _side(rng, 0.40), "zone": "lower"}
        case "Pleural Other":
            zone = "apical" if rng.random() < 0.45 else "lateral"
            return {"side": _side(rng, 0.2), "zone": zone, "q": float(rng.uniform(0.4, 0.75))}
        case "Fracture":
            kind, q = "healing" if rng.random() < 0.35 else "displaced", float(rng.uniform(0.2, 0.75))
            return {"side": _side(rng), "p": float(rng.uniform(0.5, 0.78)), "q": q, "zone": _zone(q), "kind": kind}
        case "Support Devices":
            choices = [kinds for least, kinds in DEVICE_SETS if severity >= least][-1]
            return {"side": _side(rng, right=0.45), "kind": str(rng.choice(choices))}
        case _:  # heart and mediastinum have no side
            return {"side": ""}


def sample_lesion(finding: str, rng: np.random.Generator) -> Lesion:
    """A lesion of this finding; severity is Beta(1.5, 1.5) on 0.05 to 1 (our choice)."""
    severity = 0.05 + 0.95 * float(rng.beta(1.5, 1.5))
    fields = _fields(finding, rng, severity)
    return Lesion(finding=finding, severity=severity, seed=int(rng.integers(2**31)), **fields)


#: finding -> who paints it, in the order of painting.
FINDING_PAINTERS: dict[str, Callable[[Radiograph, Lesion], Seen]] = {
    "Enlarged Cardiomediastinum": chestwall.enlarged_cardiomediastinum,
    "Cardiomegaly": chestwall.cardiomegaly,
    "Lung Opacity": airspace.lung_opacity,
    "Edema": airspace.edema,
    "Consolidation": airspace.consolidation,
    "Pneumonia": airspace.pneumonia,
    "Atelectasis": airspace.atelectasis,
    "Lung Lesion": airspace.lung_lesion,
    "Pleural Effusion": chestwall.pleural_effusion,
    "Pleural Other": chestwall.pleural_other,
    "Pneumothorax": chestwall.pneumothorax,
    "Fracture": chestwall.fracture,
    "Support Devices": devices.support_devices,
}
