"""Section 4.4 and the conclusion: five models from CheXpert to NIH (Tables 5 and 6).

The paper sets an average over nine findings on NIH beside one over fourteen on CheXpert. Those statements are
in the ledger as they are made, and refused; each has a twin on the nine findings that both sets have. So has
"SFT serves better": there both differences can be had, each over its own findings. Whether training helps at all the
paper asks and does not claim; who loses the larger share it does not say: these are our readings.
"""

from collections.abc import Callable
from dataclasses import replace

from chexreason.labels import NIH_SHARED
from companion.evidence.claims.checks import (
    MODEL_NAMES,
    both,
    leads,
    leads_over,
    minus,
    over_findings,
    refuses,
    rises,
    without_largest,
)
from companion.evidence.claims.quantity import Quantity, mean, smallest
from companion.evidence.claims.sides import Side, shared
from companion.evidence.claims.twins import Otherwise, nine, with_twins, without_one
from companion.evidence.claims.verdicts import BEYOND_CHANCE, LABEL_SET, LARGEST, Claim
from companion.evidence.tables import MODELS

SFT, GRPO, BASE, NV, QWEN = "medgemma_sft", "chexreason", "medgemma", "nv_reason", "qwen"
NEAR, FAR = 5, 6
PLACE = "section 4.4"
AS_AVERAGED = ("as-averaged", "fourteen findings on CheXpert, nine on NIH")


def _falls_as_stated(model: str) -> Callable[[Side], Quantity]:
    return lambda side: side.score(NEAR, model) - side.score(FAR, model)


def _falls(model: str) -> Callable[[Side], Quantity]:
    """On the nine shared findings."""
    return lambda side: shared(side, NEAR, model) - shared(side, FAR, model)


def _share_lost(side: Side, model: str) -> Quantity:
    return shared(side, FAR, model).relative_to(shared(side, NEAR, model)).times(-1)


def _only_sft(falls: Callable[[str], Callable[[Side], Quantity]]) -> Callable[[Side], Quantity]:
    """SFT's rise and the least fall of the others: the smaller."""

    def check(side: Side) -> Quantity:
        others = smallest([falls(model)(side) for model in MODEL_NAMES if model != SFT])
        return smallest([others, falls(SFT)(side).times(-1)])

    return check


def _both_sets(first: str, second: str) -> Callable[[Side], Quantity]:
    """The second model less the first over the nine findings, the mean of both test sets."""
    return lambda side: mean([shared(side, t, second) - shared(side, t, first) for t in (NEAR, FAR)])


def _both_sets_as_averaged(first: str, second: str) -> Callable[[Side], Quantity]:
    """The same from the paper's averages: each difference is over its own findings, fourteen and nine."""
    return lambda side: mean([rises(table, first, second)(side).about() for table in (NEAR, FAR)])


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity],
    evidence: str = "matched", kind: str = BEYOND_CHANCE, place: str = PLACE,
    choice: tuple[tuple[str, str], ...] = (), stated: bool = True,
) -> Claim:  # fmt: skip
    return Claim(name, place, says, rests_on, check, "generalization", evidence, kind, choice=choice, stated=stated)


def _crossing(name: str, says: str, rests_on: tuple[str, str], checks: tuple[Callable[[Side], Quantity], ...],
              place: str) -> tuple[Claim, ...]:  # fmt: skip
    """A claim on the way from CheXpert to NIH as the paper has it, and its twin on the nine findings of both."""
    ending = ("nine", "the nine shared findings")
    twin = Otherwise(LABEL_SET, rests_on[1], checks[1], ending=ending)
    claim, other = with_twins(_claim(name, f"{says}.", rests_on[0], checks[0], place=place), twin)
    return replace(claim, says=f"{says} (the paper's averages)."), other


def _drop(model: str, place: str = PLACE) -> tuple[Claim, ...]:
    """A model's fall from CheXpert to NIH."""
    return _crossing(
        f"{model}-drops", f"{MODELS[model]} drops from CheXpert to NIH",
        ("macro-F1: fourteen findings on CheXpert less nine on NIH", "macro-F1 over the nine: CheXpert less NIH"),
        (_falls_as_stated(model), _falls(model)), place,
    )  # fmt: skip


CLAIMS = (
    *_drop(NV, "sections 1, 4.4, 5"),
    *_drop(GRPO, "sections 1, 4.4, 5"),
    *_drop(BASE),
    *_crossing("sft-improves", "The SFT checkpoint improves on NIH",
               ("macro-F1: nine findings on NIH less fourteen on CheXpert",
                "macro-F1 over the nine: NIH less CheXpert"),
               (minus(_falls_as_stated(SFT)), minus(_falls(SFT))), "abstract, sections 4.4, 5"),
    *_crossing("sft-uniquely", "Of the five models, only the SFT checkpoint improves",
               ("the smaller of SFT's rise and the least fall of the others, from fourteen findings to nine",
                "over the nine: the smaller of SFT's rise and the least fall of the others"),
               (_only_sft(_falls_as_stated), _only_sft(_falls)), "abstract, sections 4.4, 5"),
    _claim("sft-beats-base-nih", "On NIH, SFT beats the untouched MedGemma.",
           "macro-F1: SFT less MedGemma", rises(FAR, BASE, SFT), "waterfall-medgemma_sft",
           choice=((LARGEST, "sft-gain-not-one-finding"),)),
    _claim("sft-gain-not-one-finding", "That gain does not hang on a single finding.",
           "macro-F1 over all findings but the one that moves most: SFT less MedGemma",
           without_largest(FAR, BASE, SFT), "waterfall-medgemma_sft", stated=False),
    _claim("optimised-lose-more", "Optimised for CheXpert, ChexReason loses more on the way to NIH than MedGemma did.",
           "share of macro-F1 lost over the nine: ChexReason less MedGemma",
           lambda side: _share_lost(side, GRPO) - _share_lost(side, BASE), stated=False),
    _claim("nv-loses-more-than-its-base",
           "Optimised, NV-Reason loses more on the way to NIH than its base Qwen2.5-VL did.",
           "share of macro-F1 lost over the nine: NV-Reason less Qwen2.5-VL",
           lambda side: _share_lost(side, NV) - _share_lost(side, QWEN), stated=False),
    *_crossing("mirrors-nv-reason", "ChexReason's fall on the way to NIH mirrors NV-Reason's: both fall",
               ("macro-F1: fourteen findings on CheXpert less nine on NIH, the smaller fall of the two",
                "macro-F1 over the nine: CheXpert less NIH, the smaller fall of the two"),
               (both(_falls_as_stated(NV), _falls_as_stated(GRPO)), both(_falls(NV), _falls(GRPO))),
               "abstract, sections 1, 4.4, 5"),
    *with_twins(
        _claim("nv-best-chexpert", "NV-Reason has by far the best CheXpert score.",
               "macro-F1: NV-Reason less the best other model", leads(NEAR, NV, MODEL_NAMES), "noise"),
        nine("macro-F1 over the nine: NV-Reason less the best other model",
             leads_over(NEAR, NV, MODEL_NAMES, NIH_SHARED))),
    _claim("nv-state-of-the-art", "NV-Reason has state-of-the-art scores on CheXpert.",
           "macro-F1 of it and of all others that are published, on test studies that its developers had not used",
           refuses("five models are compared, and NV-Reason's developers say that this test set was used for testing "
                   "while they developed it"), "data", place="section 5"),
    *with_twins(
        _claim("training-helps-chexpert",
               "SFT and GRPO together enhance classification on CheXpert (the paper asks whether).",
               "macro-F1: ChexReason less the untouched MedGemma", rises(NEAR, BASE, GRPO), "waterfall-chexreason",
               place="sections 1, 5", stated=False),
        nine("macro-F1 over the nine: ChexReason less the untouched MedGemma",
             over_findings(NEAR, BASE, GRPO, NIH_SHARED)),
        without_one("macro-F1 over all findings but the one that moves most: ChexReason less the untouched MedGemma",
                    without_largest(NEAR, BASE, GRPO))),
    *with_twins(
        _claim("training-helps-nih", "SFT and GRPO together enhance classification on NIH (the paper asks whether).",
               "macro-F1: ChexReason less the untouched MedGemma", rises(FAR, BASE, GRPO), "waterfall-chexreason",
               place="sections 1, 5", stated=False),
        without_one("macro-F1 over all findings but the one that moves most: ChexReason less the untouched MedGemma",
                    without_largest(FAR, BASE, GRPO))),
    *with_twins(
        _claim("sft-over-grpo", "Where robustness counts, SFT serves better than GRPO.",
               "macro-F1 over the nine, mean of CheXpert and NIH: SFT less ChexReason", _both_sets(GRPO, SFT),
               place="abstract, section 5"),
        Otherwise(LABEL_SET, "macro-F1 as averaged by the paper, mean of CheXpert and NIH: SFT less ChexReason",
                  _both_sets_as_averaged(GRPO, SFT), "noise", AS_AVERAGED)),
    *with_twins(
        _claim("r1-counterproductive",
               "R1-style training on hard labels is counterproductive where a model has to serve many hospitals.",
               "macro-F1 over the nine, mean of CheXpert and NIH: the untouched MedGemma less ChexReason",
               _both_sets(GRPO, BASE), place="section 5"),
        Otherwise(LABEL_SET,
                  "macro-F1 as averaged by the paper, mean of CheXpert and NIH: the untouched MedGemma less ChexReason",
                  _both_sets_as_averaged(GRPO, BASE), "noise", AS_AVERAGED)),
    _claim("paradigm-not-scale", "The fault lies with the RL paradigm rather than with scale (of data and compute).",
           "models with and without RL, with much data and compute and with little",
           refuses("NV-Reason without RL is not scored, and the two models differ in base, data, KL weight and prompt "
                   "at once while their rewards are nearly the same, so paradigm and reward cannot be separated"),
           "untold", place="abstract, section 5"),
    _claim("traces-generalize", "It is the teacher's reasoning traces that make SFT carry over.",
           "SFT with and without traces, both on NIH",
           refuses("no model fine-tuned without traces is scored on NIH"), "untold", place="abstract, sections 4.4, 5"),
    _claim("small-models-spurious", "Small models, of 3 to 4 billion parameters, are prone to spurious patterns.",
           "the same training at several sizes, on films with and without a planted pattern",
           refuses("no larger model is trained, and the paper gives it as a hypothesis"), "untold"),
    _claim("distillation-unbiased",
           "SFT on the teacher's traces acts as implicit distillation, by analogy with unbiased teachers.",
           "what the teacher relies on: its answers on the same films, with and without the shortcut",
           refuses("the teacher was given the labels, and its own reading of a film is not tested"), "untold"),
    _claim("rl-models-lose-advantage", "NV-Reason and ChexReason lose the advantage that SFT keeps on NIH.",
           "macro-F1 on NIH: SFT less the better of the two",
           lambda side: leads(FAR, SFT, (NV, GRPO))(side)),
)  # fmt: skip
