"""The abstract and section 1: resources, and what the work says it shows."""

from collections.abc import Callable

from companion.evidence.claims.checks import refuses
from companion.evidence.claims.prompting import ROWS
from companion.evidence.claims.quantity import Quantity, largest
from companion.evidence.claims.sides import Side
from companion.evidence.claims.twins import Otherwise, with_twins
from companion.evidence.claims.verdicts import AS_COUNTED, AVERAGING, BASELINE, CHECKPOINT, Claim


def _above_start(average: str, checkpoint: str) -> Callable[[Side], Quantity]:
    """The better trained row on validation less the best untouched one: whether training was worth its while there."""

    def check(side: Side) -> Quantity:
        trained = [side.score(4, f"{reward}_{checkpoint}", average) for reward in ("nuanced", "hard")]
        return largest(trained) - largest([side.score(1, row, average) for row in ROWS])

    return check


_RESTS = "on validation: the better reward less the best prompt of the untouched MedGemma"
CLAIMS = (
    Claim("less-data", "section 1", "ChexReason needs fifty times less training data than NV-Reason.",
          "training studies of both", refuses("how much NV-Reason was trained on is not in the text we have"),
          "resources", "untold", AS_COUNTED),
    Claim("less-compute", "section 1", "ChexReason needs four times less compute than NV-Reason.",
          "accelerator hours of both", refuses("what either model's training took is not in the text we have"),
          "resources", "untold", AS_COUNTED),
    *with_twins(
        Claim("feasible", "section 1", "R1-style training is feasible without extensive resources.",
              "what a training has to reach to count as feasible",
              refuses("that it ran on one accelerator is not in doubt, and the text names nothing else that it would "
                      "have to reach"),
              "resources", "untold"),
        Otherwise(BASELINE, f"macro-F1 {_RESTS}", _above_start("macro", "best"), "validation",
                  ("above-start", "and beats the untouched model")),
        Otherwise(AVERAGING, f"micro-F1 {_RESTS}", _above_start("micro", "best"), "validation",
                  ("above-start-micro", "and beats the untouched model, by micro-F1")),
        Otherwise(CHECKPOINT, f"macro-F1 at the last step {_RESTS}", _above_start("macro", "last"), "validation",
                  ("above-start-last-step", "and beats the untouched model at the last step"))),
    Claim("clinician-validated", "section 3.2.1", "The teacher's traces are reasoning that clinicians have validated.",
          "traces that clinicians looked at, and how many they accepted",
          refuses("who looked at how many traces, and with what result, is not in the text we have; the authors' "
                  "summary says that radiologists validated them"),
          "resources", "untold", AS_COUNTED),
)  # fmt: skip
