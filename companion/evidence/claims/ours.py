"""The runs of one folder as a side: their scores, with draws by patient where there are rows.

Where a run's per-study rows are at hand, patients are drawn again and again with replacement, the same
draws for every run on the same studies, so that differences are paired. Where they are not (credentialed
images, or the last checkpoint of GRPO, whose answers are not kept), counts are in the metrics, and the draws
are those of `audit.uncertainty` with the counts as they are. Seeds are not drawn: a run is one training, and a
claim about trained models cannot be tested on it. A run that is constant or scores below naming every label is in no
comparison, and a macro average holds the findings with enough positives (`comparable`).
Drawn images are named by their hospital and never by the data set that it stands for.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason.cohorts import stream
from chexreason.errors import UserError
from chexreason.files import digest_of
from chexreason.labels import FINDINGS, LABEL_SETS
from chexreason.metrics import label_cells
from chexreason.runs import Run, read, read_all
from companion.evidence.audit.uncertainty import centred, shared
from companion.evidence.claims.quantity import CannotTell, Floats, NotRun, Quantity, Studies
from companion.evidence.claims.sides import DRAWS, OF_REAL_DATA, Side
from companion.evidence.comparable import ENOUGH, frequent
from companion.evidence.stats import ema, f1, resampled_counts
from companion.evidence.tables import (
    DATASETS,
    TABLES,
    against_floor,
    counted,
    has_rows,
    published,
    read_runs,
    results_root,
    scores,
    trained,
    unfit,
)

Counts = npt.NDArray[np.float64] | npt.NDArray[np.int32]
#: The curves of Figure 1 are read where they have made so much of their way.
NEARLY = 0.9


class Ours(Side):
    """The side of some runs by run id; all of one tier."""

    def __init__(self, runs: Mapping[str, Run], name: str, seed: int = 0, alone: bool = True) -> None:
        """`alone` is False for one of several trainings, whose means are held against the floor, not each by itself."""
        tiers = {str(run.info["tier"]) for run in runs.values()}
        if len(tiers) != 1:
            raise UserError("runs of one tier", ", ".join(sorted(tiers)) or "no run", "judge one profile's runs")
        self.name, self.tier = name, tiers.pop()
        self.missing = tuple(run_id for run_id in needed() if run_id not in runs)
        self._runs, self._seed, self._alone = runs, seed, alone
        #: Table -> the findings that carry a conclusion, where the trainings beside this one leave fewer.
        self.carried: dict[int, tuple[str, ...]] = {}
        self._counts: dict[tuple[str, str | None], Counts] = {}
        self._scores: dict[tuple[str, str | None], pd.Series] = {}
        self._digests: dict[str, str] = {}

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """The findings with enough positives among a table's studies."""
        enough = self.carried[table] if table in self.carried else frequent(self._supports(table))
        return tuple(name for name in findings if name in enough)

    def held_against_floor(self, table: int, row: str) -> tuple[float | None, float, float]:
        """Share of the commonest answer (None without rows), macro-F1, and that of naming every label."""
        run, checkpoint = self._run(table, row)
        return against_floor(run, checkpoint, self.carrying(table, FINDINGS))

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        """An average of a run: micro over its findings, macro over those with enough positives."""
        run, checkpoint = self._run(table, row)
        names, values, counts = _labels(run), self._values(run, checkpoint), self._drawn(run, checkpoint)
        if average == "micro":
            counts, value = counts.sum(axis=2, keepdims=True), values[average, metric]
        else:
            every, names = names, self.carrying(table, names)
            if not names:
                raise CannotTell(f"no finding has {ENOUGH} positives among the studies of {run.run_id}")
            counts = counts[:, :, [name in names for name in every]]
            value = np.mean([values[name, metric] for name in names])
        if metric == "f1":
            parts = f1(counts)
        else:
            below = counts[0] + counts[1 if metric == "precision" else 2]
            parts = np.divide(counts[0], below, out=np.zeros(below.shape), where=below > 0)
        return self._quantity(run, float(value), parts.mean(axis=1), names)

    def finding(self, table: int, row: str, name: str) -> Quantity:
        """One finding of a run."""
        run, checkpoint = self._run(table, row)
        if name not in _labels(run):
            raise CannotTell(f"{run.run_id} is not scored on {name}")
        counts = self._drawn(run, checkpoint)[:, :, _labels(run).index(name)]
        return self._quantity(run, float(self._values(run, checkpoint)[name, "f1"]), f1(counts), (name,))

    def failure(self, table: int, row: str) -> Quantity:
        """A run's failure rate."""
        run, checkpoint = self._run(table, row)
        value, n = float(self._values(run, checkpoint)["micro", "failure_rate"]), int(run.info["n"])
        # None of n seen, or all of them, is no certainty: half an answer is the least that is drawn with.
        chance = min(max(value, 0.5 / n), 1 - 0.5 / n)
        return self._quantity(run, value, stream(self._seed, run.run_id).binomial(n, chance, DRAWS) / n, ())

    def prevalence(self, table: int) -> dict[str, float]:
        """Recorded labels of the table's studies."""
        n = int(self._any(table).info["n"])
        return {name: support / n for name, support in self._supports(table).items()}

    def frequency(self, table: int, name: str) -> Quantity:
        """Recorded labels of one finding; how often drawn images have it is our own choice, and no evidence."""
        run, value = self._any(table), self.prevalence(table)[name]
        if self.tier == "miniature":
            raise CannotTell(OF_REAL_DATA)
        return replace(self._quantity(run, value, np.full(DRAWS, value), ()), trainings=None)

    def accuracy(self, row: str) -> Quantity:
        """The average at the last step, smoothed as in Figure 1; one training, so nothing to draw."""
        run, curve = self._curve(row)
        return self._trained(run, float(curve[-1]))

    def pace(self, row: str) -> Quantity:
        """Read off the same curve; one training, so nothing to draw."""
        run, curve = self._curve(row)
        way = curve - curve[0]
        if way[-1] <= 0:
            raise CannotTell(f"the token accuracy of {run.run_id} did not rise")
        return self._trained(run, (1 + int(np.argmax(way >= NEARLY * way[-1]))) / len(way))

    def _curve(self, row: str) -> tuple[Run, Floats]:
        run, _ = self._run(2, row)
        history = run.history()
        logged = history[history["metric"] == "mean_token_accuracy"].sort_values("step")["value"]
        if logged.empty:
            raise CannotTell(f"{run.run_id} did not log its token accuracy")
        return run, ema(logged.to_numpy())

    def _trained(self, run: Run, value: float) -> Quantity:
        studies = frozenset({Studies("training", int(run.info["n_train"]))})
        return Quantity(value, np.full(DRAWS, value), (), self.tier, studies, frozenset({name_of(run)}), trainings=1)

    # Where the numbers come from.

    def _run(self, table: int, row: str) -> tuple[Run, str | None]:
        spec = TABLES[table]
        run_id = spec.run_id("macro" if table >= 5 else row, row if table >= 5 else "macro")
        if run_id not in self._runs:
            raise NotRun(run_id)
        run, checkpoint = self._runs[run_id], row.rpartition("_")[2] if spec.checkpoint else None
        if self._alone and (reason := unfit(run, checkpoint, self.carrying(table, FINDINGS))):
            raise CannotTell(f"{run_id} {reason}")
        return run, checkpoint

    def _any(self, table: int) -> Run:
        """Any run of a table: all are about the same studies."""
        there = [self._runs[run_id] for run_id in needed(table) if run_id in self._runs]
        if not there:
            raise NotRun(needed(table)[0])
        return there[0]

    def _supports(self, table: int) -> dict[str, float]:
        run = self._any(table)
        values = self._values(run, "best" if table == 4 else None)
        return {name: float(values[name, "support"]) for name in _labels(run)}

    def _values(self, run: Run, checkpoint: str | None) -> pd.Series:
        key = (run.run_id, checkpoint)
        if key not in self._scores:
            self._scores[key] = scores(run, checkpoint)
        return self._scores[key]

    def _drawn(self, run: Run, checkpoint: str | None) -> Counts:
        """Counts of each draw (3, R, F): by patient from the rows, or from the metrics."""
        key = (run.run_id, checkpoint)
        if key not in self._counts:
            by_patient = checkpoint != "last" and has_rows(run)
            self._counts[key] = self._from_rows(run) if by_patient else self._from_metrics(run, checkpoint)
        return self._counts[key]

    def _from_rows(self, run: Run) -> Counts:
        rows, label_set = run.predictions(), str(run.info["label_set"])
        true_BF, said_BF = (label_cells(rows[name], label_set) for name in ("truth", "predicted"))
        # The same draws for all runs on the same studies, so that differences are paired.
        rng = stream(self._seed, digest_of(list(rows["study_key"])))
        patients = [str(key) for key in rows["patient_key"]]
        drawn = resampled_counts(true_BF, [said_BF], patients, rng, mask=counted(rows, label_set), resamples=DRAWS)
        return drawn[:, 1:, 0].astype(np.int32)

    def _from_metrics(self, run: Run, checkpoint: str | None) -> Floats:
        """Counts whose F1 varies as its score interval does, with support and number of answers kept."""
        values = self._values(run, checkpoint)
        common = stream(self._seed, str(run.info["dataset"]))
        own = stream(self._seed, f"{run.run_id} {checkpoint}")
        drawn = []
        for name in _labels(run):
            support, said, value = (float(values[name, metric]) for metric in ("support", "predicted", "f1"))
            z_R = shared(own, common.standard_normal((DRAWS,)))
            hits_R = centred(value, support + said - value * (support + said) / 2, z_R) * (support + said) / 2
            drawn.append(np.stack([hits_R, said - hits_R, support - hits_R]))
        return np.stack(drawn, axis=2)

    def _quantity(self, run: Run, value: float, draws: Floats, scope: tuple[str, ...]) -> Quantity:
        real, drawn_by_us = DATASETS.get(str(run.info["dataset"]), (str(run.info["dataset"]),) * 2)
        where = f"{drawn_by_us if self.tier == 'miniature' else real} {run.info['split']}"
        if run.run_id not in self._digests:  # of the studies: as the run noted, or by its rows' keys
            noted = run.info.get("inputs", {}).get("studies", "")
            keys = list(run.predictions()["study_key"]) if not noted and has_rows(run) else []
            self._digests[run.run_id] = str(noted) or (digest_of(keys) if keys else "")
        studies = frozenset({Studies(where, int(run.info["n"]), self._digests[run.run_id])})
        trainings = 1 if trained(run) else None
        return Quantity(value, draws, tuple(scope), self.tier, studies, frozenset({name_of(run)}), trainings)


def _labels(run: Run) -> tuple[str, ...]:
    return LABEL_SETS[str(run.info["label_set"])]


def name_of(run: Run) -> str:
    """A run's id, with its seed's folder where it is one of several trainings."""
    seed = run.folder.parent.name
    return f"{seed}/{run.folder.name}" if re.fullmatch(r"seed\d+", seed) else run.run_id


@functools.cache
def needed(*tables: int) -> tuple[str, ...]:
    """The ids of the runs that fill some of the paper's tables (default: all), in the tables' order."""
    ids: dict[str, None] = {}
    for number in tables or TABLES:
        cells = published(number)[["row", "column"]].itertuples(index=False)
        ids |= dict.fromkeys(TABLES[number].run_id(row, column) for row, column in cells)
    return tuple(ids)


def open_runs(words: str, results: Path | None = None, alone: bool = True) -> Ours:
    """The side of a profile's runs, of a folder of runs, or of one run's folder; `alone` as for `Ours`.

    Raises UserError if there is no whole run at that place, or runs of several tiers.
    """
    folder = Path(words)
    if folder.is_dir():
        one = read(folder)
        found = {one.run_id: one} if one else {run.run_id: run for run in read_all(folder)}
    else:
        found = read_runs(words, results)
        folder = results_root(results) / words
    if not found:
        raise UserError("a folder of finished runs, or a profile that has some", f"none at {folder}",
                        "make some with `make book PROFILE=...`, or name another folder")  # fmt: skip
    return Ours(found, folder.name, alone=alone)
