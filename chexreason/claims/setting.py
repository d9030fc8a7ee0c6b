"""The abstract and section 1: resources, and what the work says it shows."""

from chexreason.claims.checks import refuses
from chexreason.claims.prompting import ROWS
from chexreason.claims.quantity import Quantity, largest
from chexreason.claims.sides import Side
from chexreason.claims.verdicts import AS_COUNTED, Claim


def _above_start(side: Side) -> Quantity:
    """The best trained row on validation less the best untouched one: whether training was worth its while there."""
    best = largest([side.score(4, row) for row in ("nuanced_best", "hard_best")])
    return best - largest([side.score(1, row) for row in ROWS])


CLAIMS = (
    Claim("less-data", "section 1", "ChexReason needs fifty times less training data than NV-Reason.",
          "training studies of both", refuses("how much NV-Reason was trained on is not printed"),
          "resources", "untold", AS_COUNTED),
    Claim("less-compute", "section 1", "ChexReason needs four times less compute than NV-Reason.",
          "accelerator hours of both", refuses("no compute of either model is printed"),
          "resources", "untold", AS_COUNTED),
    Claim("feasible", "section 1", "R1-style training is feasible with few resources: it beats the untouched model.",
          "macro-F1 on validation: the better reward less the best prompt of the untouched MedGemma", _above_start,
          "resources", "validation"),
)  # fmt: skip
