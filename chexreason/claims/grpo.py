"""Section 4.3: GRPO with two rewards on validation, and what it does on CheXpert and NIH (Tables 4 to 6)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from chexreason.audit import facts
from chexreason.audit.conventions import left_out_of_nih, shifts, together, uncertain_share
from chexreason.claims.checks import (
    MARGIN,
    MODEL_NAMES,
    both,
    changes,
    close,
    leads,
    measured,
    minus,
    over_findings,
    public,
    rises,
    trails,
    without_largest,
)
from chexreason.claims.quantity import Quantity, largest, mean, smallest
from chexreason.claims.sides import Side, common, over, rare
from chexreason.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, Claim
from chexreason.labels import NIH_SHARED, NO_FINDING, SUPPORT_DEVICES

SFT, GRPO, BASE = "medgemma_sft", "chexreason", "medgemma"
NEAR, FAR = 5, 6
PRONOUNCED = ("Cardiomegaly", "Lung Opacity", SUPPORT_DEVICES)
VALIDATION = "section 4.3, Table 4"
#: The two parts whose label conventions the paper calls the same.
BOTH = (("mimic", "train"), ("chexpert", "test"))


def _from_sft(row: str, average: str = "macro") -> Callable[[Side], Quantity]:
    """From the SFT checkpoint on the validation studies (Table 2) to a row of Table 4."""
    return lambda side: side.score(4, row, average) - side.score(2, "free_reasoning", average)


def _validation_change(side: Side, names: tuple[str, ...]) -> Quantity:
    return over(side, 4, "hard_best", names) - over(side, 2, "free_reasoning", names)


def _rare_rather_than_common(side: Side) -> Quantity:
    """What rare findings gain on CheXpert, less what common ones gain."""
    found = changes(side, NEAR, SFT, GRPO)
    seldom, frequent = rare(side, NEAR), common(side, NEAR)
    gain = [mean([found[name] for name in names], names).about() for names in (seldom, frequent)]
    return gain[0] - gain[1]


def _recovered(side: Side) -> Quantity:
    """What GRPO regains, less half of what SFT had lost."""
    return rises(NEAR, SFT, GRPO)(side) - rises(NEAR, SFT, BASE)(side).times(0.5)


def _pronounced(side: Side) -> Quantity:
    found = {name: one.about() for name, one in changes(side, NEAR, SFT, GRPO).items()}
    others = largest([one for name, one in found.items() if name not in PRONOUNCED])
    return smallest([found[name] for name in PRONOUNCED]) - others


def _same_by_finding(side: Side) -> Quantity:
    """The largest difference of any one finding, inside or outside the margin."""
    found = [one.about().map(np.abs) for one in changes(side, FAR, BASE, GRPO).values()]
    return largest(found).map(lambda x: MARGIN - x)


def _same_company() -> float:
    """How far apart report labels and radiologists are on who occurs with whom; 0.05 is allowed."""
    return 0.05 - max(abs(one.reports - one.radiologists) for one in together())


def _same_frequency() -> float:
    """The largest ratio of prevalences between MIMIC's training labels and the CheXpert test set; 1.5 is allowed."""
    return 1.5 - max(max(one.ratio, 1 / one.ratio) for one in shifts("chexpert"))


def _two_most_frequent(side: Side) -> Quantity:
    shares = side.prevalence(4)
    named = min(shares[NO_FINDING], shares[SUPPORT_DEVICES])
    others = max(share for name, share in shares.items() if name not in (NO_FINDING, SUPPORT_DEVICES))
    like = side.failure(4, "hard_best")
    n = like.n if side.tier != "published" else frozenset({("MIMIC-CXR-JPG train", facts.size("mimic", "train"))})
    return replace(like, value=named - others, draws=np.full(like.draws.shape, named - others), n=n)


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity],
    evidence: str = "noise", kind: str = BEYOND_CHANCE, place: str = "section 4.3", bar: float = 0.0,
) -> Claim:  # fmt: skip
    shown = "validation" if place == VALIDATION and evidence == "noise" else evidence
    return Claim(name, place, says, rests_on, check, "GRPO", shown, kind, bar)


CLAIMS = (
    _claim("hard-beats-nuanced-macro", "The simple hard reward is marginally better than the nuanced one (macro-F1).",
           "macro-F1 at the best checkpoint: hard less nuanced", rises(4, "nuanced_best",
           "hard_best"), place=VALIDATION),
    _claim("hard-beats-nuanced-micro", "The simple hard reward is marginally better than the nuanced one (micro-F1).",
           "micro-F1 at the best checkpoint: hard less nuanced",
           rises(4, "nuanced_best", "hard_best", "micro"), place=VALIDATION),
    _claim("rewards-comparable", "The hard reward performs comparably to the engineered one.",
           f"macro-F1 at the best checkpoint: {MARGIN} less their distance",
           close(4, "hard_best", "nuanced_best"), place=VALIDATION),
    _claim("grpo-improves-validation", "Both rewards improve macro-F1 on the SFT checkpoint.",
           "macro-F1 at the best checkpoint: the lower of the two less SFT",
           both(_from_sft("hard_best"), _from_sft("nuanced_best")), place=VALIDATION),
    _claim("grpo-improves-last-step", "That improvement does not depend on choosing the checkpoint.",
           "macro-F1 at the last step: the lower of the two less SFT",
           both(_from_sft("hard_last"), _from_sft("nuanced_last")), place=VALIDATION),
    _claim("grpo-improves-validation-micro", "Both rewards improve micro-F1 on the SFT checkpoint, too.",
           "micro-F1 at the best checkpoint: the lower of the two less SFT",
           both(_from_sft("hard_best", "micro"), _from_sft("nuanced_best", "micro")), "table4", place=VALIDATION),
    _claim("grpo-costs-micro", "On validation, GRPO costs a little micro-F1.",
           "micro-F1 at the best checkpoint: SFT less the hard reward", minus(_from_sft("hard_best", "micro")),
           place=VALIDATION),
    _claim("rare-gain-validation", "The rise of macro-F1 on validation comes from rare findings.",
           "F1 over rare findings: the hard reward less SFT",
           lambda side: _validation_change(side, rare(side, 4)), "untold", place=VALIDATION),
    _claim("common-lose-validation", "The fall of micro-F1 on validation comes from common findings.",
           "F1 over common findings: SFT less the hard reward",
           lambda side: _validation_change(side, common(side, 4)).times(-1), "untold", place=VALIDATION),
    _claim("rare-rather-than-common",
           "GRPO helps rare findings rather than common ones; held against the CheXpert test.",
           "change of F1 on CheXpert: over rare findings less over common ones",
           _rare_rather_than_common, "waterfall-chexreason"),
    _claim("grpo-improves-chexpert", "GRPO improves on the SFT checkpoint on CheXpert.",
           "macro-F1 over fourteen findings: ChexReason less SFT", rises(NEAR, SFT, GRPO), "waterfall-chexreason",
           place="abstract, sections 1, 4.3, 5"),
    _claim("grpo-improves-chexpert-nine", "That gain is there on the findings that NIH has too.",
           "macro-F1 over the nine shared findings: ChexReason less SFT", over_findings(NEAR, SFT, GRPO, NIH_SHARED),
           "matched"),
    _claim("grpo-gain-not-one-finding", "That gain does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: ChexReason less SFT",
           without_largest(NEAR, SFT, GRPO), "waterfall-chexreason"),
    _claim("sft-costs-chexpert", "SFT alone loses performance on CheXpert.",
           "macro-F1: the untouched MedGemma less SFT", rises(NEAR, SFT, BASE), "waterfall-medgemma_sft"),
    _claim("sft-costs-chexpert-nine", "That loss is there on the findings that NIH has too.",
           "macro-F1 over the nine shared findings: the untouched MedGemma less SFT",
           over_findings(NEAR, SFT, BASE, NIH_SHARED), "matched"),
    _claim("sft-cost-not-one-finding", "That loss does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: MedGemma less SFT",
           without_largest(NEAR, SFT, BASE), "waterfall-medgemma_sft"),
    _claim("grpo-recovers", "GRPO recovers what SFT had lost on CheXpert (at least half of it).",
           "macro-F1: gain by GRPO less half of the loss by SFT", _recovered, "matched"),
    _claim("nearly-baseline", "ChexReason nearly matches the untouched MedGemma on CheXpert.",
           f"macro-F1: {MARGIN} less their distance", close(NEAR, BASE, GRPO)),
    _claim("nearly-baseline-nine", "The same over the findings that NIH has too.",
           f"macro-F1 over the nine: {MARGIN} less their distance",
           lambda side: over_findings(NEAR, BASE, GRPO, NIH_SHARED)(side).map(lambda x: MARGIN - np.abs(x)), "matched"),
    _claim("pronounced-three",
           "The recovery is particularly pronounced for Cardiomegaly, Lung Opacity and Support Devices.",
           "gain of F1: the least of the three less the most of the others", _pronounced, "contradictions", AS_COUNTED),
    _claim("grpo-loses-nih", "GRPO loses against the SFT checkpoint on NIH.",
           "macro-F1: SFT less ChexReason", rises(FAR, GRPO, SFT), "waterfall-chexreason",
           place="abstract, sections 1, 4.3, 5"),
    _claim("grpo-loss-not-one-finding", "That loss does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: SFT less ChexReason",
           minus(without_largest(FAR, SFT, GRPO)), "waterfall-chexreason"),
    _claim("back-to-baseline", "On NIH, ChexReason falls back to the level of the untouched MedGemma.",
           f"macro-F1: {MARGIN} less their distance", close(FAR, BASE, GRPO)),
    _claim("matches-baseline-findings", "On NIH, ChexReason matches the untouched MedGemma finding by finding, too.",
           f"F1 of the finding that differs most: {MARGIN} less that difference", _same_by_finding, "matched",
           AS_COUNTED),
    _claim("sft-best-nih", "The SFT checkpoint is the best of the five on NIH.",
           "macro-F1: SFT less the best other model", leads(FAR, SFT, MODEL_NAMES)),
    _claim("sft-weakest-chexpert", "The SFT checkpoint is the weakest of the five on CheXpert.",
           "macro-F1: the worst other model less SFT", trails(NEAR, SFT, MODEL_NAMES), "contradictions"),
    _claim("sft-weakest-chexpert-nine", "The same over the findings that NIH has too.",
           "macro-F1 over the nine: the worst other model less SFT",
           lambda side: smallest([
               over_findings(NEAR, SFT, one, NIH_SHARED)(side) for one in MODEL_NAMES if one != SFT
           ]),
           "matched"),
    _claim("weaker-on-chexpert", "SFT does well on NIH although it is weaker on CheXpert than ChexReason.",
           "macro-F1: SFT's lead on NIH and ChexReason's on CheXpert, the smaller",
           lambda side: smallest([rises(FAR, GRPO, SFT)(side).about(), rises(NEAR, SFT, GRPO)(side).about()]),
           "waterfall-chexreason", place="section 4.4"),
    _claim("weaker-on-chexpert-nine", "The same over the findings that both sets have.",
           "macro-F1 over the nine: SFT's lead on NIH and ChexReason's on CheXpert, the smaller",
           lambda side: smallest([over_findings(FAR, GRPO, SFT, NIH_SHARED)(side),
                                  over_findings(NEAR, SFT, GRPO, NIH_SHARED)(side)]),
           "matched", place="section 4.4"),
    _claim("jaccard-suffices", "Jaccard similarity and a format check are signal enough to improve on SFT.",
           "macro-F1 at the best checkpoint: hard less SFT", _from_sft("hard_best"), place=VALIDATION),
    _claim("curriculum", "A curriculum over several data sets would mitigate the loss.",
           "macro-F1 at two other hospitals: trained on two hospitals less trained on one",
           measured("curriculum", "no curriculum was trained, in the paper or among these runs"), "untold"),
    _claim("identical-definitions", "MIMIC and CheXpert (test) have identical definitions of the findings.",
           "who occurs with whom: largest difference of report labels and radiologists, 5 points allowed",
           public(_same_company, *BOTH), "conventions", AS_COUNTED),
    _claim("same-frequency",
           "MIMIC's labels and the CheXpert test set's are of one ecosystem: findings are about as frequent.",
           "largest ratio of prevalences, 1.5 allowed", public(_same_frequency, *BOTH), "conventions", AS_COUNTED),
    _claim("same-uncertainty", "MIMIC and CheXpert (test) share the uncertainty encoding.",
           "share of uncertain labels in CheXpert test less that in MIMIC, 1 point allowed",
           public(lambda: 0.01 - abs(uncertain_share("chexpert", "test") - uncertain_share("mimic", "train")), *BOTH),
           "conventions", AS_COUNTED),
    _claim("nine-compatible", "NIH reduces to nine categories that CheXpert has.",
           "compatible categories left out, sign turned",
           public(lambda: -float(left_out_of_nih()[1] > 0), ("nih", "test")),
           "conventions", AS_COUNTED, bar=-1e-6),
    _claim("frequent-labels", "No Finding and Support Devices are the most frequent labels.",
           "prevalence on validation: the rarer of the two less the most frequent other", _two_most_frequent,
           "conventions", AS_COUNTED, place="sections 3.2.2, 4.2"),
    _claim("aligns-to-convention", "GRPO aligns the model to the labelling convention rather than to the image.",
           "a change of convention with patients and films kept: its part in what the gain is not worth elsewhere",
           measured("labels", "from one data set to another films, patients and labels all change, so labels cannot be "
                    "told from films"),
           "untold"),
    _claim("stabilisers", "The stabilising terms eliminated the collapse.",
           "collapse with and without each term",
           measured("stabilisers", "no run without them is reported, in the paper or among these runs"), "untold",
           AS_COUNTED, place="section 3.2.2"),
)  # fmt: skip
