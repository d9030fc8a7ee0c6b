"""Effects that one claim, or a few alike, rest on alone (sections 3.2, 4.1 to 4.4); `ledger.yml` calls them by name.

What is asked in one way only is in `ONCE`; what can be asked by another average, checkpoint or set of findings, in
`ASKED`. Which CheXpert studies Table 5 is on may stand in section 3.1, which is missing from the text we have. The
caption says "original Chexpert", and the printed scores fit the official test set (`audit.attainability`); what is
claimed of that set's labels says "if".
"""

from collections.abc import Callable, Mapping

import numpy as np

from chexreason.errors import unknown
from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.audit import facts
from companion.evidence.audit.conventions import together, uncertain_share
from companion.evidence.claims.effects import MARGIN, Effect, How, changes, common, gap, over, rare, shared, trail
from companion.evidence.claims.published import labels_of
from companion.evidence.claims.quantity import CannotTell, Quantity, agreement, association, largest, mean, smallest
from companion.evidence.claims.sides import Side
from companion.evidence.tables import MODELS

A, NARRATIVE, FREE, ONLY = "reasoning_a", "reasoning_narrative", "free_reasoning", "only_label"
COMPLEX = ("reasoning_c", "reasoning_f")
MEDGEMMA, QWEN = 2, 3  # tables of the two models' fine-tuning
SFT, GRPO, BASE = "medgemma_sft", "chexreason", "medgemma"
CHEXPERT, NIH = 5, 6
PRONOUNCED = ("Cardiomegaly", "Lung Opacity", SUPPORT_DEVICES)
#: The formats from the shortest rationale to the longest. No length is printed, so the order is ours; which of the
#: last two is the longer is left open.
BY_LENGTH = ((ONLY, FREE, A, NARRATIVE), (ONLY, FREE, NARRATIVE, A))
#: Training labels of each data set, the radiologists' labels of the CheXpert test, and NIH's official test list.
MIMIC_TRAIN, CHEXPERT_TRAIN, RADIOLOGISTS, NIH_TEST = (
    ("mimic", "train"), ("chexpert", "train"), ("chexpert", "test"), ("nih", "test"),
)  # fmt: skip


def _once(ask: Callable[[Side], Quantity]) -> Effect:
    return Effect(lambda side, how: ask(side), "")


# Prompts and formats (Tables 1 to 3, Figure 1).


def _gain(side: Side, row: str, metric: str) -> Quantity:
    return side.score(1, row, "micro", metric) - side.score(1, A, "micro", metric)


def recall(row: str) -> Effect:
    """What a prompt gains over Reasoning A in micro recall."""
    return _once(lambda side: _gain(side, row, "recall"))


def recall_not_precision(row: str) -> Effect:
    """The same, minus what it gains in micro precision."""
    return _once(lambda side: _gain(side, row, "recall") - _gain(side, row, "precision"))


def failures(table: int, more: list[str], less: tuple[str, ...] = ()) -> Effect:
    """The lowest failure rate of some rows minus the highest of others; by default of all others."""
    rows = less or [row for row in (TABLE1_PROMPTS if table == 1 else SFT_FORMATS) if row not in more]
    return _once(
        lambda side: (
            smallest([side.failure(table, row) for row in more]) - largest([side.failure(table, row) for row in rows])
        )
    )


def parses_after_tuning(side: Side) -> Quantity:
    """Failure rate, MedGemma fine-tuned: the highest other format minus Reasoning Narrative."""
    return largest([side.failure(2, row) for row in SFT_FORMATS if row != NARRATIVE]) - side.failure(2, NARRATIVE)


def complex_score_low(side: Side, how: How) -> Quantity:
    """Reasoning A minus the better of Reasoning C and F."""
    return side.score(1, A, how.average) - largest([side.score(1, row, how.average) for row in COMPLEX])


def trade_off(side: Side) -> Quantity:
    """Only Label's lead by micro-F1, and Free Reasoning's by macro-F1: the smaller."""
    pairs = (gap(MEDGEMMA, ONLY, FREE).by("micro"), gap(MEDGEMMA, FREE, ONLY))
    return smallest([pair(side).about() for pair in pairs])


def worst_by_both(side: Side) -> Quantity:
    """The worst other format minus Reasoning A, by both averages: the smaller."""
    return smallest([trail(MEDGEMMA, A, by)(side).about() for by in ("macro", "micro")])


def label_frequency(side: Side) -> Quantity:
    """Only Label's lead over common findings, and Free Reasoning's over rare ones: the smaller."""
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    ahead = over(side, MEDGEMMA, ONLY, frequent) - over(side, MEDGEMMA, FREE, frequent)
    behind = over(side, MEDGEMMA, FREE, seldom) - over(side, MEDGEMMA, ONLY, seldom)
    return smallest([ahead.about(), behind.about()])


def balanced(side: Side) -> Quantity:
    """F1 over common minus over rare findings: Only Label minus Free Reasoning."""
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    only, free = (
        over(side, MEDGEMMA, row, frequent).about() - over(side, MEDGEMMA, row, seldom).about() for row in (ONLY, FREE)
    )
    return only - free


def reversed_order(average: str) -> Effect:
    """Rank correlation of the two models' orders of formats, sign turned; 1 is a complete reversal."""

    def ask(side: Side) -> Quantity:
        first, second = ([side.score(table, row, average) for row in SFT_FORMATS] for table in (MEDGEMMA, QWEN))
        return agreement(first, second).times(-1)

    return _once(ask)


def interaction(side: Side, how: How) -> Quantity:
    """Reasoning A minus Free Reasoning on Qwen2.5-VL, minus the same on MedGemma."""
    return gap(QWEN, A, FREE).ask(side, how) - gap(MEDGEMMA, A, FREE).ask(side, how)


def free_form_fails(side: Side, how: How) -> Quantity:
    """MedGemma minus Qwen2.5-VL, the smaller of Reasoning Narrative and Free Reasoning."""
    return smallest([gap(MEDGEMMA, row, row, QWEN).ask(side, how) for row in (NARRATIVE, FREE)])


def costs(side: Side, how: How) -> Quantity:
    """The two prompts asked both before and after fine-tuning: before minus after."""
    return mean([gap(1, row, row, MEDGEMMA).ask(side, how) for row in (NARRATIVE, A)])


def longer_fails(side: Side) -> Quantity:
    """Rank correlation of failure rate and length, the least of both models and of two orders of length."""
    found = []
    for table in (MEDGEMMA, QWEN):
        for order in BY_LENGTH:
            rates = [side.failure(table, row) for row in order]
            if len({one.value for one in rates}) == 1:
                raise CannotTell("every format fails to parse equally often")
            lengths = [one.map(lambda x, place=place: 0 * x + place) for place, one in enumerate(rates)]  # type: ignore[misc]
            found.append(association(rates, lengths, "formats"))
    return smallest(found)


def masters(side: Side) -> Quantity:
    """Refused: an opinion has no bar."""
    parsed = 1 - side.failure(MEDGEMMA, FREE).value
    raise CannotTell(f"how many answers have to parse for mastery, the text does not say; {parsed:.1%} do")


def never_fails(side: Side) -> Quantity:
    """The higher of Only Label's two failure rates, sign turned."""
    return largest([side.failure(table, ONLY) for table in (MEDGEMMA, QWEN)]).times(-1)


def saturates(side: Side) -> Quantity:
    """Token accuracy at the end: the lowest other format minus Free Reasoning."""
    return smallest([side.accuracy(row) for row in SFT_FORMATS if row != FREE]) - side.accuracy(FREE)


def slower(side: Side) -> Quantity:
    """Share of the training after which accuracy has nearly risen: Free Reasoning minus the slowest other format."""
    return side.pace(FREE) - largest([side.pace(row) for row in SFT_FORMATS if row != FREE])


# GRPO (Tables 4 to 6).


def above_start(average: str, checkpoint: str) -> Effect:
    """The better trained row on validation minus the best untouched one: whether training was worth its while there."""
    return _once(
        lambda side: (
            largest([side.score(4, f"{reward}_{checkpoint}", average) for reward in ("nuanced", "hard")])
            - largest([side.score(1, row, average) for row in TABLE1_PROMPTS])
        )
    )


def validation_change(which: str, sign: float = 1) -> Effect:
    """F1 over common or rare findings on validation: the hard reward minus SFT, times a sign."""

    def ask(side: Side) -> Quantity:
        names = {"common": common, "rare": rare}[which](side, 4)
        return (over(side, 4, "hard_best", names) - over(side, 2, FREE, names)).times(sign)

    return _once(ask)


def recovered(side: Side, how: How) -> Quantity:
    """What GRPO regains, minus half of what SFT had lost."""
    return gap(CHEXPERT, GRPO, SFT).ask(side, how) - gap(CHEXPERT, BASE, SFT).ask(side, how).times(0.5)


def pronounced(side: Side) -> Quantity:
    """Gain of F1: the least of the three findings named minus the average of all."""
    found = changes(side, CHEXPERT, GRPO, SFT)
    average = mean([one.about() for one in found.values()])
    return smallest([found[name].about() for name in PRONOUNCED]) - average


def most_pronounced(side: Side) -> Quantity:
    """The same minus the most of the others."""
    found = changes(side, CHEXPERT, GRPO, SFT)
    others = largest([one.about() for name, one in found.items() if name not in PRONOUNCED])
    return smallest([found[name].about() for name in PRONOUNCED]) - others


def same_by_finding(side: Side) -> Quantity:
    """The largest difference of any one finding, inside or outside the margin."""
    found = [one.about().map(np.abs) for one in changes(side, NIH, GRPO, BASE).values()]
    return largest(found).map(lambda x: MARGIN - x)


def measured(what: str, otherwise: str) -> Effect:
    """What the experiment measured; nobody else can judge it, for this reason."""
    return _once(lambda side: side.measured(what, otherwise))


# Labels, by public counts.


def same_schema(side: Side) -> Quantity:
    """Labels that only one of MIMIC and CheXpert has, sign turned."""
    lacking = len(set(facts.counts(*MIMIC_TRAIN)) ^ set(facts.counts(*RADIOLOGISTS)))
    return side.public(-float(lacking), labels_of(MIMIC_TRAIN, RADIOLOGISTS))


def compatible(side: Side) -> Quantity:
    """Categories among the nine that NIH or CheXpert lacks, sign turned."""
    lacking = set(NIH_SHARED) - ({*FINDINGS} & {*facts.counts(*NIH_TEST)})
    return side.public(-float(len(lacking)), labels_of(NIH_TEST))


def same_company(side: Side) -> Quantity:
    """Who occurs with whom: 5 points minus the largest difference of mined labels and radiologists'."""
    largest_gap = max(abs(one.reports - one.radiologists) for one in together())
    return side.public(0.05 - largest_gap, labels_of(CHEXPERT_TRAIN, RADIOLOGISTS))


def same_uncertainty(side: Side) -> Quantity:
    """1 point minus the difference of the shares of uncertain labels in CheXpert test and in MIMIC."""
    apart = abs(uncertain_share(*RADIOLOGISTS) - uncertain_share(*MIMIC_TRAIN))
    return side.public(0.01 - apart, labels_of(MIMIC_TRAIN, RADIOLOGISTS))


def two_most_frequent(side: Side) -> Quantity:
    """Prevalence: the rarer of No Finding and Support Devices minus the most frequent other."""
    frequent = (NO_FINDING, SUPPORT_DEVICES)
    named = smallest([side.frequency(4, name) for name in frequent])
    return named - largest([side.frequency(4, name) for name in FINDINGS if name not in frequent])


# From CheXpert to NIH. The paper sets an average over nine findings beside one over fourteen; such a claim is in the
# ledger as it is made, and refused, and has a twin on the nine that both sets have.


def only_sft(side: Side, how: How) -> Quantity:
    """The smaller of SFT's rise and the least fall of the others, CheXpert to NIH."""
    found = {model: gap(CHEXPERT, model, model, NIH).ask(side, how) for model in MODELS}
    return smallest([smallest([one for model, one in found.items() if model != SFT]), found[SFT].times(-1)])


def loses_more(model: str, other: str) -> Effect:
    """Share of macro-F1 lost over the nine: one model minus another."""

    def lost(side: Side, which: str) -> Quantity:
        near, far = (over(side, table, which, shared(side)) for table in (CHEXPERT, NIH))
        return far.relative_to(near).times(-1)

    return Effect(lambda side, how: lost(side, model) - lost(side, other), MODELS[model], MODELS[other], "matched",
                  "share of macro-F1 lost over the nine")  # fmt: skip


def both_sets(plus: str, minus: str) -> Effect:
    """One model minus another, the mean of both test sets, each over its own findings or both over the shared."""

    def ask(side: Side, how: How) -> Quantity:
        if how.findings:
            how = How(findings=shared(side))
        return mean([gap(table, plus, minus).ask(side, how).about() for table in (CHEXPERT, NIH)])

    return Effect(ask, f"mean of CheXpert and NIH, {MODELS[plus]}", MODELS[minus], "matched")


WITH_ARGUMENTS: Mapping[str, Callable[..., Effect]] = {
    one.__name__: one
    for one in (recall, recall_not_precision, failures, reversed_order, above_start, validation_change, measured,
                loses_more, both_sets)
}  # fmt: skip
ASKED: Mapping[str, Callable[[Side, How], Quantity]] = {
    one.__name__: one for one in (complex_score_low, interaction, free_form_fails, costs, recovered, only_sft)
}
ONCE: Mapping[str, Callable[[Side], Quantity]] = {
    one.__name__: one
    for one in (parses_after_tuning, trade_off, worst_by_both, label_frequency, balanced, longer_fails, masters,
                never_fails, saturates, slower, pronounced, most_pronounced, same_by_finding, same_schema, compatible,
                same_company, same_uncertainty, two_most_frequent)
}  # fmt: skip


def called(name: str) -> Effect:
    """The effect of this name. Raises UserError if there is none."""
    if name in ASKED:
        return Effect(ASKED[name], "")
    if name not in ONCE:
        raise unknown("effect", name, [*ASKED, *ONCE], "companion/evidence/claims/specific.py")
    return _once(ONCE[name])
