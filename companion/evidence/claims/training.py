"""Sections 4.1 and 4.2: nine prompts (Table 1), four formats of fine-tuning (Tables 2, 3, Figure 1)."""

from functools import partial

from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.claims.effects import (
    Effect,
    How,
    Twin,
    between,
    both,
    claim,
    common,
    gap,
    lead,
    over,
    rare,
    refused,
    special,
    trail,
)
from companion.evidence.claims.quantity import (
    CannotTell,
    Quantity,
    agreement,
    association,
    largest,
    mean,
    smallest,
)
from companion.evidence.claims.sides import Side
from companion.evidence.claims.verdicts import AS_COUNTED, AVERAGING, BASELINE, CHECKPOINT, Claim

PROMPTS, FORMATS = tuple(TABLE1_PROMPTS), tuple(SFT_FORMATS)
A, NARRATIVE, CHECK = "reasoning_a", "reasoning_narrative", "reasoning_self_check"
FREE, ONLY = "free_reasoning", "only_label"
COMPLEX = ("reasoning_c", "reasoning_f")
MEDGEMMA, QWEN = 2, 3
#: The formats from the shortest rationale to the longest. No length is printed, so the order is ours; which of the
#: last two is the longer is left open.
BY_LENGTH = ((ONLY, FREE, A, NARRATIVE), (ONLY, FREE, NARRATIVE, A))


def _gain(side: Side, row: str, metric: str) -> Quantity:
    """What a prompt gains over Reasoning A, in micro recall or precision."""
    return side.score(1, row, "micro", metric) - side.score(1, A, "micro", metric)


def _recall(row: str, than_precision: bool = False) -> Effect:
    def ask(side: Side) -> Quantity:
        recall = _gain(side, row, "recall")
        return recall - _gain(side, row, "precision") if than_precision else recall

    words = "micro recall gained over Reasoning A" + (" minus micro precision gained" if than_precision else "")
    return special(ask, words, "arithmetic")


def _failures(table: int, more: tuple[str, ...], less: tuple[str, ...], words: str, evidence: str) -> Effect:
    """The lowest failure rate of some rows minus the highest of others."""

    def ask(side: Side) -> Quantity:
        return smallest([side.failure(table, row) for row in more]) - largest([side.failure(table, r) for r in less])

    return special(ask, f"failure rate: {words}", evidence)


def _parses_after_tuning(side: Side) -> Quantity:
    others = largest([side.failure(2, row) for row in FORMATS if row != NARRATIVE])
    return others - side.failure(2, NARRATIVE)


def _complex_score_low(side: Side, how: How) -> Quantity:
    return side.score(1, A, how.average) - largest([side.score(1, row, how.average) for row in COMPLEX])


def _label_frequency(side: Side) -> Quantity:
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    ahead = over(side, MEDGEMMA, ONLY, frequent) - over(side, MEDGEMMA, FREE, frequent)
    behind = over(side, MEDGEMMA, FREE, seldom) - over(side, MEDGEMMA, ONLY, seldom)
    return smallest([ahead.about(), behind.about()])


def _balanced(side: Side) -> Quantity:
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    only, free = (
        over(side, MEDGEMMA, row, frequent).about() - over(side, MEDGEMMA, row, seldom).about() for row in (ONLY, FREE)
    )
    return only - free


def _reversed(average: str) -> Effect:
    def ask(side: Side, how: How) -> Quantity:
        first, second = ([side.score(table, row, how.average) for row in FORMATS] for table in (MEDGEMMA, QWEN))
        return agreement(first, second).times(-1)

    words = "rank correlation of the two models' orders, sign turned; 1 is a complete reversal"
    return Effect(ask, words, "", "contradictions", how=How(average))


def _interaction(side: Side, how: How) -> Quantity:
    return gap(QWEN, A, FREE).ask(side, how) - gap(MEDGEMMA, A, FREE).ask(side, how)


def _free_form_fails(side: Side, how: How) -> Quantity:
    return smallest([gap(MEDGEMMA, row, row, QWEN).ask(side, how) for row in (NARRATIVE, FREE)])


def _costs(side: Side, how: How) -> Quantity:
    return mean([gap(1, row, row, MEDGEMMA).ask(side, how) for row in (NARRATIVE, A)])


def _longer_fails(side: Side) -> Quantity:
    return smallest([_with_length(side, table, order) for table in (MEDGEMMA, QWEN) for order in BY_LENGTH])


def _with_length(side: Side, table: int, order: tuple[str, ...]) -> Quantity:
    failures = [side.failure(table, row) for row in order]
    if len({one.value for one in failures}) == 1:
        raise CannotTell("every format fails to parse equally often")
    lengths = [one.map(lambda x, place=place: 0 * x + place) for place, one in enumerate(failures)]  # type: ignore[misc]
    return association(failures, lengths, "formats")


def _masters(side: Side) -> Quantity:
    """Refused: an opinion has no bar."""
    parsed = 1 - side.failure(MEDGEMMA, FREE).value
    raise CannotTell(f"how many answers have to parse for mastery, the text does not say; {parsed:.1%} do")


def _never_fails(side: Side) -> Quantity:
    return largest([side.failure(table, ONLY) for table in (MEDGEMMA, QWEN)]).times(-1)


def _saturates(side: Side) -> Quantity:
    return smallest([side.accuracy(row) for row in FORMATS if row != FREE]) - side.accuracy(FREE)


def _slower(side: Side) -> Quantity:
    return side.pace(FREE) - largest([side.pace(row) for row in FORMATS if row != FREE])


_prompt = partial(claim, topic="prompting", place="section 4.1")
_format = partial(claim, topic="fine-tuning", place="section 4.2")


def _averaged(name: str) -> tuple[tuple[str, str], ...]:
    """The claim of the paper by the other average."""
    return ((AVERAGING, name),)


PROMPTING = (
    _prompt("base-superior", "MedGemma is the better of the two base models to start from.",
            gap(5, "medgemma", "qwen"), "nine"),
    _prompt("narrative-best-macro", "The free narrative prompt has the best macro-F1 of the nine.",
            lead(1, NARRATIVE), see=_averaged("narrative-best-micro")),
    _prompt("narrative-best-micro", "The free narrative prompt has the best micro-F1 of the nine.",
            lead(1, NARRATIVE, by="micro"), see=_averaged("narrative-best-macro")),
    _prompt("self-check-second", "Self-Check is second by macro-F1.",
            lead(1, CHECK, [row for row in PROMPTS if row != NARRATIVE]), see=_averaged("self-check-second-micro")),
    _prompt("self-check-second-micro", "Self-Check is second by micro-F1, too.",
            lead(1, CHECK, [row for row in PROMPTS if row != NARRATIVE], "micro"), see=_averaged("self-check-second")),
    _prompt("both-beat-structured", "Narrative and Self-Check both outperform the structured Reasoning A (macro-F1).",
            both(gap(1, NARRATIVE, A), gap(1, CHECK, A)), see=_averaged("both-beat-structured-micro")),
    _prompt("both-beat-structured-micro",
            "Narrative and Self-Check both outperform the structured Reasoning A (micro-F1).",
            both(gap(1, NARRATIVE, A), gap(1, CHECK, A)).by("micro"), see=_averaged("both-beat-structured")),
    _prompt("structured-not-best", "Contrary to expectation, the structured twelve-step prompt is not the best.",
            -lead(1, A), "micro"),
    _prompt("recall-rises", "Narrative finds more than Reasoning A does: its recall is higher.", _recall(NARRATIVE)),
    _prompt("self-check-recall-rises", "Self-Check finds more than Reasoning A does: its recall is higher.",
            _recall(CHECK)),
    _prompt("recall-not-precision", "Narrative gains over Reasoning A by recall rather than by precision.",
            _recall(NARRATIVE, than_precision=True)),
    _prompt("self-check-by-recall", "Self-Check gains over Reasoning A by recall rather than by precision.",
            _recall(CHECK, than_precision=True)),
    _prompt("complex-prompts-fail", "Reasoning C and F fail to parse most often.",
            _failures(1, COMPLEX, tuple(row for row in PROMPTS if row not in COMPLEX),
                      "the lower of the two minus the highest of the others", "table1"),
            place="section 4.1, Table 1"),
    _prompt("complex-prompts-score-low", "Reasoning C and F classify worse, too: both are below Reasoning A.",
            Effect(_complex_score_low, "Reasoning A", "the better of the two", "validation"), "micro"),
    _prompt("free-prompts-reliable", "Narrative and Self-Check parse reliably.",
            _failures(1, COMPLEX, (NARRATIVE, CHECK), "the lower of Reasoning C and F minus the higher of the two",
                      "table1"),
            Twin(CHECKPOINT, "tuned", "Reasoning Narrative once fine-tuned",
                 special(_parses_after_tuning, "failure rate, MedGemma fine-tuned: the highest other format minus "
                         "Reasoning Narrative", "table2"), "table2"),
            Twin(BASELINE, "as-structured", "against Reasoning A",
                 _failures(1, (A,), (NARRATIVE, CHECK), "Reasoning A minus the higher of the two", "table1"))),
)  # fmt: skip

FINE_TUNING = (
    _format("only-label-best-micro", "For MedGemma, Only Label has the best micro-F1.",
            lead(MEDGEMMA, ONLY, by="micro"), see=_averaged("direct-best-medgemma")),
    _format("free-best-macro", "For MedGemma, Free Reasoning has the best macro-F1; it is therefore chosen for GRPO.",
            lead(MEDGEMMA, FREE), "micro"),
    _format("micro-macro-trade-off",
            "For MedGemma there is a trade-off: micro-F1 prefers Only Label, macro-F1 Free Reasoning.",
            special(lambda side: smallest([gap(MEDGEMMA, ONLY, FREE).by("micro")(side).about(),
                                           gap(MEDGEMMA, FREE, ONLY)(side).about()]),
                    "the smaller of the two leads", "validation")),
    _format("label-frequency", "Only Label is ahead on common findings and behind on rare ones.",
            special(_label_frequency, "F1 over common findings and over rare findings: the smaller of the two leads",
                    "table2")),
    _format("free-balanced", "Free Reasoning handles common and rare findings in a more balanced way.",
            special(_balanced, "F1 over common minus over rare findings: Only Label minus Free Reasoning", "table2")),
    _format("structured-worst-medgemma", "For MedGemma, Reasoning A is clearly the worst by both averages.",
            special(lambda side: smallest([trail(MEDGEMMA, A, by)(side).about() for by in ("macro", "micro")]),
                    "micro- and macro-F1: the worst other format minus Reasoning A, the smaller", "validation")),
    _format("structured-best-qwen-macro", "For Qwen2.5-VL, Reasoning A has by far the best macro-F1.",
            lead(QWEN, A), see=_averaged("structured-best-qwen-micro")),
    _format("structured-best-qwen-micro", "For Qwen2.5-VL, Reasoning A has by far the best micro-F1.",
            lead(QWEN, A, by="micro"), see=_averaged("structured-best-qwen-macro")),
    _format("free-struggles-qwen", "For Qwen2.5-VL, Free Reasoning struggles: it is far behind Reasoning A.",
            gap(QWEN, A, FREE), "micro"),
    _format("only-label-mediocre-qwen", "For Qwen2.5-VL, Only Label is mediocre: neither the best nor the worst.",
            between(QWEN, ONLY), "micro", kind=AS_COUNTED),
    _format("narrative-fails-most-qwen", "For Qwen2.5-VL, Reasoning Narrative has a high failure rate.",
            _failures(QWEN, (NARRATIVE,), tuple(row for row in FORMATS if row != NARRATIVE),
                      "Reasoning Narrative minus the highest other format", "table3")),
    _format("narrative-moderate",
            "For Qwen2.5-VL, Reasoning Narrative has moderate scores: neither the best nor the worst.",
            between(QWEN, NARRATIVE, "micro"), Twin(AVERAGING, "macro", "by macro-F1", between(QWEN, NARRATIVE)),
            kind=AS_COUNTED, evidence="contradictions"),
    _format("narrative-moderate-medgemma",
            "Free-form reasoning has moderate success on MedGemma: the narrative is neither the best nor the worst.",
            between(MEDGEMMA, NARRATIVE), "micro", kind=AS_COUNTED),
    _format("free-form-fails-qwen", "Free-form reasoning does worse on Qwen2.5-VL than on MedGemma.",
            Effect(_free_form_fails, "MedGemma minus Qwen2.5-VL, the smaller of Reasoning Narrative and Free Reasoning",
                   "", "validation"), "micro"),
    _format("reversal-macro", "The ranking of formats reverses completely between the two models (by macro-F1).",
            _reversed("macro"), kind=AS_COUNTED, bar=1.0, see=_averaged("reversal-micro")),
    _format("reversal-micro", "The ranking of formats reverses completely between the two models (by micro-F1).",
            _reversed("micro"), kind=AS_COUNTED, bar=1.0, see=_averaged("reversal-macro")),
    _format("format-depends-on-pretraining", "Which format is best depends on medical pre-training.",
            Effect(_interaction, "Reasoning A minus Free Reasoning on Qwen2.5-VL, minus the same on MedGemma", "",
                   "validation"), "micro", place="abstract, section 4.2"),
    _format("pretraining-maps-directly",
            "Medical pre-training encodes features that let labels be mapped directly, without reasoning.",
            refused("features of the two base models, and the same model with and without medical pre-training",
                    "no feature is looked at, and the two models differ in more than their pre-training"),
            kind=AS_COUNTED),
    _format("scaffold-helps-general", "Structured reasoning helps the general model.",
            gap(QWEN, A, ONLY), "micro", place="abstract, section 5"),
    _format("scaffold-small-gain-medical", "Structured reasoning offers the medical model a gain, if a minimal one.",
            gap(MEDGEMMA, A, ONLY), "micro", place="abstract, section 1", sharpened=True),
    _format("scaffold-harms-medical", "For the medical model structured reasoning is redundant, or even detrimental.",
            gap(MEDGEMMA, ONLY, A), "micro", place="section 5"),
    _format("direct-best-medgemma", "MedGemma did best with direct label prediction (by macro-F1).",
            lead(MEDGEMMA, ONLY), kind=AS_COUNTED, place="section 5", evidence="contradictions",
            see=_averaged("only-label-best-micro")),
    _format("only-label-never-fails", "Only Label never violates the format, on either model.",
            special(_never_fails, "the higher of its two failure rates, sign turned", "tables2and3"), kind=AS_COUNTED,
            bar=-1e-6),
    _format("longer-fails-more", "Decoding is the less reliable the longer the rationale, across both models.",
            special(_longer_fails, "rank correlation of failure rate and length over four formats, the least of both "
                    "models and of two orders of length, which are ours; the interval is of shuffled formats",
                    "tables2and3"), kind=AS_COUNTED),
    _format("free-masters-format", "Free Reasoning masters the structured output format.",
            special(_masters, "failure rate on MedGemma", "table2"), kind=AS_COUNTED, place="section 4.4"),
    _format("constrained-converge-faster", "Formats with strict syntax converge rapidly, Free Reasoning gradually.",
            special(_slower, "share of the training after which nine tenths of the rise in token accuracy are made: "
                    "Free Reasoning minus the slowest other format", "figure1"), kind=AS_COUNTED,
            place="section 4.2, Figure 1"),
    _format("free-saturates-lower", "Free Reasoning saturates at a lower token accuracy than the other formats.",
            special(_saturates, "token accuracy at the end: the lowest other format minus Free Reasoning", "figure1"),
            kind=AS_COUNTED, place="section 4.2, Figure 1"),
    _format("accuracy-is-entropy", "Token accuracy reflects the entropy of a format rather than what is learnt.",
            refused("entropy of each format's traces, and what was learnt apart from them",
                    "no entropy is measured; the paper gives it as a hypothesis, and Figure 1 as a picture"),
            kind=AS_COUNTED, place="section 4.2, Figure 1"),
    _format("sft-costs-validation", "Fine-tuning degrades performance on the validation distribution.",
            Effect(_costs, "the two prompts asked both before and after: before minus after", "", "validation"),
            "micro", place="section 4.3, Tables 1 and 2"),
)  # fmt: skip

CLAIMS: tuple[Claim, ...] = tuple(one for rows in (PROMPTING, FINE_TUNING) for row in rows for one in row)
