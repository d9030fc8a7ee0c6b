"""What a verdict rests on: the same claim with another averaging, checkpoint, label set, or without one finding.

The paper often says one thing where it could have said another with equal right. `CHOICES` pairs such claims. A
claim that is told (holds or fails) *rests on a choice* if its twin has another verdict or points the other way.
`standing` sorts every claim into one of five, which the book's first picture counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chexreason.claims.verdicts import CANNOT, HOLDS, Claim, Outcome

AVERAGING, CHECKPOINT, LABELS, LARGEST = "averaging", "checkpoint", "label set", "largest finding"

#: Claim -> (what was chosen, the claim with the other choice).
CHOICES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "narrative-best-macro": ((AVERAGING, "narrative-best-micro"),),
    "narrative-best-micro": ((AVERAGING, "narrative-best-macro"),),
    "self-check-second": ((AVERAGING, "self-check-second-micro"),),
    "both-beat-structured": ((AVERAGING, "both-beat-structured-micro"),),
    "structured-not-best": ((AVERAGING, "structured-not-best-micro"),),
    "only-label-best-micro": ((AVERAGING, "direct-best-medgemma"),),
    "direct-best-medgemma": ((AVERAGING, "only-label-best-micro"),),
    "free-best-macro": ((AVERAGING, "free-best-micro"),),
    "structured-best-qwen-macro": ((AVERAGING, "structured-best-qwen-micro"),),
    "structured-best-qwen-micro": ((AVERAGING, "structured-best-qwen-macro"),),
    "free-struggles-qwen": ((AVERAGING, "free-struggles-qwen-micro"),),
    "narrative-moderate": ((AVERAGING, "narrative-moderate-micro"),),
    "narrative-moderate-micro": ((AVERAGING, "narrative-moderate"),),
    "reversal-macro": ((AVERAGING, "reversal-micro"),),
    "reversal-micro": ((AVERAGING, "reversal-macro"),),
    "scaffold-helps-general": ((AVERAGING, "scaffold-helps-general-micro"),),
    "scaffold-harms-medical": ((AVERAGING, "scaffold-harms-medical-micro"),),
    "hard-beats-nuanced-macro": ((AVERAGING, "hard-beats-nuanced-micro"),),
    "hard-beats-nuanced-micro": ((AVERAGING, "hard-beats-nuanced-macro"),),
    "grpo-improves-validation": (
        (CHECKPOINT, "grpo-improves-last-step"), (AVERAGING, "grpo-improves-validation-micro"),
    ),
    "sft-costs-validation": ((AVERAGING, "sft-costs-validation-micro"),),
    "grpo-improves-chexpert": ((LABELS, "grpo-improves-chexpert-nine"), (LARGEST, "grpo-gain-not-one-finding")),
    "sft-costs-chexpert": ((LABELS, "sft-costs-chexpert-nine"), (LARGEST, "sft-cost-not-one-finding")),
    "nearly-baseline": ((LABELS, "nearly-baseline-nine"),),
    "sft-weakest-chexpert": ((LABELS, "sft-weakest-chexpert-nine"),),
    "grpo-loses-nih": ((LARGEST, "grpo-loss-not-one-finding"),),
    "sft-beats-base-nih": ((LARGEST, "sft-gain-not-one-finding"),),
    "sft-improves": ((LABELS, "sft-improves-nine"),),
    "sft-improves-nine": ((LARGEST, "sft-rise-not-one-finding"),),
    "training-helps-chexpert": ((LABELS, "training-helps-chexpert-nine"),),
    "weaker-on-chexpert": ((LABELS, "weaker-on-chexpert-nine"),),
    "nv_reason-drops": ((LABELS, "nv_reason-drops-nine"),),
    "chexreason-drops": ((LABELS, "chexreason-drops-nine"),),
    "medgemma-drops": ((LABELS, "medgemma-drops-nine"),),
}  # fmt: skip

BORNE_OUT, CHOICE, NOISE, CONTRADICTED, REFUSED = (
    "holds", "rests on a choice", "within chance", "fails", "not to be judged",
)  # fmt: skip
STANDINGS = (BORNE_OUT, CHOICE, NOISE, CONTRADICTED, REFUSED)


def turning(found: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes, each with the choices on which its verdict turns."""
    return {name: replace(one, turns=tuple(_turns(name, found))) for name, one in found.items()}


def _turns(name: str, found: Mapping[str, Outcome]) -> Iterable[str]:
    one = found[name]
    for kind, twin in CHOICES.get(name, ()) if one.verdict != CANNOT else ():
        if twin in found and found[twin].effect is not None and found[twin].verdict != one.verdict:
            yield f"{kind}: with the other choice it {_told(found[twin])} [{twin}]"


def _told(one: Outcome) -> str:
    return one.verdict if one.verdict != CANNOT else "cannot be told from chance"


def standing(one: Outcome) -> str:
    """Which of `STANDINGS` an outcome is, after `turning`."""
    if one.effect is None:
        return REFUSED
    if one.verdict == CANNOT:
        return NOISE
    if one.turns:
        return CHOICE
    return BORNE_OUT if one.verdict == HOLDS else CONTRADICTED


def tally(found: Mapping[str, Outcome]) -> dict[str, int]:
    """How many claims stand how."""
    standings = [standing(one) for one in found.values()]
    return {name: standings.count(name) for name in STANDINGS}


def twins_missing(claims: Mapping[str, Claim]) -> set[str]:
    """Names in `CHOICES` that no claim has; empty if all is well."""
    named = set(CHOICES) | {twin for pairs in CHOICES.values() for _, twin in pairs}
    return named - set(claims)
