"""Section 4.1: nine prompts for the untouched MedGemma (Table 1)."""

from collections.abc import Callable

from chexreason.labels import NIH_SHARED
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.claims.checks import Check, both, leads, minus, over_findings, rises
from companion.evidence.claims.quantity import Quantity, largest, smallest
from companion.evidence.claims.sides import Side
from companion.evidence.claims.twins import Otherwise, micro, nine, with_twins
from companion.evidence.claims.verdicts import AVERAGING, BASELINE, CHECKPOINT, Claim

ROWS = tuple(TABLE1_PROMPTS)
A, NARRATIVE, SELF_CHECK = "reasoning_a", "reasoning_narrative", "reasoning_self_check"
COMPLEX = ("reasoning_c", "reasoning_f")
NOT_FIRST = [row for row in ROWS if row != NARRATIVE]


def _gain(row: str, metric: str) -> Check:
    """What a prompt gains over Reasoning A, in micro recall or precision."""
    return lambda side: side.score(1, row, "micro", metric) - side.score(1, A, "micro", metric)


def _by_recall(row: str) -> Check:
    """Gain in recall less gain in precision, from Reasoning A."""
    return lambda side: _gain(row, "recall")(side) - _gain(row, "precision")(side)


def _fails_more(rows: tuple[str, ...], others: tuple[str, ...]) -> Check:
    """The lowest failure rate of some prompts less the highest of others."""
    return lambda side: (
        smallest([side.failure(1, row) for row in rows]) - largest([side.failure(1, row) for row in others])
    )


def _parses_after_tuning(side: Side) -> Quantity:
    others = largest([side.failure(2, row) for row in SFT_FORMATS if row != NARRATIVE])
    return others - side.failure(2, NARRATIVE)


def _complex_score_low(average: str) -> Callable[[Side], Quantity]:
    return lambda side: side.score(1, A, average) - largest([side.score(1, row, average) for row in COMPLEX])


def _claim(
    name: str, says: str, rests_on: str, check: Check, evidence: str = "validation", place: str = "section 4.1",
    choice: tuple[tuple[str, str], ...] = (),
) -> Claim:  # fmt: skip
    return Claim(name, place, says, rests_on, check, "prompting", evidence, choice=choice)


CLAIMS = (
    *with_twins(
        Claim("base-superior", "section 4.1", "MedGemma is the better of the two base models to start from.",
              "macro-F1 on CheXpert, untouched: MedGemma less Qwen2.5-VL", rises(5, "qwen", "medgemma"),
              "prompting", "noise"),
        nine("macro-F1 over the nine on CheXpert, untouched: MedGemma less Qwen2.5-VL",
             over_findings(5, "qwen", "medgemma", NIH_SHARED))),
    _claim("narrative-best-macro", "The free narrative prompt has the best macro-F1 of the nine.",
           "macro-F1: Reasoning Narrative less the best other prompt", leads(1, NARRATIVE, ROWS),
           choice=((AVERAGING, "narrative-best-micro"),)),
    _claim("narrative-best-micro", "The free narrative prompt has the best micro-F1 of the nine.",
           "micro-F1: Reasoning Narrative less the best other prompt", leads(1, NARRATIVE, ROWS, "micro"),
           choice=((AVERAGING, "narrative-best-macro"),)),
    _claim("self-check-second", "Self-Check is second by macro-F1.",
           "macro-F1: Self-Check less the best prompt other than Reasoning Narrative",
           leads(1, SELF_CHECK, NOT_FIRST), choice=((AVERAGING, "self-check-second-micro"),)),
    _claim("self-check-second-micro", "Self-Check is second by micro-F1, too.",
           "micro-F1: Self-Check less the best prompt other than Reasoning Narrative",
           leads(1, SELF_CHECK, NOT_FIRST, "micro"), choice=((AVERAGING, "self-check-second"),)),
    _claim("both-beat-structured", "Narrative and Self-Check both outperform the structured Reasoning A (macro-F1).",
           "macro-F1: the lower of the two less Reasoning A",
           both(rises(1, A, NARRATIVE), rises(1, A, SELF_CHECK)),
           choice=((AVERAGING, "both-beat-structured-micro"),)),
    _claim("both-beat-structured-micro",
           "Narrative and Self-Check both outperform the structured Reasoning A (micro-F1).",
           "micro-F1: the lower of the two less Reasoning A",
           both(rises(1, A, NARRATIVE, "micro"), rises(1, A, SELF_CHECK, "micro")),
           choice=((AVERAGING, "both-beat-structured"),)),
    *with_twins(
        _claim("structured-not-best", "Contrary to expectation, the structured twelve-step prompt is not the best.",
               "macro-F1: the best other prompt less Reasoning A", minus(leads(1, A, ROWS))),
        micro("micro-F1: the best other prompt less Reasoning A", minus(leads(1, A, ROWS, "micro")))),
    _claim("recall-rises", "Narrative finds more than Reasoning A does: its recall is higher.",
           "micro recall: Reasoning Narrative less Reasoning A", _gain(NARRATIVE, "recall"), "arithmetic"),
    _claim("self-check-recall-rises", "Self-Check finds more than Reasoning A does: its recall is higher.",
           "micro recall: Self-Check less Reasoning A", _gain(SELF_CHECK, "recall"), "arithmetic"),
    _claim("recall-not-precision", "Narrative gains over Reasoning A by recall rather than by precision.",
           "micro recall gained less micro precision gained", _by_recall(NARRATIVE), "arithmetic"),
    _claim("self-check-by-recall", "Self-Check gains over Reasoning A by recall rather than by precision.",
           "micro recall gained less micro precision gained", _by_recall(SELF_CHECK), "arithmetic"),
    _claim("complex-prompts-fail", "Reasoning C and F fail to parse most often.",
           "failure rate: the lower of the two less the highest of the others",
           _fails_more(COMPLEX, tuple(row for row in ROWS if row not in COMPLEX)), "table1", "section 4.1, Table 1"),
    *with_twins(
        _claim("complex-prompts-score-low", "Reasoning C and F classify worse, too: both are below Reasoning A.",
               "macro-F1: Reasoning A less the better of the two", _complex_score_low("macro")),
        micro("micro-F1: Reasoning A less the better of the two", _complex_score_low("micro"))),
    *with_twins(
        _claim("free-prompts-reliable", "Narrative and Self-Check parse reliably.",
               "failure rate: the lower of Reasoning C and F less the higher of the two",
               _fails_more(COMPLEX, (NARRATIVE, SELF_CHECK)), "table1"),
        Otherwise(CHECKPOINT, "failure rate, MedGemma fine-tuned: the highest other format less Reasoning Narrative",
                  _parses_after_tuning, "table2", ("tuned", "Reasoning Narrative once fine-tuned")),
        Otherwise(BASELINE, "failure rate: Reasoning A less the higher of the two",
                  _fails_more((A,), (NARRATIVE, SELF_CHECK)), "table1", ("as-structured", "against Reasoning A"))),
)  # fmt: skip
