"""The abstract and section 1: resources, and what the work says it shows."""

from collections.abc import Callable

from chexreason.claims.checks import refuses
from chexreason.claims.prompting import ROWS
from chexreason.claims.quantity import Quantity, largest
from chexreason.claims.sides import Side
from chexreason.claims.twins import last, micro, with_twins
from chexreason.claims.verdicts import AS_COUNTED, Claim


def _above_start(average: str, checkpoint: str) -> Callable[[Side], Quantity]:
    """The better trained row on validation less the best untouched one: whether training was worth its while there."""

    def check(side: Side) -> Quantity:
        trained = [side.score(4, f"{reward}_{checkpoint}", average) for reward in ("nuanced", "hard")]
        return largest(trained) - largest([side.score(1, row, average) for row in ROWS])

    return check


_RESTS = "on validation: the better reward less the best prompt of the untouched MedGemma"
CLAIMS = (
    Claim("less-data", "section 1", "ChexReason needs fifty times less training data than NV-Reason.",
          "training studies of both", refuses("how much NV-Reason was trained on is not printed"),
          "resources", "untold", AS_COUNTED),
    Claim("less-compute", "section 1", "ChexReason needs four times less compute than NV-Reason.",
          "accelerator hours of both", refuses("no compute of either model is printed"),
          "resources", "untold", AS_COUNTED),
    *with_twins(
        Claim("feasible", "section 1", "R1-style training is feasible with few resources: it beats the untouched "
              "model.", f"macro-F1 {_RESTS}", _above_start("macro", "best"), "resources", "validation"),
        micro(f"micro-F1 {_RESTS}", _above_start("micro", "best")),
        last(f"macro-F1 at the last step {_RESTS}", _above_start("macro", "last"))),
    Claim("clinician-validated", "section 3.2.1", "The teacher's traces are reasoning that clinicians have validated.",
          "traces that clinicians looked at, and how many they accepted",
          refuses("no reading of the traces by clinicians is reported: who, how many, or with what result"),
          "resources", "untold", AS_COUNTED),
)  # fmt: skip
