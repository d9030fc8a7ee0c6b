"""Our runs set against one another: only with the same findings, studies, split and seeds, and resampled together.

`together` is the one way by which the chapters' tables, sentences and figures come to a difference of two runs. It
refuses sides that are not alike (`comparable`), and scores all of them on the same draws of patients. What it cannot
draw is another training: a model that was trained here is one training a run, so an interval from here says nothing
about the next one, and no text may read an order out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chexreason import metrics
from chexreason.files import digest_of
from chexreason.labels import LABEL_SETS
from chexreason.metrics import Bools
from chexreason.runs import Run
from companion.evidence import comparable
from companion.evidence.comparable import Basis
from companion.evidence.stats import Floats, Interval, percentiles, resampled_f1
from companion.evidence.tables import MODELS, counted

RESAMPLES = 10_000
LEVEL = 0.95


def titled(model: str, tier: str) -> str:
    """A model's heading; a miniature is never headed with the name of the model that it stands for alone.

    >>> titled("nv_reason", "miniature"), titled("nv_reason", "replication")
    ('mini NV-Reason', 'NV-Reason')
    """
    name = MODELS.get(model, model)
    return f"mini {name}" if tier == "miniature" and model in MODELS else name


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


def together(runs: Sequence[Run], resamples: int = RESAMPLES, only: Bools | None = None) -> Together:
    """Some runs on the same draws of patients; `only` keeps some of the studies (B,).

    Raises UserError if the runs differ in findings, studies, split or seeds, or if the rows of one are not kept.
    """
    comparable.require_same(*(basis_of(run) for run in runs))
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


def basis_of(run: Run) -> Basis:
    """What a run's scores rest on."""
    rows = run.predictions()
    return Basis(
        findings=LABEL_SETS[str(run.info["label_set"])],
        studies=digest_of([list(rows["study_key"]), list(rows["truth"])])[:12],
        split=f"{run.info['dataset']} {run.info['split']}",
        seeds=tuple(int(seed) for seed in run.info.get("seeds", [run.info["seed"]])),
    )
