"""What may be called best in Tables 1 to 6, and what is only the highest value.

*Highest* is a fact about numbers, ties included, and `highest` finds it for the sentences and for the bold type
alike. *Best* is a conclusion, which `conclusions` draws for our runs; `unfit_of` says which of them are constant or
below naming every label and take no part. For the paper, which prints no interval, the audit's score intervals say
which leads are within chance, under its assumptions about the number of studies and the findings.

`together` is the one way by which the chapters come to a difference of two of our runs: it refuses sides that are not
alike (`comparable`), and scores all of them on the same draws of patients. What it cannot draw is another training, so
an interval from here says nothing about the next one, and no text may read an order out of it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chexreason import metrics
from chexreason.files import digest_of
from chexreason.labels import LABEL_SETS
from chexreason.runs import Run
from companion.evidence import comparable
from companion.evidence.audit import differences, facts
from companion.evidence.audit import uncertainty as sure
from companion.evidence.stats import Floats, Interval, percentiles, resampled_f1
from companion.evidence.tables import MINIATURES, MODELS, Evidence, counted, gather, title_of, unfit

RESAMPLES = 10_000
LEVEL = 0.95
#: Below this a difference of two scores is called none: the paper prints three decimals.
VISIBLE = 0.0005


def titled(model: str, tier: str) -> str:
    """A model's heading; a miniature has a name of its own.

    >>> titled("nv_reason", "miniature"), titled("nv_reason", "replication")
    ('mini-NV', 'NV-Reason')
    """
    return (MINIATURES if tier == "miniature" else MODELS).get(model, model)


def highest(values: pd.Series) -> list[Any]:
    """The names with the highest value, all of them if they tie; none where every value is zero or missing.

    >>> highest(pd.Series({"a": 0.2701, "b": 0.27, "c": 0.1}))
    ['a', 'b']
    """
    best = values.max()
    return [] if not best >= VISIBLE else list(values.index[values > best - VISIBLE])


def unfit_of(shown: Evidence) -> dict[str, str]:
    """Row (Tables 1 to 4) or column (5 and 6) -> why our run there takes part in no order or best."""
    models = shown.spec.number >= 5
    names = dict.fromkeys(column for column, _ in shown.all_columns()) if models else shown.all_rows()
    runs = {name: found for name in names if (found := run_at(shown, name))[0]}
    return {name: reason for name, (run, checkpoint) in runs.items() if run and (reason := unfit(run, checkpoint))}


def run_at(shown: Evidence, name: str) -> tuple[Run | None, str | None]:
    """The run behind a row or column, and the checkpoint that is meant."""
    run = shown.run_of("macro", name) if shown.spec.number >= 5 else shown.run_of(name, "macro")
    return run, name.rpartition("_")[2] if shown.spec.checkpoint else None


def name_of(shown: Evidence, name: str) -> str:
    """A row's or column's heading, on our side of the table."""
    return titled(name, shown.tier) if shown.spec.number >= 5 else title_of(shown.spec, name)


def printed_change(first: tuple[int, str], second: tuple[int, str], n: int | None = None) -> Interval:
    """Macro-F1 of a printed row or model minus that of the first, with the interval that the audit's assumptions give.

    `n` is the number of studies tried for Table 6. The findings' means differ from the printed averages by rounding,
    so the interval is moved to the difference as printed.
    """
    lean, n = differences.lean(first, second), n or differences.sizes_of(second[0])[0]
    found = _audited().get((lean.table, lean.first, lean.second, n)) or sure.difference(
        lean.before, lean.after, sure.supports_of(lean.table, n), np.random.default_rng(0), named=lean.named
    )
    one, two = (
        facts.value(table, *(("macro", name) if table >= 5 else (name, "macro"))) for table, name in (first, second)
    )
    shift = two - one - found.estimate
    return Interval(two - one, found.low + shift, found.high + shift)


@functools.cache
def _audited() -> dict[tuple[int, str, str, int], Interval]:
    """The differences that the audit shows, so that a chapter tells the same interval to the last place."""
    found = differences.differences()
    return {(one.lean.table, one.lean.first, one.lean.second, one.n): one.at[sure.PAIRED] for one in found}


def printed_highest(number: int) -> str:
    """The paper's highest macro-F1 of Tables 1 to 3, and which others are within chance of it, as a clause."""
    shown = gather(number)
    values = shown.side("paper", "macro")
    top = highest(values)
    near = [row for row in values.index.difference(top, sort=False)
            if not printed_change((number, row), (number, top[0])).low > 0]  # fmt: skip
    first, others = (" and ".join(title_of(shown.spec, row) for row in rows) for rows in (top, near))
    others = others or f"each of the other {len(values) - len(top)}"
    lead = "within chance" if near else "more than chance makes"
    return f"{first} ({values.max():.3f}); its lead over {others} is {lead}"


def verdict(found: Interval) -> str:
    """What an interval over studies allows to say of a printed difference."""
    return "more than chance makes" if found.excludes_zero else "within chance"


@dataclass(frozen=True)
class Together:
    """M runs on the same studies, scored on the same draws of patients; draw 0 is the studies as they are."""

    names: tuple[str, ...]  # F findings
    frequent: tuple[str, ...]  # those that may stand in an average that carries a conclusion
    all_RM: Floats  # macro-F1 over all findings (1 + R, M)
    often_RM: Floats  # macro-F1 over the frequent ones (1 + R, M); NaN if there is none
    studies: int
    patients: int

    def score(self, run: int) -> Interval:
        """Macro-F1 of one run over the frequent findings with its interval over patients."""
        return percentiles(self.often_RM[:, run], LEVEL)

    def difference(self, first: int, second: int) -> Interval:
        """Macro-F1 of run `second` minus that of run `first`, likewise."""
        return percentiles(self.often_RM[:, second] - self.often_RM[:, first], LEVEL)


def together(runs: Sequence[Run], resamples: int = RESAMPLES, only: metrics.Bools | None = None) -> Together:
    """Some runs on the same draws of patients; `only` keeps some of the studies (B,).

    Raises UserError if the runs differ in findings, studies, split or seeds, or if the rows of one are not kept.
    """
    comparable.require_same(*map(basis_of, runs))
    tables = [run.predictions() for run in runs]
    if only is not None:
        tables = [rows[only].reset_index(drop=True) for rows in tables]
    label_set = str(runs[0].info["label_set"])
    true_BF, mask_BF = metrics.label_cells(tables[0]["truth"], label_set), counted(tables[0], label_set)
    preds = [metrics.label_cells(rows["predicted"], label_set) for rows in tables]
    patients = [str(key) for key in tables[0]["patient_key"]]
    drawn = resampled_f1(true_BF, preds, patients, np.random.default_rng(0), mask=mask_BF, resamples=resamples)
    names = LABEL_SETS[label_set]
    often = comparable.frequent(dict(zip(names, (true_BF & mask_BF).sum(axis=0).tolist(), strict=True)))
    picked = drawn["findings"][:, :, [names.index(name) for name in often]]
    often_RM = picked.mean(axis=2) if often else np.full(drawn["macro"].shape, np.nan)
    return Together(names, often, drawn["macro"], often_RM, len(true_BF), len(set(patients)))


def basis_of(run: Run) -> comparable.Basis:
    """What a run's scores rest on."""
    rows = run.predictions()
    return comparable.Basis(
        findings=LABEL_SETS[str(run.info["label_set"])],
        studies=digest_of([list(rows["study_key"]), list(rows["truth"])])[:12],
        split=f"{run.info['dataset']} {run.info['split']}",
        seeds=tuple(int(seed) for seed in run.info.get("seeds", [run.info["seed"]])),
    )
