"""Section 4.4 and the conclusion: five models from CheXpert to NIH (Tables 5 and 6).

The paper sets an average over nine findings on NIH beside one over fourteen on CheXpert. Those statements are
in the ledger as they are made, and refused; each has a twin on the nine findings that both sets have.
"""

from collections.abc import Callable

from chexreason.claims.checks import MODEL_NAMES, leads, minus, refuses, rises, without_largest
from chexreason.claims.quantity import Quantity, agreement, mean, smallest
from chexreason.claims.sides import Side, over
from chexreason.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, Claim
from chexreason.evidence import MODELS
from chexreason.labels import NIH_SHARED

SFT, GRPO, BASE, NV, QWEN = "medgemma_sft", "chexreason", "medgemma", "nv_reason", "qwen"
NEAR, FAR = 5, 6
PLACE = "section 4.4"


def _falls_as_stated(model: str) -> Callable[[Side], Quantity]:
    return lambda side: side.score(NEAR, model) - side.score(FAR, model)


def _falls(model: str) -> Callable[[Side], Quantity]:
    """On the nine shared findings."""
    return lambda side: over(side, NEAR, model, NIH_SHARED) - over(side, FAR, model, NIH_SHARED)


def _rise_without_largest(side: Side) -> Quantity:
    found = {name: side.finding(FAR, SFT, name) - side.finding(NEAR, SFT, name) for name in NIH_SHARED}
    drop = max(found, key=lambda name: abs(found[name].value))
    rest = tuple(name for name in found if name != drop)
    return mean([found[name] for name in rest], rest)


def _share_lost(side: Side, model: str) -> Quantity:
    return over(side, FAR, model, NIH_SHARED).relative_to(over(side, NEAR, model, NIH_SHARED)).times(-1)


def _only_sft(side: Side) -> Quantity:
    others = smallest([_falls(model)(side) for model in MODEL_NAMES if model != SFT])
    return smallest([others, _falls(SFT)(side).times(-1)])


def _both_sets(side: Side) -> Quantity:
    """SFT less ChexReason on the nine findings, the mean of both test sets."""
    return mean([over(side, t, SFT, NIH_SHARED) - over(side, t, GRPO, NIH_SHARED) for t in (NEAR, FAR)])


def _order(side: Side) -> Quantity:
    near, far = ([over(side, table, model, NIH_SHARED) for model in MODEL_NAMES] for table in (NEAR, FAR))
    return agreement(near, far).times(-1)


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity],
    evidence: str = "matched", kind: str = BEYOND_CHANCE, place: str = PLACE,
) -> Claim:  # fmt: skip
    return Claim(name, place, says, rests_on, check, "generalization", evidence, kind)


def _drop(model: str, place: str = PLACE) -> list[Claim]:
    """A model's fall from CheXpert to NIH: as the paper has it, and on the nine."""
    title = MODELS[model]
    return [
        _claim(f"{model}-drops", f"{title} drops from CheXpert to NIH (the paper's averages).",
               "macro-F1: fourteen findings on CheXpert less nine on NIH", _falls_as_stated(model), place=place),
        _claim(f"{model}-drops-nine", f"{title} drops from CheXpert to NIH (the nine shared findings).",
               "macro-F1 over the nine: CheXpert less NIH", _falls(model), place=place),
    ]  # fmt: skip


CLAIMS = (
    *_drop(NV, "sections 1, 4.4, 5"),
    *_drop(GRPO, "sections 1, 4.4, 5"),
    *_drop(BASE),
    _claim("sft-improves", "The SFT checkpoint improves on NIH (the paper's averages).",
           "macro-F1: nine findings on NIH less fourteen on CheXpert", minus(_falls_as_stated(SFT)),
           place="abstract, sections 4.4, 5"),
    _claim("sft-improves-nine", "The SFT checkpoint improves on NIH (the nine shared findings).",
           "macro-F1 over the nine: NIH less CheXpert", minus(_falls(SFT)), place="abstract, sections 4.4, 5"),
    _claim("sft-rise-not-one-finding", "That rise does not hang on a single finding.",
           "macro-F1 over the nine but the one that moves most: NIH less CheXpert", _rise_without_largest,
           place="abstract, sections 4.4, 5"),
    _claim("sft-uniquely", "Of the five models, only the SFT checkpoint improves (the nine shared findings).",
           "the smaller of SFT's rise and the least fall of the others", _only_sft, place="abstract, sections 4.4, 5"),
    _claim("sft-beats-base-nih", "On NIH, SFT beats the untouched MedGemma.",
           "macro-F1: SFT less MedGemma", rises(FAR, BASE, SFT), "waterfall-medgemma_sft"),
    _claim("sft-gain-not-one-finding", "That gain does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: SFT less MedGemma",
           without_largest(FAR, BASE, SFT), "waterfall-medgemma_sft"),
    _claim("optimised-lose-more", "Optimised for CheXpert, ChexReason loses more on the way to NIH than MedGemma did.",
           "share of macro-F1 lost over the nine: ChexReason less MedGemma",
           lambda side: _share_lost(side, GRPO) - _share_lost(side, BASE)),
    _claim("nv-loses-more-than-its-base",
           "Optimised, NV-Reason loses more on the way to NIH than its base Qwen2.5-VL did.",
           "share of macro-F1 lost over the nine: NV-Reason less Qwen2.5-VL",
           lambda side: _share_lost(side, NV) - _share_lost(side, QWEN)),
    _claim("mirrors-nv-reason", "ChexReason's fall mirrors that of NV-Reason: as large a share is lost.",
           "share of macro-F1 lost over the nine: 0.1 less the distance of the two",
           lambda side: (_share_lost(side, GRPO) - _share_lost(side, NV)).map(lambda x: 0.1 - abs(x)),
           place="abstract, sections 1, 4.4, 5"),
    _claim("nv-best-chexpert", "NV-Reason has by far the best CheXpert score.",
           "macro-F1: NV-Reason less the best other model", leads(NEAR, NV, MODEL_NAMES), "noise"),
    _claim("nv-state-of-the-art", "NV-Reason's CheXpert score is a fair state of the art.",
           "macro-F1 on test studies that its developers had not used",
           refuses("its developers say that they tested on this set while developing the model"), "sets",
           place="section 5"),
    _claim("training-helps-chexpert", "SFT and GRPO together enhance classification on CheXpert.",
           "macro-F1: ChexReason less the untouched MedGemma", rises(NEAR, BASE, GRPO), place="sections 1, 5"),
    _claim("training-helps-chexpert-nine", "The same over the findings that NIH has too.",
           "macro-F1 over the nine: ChexReason less the untouched MedGemma",
           lambda side: over(side, NEAR, GRPO, NIH_SHARED) - over(side, NEAR, BASE, NIH_SHARED), place="sections 1, 5"),
    _claim("training-helps-nih", "SFT and GRPO together enhance classification on NIH.",
           "macro-F1: ChexReason less the untouched MedGemma", rises(FAR, BASE, GRPO), place="sections 1, 5"),
    _claim("sft-over-grpo", "Where robustness counts, SFT serves better than GRPO.",
           "macro-F1 over the nine, mean of CheXpert and NIH: SFT less ChexReason", _both_sets,
           place="abstract, section 5"),
    _claim("paradigm-not-scale", "The fault lies with the RL paradigm rather than with scale.",
           "a model with and without RL, small and large",
           refuses("NV-Reason and ChexReason differ in base, data, reward and prompt at once, and NV-Reason without RL "
                   "is not scored"), "untold", place="abstract, section 5"),
    _claim("small-models-spurious", "Small models of 3 to 4 billion weights are prone to spurious patterns.",
           "the same training at several sizes", refuses("models of one size were trained"), "untold"),
    _claim("unbiased-teacher", "Distilling an unbiased teacher teaches principles rather than shortcuts.",
           "students of a teacher that was not given the labels",
           refuses("the teacher was given the labels, and no other was tried"), "untold"),
    _claim("artifact-heavy", "CheXpert is heavy with artifacts that optimisation exploits.",
           "what is exploited", refuses("no artifact is named, counted or removed"), "untold"),
    _claim("counterproductive", "R1-style training on hard labels is counterproductive for deployment.",
           "patients' outcomes, or readers with and without the model",
           refuses("nothing was deployed, and no reader used a model"), "untold", place="section 5"),
    _claim("traces-generalize", "It is the teacher's reasoning traces that make SFT carry over.",
           "SFT with and without traces, both on NIH",
           refuses("no model fine-tuned without traces is scored on NIH"), "untold", place="abstract, sections 4.4, 5"),
    _claim("rl-models-lose-advantage", "NV-Reason and ChexReason lose the advantage that SFT keeps on NIH.",
           "macro-F1 on NIH: SFT less the better of the two",
           lambda side: leads(FAR, SFT, (NV, GRPO))(side)),
    _claim("ranking-turns", "Who is better on CheXpert is worse on NIH: the order of the five models turns round.",
           "rank correlation of the five models' macro-F1 over the nine, sign turned",
           _order, kind=AS_COUNTED),
)  # fmt: skip
