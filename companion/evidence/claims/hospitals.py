"""Section 4.3, Tables 5 and 6: what GRPO gains on CheXpert and loses on NIH, and what came of SFT there."""

from collections.abc import Callable

import numpy as np

from chexreason.labels import NIH_SHARED, SUPPORT_DEVICES
from companion.evidence.claims.checks import (
    MARGIN,
    MODEL_NAMES,
    both,
    changes,
    close,
    leads,
    minus,
    over_findings,
    rises,
    trails,
    within,
    without_largest,
)
from companion.evidence.claims.quantity import Quantity, largest, mean, smallest
from companion.evidence.claims.sides import Side
from companion.evidence.claims.twins import Otherwise, nine, with_twins, without_one
from companion.evidence.claims.verdicts import AS_COUNTED, BASELINE, BEYOND_CHANCE, LABEL_SET, LARGEST, Claim

SFT, GRPO, BASE = "medgemma_sft", "chexreason", "medgemma"
NEAR, FAR = 5, 6
PRONOUNCED = ("Cardiomegaly", "Lung Opacity", SUPPORT_DEVICES)
Check = Callable[[Side], Quantity]


def _recovered(side: Side) -> Quantity:
    """What GRPO regains, less half of what SFT had lost."""
    return rises(NEAR, SFT, GRPO)(side) - rises(NEAR, SFT, BASE)(side).times(0.5)


def _recovered_over_nine(side: Side) -> Quantity:
    gained, lost = (over_findings(NEAR, SFT, model, NIH_SHARED)(side) for model in (GRPO, BASE))
    return gained - lost.times(0.5)


def _pronounced(side: Side) -> Quantity:
    """The least gain of the three, less the average gain of all findings."""
    found = changes(side, NEAR, SFT, GRPO)
    average = mean([one.about() for one in found.values()])
    return smallest([found[name].about() for name in PRONOUNCED]) - average


def _most_pronounced(side: Side) -> Quantity:
    found = changes(side, NEAR, SFT, GRPO)
    others = largest([one.about() for name, one in found.items() if name not in PRONOUNCED])
    return smallest([found[name].about() for name in PRONOUNCED]) - others


def _same_by_finding(side: Side) -> Quantity:
    """The largest difference of any one finding, inside or outside the margin."""
    found = [one.about().map(np.abs) for one in changes(side, FAR, BASE, GRPO).values()]
    return largest(found).map(lambda x: MARGIN - x)


def _claim(
    name: str, says: str, rests_on: str, check: Check, evidence: str = "noise", kind: str = BEYOND_CHANCE,
    place: str = "section 4.3", choice: tuple[tuple[str, str], ...] = (), stated: bool = True,
    sharpened: bool = False,
) -> Claim:  # fmt: skip
    return Claim(
        name, place, says, rests_on, check, "GRPO", evidence, kind, choice=choice, stated=stated, sharpened=sharpened
    )


CLAIMS = (
    _claim("grpo-improves-chexpert", "GRPO improves on the SFT checkpoint on CheXpert.",
           "macro-F1 over fourteen findings: ChexReason less SFT", rises(NEAR, SFT, GRPO), "waterfall-chexreason",
           place="abstract, sections 1, 4.3, 5",
           choice=((LABEL_SET, "grpo-improves-chexpert-nine"), (LARGEST, "grpo-gain-not-one-finding"))),
    _claim("grpo-improves-chexpert-nine", "That gain is there on the findings that NIH has too.",
           "macro-F1 over the nine shared findings: ChexReason less SFT", over_findings(NEAR, SFT, GRPO, NIH_SHARED),
           "matched", stated=False),
    _claim("grpo-gain-not-one-finding", "That gain does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: ChexReason less SFT",
           without_largest(NEAR, SFT, GRPO), "waterfall-chexreason", stated=False),
    *with_twins(
        _claim("sft-costs-chexpert", "SFT alone loses performance on CheXpert.",
               "macro-F1: the untouched MedGemma less SFT", rises(NEAR, SFT, BASE), "waterfall-medgemma_sft"),
        nine("macro-F1 over the nine: the untouched MedGemma less SFT", over_findings(NEAR, SFT, BASE, NIH_SHARED)),
        without_one("macro-F1 over all findings but the one that moves most: the untouched MedGemma less SFT",
                    without_largest(NEAR, SFT, BASE))),
    *with_twins(
        _claim("grpo-recovers", "GRPO recovers what SFT had lost on CheXpert (at least half of it).",
               "macro-F1: gain by GRPO less half of the loss by SFT", _recovered, "waterfall-chexreason",
               sharpened=True),
        nine("macro-F1 over the nine: gain by GRPO less half of the loss by SFT", _recovered_over_nine)),
    *with_twins(
        _claim("nearly-baseline", "ChexReason nearly matches the untouched MedGemma on CheXpert.",
               f"macro-F1: {MARGIN} less their distance", close(NEAR, BASE, GRPO), sharpened=True),
        nine(f"macro-F1 over the nine: {MARGIN} less their distance",
             within(over_findings(NEAR, BASE, GRPO, NIH_SHARED)))),
    *with_twins(
        _claim("pronounced-three",
               "The recovery is particularly pronounced for findings such as Cardiomegaly, Lung Opacity and Support "
               "Devices.", "gain of F1: the least of the three less the average of all", _pronounced, "contradictions",
               AS_COUNTED),
        Otherwise(BASELINE, "gain of F1: the least of the three less the most of the others", _most_pronounced,
                  ending=("most", "more than for any other finding"))),
    _claim("grpo-loses-nih", "GRPO loses against the SFT checkpoint on NIH.",
           "macro-F1: SFT less ChexReason", rises(FAR, GRPO, SFT), "waterfall-chexreason",
           place="abstract, sections 1, 4.3, 5", choice=((LARGEST, "grpo-loss-not-one-finding"),)),
    _claim("grpo-loss-not-one-finding", "That loss does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: SFT less ChexReason",
           minus(without_largest(FAR, SFT, GRPO)), "waterfall-chexreason", stated=False),
    *with_twins(
        _claim("back-to-baseline", "On NIH, ChexReason falls back to the level of the untouched MedGemma.",
               f"macro-F1: {MARGIN} less their distance", close(FAR, BASE, GRPO), sharpened=True),
        without_one(f"macro-F1 over all findings but the one that moves most: {MARGIN} less their distance",
                    within(without_largest(FAR, BASE, GRPO)))),
    _claim("matches-baseline-findings", "On NIH, ChexReason matches the untouched MedGemma finding by finding, too.",
           f"F1 of the finding that differs most: {MARGIN} less that difference", _same_by_finding, "matched",
           AS_COUNTED, stated=False),
    _claim("sft-best-nih", "The SFT checkpoint is the best of the five on NIH.",
           "macro-F1: SFT less the best other model", leads(FAR, SFT, MODEL_NAMES), place="section 4.3, Table 6"),
    *with_twins(
        _claim("sft-weakest-chexpert",
               "The SFT checkpoint is the weakest on CheXpert: behind what it came from and what was made of it.",
               "macro-F1: the smaller of the untouched MedGemma and ChexReason less SFT",
               both(rises(NEAR, SFT, BASE), rises(NEAR, SFT, GRPO)), place="sections 4.3, 4.4, 5"),
        nine("macro-F1 over the nine: the smaller of the untouched MedGemma and ChexReason less SFT",
             both(over_findings(NEAR, SFT, BASE, NIH_SHARED), over_findings(NEAR, SFT, GRPO, NIH_SHARED))),
        Otherwise(BASELINE, "macro-F1: the worst of the other four models less SFT", trails(NEAR, SFT, MODEL_NAMES),
                  ending=("of-five", "of all five models, Qwen2.5-VL among them"))),
)  # fmt: skip
