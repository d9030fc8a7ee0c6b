"""Where a row of Tables 1 to 6 stands among its like: its interval, its rank, and its difference to where it began.

An interval of the paper's is reconstructed (`audit.uncertainty`, `audit.validation`), one of ours is over patients. A
rank is a range: from one more than the rows that are surely better to one less than those surely worse, each by the
interval of the difference on the same studies. So rows that only chance orders share their ranks.
"""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit import validation
from companion.evidence.stats import Interval, percentiles
from companion.evidence.tables import MODELS, Evidence, has_rows
from companion.report import leads
from companion.report.theme import decimal, signed

#: Table -> the row or model that differences are taken to, and what it is called; Table 4's stands in Table 2.
FIRST: Mapping[int, tuple[int, str, str]] = {
    1: (1, "reasoning_a", "A"), 2: (2, "only_label", "Only Label"), 3: (3, "only_label", "Only Label"),
    4: (2, "free_reasoning", "SFT"), 5: (5, "medgemma_sft", "SFT"), 6: (6, "medgemma_sft", "SFT"),
}  # fmt: skip
#: Stands beside a difference that chance does not explain.
CLEAR = "*"


class Standing(NamedTuple):
    """Texts of one row: the interval of its macro-F1, its ranks, its difference to the first."""

    low: str = "–"
    high: str = "–"
    rank: str = "–"
    minus: str = "–"

    @property
    def interval(self) -> str:
        return self.low if self.low == self.high else f"{self.low} to {self.high}"


def standings(shown: Evidence) -> Mapping[str, Standing]:
    """Row (Tables 1 to 4) or model (5 and 6) -> where it stands on its side; what takes part in no order has none."""
    return _ours(shown) if shown.runs else _paper(shown.spec.number)


@functools.cache
def _paper(number: int) -> Mapping[str, Standing]:
    table, first, _ = FIRST[number]
    if number < 5:
        known = {row: one["macro"] for (at, row), one in _validation().items() if at == number}
    else:
        known = sure.table_intervals(number, np.random.default_rng(0), min(sure.NIH_SIZES) if number == 6 else None)
        known = {name: known[name] for name in MODELS}

    def change(one: tuple[int, str], other: tuple[int, str]) -> Interval:
        return leads.printed_change(one, other, min(sure.NIH_SIZES) if number == 6 else None)

    between = {(a, b): change((number, a), (number, b)) for a, b in itertools.combinations(known, 2)}
    between |= {(b, a): Interval(-one.estimate, -one.high, -one.low) for (a, b), one in between.items()}
    to_first = {name: change((table, first), (number, name)) for name in known if (number, name) != (table, first)}
    return _texts(known, lambda a, b: between[a, b], to_first)


@functools.cache
def _validation() -> Mapping[tuple[int, str], Mapping[str, Interval]]:
    return validation.intervals(np.random.default_rng(0))


def _ours(shown: Evidence) -> Mapping[str, Standing]:
    """Of runs whose rows are kept; the last checkpoint of Table 4 has none. Models that were trained once each have no
    ranks, since another training would give others: only prompts of one model have."""
    models, out = shown.spec.number >= 5, leads.unfit_of(shown)
    names = [name for name, _ in shown.all_columns()] if models else shown.all_rows()
    runs = {name: run for name in names if (run := leads.run_at(shown, name)[0])
            and has_rows(run) and not name.endswith("_last")}  # fmt: skip
    if not runs:
        return {}
    held = leads.together(list(runs.values()))
    column = {name: held.all_RM[:, k] for k, name in enumerate(runs)}
    known = {name: percentiles(values, leads.LEVEL) for name, values in column.items()}
    fit = {name: one for name, one in known.items() if name not in out}
    table, first, _ = FIRST[shown.spec.number]
    to_first = {}
    if table == shown.spec.number and first in fit:
        to_first = {name: percentiles(column[name] - column[first], leads.LEVEL) for name in fit if name != first}
    found = _texts(fit, lambda a, b: percentiles(column[b] - column[a], leads.LEVEL), to_first)
    if shown.spec.number > 1:
        found = {name: one._replace(rank="–", minus=one.minus.rstrip(CLEAR)) for name, one in found.items()}
    return {name: found.get(name, Standing(decimal(one.low), decimal(one.high))) for name, one in known.items()}


def _texts(
    known: Mapping[str, Interval], change: Callable[[str, str], Interval], to_first: Mapping[str, Interval]
) -> Mapping[str, Standing]:
    found = {}
    for name, one in known.items():
        moves = [change(name, other) for other in known if other != name]
        better, worse = sum(move.low > 0 for move in moves), sum(move.high < 0 for move in moves)
        ranks = f"{1 + better}" if better + worse == len(moves) else f"{1 + better}–{len(known) - worse}"
        minus = to_first.get(name)
        text = "–" if minus is None else signed(minus.estimate) + CLEAR * minus.excludes_zero
        found[name] = Standing(decimal(one.low), decimal(one.high), ranks, text)
    return found
