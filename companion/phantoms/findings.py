"""The 13 findings that can be drawn: how each is sampled (side, place, kind) and who paints it.

Each finding has its own random substream, so that leaving one out changes nothing about the others.
Findings are painted in the order of the table below: air first, devices on top.
"""

from collections.abc import Callable

import numpy as np

from companion.phantoms import airspace, chestwall, devices
from companion.phantoms.airspace import Seen
from companion.phantoms.film import Film
from companion.phantoms.lesion import Lesion

Fields = dict[str, str | float]

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


def _patch(rng: np.random.Generator, both: float, low: float = 0.25, high: float = 0.85) -> Fields:
    side = "both" if rng.random() < both else str(rng.choice(["right", "left"], p=[0.55, 0.45]))
    q = float(rng.uniform(low, high))
    return {"side": side, "p": float(rng.uniform(0.40, 0.75)), "q": q, "zone": _zone(q)}


def _central(rng: np.random.Generator, severity: float) -> Fields:
    return {"side": ""}


def _opacity(rng: np.random.Generator, severity: float) -> Fields:
    return _patch(rng, both=0.2)


def _lesion(rng: np.random.Generator, severity: float) -> Fields:
    kind = "mass" if rng.random() < 0.3 else "nodule"
    return {**_patch(rng, both=0.0, low=0.2, high=0.8), "kind": kind}


def _edema(rng: np.random.Generator, severity: float) -> Fields:
    return {"side": "both", "zone": "perihilar"}


def _consolidation(rng: np.random.Generator, severity: float) -> Fields:
    q = float(rng.choice([rng.uniform(0.27, 0.36), rng.uniform(0.66, 0.80)], p=[0.4, 0.6]))
    side = str(rng.choice(["right", "left"], p=[0.6, 0.4]))
    return {"side": side, "p": float(rng.uniform(0.45, 0.65)), "q": q, "zone": _zone(q)}


def _pneumonia(rng: np.random.Generator, severity: float) -> Fields:
    return _patch(rng, both=0.25, low=0.4, high=0.85)


def _atelectasis(rng: np.random.Generator, severity: float) -> Fields:
    side = "both" if rng.random() < 0.35 else str(rng.choice(["right", "left"]))
    return {"side": side, "q": float(rng.uniform(0.80, 0.90)), "zone": "lower"}


def _pneumothorax(rng: np.random.Generator, severity: float) -> Fields:
    return {"side": str(rng.choice(["right", "left"], p=[0.55, 0.45])), "zone": "apical"}


def _effusion(rng: np.random.Generator, severity: float) -> Fields:
    side = "both" if rng.random() < 0.40 else str(rng.choice(["right", "left"]))
    return {"side": side, "zone": "lower"}


def _pleural(rng: np.random.Generator, severity: float) -> Fields:
    apical = rng.random() < 0.45
    side = "both" if rng.random() < 0.2 else str(rng.choice(["right", "left"]))
    return {"side": side, "zone": "apical" if apical else "lateral", "q": float(rng.uniform(0.4, 0.75))}


def _fracture(rng: np.random.Generator, severity: float) -> Fields:
    kind = "healing" if rng.random() < 0.35 else "displaced"
    q = float(rng.uniform(0.2, 0.75))
    side = str(rng.choice(["right", "left"]))
    return {"side": side, "p": float(rng.uniform(0.5, 0.78)), "q": q, "zone": _zone(q), "kind": kind}


def _devices(rng: np.random.Generator, severity: float) -> Fields:
    choices = [kinds for least, kinds in DEVICE_SETS if severity >= least][-1]
    return {"side": str(rng.choice(["right", "left"], p=[0.45, 0.55])), "kind": str(rng.choice(choices))}


def sample_lesion(finding: str, rng: np.random.Generator) -> Lesion:
    """A lesion of this finding; severity is Beta(1.5, 1.5) on 0.05 to 1 (our choice)."""
    severity = 0.05 + 0.95 * float(rng.beta(1.5, 1.5))
    sampler, _ = FINDING_PAINTERS[finding]
    fields = sampler(rng, severity)
    return Lesion(finding=finding, severity=severity, seed=int(rng.integers(2**31)), **fields)  # type: ignore[arg-type]


#: finding -> (how it is sampled, who paints it), in the order of painting.
FINDING_PAINTERS: dict[str, tuple[Callable[[np.random.Generator, float], Fields], Callable[[Film, Lesion], Seen]]] = {
    "Enlarged Cardiomediastinum": (_central, chestwall.enlarged_cardiomediastinum),
    "Cardiomegaly": (_central, chestwall.cardiomegaly),
    "Lung Opacity": (_opacity, airspace.lung_opacity),
    "Edema": (_edema, airspace.edema),
    "Consolidation": (_consolidation, airspace.consolidation),
    "Pneumonia": (_pneumonia, airspace.pneumonia),
    "Atelectasis": (_atelectasis, airspace.atelectasis),
    "Lung Lesion": (_lesion, airspace.lung_lesion),
    "Pleural Effusion": (_effusion, chestwall.pleural_effusion),
    "Pleural Other": (_pleural, chestwall.pleural_other),
    "Pneumothorax": (_pneumothorax, chestwall.pneumothorax),
    "Fracture": (_fracture, chestwall.fracture),
    "Support Devices": (_devices, devices.support_devices),
}
