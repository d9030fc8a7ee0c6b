"""The paper as a side: its printed cells, with draws reconstructed from them and from public label counts.

How the draws come about, and what they assume, is the audit's (`audit.uncertainty`, `audit.validation`). Tables 1 to 4
print no finding, so their macro averages are given the pattern of the SFT checkpoint in Table 5; how many labels a row
names follows from its printed P and R (`audit.operating`). Scores on the same studies correlate by `PAIRED`, or by what
else is tried; the normal draws behind them are the same ones then, so that only the correlation differs. The size of
the NIH subset is not in the text we have: two are tried (`verdicts`).
"""

import numpy as np

from chexreason.cohorts import stream
from chexreason.labels import FINDINGS, LABEL_SETS
from companion.evidence.audit import facts, operating, validation
from companion.evidence.audit.lines import GROUNDS, prevalence_of
from companion.evidence.audit.power import patterned
from companion.evidence.audit.statements import STATED_RECALL, implied_precision
from companion.evidence.audit.uncertainty import PAIRED, centred, supports_of, union
from companion.evidence.claims.quantity import CannotTell, Floats, Quantity, Studies
from companion.evidence.claims.sides import DRAWS, Side
from companion.evidence.tables import DATASETS

STUDIES = {**dict.fromkeys((1, 2, 3, 4), "validation"), 5: "CheXpert test", 6: "NIH test"}


class Published(Side):
    """The paper's side. `nih` is the size that its NIH subset is taken to have.

    `like` is another such side of the same correlation: what does not hang on `nih` is taken from it.
    """

    name, tier = "paper", "published"

    def __init__(self, nih: int, seed: int = 0, correlation: float = PAIRED, like: "Published | None" = None) -> None:
        self._sizes = {"validation": validation.size(), "CheXpert test": facts.size("chexpert", "test"),
                       "NIH test": nih}  # fmt: skip
        self._seed, self._correlation = seed, correlation
        self._common: dict[tuple[str, str], Floats] = like._common if like else {}
        self._found: dict[tuple[int, str, str], Quantity] = {}
        if like is not None:
            self._found |= {key: one for key, one in like._found.items() if key[0] != 6}
        self._supports = {5: supports_of(5), 6: supports_of(6, nih)}

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """A printed average; its draws are made of its findings, or of pooled counts for the micro average."""
        key = (table, row, f"{average} {metric}")
        if key not in self._found:
            self._found[key] = self._score(table, row, average, metric)
        return self._found[key]

    def _score(self, table: int, row: str, average: str, metric: str) -> Quantity:
        if table >= 5:
            names = LABEL_SETS["chexpert14" if table == 5 else "nih9"]
            value = facts.value(table, "macro", row)
            parts = np.stack([self.finding(table, row, name).draws for name in names]).mean(axis=0)
            return self._quantity(table, value, parts - parts.mean() + value, names)
        value, named = _cell(table, row, average, metric), operating.for_intervals(table, row)
        if average == "macro" and metric == "f1":
            parts = [self._centred(table, name, row, f1, validation.supports()[name], named)
                     for name, f1 in patterned(value).items()]  # fmt: skip
            return self._quantity(table, value, np.mean(parts, axis=0), FINDINGS)
        if average != "micro":
            raise CannotTell("intervals of a macro precision or recall need every finding, and none is printed")
        positives = sum(prevalence_of(1).values()) * validation.size()
        if metric == "f1":
            draws_R = self._centred(table, "micro", f"{row} {metric}", value, positives, named)
        else:
            # Precision and recall are proportions, of the labels named and of the labels recorded.
            among = positives * named if metric == "precision" else positives
            draws_R = value + self._z(table, "micro", f"{row} {metric}") * np.sqrt(value * (1 - value) / among)
        return self._quantity(table, value, draws_R, FINDINGS)

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """A printed F1 of Tables 5 and 6."""
        if table <= 4:
            raise CannotTell(f"Table {table} prints averages only, no finding")
        if name not in self._supports[table]:
            raise CannotTell(f"Table {table} has no {name}")
        key = (table, row, name)
        if key not in self._found:
            value = facts.value(table, name, row)
            draws_R = self._centred(table, name, row, value, self._supports[table][name])
            self._found[key] = self._quantity(table, value, draws_R, (name,))
        return self._found[key]

    def failure(self, table: int, row: str) -> Quantity:
        """A printed failure rate."""
        key, n = (table, row, "failure"), validation.size()
        if key not in self._found:
            value = facts.value(table, row, "all", "failure_rate")
            share = max(value, 0.5 / n)  # half a failure keeps a rate of 0 from looking certain
            draws_R = value + self._z(table, "failure", row) * np.sqrt(share * (1 - share) / n)
            self._found[key] = self._quantity(table, value, draws_R, ())
        return self._found[key]

    def prevalence(self, table: int) -> dict[str, float]:
        """Public prevalences, as for the reference lines."""
        return prevalence_of(table)

    def frequency(self, table: int, name: str) -> Quantity:
        """A public prevalence, of the labels that stand for the table's studies."""
        dataset, split, _, _ = GROUNDS[table]
        return self.public(prevalence_of(table)[name], labels_of((dataset, split)))

    def public(self, value: float, n: frozenset[Studies]) -> Quantity:
        """A number counted from public labels, so no draws."""
        return Quantity(value, np.full(DRAWS, value), (), self.tier, n)

    def _quantity(self, table: int, value: float, draws: Floats, scope: tuple[str, ...]) -> Quantity:
        where = STUDIES[table]
        studies = Studies(where, self._sizes[where], stated=where != "NIH test")
        return Quantity(value, draws, tuple(scope), self.tier, frozenset({studies}))

    def _centred(self, table: int, name: str, row: str, f1: float, support: float, named: float = 1.0) -> Floats:
        return centred(f1, union(f1, support, named), self._z(table, name, row))

    def _z(self, table: int, name: str, row: str) -> Floats:
        """Normal draws that correlate with those of everything scored on the same studies."""
        where = (STUDIES[table], name)
        if where not in self._common:
            self._common[where] = stream(self._seed, " ".join(where)).standard_normal(DRAWS)
        own_R = stream(self._seed, f"{table} {name} {row}").standard_normal(DRAWS)
        return np.sqrt(self._correlation) * self._common[where] + np.sqrt(1 - self._correlation) * own_R


def _cell(table: int, row: str, average: str, metric: str) -> float:
    if (row, average, metric) in facts.cells(table):
        return facts.value(table, row, average, metric)
    if table == 1 and average == "micro" and row in STATED_RECALL:
        stated = STATED_RECALL[row]
        return float(stated) if metric == "recall" else implied_precision(row, stated).middle
    raise CannotTell(f"Table {table} does not print {average} {metric}")


def labels_of(*parts: tuple[str, str]) -> frozenset[Studies]:
    """The studies whose public labels are counted, of each (data set, split)."""
    return frozenset(
        Studies(f"{DATASETS[dataset][0]} {split} labels", facts.size(dataset, split)) for dataset, split in parts
    )
