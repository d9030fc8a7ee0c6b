"""Section 4.4 and the conclusion: five models from CheXpert to NIH (Tables 5 and 6).

The paper sets an average over nine findings on NIH beside one over fourteen on CheXpert. Those statements are
in the ledger as they are made, and refused; each has a twin on the nine findings that both sets have. So has
"SFT serves better": there both differences can be had, each over its own findings. Whether training helps at all the
paper asks and does not claim; who loses the larger share it does not say: these are our readings.
"""

from functools import partial

from companion.evidence.claims.effects import (
    Effect,
    How,
    Twin,
    both,
    claim,
    gap,
    lead,
    over,
    refused,
    shared,
)
from companion.evidence.claims.quantity import Quantity, mean, smallest
from companion.evidence.claims.reinforcement import BASE, CHEXPERT, GRPO, NIH, SFT
from companion.evidence.claims.sides import Side
from companion.evidence.claims.verdicts import LABEL_SET, Claim
from companion.evidence.tables import MODELS

NV, QWEN = "nv_reason", "qwen"
PLACES = "sections 1, 4.4, 5"


def falls(model: str) -> Effect:
    """A model on CheXpert minus the same on NIH."""
    return gap(CHEXPERT, model, model, NIH)


def _only_sft(side: Side, how: How) -> Quantity:
    found = {model: falls(model).ask(side, how) for model in MODELS}
    return smallest([smallest([one for model, one in found.items() if model != SFT]), found[SFT].times(-1)])


def _share_lost(side: Side, model: str) -> Quantity:
    near, far = (over(side, table, model, shared(side)) for table in (CHEXPERT, NIH))
    return far.relative_to(near).times(-1)


def _loses_more(model: str, other: str) -> Effect:
    def ask(side: Side, how: How) -> Quantity:
        return _share_lost(side, model) - _share_lost(side, other)

    return Effect(ask, MODELS[model], MODELS[other], "matched", "share of macro-F1 lost over the nine")


def _both_sets(plus: str, minus: str) -> Effect:
    """One model minus another, the mean of both test sets, each over its own findings or both over the shared."""

    def ask(side: Side, how: How) -> Quantity:
        if how.findings:
            how = How(findings=shared(side))
        return mean([gap(table, plus, minus).ask(side, how).about() for table in (CHEXPERT, NIH)])

    return Effect(ask, f"mean of CheXpert and NIH, {MODELS[plus]}", MODELS[minus], "matched")


_claim = partial(claim, topic="generalization", place="section 4.4")


def _crossing(name: str, says: str, effect: Effect, place: str = "section 4.4") -> tuple[Claim, ...]:
    """A claim on the way from CheXpert to NIH by the paper's averages, and its twin on the nine findings of both."""
    twin = Twin(LABEL_SET, "nine", "", effect.on_shared(), "matched")
    first, other = _claim(name, f"{says} (the paper's averages).", effect, twin, place=place, evidence="matched")
    return first, Claim(**{**vars(other), "says": f"{says} (the nine shared findings)."})


def _serves(name: str, says: str, effect: Effect, place: str) -> tuple[Claim, ...]:
    """A claim on both test sets together over the nine shared findings; its twin is over the paper's averages."""
    twin = Twin(LABEL_SET, "as-averaged", "fourteen findings on CheXpert, nine on NIH", effect, "noise")
    return _claim(name, says, effect.on_shared(), twin, place=place)


ROWS = (
    _crossing("nv_reason-drops", "NV-Reason drops from CheXpert to NIH", falls(NV), PLACES),
    _crossing("chexreason-drops", "ChexReason drops from CheXpert to NIH", falls(GRPO), PLACES),
    _crossing("medgemma-drops", "MedGemma drops from CheXpert to NIH", falls(BASE)),
    _crossing("sft-improves", "The SFT checkpoint improves on NIH", -falls(SFT), "abstract, sections 4.4, 5"),
    _crossing("sft-uniquely", "Of the five models, only the SFT checkpoint improves",
              Effect(_only_sft, "the smaller of SFT's rise and the least fall of the others, CheXpert to NIH"),
              "abstract, sections 4.4, 5"),
    _claim("sft-beats-base-nih", "On NIH, SFT beats the untouched MedGemma.", gap(NIH, SFT, BASE), "drop",
           evidence="waterfall-medgemma_sft"),
    _claim("optimised-lose-more", "Optimised for CheXpert, ChexReason loses more on the way to NIH than MedGemma did.",
           _loses_more(GRPO, BASE), stated=False),
    _claim("nv-loses-more-than-its-base",
           "Optimised, NV-Reason loses more on the way to NIH than its base Qwen2.5-VL did.",
           _loses_more(NV, QWEN), stated=False),
    _crossing("mirrors-nv-reason", "ChexReason's fall on the way to NIH mirrors NV-Reason's: both fall",
              both(falls(NV), falls(GRPO)), "abstract, sections 1, 4.4, 5"),
    _claim("nv-best-chexpert", "NV-Reason has by far the best CheXpert score.", lead(CHEXPERT, NV), "nine"),
    _claim("nv-state-of-the-art", "NV-Reason has state-of-the-art scores on CheXpert.",
           refused("macro-F1 of it and of all others that are published, on test studies that its developers had not "
                   "used", "five models are compared, and NV-Reason's developers say that this test set was used for "
                   "testing while they developed it", "data"), place="section 5"),
    _claim("training-helps-chexpert",
           "SFT and GRPO together enhance classification on CheXpert (the paper asks whether).",
           gap(CHEXPERT, GRPO, BASE), "nine", "drop", evidence="waterfall-chexreason", place="sections 1, 5",
           stated=False),
    _claim("training-helps-nih", "SFT and GRPO together enhance classification on NIH (the paper asks whether).",
           gap(NIH, GRPO, BASE), "drop", evidence="waterfall-chexreason", place="sections 1, 5", stated=False),
    _serves("sft-over-grpo", "Where robustness counts, SFT serves better than GRPO.", _both_sets(SFT, GRPO),
            "abstract, section 5"),
    _serves("r1-counterproductive",
            "R1-style training on hard labels is counterproductive where a model has to serve many hospitals.",
            _both_sets(BASE, GRPO), "section 5"),
    _claim("paradigm-not-scale", "The fault lies with the RL paradigm rather than with scale (of data and compute).",
           refused("models with and without RL, with much data and compute and with little",
                   "NV-Reason without RL is not scored, and the two models differ in base, data, KL weight and prompt "
                   "at once while their rewards are nearly the same, so paradigm and reward cannot be separated"),
           place="abstract, section 5"),
    _claim("traces-generalize", "It is the teacher's reasoning traces that make SFT carry over.",
           refused("SFT with and without traces, both on NIH",
                   "no model fine-tuned without traces is scored on NIH"), place="abstract, sections 4.4, 5"),
    _claim("small-models-spurious", "Small models, of 3 to 4 billion parameters, are prone to spurious patterns.",
           refused("the same training at several sizes, on images with and without a planted pattern",
                   "no larger model is trained, and the paper gives it as a hypothesis")),
    _claim("distillation-unbiased",
           "SFT on the teacher's traces acts as implicit distillation, by analogy with unbiased teachers.",
           refused("what the teacher relies on: its answers on the same images, with and without the shortcut",
                   "the teacher was given the labels, and its own reading of an image is not tested")),
    _claim("rl-models-lose-advantage", "NV-Reason and ChexReason lose the advantage that SFT keeps on NIH.",
           lead(NIH, SFT, (NV, GRPO)), evidence="matched"),
)  # fmt: skip

CLAIMS: tuple[Claim, ...] = tuple(one for row in ROWS for one in row)
