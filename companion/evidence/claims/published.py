"""The paper as a side: its printed cells, with draws reconstructed from them and from public label counts.

How the draws come about, and what they assume, is the audit's (`audit.uncertainty`): supports from the
CheXpert test set for Table 5, from the official NIH list's prevalences for Table 6, from MIMIC-CXR-JPG's for
the validation set of Tables 1 to 4, which the failure rates say has 500 studies. Tables 1 to 4 print no
finding, so their macro averages are given the pattern of the SFT checkpoint in Table 5; how many labels a row names
follows from its printed P and R (`audit.operating`). Scores on the same
studies correlate by `PAIRED`, or by what else is tried; the normal draws behind them are the same ones then, so that
only the correlation differs. The size of the NIH subset is not in the text we have: two are tried (`robustness`).
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from chexreason.cohorts import stream
from chexreason.labels import FINDINGS, LABEL_SETS
from companion.evidence.audit import facts, operating
from companion.evidence.audit.lines import GROUNDS, prevalence_of
from companion.evidence.audit.power import scaled
from companion.evidence.audit.statements import STATED_RECALL, implied_precision
from companion.evidence.audit.uncertainty import PAIRED, centred, supports_of, union
from companion.evidence.claims.quantity import CannotTell, Floats, Quantity, Studies
from companion.evidence.claims.sides import DRAWS, Side
from companion.evidence.tables import DATASETS

#: Studies of the validation set of Tables 1 to 4, by the failure rates (`audit.attainability`).
VALIDATION = facts.size("chexpert", "test")
STUDIES = {1: "validation", 2: "validation", 3: "validation", 4: "validation", 5: "CheXpert test", 6: "NIH test"}
NO_CURVES = "the paper gives Figure 1 as a picture, without values"


class Published:
    """The paper's side. `nih` is the size that its NIH subset is taken to have.

    `like` is another such side of the same correlation: what does not hang on `nih` is taken from it.
    """

    name = "paper"
    tier = "published"
    missing: tuple[str, ...] = ()

    def __init__(
        self, nih: int, seed: int = 0, correlation: float = PAIRED, like: "Published | None" = None
    ) -> None:  # fmt: skip
        self._nih = nih
        self._seed = seed
        self._correlation = correlation
        self._common: dict[tuple[str, str], Floats] = {}
        self._found: dict[tuple[int, str, str], Quantity] = {}
        if like is not None:
            self._common = like._common
            self._found = {key: one for key, one in like._found.items() if key[0] != 6}

    def settle(self, check: Callable[[Side], Quantity]) -> Quantity:
        """Each check as it is."""
        return check(self)

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """All of them: the paper's averages are judged as the paper makes them."""
        return tuple(findings)

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
        value = self._cell(table, row, average, metric)
        if average == "macro" and metric == "f1":
            return self._quantity(table, value, self._validation_macro(table, row, value), FINDINGS)
        if average != "micro":
            raise CannotTell("intervals of a macro precision or recall need every finding, and none is printed")
        positives, named = sum(prevalence_of(1).values()) * VALIDATION, operating.for_intervals(table, row)
        z_R = self._z(table, "micro", f"{row} {metric}")
        if metric == "f1":
            return self._quantity(table, value, centred(value, union(value, positives, named), z_R), FINDINGS)
        # Precision and recall are proportions, of the labels named and of the labels recorded.
        among = positives * named if metric == "precision" else positives
        draws_R = value + z_R * np.sqrt(value * (1 - value) / among)
        return self._quantity(table, value, draws_R, FINDINGS)

    def _cell(self, table: int, row: str, average: str, metric: str) -> float:
        if (row, average, metric) in facts.cells(table):
            return facts.value(table, row, average, metric)
        if table == 1 and average == "micro" and row in STATED_RECALL:
            stated = STATED_RECALL[row]
            return float(stated) if metric == "recall" else implied_precision(row, stated).middle
        raise CannotTell(f"Table {table} does not print {average} {metric}")

    def _validation_macro(self, table: int, row: str, value: float) -> Floats:
        pattern = facts.column(5, "medgemma_sft")
        supports, named = facts.supports("mimic", "train", FINDINGS, VALIDATION), operating.for_intervals(table, row)
        parts = [
            centred(f1, union(f1, supports[name], named), self._z(table, name, row))
            for name, f1 in scaled({name: pattern[name] for name in FINDINGS}, value).items()
        ]
        return np.mean(parts, axis=0)

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """A printed F1 of Tables 5 and 6."""
        if table <= 4:
            raise CannotTell(f"Table {table} prints averages only, no finding")
        if table == 6 and name not in LABEL_SETS["nih9"]:
            raise CannotTell(f"Table 6 has no {name}")
        key = (table, row, name)
        if key not in self._found:
            value = facts.value(table, name, row)
            support = _supports(table, self._nih)[name]
            draws_R = centred(value, union(value, support), self._z(table, name, row))
            self._found[key] = self._quantity(table, value, draws_R, (name,))
        return self._found[key]

    def failure(self, table: int, row: str) -> Quantity:
        """A printed failure rate, of 500 studies."""
        key = (table, row, "failure")
        if key not in self._found:
            value = facts.value(table, row, "all", "failure_rate")
            # Half a failure keeps a rate of 0 from looking certain.
            share = max(value, 0.5 / VALIDATION)
            draws_R = value + self._z(table, "failure", row) * np.sqrt(share * (1 - share) / VALIDATION)
            self._found[key] = self._quantity(table, value, draws_R, ())
        return self._found[key]

    def prevalence(self, table: int) -> dict[str, float]:
        """Public prevalences, as for the reference lines."""
        return prevalence_of(table)

    def frequency(self, table: int, name: str) -> Quantity:
        """A public prevalence, of the labels that stand for the table's studies."""
        dataset, split, _, _ = GROUNDS[table]
        return self.public(prevalence_of(table)[name], labels_of((dataset, split)))

    def accuracy(self, row: str) -> Quantity:
        """Figure 1 is a picture."""
        raise CannotTell(NO_CURVES)

    def pace(self, row: str) -> Quantity:
        """Figure 1 is a picture."""
        raise CannotTell(NO_CURVES)

    def public(self, says: float, n: frozenset[Studies]) -> Quantity:
        """A number counted from public labels, so no draws."""
        return Quantity(says, np.full(DRAWS, says), (), self.tier, n)

    def measured(self, what: str, otherwise: str) -> Quantity:
        """Nothing of the experiment."""
        raise CannotTell(otherwise)

    def _quantity(self, table: int, value: float, draws: Floats, scope: tuple[str, ...]) -> Quantity:
        n = {"validation": VALIDATION, "CheXpert test": facts.size("chexpert", "test"), "NIH test": self._nih}
        where = STUDIES[table]
        studies = Studies(where, n[where], stated=where != "NIH test")
        return Quantity(value, draws, tuple(scope), self.tier, frozenset({studies}))

    def _z(self, table: int, name: str, row: str) -> Floats:
        """Normal draws that correlate with those of everything scored on the same studies."""
        where = (STUDIES[table], name)
        if where not in self._common:
            self._common[where] = stream(self._seed, " ".join(where)).standard_normal(DRAWS)
        own_R = stream(self._seed, f"{table} {name} {row}").standard_normal(DRAWS)
        return np.sqrt(self._correlation) * self._common[where] + np.sqrt(1 - self._correlation) * own_R


def labels_of(*parts: tuple[str, str]) -> frozenset[Studies]:
    """The studies whose public labels are counted, of each (data set, split)."""
    return frozenset(
        Studies(f"{DATASETS[dataset][0]} {split} labels", facts.size(dataset, split)) for dataset, split in parts
    )


@functools.cache
def _supports(table: int, nih: int) -> dict[str, float]:
    return supports_of(table, nih if table == 6 else None)
