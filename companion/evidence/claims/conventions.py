"""Section 4.3: what the labels of the three data sets have in common, and what GRPO aligns a model to.

Which CheXpert studies Table 5 is on may stand in section 3.1, which is missing from the text we have. The caption says
"original Chexpert", and the printed scores fit the official test set (`audit.attainability`); what is claimed of that
set's labels says "if".
"""

from collections.abc import Callable

from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES
from companion.evidence.audit import facts
from companion.evidence.audit.conventions import together, uncertain_share
from companion.evidence.claims.checks import measured, public, refuses
from companion.evidence.claims.quantity import Quantity, largest, smallest
from companion.evidence.claims.sides import Side
from companion.evidence.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, Claim

#: Training labels of each data set, the radiologists' labels of the CheXpert test, and NIH's official test list.
MIMIC, CHEXPERT, RADIOLOGISTS, NIH = ("mimic", "train"), ("chexpert", "train"), ("chexpert", "test"), ("nih", "test")
FREQUENT = (NO_FINDING, SUPPORT_DEVICES)
IF = "if Table 5 is on the official test set"


def _same_schema() -> float:
    """Names of labels that only one of the two data sets has, sign turned."""
    return -float(len(set(facts.counts(*MIMIC)) ^ set(facts.counts(*RADIOLOGISTS))))


def _compatible() -> float:
    """Categories of Table 6 that CheXpert or NIH does not have, sign turned."""
    return -float(sum(not {*FINDINGS} & {*facts.counts(*NIH)} & {name} for name in NIH_SHARED))


def _same_company() -> float:
    """How far apart report labels and radiologists are on who occurs with whom; 0.05 is allowed."""
    return 0.05 - max(abs(one.reports - one.radiologists) for one in together())


def _same_uncertainty() -> float:
    """Uncertain labels as a share: the difference; one point is allowed."""
    return 0.01 - abs(uncertain_share(*RADIOLOGISTS) - uncertain_share(*MIMIC))


def _two_most_frequent(side: Side) -> Quantity:
    named = smallest([side.frequency(4, name) for name in FREQUENT])
    return named - largest([side.frequency(4, name) for name in FINDINGS if name not in FREQUENT])


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity], evidence: str = "conventions",
    kind: str = AS_COUNTED, place: str = "section 4.3", bar: float = 0.0, sharpened: bool = False,
) -> Claim:  # fmt: skip
    return Claim(name, place, says, rests_on, check, "GRPO", evidence, kind, bar, sharpened=sharpened)


CLAIMS = (
    _claim("shared-schema", "MIMIC and CheXpert share one schema of fourteen labels.",
           "labels that only one of them has, sign turned", public(_same_schema, MIMIC, RADIOLOGISTS),
           bar=-1e-6),
    _claim("identical-definitions", f"MIMIC and CheXpert (test) have identical definitions of the findings, {IF}.",
           "who occurs with whom: largest difference of labels mined like MIMIC's and radiologists', 5 points allowed",
           public(_same_company, CHEXPERT, RADIOLOGISTS), sharpened=True),
    _claim("same-uncertainty", f"MIMIC and CheXpert (test) share the uncertainty encoding, {IF}.",
           "share of uncertain labels in CheXpert test less that in MIMIC, 1 point allowed",
           public(_same_uncertainty, MIMIC, RADIOLOGISTS), sharpened=True),
    _claim("nine-compatible", "NIH reduces to nine categories that CheXpert has.",
           "categories among the nine that one of the two lacks, sign turned", public(_compatible, NIH), bar=-1e-6),
    _claim("frequent-labels", "No Finding and Support Devices are the most frequent labels.",
           "prevalence: the rarer of the two less the most frequent other; for the paper, of MIMIC's training labels",
           _two_most_frequent, place="sections 3.2.2, 4.2"),
    _claim("aligns-to-convention",
           "GRPO aligns the model to the labelling convention rather than to general radiologic features.",
           "a change of convention with patients and films kept: its part in what the gain is not worth elsewhere",
           measured("labels", "from one data set to another films, patients and labels all change, so labels cannot be "
                    "separated from films"),
           "cells", BEYOND_CHANCE),
    _claim("curriculum-would-help", "Training on several data sets, one after the other, would carry over better.",
           "macro-F1 at a third hospital: GRPO on films of two hospitals less GRPO on those of one",
           measured("curriculum", "it takes a training on several data sets, and the paper reports none"),
           "cures", BEYOND_CHANCE),
    _claim("other-reward-would-help",
           "A reward that does not follow one labelling convention would carry over better.",
           "macro-F1 at two other hospitals: GRPO rewarded for what can be seen less GRPO with the hard reward",
           measured("reward", "it takes a run with such a reward, and the paper reports none"), "cures", BEYOND_CHANCE),
    _claim("chexpert-artifacts", "CheXpert is heavy with artifacts that models rely on.",
           "scores with and without the artifacts on the same films",
           refuses("the paper names no artifact and scores no model without one"), "untold",
           place="section 4.4"),
)  # fmt: skip
