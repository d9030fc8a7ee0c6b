"""Intervals for the validation scores of Tables 1 to 4, which print averages only (sections 4.1 to 4.3).

Neither the number of validation studies nor any finding is printed. What is assumed: as many studies as the CheXpert
test set has, which the failure rates fit; the prevalences of MIMIC-CXR-JPG; and for a macro average the pattern of
findings of the SFT checkpoint in Table 5, raised or lowered to the printed average. A micro average pools all labels,
so its interval needs no pattern. How many labels a row names per label recorded follows from its printed P and R
(`operating`); each finding of a macro average is taken to be named at the row's ratio.
"""

import numpy as np

from companion.evidence.audit import facts, operating
from companion.evidence.audit import uncertainty as sure
from companion.evidence.stats import Interval


def size() -> int:
    """The number of validation studies that is taken to stand behind Tables 1 to 4."""
    return facts.size("chexpert", "test")


def micro(f1: float, named: float = sure.BALANCED) -> Interval:
    """The interval of a micro-F1: a score interval over all labels of all studies."""
    return sure.interval(f1, sum(sure.supports_of(1).values()), named)


def intervals(rng: np.random.Generator) -> dict[tuple[int, str], dict[str, Interval]]:
    """(table, row) -> the intervals of its micro- and macro-F1."""
    found: dict[tuple[int, str], dict[str, Interval]] = {}
    for table in (1, 2, 3, 4):
        for row in facts.rows(table):
            value, named = facts.value(table, row, "macro"), operating.for_intervals(table, row)
            average = sure.macro(sure.patterned(value), sure.supports_of(table), rng, named)
            moved = value - average.estimate  # 0 unless a finding was cut at 1
            found[table, row] = {
                "micro": micro(facts.value(table, row, "micro"), named),
                "macro": Interval(value, average.low + moved, average.high + moved),
            }
    return found
