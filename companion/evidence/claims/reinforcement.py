"""Sections 1 and 4.3: resources, GRPO with two rewards (Table 4), its gain on CheXpert, its loss on NIH, and labels.

Which CheXpert studies Table 5 is on may stand in section 3.1, which is missing from the text we have. The caption says
"original Chexpert", and the printed scores fit the official test set (`audit.attainability`); what is claimed of that
set's labels says "if".
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES
from chexreason.prompts import TABLE1_PROMPTS
from companion.evidence.audit import facts
from companion.evidence.audit.conventions import together, uncertain_share
from companion.evidence.claims.effects import (
    MARGIN,
    Effect,
    How,
    Twin,
    both,
    changes,
    claim,
    common,
    gap,
    lead,
    over,
    rare,
    refused,
    special,
    trail,
    within,
)
from companion.evidence.claims.published import labels_of
from companion.evidence.claims.quantity import Quantity, largest, mean, smallest
from companion.evidence.claims.sides import Side
from companion.evidence.claims.verdicts import AS_COUNTED, AVERAGING, BASELINE, CHECKPOINT, Claim

SFT, GRPO, BASE = "medgemma_sft", "chexreason", "medgemma"
CHEXPERT, NIH = 5, 6
PRONOUNCED = ("Cardiomegaly", "Lung Opacity", SUPPORT_DEVICES)
#: Training labels of each data set, the radiologists' labels of the CheXpert test, and NIH's official test list.
MIMIC_TRAIN, CHEXPERT_TRAIN, RADIOLOGISTS, NIH_TEST = (
    ("mimic", "train"), ("chexpert", "train"), ("chexpert", "test"), ("nih", "test"),
)  # fmt: skip
IF = "if Table 5 is on the official test set"


def from_sft(reward: str) -> Effect:
    """A reward's best checkpoint minus the SFT checkpoint, on validation (Tables 4 and 2)."""
    return gap(4, f"{reward}_best", "free_reasoning", 2)


def _validation_change(findings: Callable[[Side, int], tuple[str, ...]], words: str, sign: float = 1) -> Effect:
    def ask(side: Side) -> Quantity:
        names = findings(side, 4)
        return (over(side, 4, "hard_best", names) - over(side, 2, "free_reasoning", names)).times(sign)

    return special(ask, words, "table4")


def _recovered(side: Side, how: How) -> Quantity:
    """What GRPO regains, minus half of what SFT had lost."""
    return gap(CHEXPERT, GRPO, SFT).ask(side, how) - gap(CHEXPERT, BASE, SFT).ask(side, how).times(0.5)


def _pronounced(side: Side) -> Quantity:
    found = changes(side, CHEXPERT, GRPO, SFT)
    average = mean([one.about() for one in found.values()])
    return smallest([found[name].about() for name in PRONOUNCED]) - average


def _most_pronounced(side: Side) -> Quantity:
    found = changes(side, CHEXPERT, GRPO, SFT)
    others = largest([one.about() for name, one in found.items() if name not in PRONOUNCED])
    return smallest([found[name].about() for name in PRONOUNCED]) - others


def _same_by_finding(side: Side) -> Quantity:
    """The largest difference of any one finding, inside or outside the margin."""
    found = [one.about().map(np.abs) for one in changes(side, NIH, GRPO, BASE).values()]
    return largest(found).map(lambda x: MARGIN - x)


def _public(words: str, number: Callable[[], float], *parts: tuple[str, str]) -> Effect:
    """A number from the public label counts of some (data set, split)."""
    return special(lambda side: side.public(number(), labels_of(*parts)), words, "conventions")


def _measured(what: str, words: str, otherwise: str, evidence: str) -> Effect:
    """What the experiment measured; nobody else can judge it, for this reason."""
    return special(lambda side: side.measured(what, otherwise), words, evidence)


def _same_schema() -> float:
    return -float(len(set(facts.counts(*MIMIC_TRAIN)) ^ set(facts.counts(*RADIOLOGISTS))))


def _compatible() -> float:
    return -float(sum(not {*FINDINGS} & {*facts.counts(*NIH_TEST)} & {name} for name in NIH_SHARED))


def _same_company() -> float:
    return 0.05 - max(abs(one.reports - one.radiologists) for one in together())


def _same_uncertainty() -> float:
    return 0.01 - abs(uncertain_share(*RADIOLOGISTS) - uncertain_share(*MIMIC_TRAIN))


def _two_most_frequent(side: Side) -> Quantity:
    frequent = (NO_FINDING, SUPPORT_DEVICES)
    named = smallest([side.frequency(4, name) for name in frequent])
    return named - largest([side.frequency(4, name) for name in FINDINGS if name not in frequent])


def _above_start(average: str, checkpoint: str) -> Effect:
    """The better trained row on validation minus the best untouched one: whether training was worth its while there."""

    def ask(side: Side) -> Quantity:
        trained = [side.score(4, f"{reward}_{checkpoint}", average) for reward in ("nuanced", "hard")]
        return largest(trained) - largest([side.score(1, row, average) for row in TABLE1_PROMPTS])

    when = " at the last step" if checkpoint == "last" else ""
    words = f"{average}-F1{when} on validation: the better reward minus the best prompt of the untouched MedGemma"
    return special(ask, words, "validation")


_resource = partial(claim, topic="resources", place="section 1")
_grpo = partial(claim, topic="GRPO", place="section 4.3, Table 4")
_transfer = partial(claim, topic="GRPO", place="section 4.3")

RESOURCES = (
    _resource("less-data", "ChexReason needs fifty times less training data than NV-Reason.",
              refused("training studies of both", "how much NV-Reason was trained on is not in the text we have"),
              kind=AS_COUNTED),
    _resource("less-compute", "ChexReason needs four times less compute than NV-Reason.",
              refused("accelerator hours of both", "what either model's training took is not in the text we have"),
              kind=AS_COUNTED),
    _resource("feasible", "R1-style training is feasible without extensive resources.",
              refused("what a training has to reach to count as feasible",
                      "that it ran on one accelerator is not in doubt, and the text names nothing else that it would "
                      "have to reach"),
              Twin(BASELINE, "above-start", "and beats the untouched model", _above_start("macro", "best"),
                   "validation"),
              Twin(AVERAGING, "above-start-micro", "and beats the untouched model, by micro-F1",
                   _above_start("micro", "best"), "validation"),
              Twin(CHECKPOINT, "above-start-last-step", "and beats the untouched model at the last step",
                   _above_start("macro", "last"), "validation")),
    _resource("clinician-validated", "The teacher's traces are reasoning that clinicians have validated.",
              refused("traces that clinicians looked at, and how many they accepted",
                      "who looked at how many traces, and with what result, is not in the text we have; the authors' "
                      "summary says that radiologists validated them"),
              kind=AS_COUNTED, place="section 3.2.1"),
)  # fmt: skip

VALIDATION = (
    _grpo("hard-beats-nuanced-macro", "The simple hard reward is marginally better than the nuanced one (macro-F1).",
          lead(4, "hard_best", ["nuanced_best"]), "last", see=((AVERAGING, "hard-beats-nuanced-micro"),)),
    _grpo("hard-beats-nuanced-micro", "The simple hard reward is marginally better than the nuanced one (micro-F1).",
          lead(4, "hard_best", ["nuanced_best"], "micro"), "last", see=((AVERAGING, "hard-beats-nuanced-macro"),)),
    _grpo("rewards-comparable", "The hard reward performs comparably to the engineered one.",
          within(gap(4, "nuanced_best", "hard_best")), "micro", "last", sharpened=True),
    _grpo("jaccard-suffices",
          "Jaccard similarity and a strict format are signal enough: the hard reward improves on SFT.",
          from_sft("hard"), "micro", "last"),
    _grpo("grpo-improves-validation", "Both rewards improve macro-F1 on the SFT checkpoint.",
          both(from_sft("hard"), from_sft("nuanced")), "last", "micro"),
    _grpo("grpo-costs-micro", "On validation, GRPO costs a little micro-F1.", -from_sft("hard").by("micro"), "last"),
    _grpo("rare-gain-validation", "The rise of macro-F1 on validation comes from rare findings.",
          _validation_change(rare, "F1 over rare findings: the hard reward minus SFT")),
    _grpo("common-lose-validation", "The fall of micro-F1 on validation comes from common findings.",
          _validation_change(common, "F1 over common findings: SFT minus the hard reward", -1)),
    _grpo("stabilisers", "The stabilising terms eliminated the collapse.",
          _measured("stabilisers", "collapse with and without each term", "it takes numbers of runs without each of "
                    "them, and the paper prints none of its early ones", "collapse"),
          kind=AS_COUNTED, place="section 3.2.2"),
)  # fmt: skip

TRANSFER = (
    _transfer("grpo-improves-chexpert", "GRPO improves on the SFT checkpoint on CheXpert.",
              gap(CHEXPERT, GRPO, SFT), "nine", "drop", place="abstract, sections 1, 4.3, 5",
              evidence="waterfall-chexreason"),
    _transfer("sft-costs-chexpert", "SFT alone loses performance on CheXpert.",
              gap(CHEXPERT, BASE, SFT), "nine", "drop", evidence="waterfall-medgemma_sft"),
    _transfer("grpo-recovers", "GRPO recovers what SFT had lost on CheXpert (at least half of it).",
              Effect(_recovered, "gain by GRPO", "half of the loss by SFT", "waterfall-chexreason"), "nine",
              sharpened=True),
    _transfer("nearly-baseline", "ChexReason nearly matches the untouched MedGemma on CheXpert.",
              within(gap(CHEXPERT, GRPO, BASE)), "nine", sharpened=True),
    _transfer("pronounced-three",
              "The recovery is particularly pronounced for findings such as Cardiomegaly, Lung Opacity and Support "
              "Devices.",
              special(_pronounced, "gain of F1: the least of the three minus the average of all", "contradictions"),
              Twin(BASELINE, "most", "more than for any other finding",
                   special(_most_pronounced, "gain of F1: the least of the three minus the most of the others",
                           "contradictions")),
              kind=AS_COUNTED),
    _transfer("grpo-loses-nih", "GRPO loses against the SFT checkpoint on NIH.",
              gap(NIH, SFT, GRPO), "drop", place="abstract, sections 1, 4.3, 5", evidence="waterfall-chexreason"),
    _transfer("back-to-baseline", "On NIH, ChexReason falls back to the level of the untouched MedGemma.",
              within(gap(NIH, GRPO, BASE)), "drop", sharpened=True),
    _transfer("matches-baseline-findings", "On NIH, ChexReason matches the untouched MedGemma finding by finding, too.",
              special(_same_by_finding, f"F1 of the finding that differs most: {MARGIN} minus that difference",
                      "matched"), kind=AS_COUNTED, stated=False),
    _transfer("sft-best-nih", "The SFT checkpoint is the best of the five on NIH.", lead(NIH, SFT),
              place="section 4.3, Table 6"),
    _transfer("sft-weakest-chexpert",
              "The SFT checkpoint is the weakest on CheXpert: behind what it came from and what was made of it.",
              both(gap(CHEXPERT, BASE, SFT), gap(CHEXPERT, GRPO, SFT)), "nine",
              Twin(BASELINE, "of-five", "of all five models, Qwen2.5-VL among them", trail(CHEXPERT, SFT)),
              place="sections 4.3, 4.4, 5"),
)  # fmt: skip

LABELS = (
    _transfer("shared-schema", "MIMIC and CheXpert share one schema of fourteen labels.",
              _public("labels that only one of them has, sign turned", _same_schema, MIMIC_TRAIN, RADIOLOGISTS),
              kind=AS_COUNTED, bar=-1e-6),
    _transfer("identical-definitions", f"MIMIC and CheXpert (test) have identical definitions of the findings, {IF}.",
              _public("who occurs with whom: 5 points minus the largest difference of labels mined like MIMIC's and "
                      "radiologists'", _same_company, CHEXPERT_TRAIN, RADIOLOGISTS),
              kind=AS_COUNTED, sharpened=True),
    _transfer("same-uncertainty", f"MIMIC and CheXpert (test) share the uncertainty encoding, {IF}.",
              _public("1 point minus the difference of the shares of uncertain labels in CheXpert test and in MIMIC",
                      _same_uncertainty, MIMIC_TRAIN, RADIOLOGISTS), kind=AS_COUNTED, sharpened=True),
    _transfer("nine-compatible", "NIH reduces to nine categories that CheXpert has.",
              _public("categories among the nine that one of the two lacks, sign turned", _compatible, NIH_TEST),
              kind=AS_COUNTED, bar=-1e-6),
    _transfer("frequent-labels", "No Finding and Support Devices are the most frequent labels.",
              special(_two_most_frequent, "prevalence: the rarer of the two minus the most frequent other; for the "
                      "paper, of MIMIC's training labels", "conventions"),
              kind=AS_COUNTED, place="sections 3.2.2, 4.2"),
    _transfer("aligns-to-convention",
              "GRPO aligns the model to the labelling convention rather than to general radiologic features.",
              _measured("labels", "a change of convention with patients and images kept: its part in what the gain is "
                        "not worth elsewhere", "from one data set to another images, patients and labels all change, "
                        "so labels cannot be separated from images", "cells")),
    _transfer("curriculum-would-help", "Training on several data sets, one after the other, would carry over better.",
              _measured("curriculum", "macro-F1 at a third hospital: GRPO on images of two hospitals minus GRPO on "
                        "those of one", "it takes a training on several data sets, and the paper reports none",
                        "cures")),
    _transfer("other-reward-would-help",
              "A reward that does not follow one labelling convention would carry over better.",
              _measured("reward", "macro-F1 at two other hospitals: GRPO rewarded for what can be seen minus GRPO with "
                        "the hard reward", "it takes a run with such a reward, and the paper reports none", "cures")),
    _transfer("chexpert-artifacts", "CheXpert is heavy with artifacts that models rely on.",
              refused("scores with and without the artifacts on the same images",
                      "the paper names no artifact and scores no model without one"),
              kind=AS_COUNTED, place="section 4.4"),
)  # fmt: skip

ABOUT_RESOURCES: tuple[Claim, ...] = tuple(one for row in RESOURCES for one in row)
CLAIMS: tuple[Claim, ...] = tuple(one for rows in (VALIDATION, TRANSFER, LABELS) for row in rows for one in row)
