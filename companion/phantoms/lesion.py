"""One drawn finding: what, how severe, on which side and where (the visible truth of section 3.1's labels).

Severity runs from just above 0 to 1. The side is the patient's. `zone` and `kind` are words that a teacher may speak;
`p`, `q` and `seed` fix the drawing.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lesion:
    """A finding as drawn."""

    finding: str
    severity: float  # (0, 1]
    side: str  # "left", "right", "both" or "" (no side)
    zone: str = ""  # "upper", "mid", "lower", "apical", "perihilar" or ""
    kind: str = ""  # a subtype, such as "mass" or "pacemaker"; several are joined by "+"
    p: float = 0.5  # from the midline (0) to the wall (1) of the lung
    q: float = 0.5  # from the apex (0) to the diaphragm (1)
    seed: int = 0

    def rng(self) -> np.random.Generator:
        """The lesion's own randomness: the same drawing each time."""
        return np.random.default_rng(self.seed)

    def to_dict(self) -> dict[str, str | float]:
        """What a teacher may know of it, ready for JSON."""
        return {
            "finding": self.finding,
            "severity": round(self.severity, 3),
            "side": self.side,
            "zone": self.zone,
            "kind": self.kind,
        }
