"""Section 4.2: four formats of fine-tuning, on a medical and on a general model (Tables 2 and 3, Figure 1)."""

from collections.abc import Callable

from chexreason.claims.checks import both, leads, minus, refuses, rises, shown_in, trails
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


def _costs(side: Side, average: str = "macro") -> Quantity:
    """The two prompts that are asked both before and after fine-tuning: before less after."""
    return mean([side.score(1, row, average) - side.score(MEDGEMMA, row, average) for row in (NARRATIVE, A)])


def _free_masters(side: Side) -> Quantity:
    return smallest([side.failure(MEDGEMMA, row) for row in ROWS if row != FREE]) - side.failure(MEDGEMMA, FREE)


def _saturates(side: Side) -> Quantity:
    return smallest([side.accuracy(row) for row in ROWS if row != FREE]) - side.accuracy(FREE)


def _claim(
    name: str, says: str, rests_on: str, check: Callable[[Side], Quantity],
    evidence: str = "validation", kind: str = BEYOND_CHANCE, bar: float = 0.0, place: str = "section 4.2",
) -> Claim:  # fmt: skip
    table = QWEN if "qwen" in name else MEDGEMMA
    shown = shown_in(table, rests_on) if evidence == "validation" else evidence
    return Claim(name, place, says, rests_on, check, "fine-tuning", shown, kind, bar)


CLAIMS = (
    _claim("only-label-best-micro", "For MedGemma, Only Label has the best micro-F1.",
           "micro-F1: Only Label less the best other format", leads(MEDGEMMA, ONLY, ROWS, "micro")),
    _claim("free-best-macro", "For MedGemma, Free Reasoning has the best macro-F1; it is therefore chosen for GRPO.",
           "macro-F1: Free Reasoning less the best other format", leads(MEDGEMMA, FREE, ROWS)),
    _claim("free-best-micro", "For MedGemma, Free Reasoning has the best micro-F1, too.",
           "micro-F1: Free Reasoning less the best other format", leads(MEDGEMMA, FREE, ROWS, "micro")),
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
    _claim("free-struggles-qwen-micro", "For Qwen2.5-VL, Free Reasoning is far behind by micro-F1, too.",
           "micro-F1: Reasoning A less Free Reasoning", rises(QWEN, FREE, A, "micro")),
    _claim("only-label-mediocre-qwen", "For Qwen2.5-VL, Only Label is mediocre: neither the best nor the worst.",
           "macro-F1: distance from the best and from the worst other format, the smaller", _mediocre, kind=AS_COUNTED),
    _claim("narrative-fails-most-qwen", "For Qwen2.5-VL, Reasoning Narrative fails to parse most often.",
           "failure rate: Reasoning Narrative less the highest other format", _fails_most),
    _claim("narrative-moderate", "For Qwen2.5-VL, Reasoning Narrative has moderate scores.",
           "macro-F1: Reasoning Narrative less the worst other format", minus(trails(QWEN, NARRATIVE, ROWS)),
           "contradictions", AS_COUNTED),
    _claim("narrative-moderate-micro", "For Qwen2.5-VL, Reasoning Narrative has a moderate micro-F1.",
           "micro-F1: Reasoning Narrative less the worst other format", minus(trails(QWEN, NARRATIVE, ROWS, "micro")),
           "table3", AS_COUNTED),
    _claim("free-masters-format", "Free Reasoning lets MedGemma master the format: it fails least often.",
           "failure rate: the lowest other format less Free Reasoning", _free_masters, "table2", place="section 4.4"),
    _claim("narrative-moderate-medgemma", "Reasoning Narrative has moderate success on MedGemma.",
           "macro-F1: Reasoning Narrative less the worst other format", minus(trails(MEDGEMMA, NARRATIVE, ROWS)),
           kind=AS_COUNTED),
    _claim("constrained-converge-fast", "Syntax-constrained formats converge faster than free ones.",
           "steps to a given token accuracy", refuses("Figure 1 is a picture, and no number in the text says how fast"),
           "untold", place="section 4.2, Figure 1"),
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
    _claim("scaffold-helps-general-micro", "Structured reasoning helps the general model by micro-F1, too.",
           "micro-F1 on Qwen2.5-VL: Reasoning A less Only Label", rises(QWEN, ONLY, A, "micro"), "table3",
           place="abstract, section 5"),
    _claim("scaffold-harms-medical-micro", "For the medical model it is detrimental by micro-F1, too.",
           "micro-F1 on MedGemma: Only Label less Reasoning A", rises(MEDGEMMA, A, ONLY, "micro"), "table2",
           place="section 5"),
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
    _claim("sft-costs-validation-micro", "Fine-tuning degrades micro-F1 on validation, too.",
           "micro-F1 of the two prompts asked both before and after: before less after",
           lambda side: _costs(side, "micro"), "table2", place="section 4.3, Tables 1 and 2"),
    _claim("traces-validated", "The teacher's traces are validated by clinicians.",
           "a reading of the traces by clinicians",
           refuses("no rate of agreement, reader or number of traces is printed"),
           "untold", place="section 3.2.1"),
    _claim("accuracy-is-entropy", "A low token accuracy reflects varied words, not poor learning.",
           "token accuracy at equal entropy of the traces", refuses("no entropy of any format's traces is printed"),
           "untold", place="section 4.2, Figure 1"),
    _claim("pretraining-maps-directly", "Medical pre-training lets a model map films to labels without reasoning.",
           "a model with and without it, all else equal",
           refuses("MedGemma and Qwen2.5-VL differ in architecture, size and data as well"), "untold",
           place="section 5"),
)  # fmt: skip
