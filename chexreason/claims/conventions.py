"""Section 4.3: what the labels of the three data sets have in common, and what GRPO aligns a model to."""

from collections.abc import Callable

from chexreason.audit.conventions import left_out_of_nih, shifts, together, uncertain_share
from chexreason.claims.checks import measured, public, refuses
from chexreason.claims.quantity import Quantity, largest, smallest
from chexreason.claims.sides import Side
from chexreason.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, Claim
from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES

#: Training labels of each data set, the radiologists' labels of the CheXpert test, and NIH's official test list.
MIMIC, CHEXPERT, RADIOLOGISTS, NIH = ("mimic", "train"), ("chexpert", "train"), ("chexpert", "test"), ("nih", "test")
FREQUENT = (NO_FINDING, SUPPORT_DEVICES)


def _same_company() -> float:
    """How far apart report labels and radiologists are on who occurs with whom; 0.05 is allowed."""
    return 0.05 - max(abs(one.reports - one.radiologists) for one in together())


def _same_frequency() -> float:
    """The largest ratio of prevalences between MIMIC's training labels and the CheXpert test set; 1.5 is allowed."""
    return 1.5 - max(max(one.ratio, 1 / one.ratio) for one in shifts("chexpert"))


def _same_uncertainty() -> float:
    """Uncertain labels as a share: the difference; one point is allowed."""
    return 0.01 - abs(uncertain_share(*RADIOLOGISTS) - uncertain_share(*MIMIC))


def _two_most_frequent(side: Side) -> Quantity:
    named = smallest([side.frequency(4, name) for name in FREQUENT])
    return named - largest([side.frequency(4, name) for name in FINDINGS if name not in FREQUENT])


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity], evidence: str = "conventions",
    kind: str = AS_COUNTED, place: str = "section 4.3", bar: float = 0.0,
) -> Claim:  # fmt: skip
    return Claim(name, place, says, rests_on, check, "GRPO", evidence, kind, bar)


CLAIMS = (
    _claim("identical-definitions", "MIMIC and CheXpert (test) have identical definitions of the findings.",
           "who occurs with whom: largest difference of report labels and radiologists, 5 points allowed",
           public(_same_company, CHEXPERT, RADIOLOGISTS)),
    _claim("same-frequency",
           "MIMIC's labels and the CheXpert test set's are of one ecosystem: findings are about as frequent.",
           "largest ratio of prevalences, 1.5 allowed", public(_same_frequency, MIMIC, RADIOLOGISTS)),
    _claim("same-uncertainty", "MIMIC and CheXpert (test) share the uncertainty encoding.",
           "share of uncertain labels in CheXpert test less that in MIMIC, 1 point allowed",
           public(_same_uncertainty, MIMIC, RADIOLOGISTS)),
    _claim("nine-compatible", "NIH reduces to nine categories that CheXpert has.",
           "compatible categories left out, sign turned",
           public(lambda: -float(left_out_of_nih()[1] > 0), NIH), bar=-1e-6),
    _claim("frequent-labels", "No Finding and Support Devices are the most frequent labels.",
           "prevalence: the rarer of the two less the most frequent other; for the paper, of MIMIC's training labels",
           _two_most_frequent, place="sections 3.2.2, 4.2"),
    _claim("aligns-to-convention", "GRPO aligns the model to the labelling convention rather than to the image.",
           "a change of convention with patients and films kept: its part in what the gain is not worth elsewhere",
           measured("labels", "from one data set to another films, patients and labels all change, so labels cannot be "
                    "told from films"),
           "cells", BEYOND_CHANCE),
    _claim("curriculum-would-help", "Training on several data sets, one after the other, would carry over better.",
           "macro-F1 at a third hospital: GRPO on films of two hospitals less GRPO on those of one",
           measured("curriculum", "no training on several data sets is reported, in the paper or among these runs"),
           "cures", BEYOND_CHANCE),
    _claim("other-reward-would-help",
           "A reward that does not follow one labelling convention would carry over better.",
           "macro-F1 at two other hospitals: GRPO rewarded for what can be seen less GRPO with the hard reward",
           measured("reward", "no such reward is reported, in the paper or among these runs"), "cures", BEYOND_CHANCE),
    _claim("chexpert-artifacts", "CheXpert is heavy with artifacts that models rely on.",
           "scores with and without the artifacts on the same films",
           refuses("no artifact is named, removed or planted, in the paper or among these runs"), "untold",
           place="section 4.4"),
)  # fmt: skip
