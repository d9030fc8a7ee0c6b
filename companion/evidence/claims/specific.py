"""Effects that one claim, or a few alike, rest on alone (sections 3.2, 4.1 to 4.4); `ledger.yml` says what each is.

Which CheXpert studies Table 5 is on may stand in section 3.1, which is missing from the text we have. The
caption says "original Chexpert", and the printed scores fit the official test set (`audit.attainability`); what is
claimed of that set's labels says "if".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, SUPPORT_DEVICES
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from companion.evidence.audit import facts
from companion.evidence.audit.conventions import together, uncertain_share
from companion.evidence.claims.effects import KNOWN, MARGIN, Effect, How, changes, common, gap, over, rare, shared
from companion.evidence.claims.published import labels_of
from companion.evidence.claims.quantity import (
    CannotTell,
    Quantity,
    Side,
    Studies,
    agreement,
    largest,
    mean,
    smallest,
    tau,
)

A, NARRATIVE, FREE, ONLY = "reasoning_a", "reasoning_narrative", "free_reasoning", "only_label"
MEDGEMMA, QWEN = PAIR = (2, 3)  # tables of the two models' fine-tuning
SFT, GRPO, BASE = "medgemma_sft", "chexreason", "medgemma"
CHEXPERT, NIH = 5, 6
OTHERS = [row for row in SFT_FORMATS if row != FREE]
FREQUENT, PRONOUNCED = (NO_FINDING, SUPPORT_DEVICES), ("Cardiomegaly", "Lung Opacity", SUPPORT_DEVICES)
#: The formats from the shortest rationale to the longest. No length is printed, so the order is ours; which of the
#: last two is the longer is left open.
BY_LENGTH = ((ONLY, FREE, A, NARRATIVE), (ONLY, FREE, NARRATIVE, A))


def once(ask: Callable[[Side], Quantity]) -> None:
    """Lets the ledger name what is asked in one way only, by the function's name without its underscore."""
    KNOWN[ask.__name__.removeprefix("_")] = lambda: Effect(lambda side, how: ask(side))


# Prompts and formats (Tables 1 to 3, Figure 1).


def _gain(side: Side, row: str, metric: str) -> Quantity:
    return side.score(1, row, "micro", metric) - side.score(1, A, "micro", metric)


def failures(table: int, more: Sequence[str], less: Sequence[str] = ()) -> Effect:
    """The lowest failure rate of some rows minus the highest of others; by default of all others."""
    rows = less or [row for row in (TABLE1_PROMPTS if table == 1 else SFT_FORMATS) if row not in more]
    return Effect(lambda side, how: smallest([side.failure(table, row) for row in more])
                  - largest([side.failure(table, row) for row in rows]))  # fmt: skip


@once
def _balanced(side: Side) -> Quantity:
    frequent, seldom = common(side, MEDGEMMA), rare(side, MEDGEMMA)
    only, free = (
        over(side, MEDGEMMA, row, frequent).about() - over(side, MEDGEMMA, row, seldom).about() for row in (ONLY, FREE)
    )
    return only - free


@once
def _longer_fails(side: Side) -> Quantity:
    found = []
    for table in PAIR:
        for order in BY_LENGTH:
            rates = [side.failure(table, row) for row in order]
            if len({one.value for one in rates}) == 1:
                raise CannotTell("every format fails to parse equally often")
            found.append(association(rates, "formats"))
    return smallest(found)


def association(rates: Sequence[Quantity], rows: str) -> Quantity:
    """Kendall's tau of some quantities and the order they are given in, when their rows stand for others of their kind.

    The rows are few, and how many studies each was scored on does not make them more. The draws are tau plus what it
    is when the rows are shuffled, so the interval leaves out 0 if few shuffles reach as far. `rows` says what they are.
    """
    found = largest(rates)
    places_RN = np.tile(np.arange(len(rates)), (1 + len(found.draws), 1))
    places_RN[1:] = np.random.default_rng(0).permuted(places_RN[1:], axis=1)
    value, *by_chance = tau([[one.value for one in rates]], places_RN)
    studies = frozenset({Studies(rows, len(rates))})
    return replace(found, value=float(value), draws=value + np.array(by_chance), scope=(), n=studies)


@once
def _masters(side: Side) -> Quantity:
    parsed = 1 - side.failure(MEDGEMMA, FREE).value
    raise CannotTell(f"how many answers have to parse for mastery, the text does not say; {parsed:.1%} do")


# GRPO (Tables 4 to 6).


def above_start(average: str, checkpoint: str) -> Effect:
    """The better trained row on validation minus the best untouched one: whether training was worth its while there."""
    trained = [f"{reward}_{checkpoint}" for reward in ("nuanced", "hard")]
    return Effect(lambda side, how: largest([side.score(4, row, average) for row in trained])
                  - largest([side.score(1, row, average) for row in TABLE1_PROMPTS]))  # fmt: skip


@once
def _pronounced(side: Side) -> Quantity:
    found = changes(side, CHEXPERT, GRPO, SFT)
    return smallest([found[name].about() for name in PRONOUNCED]) - mean([one.about() for one in found.values()])


@once
def _most_pronounced(side: Side) -> Quantity:
    found = changes(side, CHEXPERT, GRPO, SFT)
    least = smallest([found[name].about() for name in PRONOUNCED])
    return least - largest([one.about() for name, one in found.items() if name not in PRONOUNCED])


@once
def _same_by_finding(side: Side) -> Quantity:
    found = [one.about().map(np.abs) for one in changes(side, NIH, GRPO, BASE).values()]
    return largest(found).map(lambda x: MARGIN - x)


# From CheXpert to NIH. The paper sets an average over nine findings beside one over fourteen; such a claim is in the
# ledger as it is made, and refused, and has a twin on the nine that both sets have.


def loses_more(model: str, other: str) -> Effect:
    """Share of macro-F1 lost over the nine: one model minus another."""

    def lost(side: Side, which: str) -> Quantity:
        near, far = (over(side, table, which, shared(side)) for table in (CHEXPERT, NIH))
        return far.relative_to(near).times(-1)

    return Effect(lambda side, how: lost(side, model) - lost(side, other))


def both_sets(plus: str, minus: str) -> Effect:
    """One model minus another, the mean of both test sets, each over its own findings or both over the shared."""

    def ask(side: Side, how: How) -> Quantity:
        if how.findings:
            how = How(findings=shared(side))
        return mean([gap(table, plus, minus).ask(side, how).about() for table in (CHEXPERT, NIH)])

    return Effect(ask)


# Labels, by public counts: those mined for training, the radiologists' of the CheXpert test, NIH's official test list.

MIMIC_TRAIN, CHEXPERT_TRAIN = ("mimic", "train"), ("chexpert", "train")
RADIOLOGISTS, NIH_TEST = ("chexpert", "test"), ("nih", "test")


def _counted(value: Callable[[], float], *parts: tuple[str, str]) -> Callable[[], Effect]:
    return lambda: Effect(lambda side, how: side.public(value(), labels_of(*parts)))


def _lacking(one: Iterable[str], other: Iterable[str]) -> float:
    """How many labels only one of two sides has, sign turned."""
    return -float(len({*one} ^ {*other}))


@once
def _two_most_frequent(side: Side) -> Quantity:
    named = smallest([side.frequency(4, name) for name in FREQUENT])
    return named - largest([side.frequency(4, name) for name in FINDINGS if name not in FREQUENT])


KNOWN |= {
    **{one.__name__: one for one in (failures, above_start, loses_more, both_sets)},
    "recall": lambda row: Effect(lambda side, how: _gain(side, row, "recall")),
    "recall_not_precision": lambda row: Effect(
        lambda side, how: _gain(side, row, "recall") - _gain(side, row, "precision")),
    "reversed_order": lambda average: Effect(lambda side, how: agreement(
        *([side.score(table, row, average) for row in SFT_FORMATS] for table in PAIR)).times(-1)),
    "never_fails": lambda: Effect(lambda side, how: largest([side.failure(model, ONLY) for model in PAIR]).times(-1)),
    "saturates": lambda: Effect(
        lambda side, how: smallest([side.accuracy(row) for row in OTHERS]) - side.accuracy(FREE)),
    "slower": lambda: Effect(lambda side, how: side.pace(FREE) - largest([side.pace(row) for row in OTHERS])),
    "same_schema": _counted(
        lambda: _lacking(facts.counts(*MIMIC_TRAIN), facts.counts(*RADIOLOGISTS)), MIMIC_TRAIN, RADIOLOGISTS),
    "compatible": _counted(
        lambda: _lacking(NIH_SHARED, {*NIH_SHARED} & {*FINDINGS} & {*facts.counts(*NIH_TEST)}), NIH_TEST),
    "same_company": _counted(
        lambda: 0.05 - max(abs(one.reports - one.radiologists) for one in together()), CHEXPERT_TRAIN, RADIOLOGISTS),
    "same_uncertainty": _counted(
        lambda: 0.01 - abs(uncertain_share(*RADIOLOGISTS) - uncertain_share(*MIMIC_TRAIN)), MIMIC_TRAIN, RADIOLOGISTS),
    "measured": lambda what, otherwise: Effect(lambda side, how: side.measured(what, otherwise)),
}  # fmt: skip
