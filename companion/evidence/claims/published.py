"""The paper as a side: its printed cells, with draws reconstructed from them and from public label counts.

How the draws come about, and what they assume, is the audit's (`audit.uncertainty`, `audit.validation`). Tables 1 to 4
print no finding, so their macro averages are given the pattern of the SFT checkpoint in Table 5; how many labels a row
names follows from its printed P and R (`audit.operating`). Scores on the same studies correlate by `PAIRED`, or by what
else is tried; the normal draws behind them are the same ones then, so that only the correlation differs. The size of
the NIH subset is not in the text we have: two are tried (`verdicts`).
"""

import functools
from collections.abc import Callable, Hashable

import numpy as np

from chexreason.cohorts import stream
from chexreason.labels import FINDINGS, LABEL_SETS
from companion.evidence.audit import facts, operating, validation
from companion.evidence.audit.arithmetic import STATED_RECALL, implied_precision
from companion.evidence.audit.lines import GROUNDS, prevalence_of
from companion.evidence.audit.uncertainty import PAIRED, centred, patterned, supports_of, union
from companion.evidence.claims.quantity import DRAWS, CannotTell, Floats, Quantity, Side, Studies
from companion.evidence.tables import DATASETS

STUDIES = {**dict.fromkeys((1, 2, 3, 4), "validation"), 5: "CheXpert test", 6: "NIH test"}


class Published(Side):
    """The paper's side. `nih` is the size that its NIH subset is taken to have."""

    name, tier = "paper", "published"

    def __init__(self, nih: int, correlation: float = PAIRED) -> None:
        self._nih, self._correlation = nih, correlation
        self._found: dict[tuple[Hashable, ...], Quantity] = {}
        self._supports = {table: supports_of(table, nih if table == 6 else None) for table in STUDIES}

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """A printed average; its draws are made of its findings, or of pooled counts for the micro average."""
        return self._once((table, row, average, metric), lambda: self._score(table, row, average, metric))

    def _score(self, table: int, row: str, average: str, metric: str) -> Quantity:
        if table >= 5:
            names = LABEL_SETS["chexpert14" if table == 5 else "nih9"]
            value = facts.value(table, "macro", row)
            parts = np.stack([self.finding(table, row, name).draws for name in names]).mean(axis=0)
            return self._quantity(table, value, parts - parts.mean() + value, names)
        value, named = _cell(table, row, average, metric), operating.for_intervals(table, row)
        positives = sum(prevalence_of(1).values()) * validation.size()
        if (average, metric) == ("macro", "f1"):
            draws_R = np.mean([self._centred(table, name, row, f1, self._supports[table][name], named)
                               for name, f1 in patterned(value).items()], axis=0)  # fmt: skip
        elif average != "micro":
            raise CannotTell("intervals of a macro precision or recall need every finding, and none is printed")
        elif metric == "f1":
            draws_R = self._centred(table, "micro", f"{row} {metric}", value, positives, named)
        else:
            # Precision and recall are proportions, of the labels named and of the labels recorded.
            among = positives * named if metric == "precision" else positives
            draws_R = value + self._z(table, "micro", f"{row} {metric}") * np.sqrt(value * (1 - value) / among)
        return self._quantity(table, value, draws_R, FINDINGS)

    def finding(self, table: int, row: str, name: str) -> Quantity:
        if table <= 4:
            raise CannotTell(f"Table {table} prints averages only, no finding")
        if name not in self._supports[table]:
            raise CannotTell(f"Table {table} has no {name}")
        value, support = facts.value(table, name, row), self._supports[table][name]
        return self._once((table, row, name), lambda: self._quantity(
            table, value, self._centred(table, name, row, value, support), (name,)))  # fmt: skip

    def failure(self, table: int, row: str) -> Quantity:
        value, n = facts.value(table, row, "all", "failure_rate"), validation.size()
        share = max(value, 0.5 / n)  # half a failure keeps a rate of 0 from looking certain
        draws_R = value + self._z(table, "failure", row) * np.sqrt(share * (1 - share) / n)
        return self._quantity(table, value, draws_R, ())

    def prevalence(self, table: int) -> dict[str, float]:
        """Public prevalences, as for the reference lines."""
        return prevalence_of(table)

    def frequency(self, table: int, name: str) -> Quantity:
        dataset, split, _, _ = GROUNDS[table]
        return self.public(prevalence_of(table)[name], labels_of((dataset, split)))

    def public(self, value: float, n: frozenset[Studies]) -> Quantity:
        return Quantity(value, np.full(DRAWS, value), (), self.tier, n)

    def _once(self, key: tuple[Hashable, ...], make: Callable[[], Quantity]) -> Quantity:
        if key not in self._found:
            self._found[key] = make()
        return self._found[key]

    def _quantity(self, table: int, value: float, draws: Floats, scope: tuple[str, ...]) -> Quantity:
        size = self._nih if table == 6 else facts.size("chexpert", "test")
        return Quantity(value, draws, scope, self.tier, frozenset({Studies(STUDIES[table], size, stated=table != 6)}))

    def _centred(self, table: int, name: str, row: str, f1: float, support: float, named: float = 1.0) -> Floats:
        return centred(f1, union(f1, support, named), self._z(table, name, row))

    def _z(self, table: int, name: str, row: str) -> Floats:
        """Normal draws that correlate with those of everything scored on the same studies."""
        common_R, own_R = _normal(f"{STUDIES[table]} {name}"), _normal(f"{table} {name} {row}")
        return np.sqrt(self._correlation) * common_R + np.sqrt(1 - self._correlation) * own_R


@functools.cache
def _normal(name: str) -> Floats:
    return stream(0, name).standard_normal(DRAWS)


def _cell(table: int, row: str, average: str, metric: str) -> float:
    if (row, average, metric) in facts.cells(table):
        return facts.value(table, row, average, metric)
    if table == 1 and average == "micro" and row in STATED_RECALL:
        return float(STATED_RECALL[row]) if metric == "recall" else implied_precision(row)
    raise CannotTell(f"Table {table} does not print {average} {metric}")


def labels_of(*parts: tuple[str, str]) -> frozenset[Studies]:
    """The studies whose public labels are counted, of each (data set, split)."""
    return frozenset(
        Studies(f"{DATASETS[dataset][0]} {split} labels", facts.size(dataset, split)) for dataset, split in parts
    )
