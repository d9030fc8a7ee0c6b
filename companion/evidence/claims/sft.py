"""Section 4.2: four formats of fine-tuning, on a medical and on a general model (Tables 2 and 3, Figure 1)."""

from collections.abc import Callable
from functools import partial

from chexreason.prompts import SFT_FORMATS
from companion.evidence.claims.checks import both, leads, minus, refuses, rises, trails
from companion.evidence.claims.quantity import (
    CannotTell,
    Floats,
    Quantity,
    agreement,
    association,
    largest,
    mean,
    smallest,
)
from companion.evidence.claims.sides import Side, common, over, rare
from companion.evidence.claims.twins import Otherwise, micro, with_twins
from companion.evidence.claims.verdicts import AS_COUNTED, AVERAGING, BEYOND_CHANCE, Claim

ROWS = tuple(SFT_FORMATS)
A, FREE, NARRATIVE, ONLY = "reasoning_a", "free_reasoning", "reasoning_narrative", "only_label"
MEDGEMMA, QWEN = 2, 3
#: The formats from the shortest rationale to the longest. No length is printed, so the order is ours; which of the
#: last two is the longer is left open.
BY_LENGTH = ((ONLY, FREE, A, NARRATIVE), (ONLY, FREE, NARRATIVE, A))
Check = Callable[[Side], Quantity]


def _label_frequency(side: Side) -> Quantity:
    """Only Label ahead on common findings, and Free Reasoning ahead on rare ones: the smaller of the two leads."""
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    ahead = over(side, MEDGEMMA, ONLY, frequent) - over(side, MEDGEMMA, FREE, frequent)
    behind = over(side, MEDGEMMA, FREE, seldom) - over(side, MEDGEMMA, ONLY, seldom)
    return smallest([ahead.about(), behind.about()])


def _balanced(side: Side) -> Quantity:
    """How much farther apart common and rare findings are under Only Label than under Free Reasoning."""
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    gaps = [over(side, MEDGEMMA, row, frequent).about() - over(side, MEDGEMMA, row, seldom).about()
            for row in (ONLY, FREE)]  # fmt: skip
    return gaps[0] - gaps[1]


def _reversed(average: str) -> Check:
    return lambda side: agreement(
        [side.score(MEDGEMMA, row, average) for row in ROWS], [side.score(QWEN, row, average) for row in ROWS]
    ).times(-1)


def _interaction(average: str) -> Check:
    """What structure does for the general model, less what it does for the medical one."""
    return lambda side: rises(QWEN, FREE, A, average)(side) - rises(MEDGEMMA, FREE, A, average)(side)


def _free_form_fails(average: str) -> Check:
    """Both free forms: how much better they do on the medical model, the smaller of the two."""
    return lambda side: smallest(
        [side.score(MEDGEMMA, row, average) - side.score(QWEN, row, average) for row in (NARRATIVE, FREE)]
    )


def _between(table: int, row: str, average: str) -> Check:
    """How far a format is from being either the best or the worst."""
    return both(minus(leads(table, row, ROWS, average)), minus(trails(table, row, ROWS, average)))


def _longer_fails(side: Side) -> Quantity:
    """Rank correlation of failure rate and length over four formats: the least of both models and both orders."""
    return smallest([_with_length(side, table, order) for table in (MEDGEMMA, QWEN) for order in BY_LENGTH])


def _with_length(side: Side, table: int, order: tuple[str, ...]) -> Quantity:
    failures = [side.failure(table, row) for row in order]
    if len({one.value for one in failures}) == 1:
        raise CannotTell("every format fails to parse equally often")
    lengths = [one.map(partial(_constant, place)) for place, one in enumerate(failures)]
    return association(failures, lengths, "formats")


def _constant(value: float, draws: Floats) -> Floats:
    return 0 * draws + value


def _never_fails(side: Side) -> Quantity:
    return largest([side.failure(table, ONLY) for table in (MEDGEMMA, QWEN)]).times(-1)


def _masters(side: Side) -> Quantity:
    """Refused: an opinion has no bar."""
    parsed = 1 - side.failure(MEDGEMMA, FREE).value
    raise CannotTell(f"how many answers have to parse for mastery, the text does not say; {parsed:.1%} do")


def _fails_most(side: Side) -> Quantity:
    others = largest([side.failure(QWEN, row) for row in ROWS if row != NARRATIVE])
    return side.failure(QWEN, NARRATIVE) - others


def _costs(average: str) -> Check:
    """The two prompts that are asked both before and after fine-tuning: before less after."""
    return lambda side: mean(
        [side.score(1, row, average) - side.score(MEDGEMMA, row, average) for row in (NARRATIVE, A)]
    )


def _saturates(side: Side) -> Quantity:
    return smallest([side.accuracy(row) for row in ROWS if row != FREE]) - side.accuracy(FREE)


def _slower(side: Side) -> Quantity:
    return side.pace(FREE) - largest([side.pace(row) for row in ROWS if row != FREE])


def _claim(
    name: str, says: str, rests_on: str, check: Check, evidence: str = "validation", kind: str = BEYOND_CHANCE,
    bar: float = 0.0, place: str = "section 4.2", averaged: str = "", sharpened: bool = False,
) -> Claim:  # fmt: skip
    """`averaged` names the twin with the other average, where that is a claim of the paper by itself."""
    choice = ((AVERAGING, averaged),) if averaged else ()
    return Claim(name, place, says, rests_on, check, "fine-tuning", evidence, kind, bar, choice, sharpened=sharpened)


def _refused(name: str, place: str, says: str, rests_on: str, reason: str) -> Claim:
    return _claim(name, says, rests_on, refuses(reason), "untold", AS_COUNTED, place=place)


CLAIMS = (
    _claim("only-label-best-micro", "For MedGemma, Only Label has the best micro-F1.",
           "micro-F1: Only Label less the best other format", leads(MEDGEMMA, ONLY, ROWS, "micro"),
           averaged="direct-best-medgemma"),
    *with_twins(
        _claim("free-best-macro",
               "For MedGemma, Free Reasoning has the best macro-F1; it is therefore chosen for GRPO.",
               "macro-F1: Free Reasoning less the best other format", leads(MEDGEMMA, FREE, ROWS)),
        micro("micro-F1: Free Reasoning less the best other format", leads(MEDGEMMA, FREE, ROWS, "micro"))),
    _claim("micro-macro-trade-off",
           "For MedGemma there is a trade-off: micro-F1 prefers Only Label, macro-F1 Free Reasoning.",
           "the smaller of the two leads",
           both(rises(MEDGEMMA, FREE, ONLY, "micro"), rises(MEDGEMMA, ONLY, FREE))),
    _claim("label-frequency", "Only Label is ahead on common findings and behind on rare ones.",
           "F1 over common findings and over rare findings: the smaller of the two leads", _label_frequency, "table2"),
    _claim("free-balanced", "Free Reasoning handles common and rare findings in a more balanced way.",
           "F1 over common less over rare findings: Only Label less Free Reasoning", _balanced, "table2"),
    _claim("structured-worst-medgemma", "For MedGemma, Reasoning A is clearly the worst by both averages.",
           "micro- and macro-F1: the worst other format less Reasoning A, the smaller",
           both(trails(MEDGEMMA, A, ROWS), trails(MEDGEMMA, A, ROWS, "micro"))),
    _claim("structured-best-qwen-macro", "For Qwen2.5-VL, Reasoning A has by far the best macro-F1.",
           "macro-F1: Reasoning A less the best other format", leads(QWEN, A, ROWS),
           averaged="structured-best-qwen-micro"),
    _claim("structured-best-qwen-micro", "For Qwen2.5-VL, Reasoning A has by far the best micro-F1.",
           "micro-F1: Reasoning A less the best other format", leads(QWEN, A, ROWS, "micro"),
           averaged="structured-best-qwen-macro"),
    *with_twins(
        _claim("free-struggles-qwen", "For Qwen2.5-VL, Free Reasoning struggles: it is far behind Reasoning A.",
               "macro-F1: Reasoning A less Free Reasoning", rises(QWEN, FREE, A)),
        micro("micro-F1: Reasoning A less Free Reasoning", rises(QWEN, FREE, A, "micro"))),
    *with_twins(
        _claim("only-label-mediocre-qwen", "For Qwen2.5-VL, Only Label is mediocre: neither the best nor the worst.",
               "macro-F1: distance from the best and from the worst other format, the smaller",
               _between(QWEN, ONLY, "macro"), kind=AS_COUNTED),
        micro("micro-F1: distance from the best and from the worst other format, the smaller",
              _between(QWEN, ONLY, "micro"))),
    _claim("narrative-fails-most-qwen", "For Qwen2.5-VL, Reasoning Narrative has a high failure rate.",
           "failure rate: Reasoning Narrative less the highest other format", _fails_most, "table3"),
    *with_twins(
        _claim("narrative-moderate",
               "For Qwen2.5-VL, Reasoning Narrative has moderate scores: neither the best nor the worst.",
               "micro-F1: distance from the best and from the worst other format, the smaller",
               _between(QWEN, NARRATIVE, "micro"), "contradictions", AS_COUNTED),
        Otherwise(AVERAGING, "macro-F1: distance from the best and from the worst other format, the smaller",
                  _between(QWEN, NARRATIVE, "macro"), ending=("macro", "by macro-F1"))),
    *with_twins(
        _claim("narrative-moderate-medgemma",
               "Free-form reasoning has moderate success on MedGemma: the narrative is neither the best nor the worst.",
               "macro-F1: distance from the best and from the worst other format, the smaller",
               _between(MEDGEMMA, NARRATIVE, "macro"), kind=AS_COUNTED),
        micro("micro-F1: distance from the best and from the worst other format, the smaller",
              _between(MEDGEMMA, NARRATIVE, "micro"))),
    *with_twins(
        _claim("free-form-fails-qwen", "Free-form reasoning does worse on Qwen2.5-VL than on MedGemma.",
               "macro-F1: MedGemma less Qwen2.5-VL, the smaller of Reasoning Narrative and Free Reasoning",
               _free_form_fails("macro")),
        micro("micro-F1: MedGemma less Qwen2.5-VL, the smaller of Reasoning Narrative and Free Reasoning",
              _free_form_fails("micro"))),
    _claim("reversal-macro", "The ranking of formats reverses completely between the two models (by macro-F1).",
           "rank correlation of the two orders, sign turned; 1 is a complete reversal", _reversed("macro"),
           "contradictions", AS_COUNTED, 1.0, averaged="reversal-micro"),
    _claim("reversal-micro", "The ranking of formats reverses completely between the two models (by micro-F1).",
           "rank correlation of the two orders, sign turned; 1 is a complete reversal", _reversed("micro"),
           "contradictions", AS_COUNTED, 1.0, averaged="reversal-macro"),
    *with_twins(
        _claim("format-depends-on-pretraining", "Which format is best depends on medical pre-training.",
               "macro-F1: (Reasoning A less Free Reasoning) on Qwen2.5-VL, less the same on MedGemma",
               _interaction("macro"), place="abstract, section 4.2"),
        micro("micro-F1: (Reasoning A less Free Reasoning) on Qwen2.5-VL, less the same on MedGemma",
              _interaction("micro"))),
    _refused("pretraining-maps-directly", "section 4.2",
             "Medical pre-training encodes features that let labels be mapped directly, without reasoning.",
             "features of the two base models, and the same model with and without medical pre-training",
             "no feature is looked at, and the two models differ in more than their pre-training"),
    *with_twins(
        _claim("scaffold-helps-general", "Structured reasoning helps the general model.",
               "macro-F1 on Qwen2.5-VL: Reasoning A less Only Label", rises(QWEN, ONLY, A),
               place="abstract, section 5"),
        micro("micro-F1 on Qwen2.5-VL: Reasoning A less Only Label", rises(QWEN, ONLY, A, "micro"))),
    *with_twins(
        _claim("scaffold-small-gain-medical", "Structured reasoning offers the medical model a gain, if a minimal one.",
               "macro-F1 on MedGemma: Reasoning A less Only Label", rises(MEDGEMMA, ONLY, A),
               place="abstract, section 1", sharpened=True),
        micro("micro-F1 on MedGemma: Reasoning A less Only Label", rises(MEDGEMMA, ONLY, A, "micro"))),
    *with_twins(
        _claim("scaffold-harms-medical",
               "For the medical model structured reasoning is redundant, or even detrimental.",
               "macro-F1 on MedGemma: Only Label less Reasoning A", rises(MEDGEMMA, A, ONLY), place="section 5"),
        micro("micro-F1 on MedGemma: Only Label less Reasoning A", rises(MEDGEMMA, A, ONLY, "micro"))),
    _claim("direct-best-medgemma", "MedGemma did best with direct label prediction (by macro-F1).",
           "macro-F1: Only Label less the best other format", leads(MEDGEMMA, ONLY, ROWS), "contradictions", AS_COUNTED,
           place="section 5", averaged="only-label-best-micro"),
    _claim("only-label-never-fails", "Only Label never violates the format, on either model.",
           "the higher of its two failure rates, sign turned", _never_fails, "tables2and3", AS_COUNTED, -1e-6),
    _claim("longer-fails-more", "Decoding is the less reliable the longer the rationale, across both models.",
           "rank correlation of failure rate and length over four formats, the least of both models and of two orders "
           "of length, which are ours; the interval is of shuffled formats", _longer_fails, "tables2and3", AS_COUNTED),
    _claim("free-masters-format", "Free Reasoning masters the structured output format.",
           "failure rate on MedGemma", _masters, "table2", AS_COUNTED, place="section 4.4"),
    _claim("constrained-converge-faster", "Formats with strict syntax converge rapidly, Free Reasoning gradually.",
           "share of the training after which nine tenths of the rise in token accuracy are made: Free Reasoning less "
           "the slowest other format", _slower, "figure1", AS_COUNTED, place="section 4.2, Figure 1"),
    _claim("free-saturates-lower", "Free Reasoning saturates at a lower token accuracy than the other formats.",
           "token accuracy at the end: the lowest other format less Free Reasoning", _saturates, "figure1",
           AS_COUNTED, place="section 4.2, Figure 1"),
    _refused("accuracy-is-entropy", "section 4.2, Figure 1",
             "Token accuracy reflects the entropy of a format rather than what is learnt.",
             "entropy of each format's traces, and what was learnt apart from them",
             "no entropy is measured; the paper gives it as a hypothesis, and Figure 1 as a picture"),
    *with_twins(
        _claim("sft-costs-validation", "Fine-tuning degrades performance on the validation distribution.",
               "macro-F1 of the two prompts asked both before and after: before less after", _costs("macro"),
               place="section 4.3, Tables 1 and 2"),
        micro("micro-F1 of the two prompts asked both before and after: before less after", _costs("micro"))),
)  # fmt: skip
