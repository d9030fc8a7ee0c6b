"""How many labels a model names for each label that is recorded: recall over precision (Tables 1 to 4).

Micro precision is hits / labels named, micro recall hits / labels recorded; their ratio is labels named per label
recorded, and no count is needed to know it. A model that names more finds more and is wrong more often, so F1 moves
although nothing is seen that was not seen before: this number is the model's operating point. The paper prints P and
R in Tables 2 to 4; of Table 1 the text gives the recall of three prompts, and F1 then fixes the rest. Whether an
answer that could not be read counts as one without labels is not printed.
"""

from collections.abc import Mapping
from typing import NamedTuple

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import facts
from companion.evidence.audit.arithmetic import STATED_RECALL, Range
from companion.evidence.audit.uncertainty import BALANCED

#: Table -> what was done to its rows' model, in the paper's order.
STAGES: Mapping[int, str] = {1: "untouched MedGemma", 2: "MedGemma after SFT", 3: "Qwen after SFT", 4: "after GRPO"}
#: Rows of Tables 1 to 4 behind the models of Tables 5 and 6; which prompt and checkpoint those used is not stated.
BEHIND: Mapping[str, tuple[tuple[int, str], ...]] = {
    "medgemma": tuple((1, row) for row in STATED_RECALL),
    "medgemma_sft": ((2, "free_reasoning"),),
    "chexreason": tuple((4, row) for row in ("nuanced_best", "nuanced_last", "hard_best", "hard_last")),
}


class Named(NamedTuple):
    """Labels named per label recorded, of one row of Tables 1 to 4."""

    table: int
    row: str
    ratio: float


def named(table: int, row: str) -> Named | None:
    """The ratio of a row, R / P or 2 R / F - 1, or None where neither precision nor recall is printed."""
    if (row, "micro", "recall") in facts.cells(table):
        recall, precision = (facts.value(table, row, "micro", metric) for metric in ("recall", "precision"))
        return Named(table, row, recall / precision)
    if table == 1 and row in STATED_RECALL:
        return Named(table, row, 2 * float(STATED_RECALL[row]) / facts.value(table, row, "micro") - 1)
    return None


def all_named() -> list[Named]:
    """Every row whose ratio is known, in the paper's order."""
    return [one for table in STAGES for row in facts.rows(table) if (one := named(table, row))]


def unknown_rows() -> int:
    """Rows of Tables 1 to 4 of which no ratio can be had."""
    return sum(len(facts.rows(table)) for table in STAGES) - len(all_named())


def for_intervals(table: int, row: str) -> float:
    """What an interval takes a row's ratio to be: the printed one, and as many as recorded where none is.

    Tables 5 and 6 print none, and the ratios of validation do not carry over to test sets that record more or fewer
    labels a study, so they count as not known (`on_validation` has them, to see how much hangs on it).
    """
    one = named(table, row)
    return BALANCED if one is None else one.ratio


def on_validation() -> dict[str, Range]:
    """The ratios of the rows that stand behind a model of Tables 5 and 6, from least to most."""
    found = {model: [for_intervals(*row) for row in rows] for model, rows in BEHIND.items()}
    return {model: Range(min(ratios), max(ratios)) for model, ratios in found.items()}


class Density(NamedTuple):
    """Labels recorded a study, uncertain ones not counted; No Finding and Support Devices are labels, too."""

    all_labels: float  # of those of the fourteen that the place has
    shared: float  # of the nine


def densities() -> dict[str, Density]:
    """The public labels of each data set of the paper: MIMIC's training studies, and the two test sets."""
    found = {}
    for dataset, split in (("mimic", "train"), ("chexpert", "test"), ("nih", "test")):
        names = tuple(name for name in facts.counts(dataset, split) if name in FINDINGS)
        per = facts.prevalence(dataset, split, names)
        found[dataset] = Density(sum(per.values()), sum(per[name] for name in NIH_SHARED))
    return found
