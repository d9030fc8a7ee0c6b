"""Section 4.2: four formats of fine-tuning, on a medical and on a general model (Tables 2 and 3, Figure 1)."""

from collections.abc import Callable

from chexreason.claims.checks import both, leads, minus, rises, trails
from chexreason.claims.quantity import Quantity, agreement, largest, mean, smallest
from chexreason.claims.sides import Side, common, over, rare
from chexreason.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, Claim
from chexreason.prompts import SFT_FORMATS

ROWS = tuple(SFT_FORMATS)
A, FREE, NARRATIVE, ONLY = "reasoning_a", "free_reasoning", "reasoning_narrative", "only_label"
MEDGEMMA, QWEN = 2, 3


def _label_frequency(side: Side) -> Quantity:
    """Only Label ahead on common findings, and Free Reasoning ahead on rare ones: the smaller of the two leads."""
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    ahead = over(side, MEDGEMMA, ONLY, frequent) - over(side, MEDGEMMA, FREE, frequent)
    behind = over(side, MEDGEMMA, FREE, seldom) - over(side, MEDGEMMA, ONLY, seldom)
    return smallest([ahead.about(), behind.about()])


def _reversed(average: str) -> Callable[[Side], Quantity]:
    return lambda side: agreement(
        [side.score(MEDGEMMA, row, average) for row in ROWS], [side.score(QWEN, row, average) for row in ROWS]
    ).times(-1)


def _interaction(side: Side) -> Quantity:
    """What structure does for the general model, less what it does for the medical one."""
    return rises(QWEN, FREE, A)(side) - rises(MEDGEMMA, FREE, A)(side)


def _longer_fails(side: Side) -> Quantity:
    return smallest([side.failure(table, A) - side.failure(table, FREE) for table in (MEDGEMMA, QWEN)])


def _never_fails(side: Side) -> Quantity:
    return largest([side.failure(table, ONLY) for table in (MEDGEMMA, QWEN)]).times(-1)


def _mediocre(side: Side) -> Quantity:
    """How far Only Label is from being either the best or the worst on the general model."""
    return smallest([leads(QWEN, ONLY, ROWS)(side).times(-1), trails(QWEN, ONLY, ROWS)(side).times(-1)])


def _fails_most(side: Side) -> Quantity:
    others = largest([side.failure(QWEN, row) for row in ROWS if row != NARRATIVE])
    return side.failure(QWEN, NARRATIVE) - others


def _costs(side: Side) -> Quantity:
    """The two prompts that are asked both before and after fine-tuning: before less after."""
    return mean([side.score(1, row) - side.score(MEDGEMMA, row) for row in (NARRATIVE, A)])


def _saturates(side: Side) -> Quantity:
    return smallest([side.accuracy(row) for row in ROWS if row != FREE]) - side.accuracy(FREE)


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity],
    evidence: str = "validation", kind: str = BEYOND_CHANCE, bar: float = 0.0, place: str = "section 4.2",
) -> Claim:  # fmt: skip
    return Claim(name, place, says, rests_on, check, "fine-tuning", evidence, kind, bar)


CLAIMS = (
    _claim("only-label-best-micro", "For MedGemma, Only Label has the best micro-F1.",
           "micro-F1: Only Label less the best other format", leads(MEDGEMMA, ONLY, ROWS, "micro")),
    _claim("free-best-macro", "For MedGemma, Free Reasoning has the best macro-F1; it is therefore chosen for GRPO.",
           "macro-F1: Free Reasoning less the best other format", leads(MEDGEMMA, FREE, ROWS)),
    _claim("micro-macro-trade-off",
           "For MedGemma there is a trade-off: micro-F1 prefers Only Label, macro-F1 Free Reasoning.",
           "the smaller of the two leads",
           both(rises(MEDGEMMA, FREE, ONLY, "micro"), rises(MEDGEMMA, ONLY, FREE))),
    _claim("label-frequency", "Only Label is ahead on common findings and behind on rare ones.",
           "F1 over common findings and over rare findings: the smaller of the two leads", _label_frequency),
    _claim("structured-worst-medgemma", "For MedGemma, Reasoning A is clearly the worst by both averages.",
           "micro- and macro-F1: the worst other format less Reasoning A, the smaller",
           both(trails(MEDGEMMA, A, ROWS), trails(MEDGEMMA, A, ROWS, "micro"))),
    _claim("structured-best-qwen-macro", "For Qwen2.5-VL, Reasoning A has by far the best macro-F1.",
           "macro-F1: Reasoning A less the best other format", leads(QWEN, A, ROWS)),
    _claim("structured-best-qwen-micro", "For Qwen2.5-VL, Reasoning A has by far the best micro-F1.",
           "micro-F1: Reasoning A less the best other format", leads(QWEN, A, ROWS, "micro")),
    _claim("free-struggles-qwen", "For Qwen2.5-VL, Free Reasoning struggles: it is far behind Reasoning A.",
           "macro-F1: Reasoning A less Free Reasoning", rises(QWEN, FREE, A)),
    _claim("only-label-mediocre-qwen", "For Qwen2.5-VL, Only Label is mediocre: neither the best nor the worst.",
           "macro-F1: distance from the best and from the worst other format, the smaller", _mediocre, kind=AS_COUNTED),
    _claim("narrative-fails-most-qwen", "For Qwen2.5-VL, Reasoning Narrative fails to parse most often.",
           "failure rate: Reasoning Narrative less the highest other format", _fails_most),
    _claim("narrative-moderate", "For Qwen2.5-VL, Reasoning Narrative has moderate scores.",
           "macro-F1: Reasoning Narrative less the worst other format", minus(trails(QWEN, NARRATIVE, ROWS)),
           "contradictions", AS_COUNTED),
    _claim("reversal-macro", "The ranking of formats reverses completely between the two models (by macro-F1).",
           "rank correlation of the two orders, sign turned; 1 is a complete reversal", _reversed("macro"),
           "contradictions", AS_COUNTED, 1.0),
    _claim("reversal-micro", "The ranking of formats reverses completely between the two models (by micro-F1).",
           "rank correlation of the two orders, sign turned; 1 is a complete reversal", _reversed("micro"),
           "contradictions", AS_COUNTED, 1.0),
    _claim("format-depends-on-pretraining", "Which format is best depends on medical pre-training.",
           "macro-F1: (Reasoning A less Free Reasoning) on Qwen2.5-VL, less the same on MedGemma", _interaction,
           place="abstract, section 4.2"),
    _claim("scaffold-helps-general", "Structured reasoning helps the general model.",
           "macro-F1 on Qwen2.5-VL: Reasoning A less Only Label", rises(QWEN, ONLY, A), place="abstract, section 5"),
    _claim("scaffold-small-gain-medical", "Structured reasoning offers the medical model a gain, if a minimal one.",
           "macro-F1 on MedGemma: Reasoning A less Only Label", rises(MEDGEMMA, ONLY, A), place="abstract, section 1"),
    _claim("scaffold-harms-medical", "For the medical model structured reasoning is redundant, or even detrimental.",
           "macro-F1 on MedGemma: Only Label less Reasoning A", rises(MEDGEMMA, A, ONLY), place="section 5"),
    _claim("direct-best-medgemma", "MedGemma did best with direct label prediction (by macro-F1).",
           "macro-F1: Only Label less the best other format", leads(MEDGEMMA, ONLY, ROWS), "contradictions", AS_COUNTED,
           place="section 5"),
    _claim("only-label-never-fails", "Only Label never violates the format, on either model.",
           "the higher of its two failure rates, sign turned", _never_fails, "arithmetic", AS_COUNTED, -1e-6),
    _claim("longer-fails-more", "Longer rationales fail to parse more often.",
           "failure rate: the twelve steps of Reasoning A less the concise Free Reasoning, on the worse model",
           _longer_fails, "contradictions"),
    _claim("free-saturates-lower", "Free Reasoning saturates at a lower token accuracy than the other formats.",
           "token accuracy at the end: the lowest other format less Free Reasoning", _saturates, "untold",
           AS_COUNTED, place="section 4.2, Figure 1"),
    _claim("sft-costs-validation", "Fine-tuning degrades performance on the validation distribution.",
           "macro-F1 of the two prompts asked both before and after: before less after", _costs,
           place="section 4.3, Tables 1 and 2"),
)  # fmt: skip
