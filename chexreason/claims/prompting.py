"""Section 4.1: nine prompts for the untouched MedGemma (Table 1)."""

from chexreason.claims.checks import Check, both, leads, rises, shown_in, trails
from chexreason.claims.quantity import Quantity, agreement, largest, smallest
from chexreason.claims.sides import Side
from chexreason.claims.verdicts import AS_COUNTED, BEYOND_CHANCE, Claim
from chexreason.prompts import TABLE1_PROMPTS

ROWS = tuple(TABLE1_PROMPTS)
A, NARRATIVE, SELF_CHECK = "reasoning_a", "reasoning_narrative", "reasoning_self_check"
COMPLEX = ("reasoning_c", "reasoning_f")


def _recall(row: str, metric: str, side: Side) -> Quantity:
    return side.score(1, row, "micro", metric)


def _by_recall(side: Side, row: str = NARRATIVE) -> Quantity:
    """Gain in recall less gain in precision, from Reasoning A to another prompt."""
    gain = [_recall(row, metric, side) - _recall(A, metric, side) for metric in ("recall", "precision")]
    return gain[0] - gain[1]


def _reliable(side: Side) -> Quantity:
    return largest([side.failure(1, row) for row in (NARRATIVE, SELF_CHECK)]).map(lambda x: 0.02 - x)


def _complex_fail(side: Side) -> Quantity:
    others = largest([side.failure(1, row) for row in ROWS if row not in COMPLEX])
    return smallest([side.failure(1, row) for row in COMPLEX]) - others


def _failing_scores_low(side: Side) -> Quantity:
    # The orders are compared, not the values, so the scores' findings play no part.
    return agreement([side.failure(1, row) for row in ROWS], [side.score(1, row).about() for row in ROWS]).times(-1)


def _claim(
    name: str, says: str, rests_on: str, check: Check, place: str = "section 4.1", kind: str = BEYOND_CHANCE
) -> Claim:
    return Claim(name, place, says, rests_on, check, "prompting", shown_in(1, rests_on), kind)


CLAIMS = (
    Claim("base-superior", "section 4.1", "MedGemma is the better of the two base models to start from.",
          "macro-F1 on CheXpert, untouched: MedGemma less Qwen2.5-VL", rises(5, "qwen", "medgemma"),
          "prompting", "noise"),
    _claim("narrative-best-macro", "The free narrative prompt has the best macro-F1 of the nine.",
           "macro-F1: Reasoning Narrative less the best other prompt", leads(1, NARRATIVE, ROWS)),
    _claim("narrative-best-micro", "The free narrative prompt has the best micro-F1 of the nine.",
           "micro-F1: Reasoning Narrative less the best other prompt", leads(1, NARRATIVE, ROWS, "micro")),
    _claim("self-check-second", "Self-Check is second by macro-F1.",
           "macro-F1: Self-Check less the best prompt other than Reasoning Narrative",
           leads(1, SELF_CHECK, [row for row in ROWS if row != NARRATIVE])),
    _claim("both-beat-structured", "Narrative and Self-Check both outperform the structured Reasoning A.",
           "macro-F1: the lower of the two less Reasoning A",
           both(rises(1, A, NARRATIVE), rises(1, A, SELF_CHECK))),
    _claim("self-check-second-micro", "Self-Check is second by micro-F1, too.",
           "micro-F1: Self-Check less the best prompt other than Reasoning Narrative",
           leads(1, SELF_CHECK, [row for row in ROWS if row != NARRATIVE], "micro")),
    _claim("both-beat-structured-micro", "The two outperform Reasoning A by micro-F1, too.",
           "micro-F1: the lower of the two less Reasoning A",
           both(rises(1, A, NARRATIVE, "micro"), rises(1, A, SELF_CHECK, "micro"))),
    _claim("structured-not-best-micro", "The structured prompt is not the best by micro-F1, either.",
           "micro-F1: the best other prompt less Reasoning A",
           lambda side: leads(1, A, ROWS, "micro")(side).times(-1)),
    _claim("reliable-two", "Narrative and Self-Check also follow the format reliably: they fail in under 2 %.",
           "0.02 less the higher of their two failure rates", _reliable),
    _claim("self-check-by-recall", "Self-Check gains over Reasoning A by recall rather than by precision.",
           "micro recall gained less micro precision gained", lambda side: _by_recall(side, SELF_CHECK)),
    _claim("structured-not-best", "Contrary to expectation, the structured twelve-step prompt is not the best.",
           "macro-F1: the best other prompt less Reasoning A",
           lambda side: leads(1, A, ROWS)(side).times(-1)),
    _claim("recall-rises", "Narrative finds more than Reasoning A does: its recall is higher.",
           "micro recall: Reasoning Narrative less Reasoning A",
           lambda side: _recall(NARRATIVE, "recall", side) - _recall(A, "recall", side)),
    _claim("recall-not-precision", "Narrative gains over Reasoning A by recall rather than by precision.",
           "micro recall gained less micro precision gained", _by_recall),
    _claim("complex-prompts-fail", "Reasoning C and F fail to parse most often.",
           "failure rate: the lower of the two less the highest of the others", _complex_fail, "section 4.1, Table 1"),
    _claim("failing-prompts-score-low", "Prompts that fail to parse also score low.",
           "rank correlation of failure rate and macro-F1 over nine prompts, sign turned", _failing_scores_low,
           kind=AS_COUNTED),
    _claim("differential-worst", "Demanding a differential for each finding (Reasoning F) scores worst.",
           "macro-F1: the worst other prompt less Reasoning F", trails(1, "reasoning_f", ROWS)),
)  # fmt: skip
