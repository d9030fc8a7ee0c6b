"""Runs as a side: those of one folder, or several trainings of the paper's runs; their scores, with draws.

Where a run's per-study rows are at hand, patients are drawn again and again with replacement, the same draws for every
run on the same studies, so that differences are paired. Where they are not (credentialed images, or the last checkpoint
of GRPO, whose answers are not kept), the draws are those of `audit.uncertainty` with the counts of the metrics. A score
is a mean over trainings, and its draws vary trainings, too (`stats.over_seeds`); a folder of runs is one training, and
a claim about trained models cannot be tested on it. A model with a training that is constant or scores below naming
every label is in no comparison, and a macro average holds the findings with enough positives (`comparable`).
Drawn images are named by their hospital and never by the data set that it stands for.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from chexreason import written
from chexreason.cohorts import stream
from chexreason.errors import UserError
from chexreason.files import digest_of
from chexreason.labels import FINDINGS, LABEL_SETS
from chexreason.metrics import label_cells
from chexreason.runs import Run, read, read_all
from companion.evidence import tables
from companion.evidence.audit.uncertainty import centred, shared
from companion.evidence.claims.quantity import DRAWS, OF_REAL_DATA, CannotTell, Floats, NotRun, Quantity, Side, Studies
from companion.evidence.comparable import ENOUGH, frequent, unfit_over
from companion.evidence.stats import ema, f1, over_seeds, resampled_counts

#: The curves of Figure 1 are read where they have made so much of their way.
NEARLY = 0.9
SEED = 0


class Scored:
    """One run, or one checkpoint of it: its values, and counts of draws; each read once."""

    def __init__(self, run: Run, checkpoint: str | None) -> None:
        self.run, self.checkpoint, self.values = run, checkpoint, tables.scores(run, checkpoint)
        self.labels, self.n = LABEL_SETS[str(run.info["label_set"])], int(run.info["n"])
        self.supports = {name: float(self.values[name, "support"]) for name in self.labels}

    @functools.cached_property
    def _commonest(self) -> float | None:
        return tables.commonest(self.run, self.checkpoint)

    def against_floor(self, findings: Sequence[str]) -> tuple[float | None, float, float]:
        """Share of the commonest answer (None without rows), macro-F1, and that of naming every label."""
        return self._commonest, *tables.levels(self.values, findings)

    def score(self, average: str, metric: str, carrying: Sequence[str]) -> Quantity:
        """An average: micro over all findings, macro over those that carry a conclusion."""
        names = self.labels if average == "micro" else tuple(name for name in self.labels if name in carrying)
        if not names:
            raise CannotTell(f"no finding has {ENOUGH} positives among the studies of {self.run.run_id}")
        keep_F, counts = [name in names for name in self.labels], self.counts
        hits, extra, missed = counts.sum(axis=2, keepdims=True) if average == "micro" else counts[:, :, keep_F]
        below = {"f1": (2 * hits + extra + missed) / 2, "precision": hits + extra, "recall": hits + missed}[metric]
        parts = np.divide(hits, below, out=np.zeros(below.shape), where=below > 0)
        value = np.mean([self.values[name, metric] for name in (["micro"] if average == "micro" else names)])
        return self.quantity(float(value), parts.mean(axis=1), names)

    def finding(self, name: str) -> Quantity:
        """F1 of one finding."""
        if name not in self.labels:
            raise CannotTell(f"{self.run.run_id} is not scored on {name}")
        return self.quantity(float(self.values[name, "f1"]), f1(self.counts[:, :, self.labels.index(name)]), (name,))

    def failure(self) -> Quantity:
        """The failure rate."""
        value = float(self.values["micro", "failure_rate"])
        # None of n seen, or all of them, is no certainty: half an answer is the least that is drawn with.
        chance = min(max(value, 0.5 / self.n), 1 - 0.5 / self.n)
        return self.quantity(value, stream(SEED, self.run.run_id).binomial(self.n, chance, DRAWS) / self.n)

    def accuracy(self) -> Quantity:
        """Token accuracy at the last step, smoothed as in Figure 1; one training, so nothing to draw."""
        return self._of_training(lambda curve: float(curve[-1]))

    def pace(self) -> Quantity:
        """Read off the same curve."""

        def share(curve: Floats) -> float:
            if (way := curve - curve[0])[-1] <= 0:
                raise CannotTell(f"the token accuracy of {self.run.run_id} did not rise")
            return (1 + int(np.argmax(way >= NEARLY * way[-1]))) / len(way)

        return self._of_training(share)

    def _of_training(self, read_off: Callable[[Floats], float]) -> Quantity:
        history = self.run.history()
        logged = history[history["metric"] == "mean_token_accuracy"].sort_values("step")["value"]
        if logged.empty:
            raise CannotTell(f"{self.run.run_id} did not log its token accuracy")
        value, studies = read_off(ema(logged.to_numpy())), Studies("training", int(self.run.info["n_train"]))
        return replace(self.quantity(value, np.full(DRAWS, value)), n=frozenset({studies}), trainings=1)

    def quantity(self, value: float, draws: Floats, scope: tuple[str, ...] = ()) -> Quantity:
        """A number of this run; one training if a training of this study made it."""
        info = self.run.info
        real, drawn_by_us = tables.DATASETS.get(str(info["dataset"]), (str(info["dataset"]),) * 2)
        where = f"{drawn_by_us if info['tier'] == 'miniature' else real} {info['split']}"
        studies, runs = frozenset({Studies(where, self.n, self._digest)}), frozenset({name_of(self.run)})
        return Quantity(value, draws, scope, str(info["tier"]), studies, runs, 1 if tables.trained(self.run) else None)

    @functools.cached_property
    def _digest(self) -> str:
        """Of the studies: as the run noted, or by its rows' keys."""
        if noted := self.run.info.get("inputs", {}).get("studies", ""):
            return str(noted)
        return digest_of(list(self.run.predictions()["study_key"])) if tables.has_rows(self.run) else ""

    @functools.cached_property
    def counts(self) -> npt.NDArray[np.float64] | npt.NDArray[np.int32]:
        """Counts of each draw (3, R, F): by patient from the rows, the same draws for all runs on the same studies, so
        that differences are paired; without rows such that F1 varies as its score interval does, with support and
        number of answers kept."""
        info, label_set = self.run.info, str(self.run.info["label_set"])
        if self.checkpoint != "last" and tables.has_rows(self.run):
            rows = self.run.predictions()
            true_BF, said_BF = (label_cells(rows[name], label_set) for name in ("truth", "predicted"))
            rng, patients = stream(SEED, digest_of(list(rows["study_key"]))), [str(key) for key in rows["patient_key"]]
            mask = tables.counted(rows, label_set)
            drawn = resampled_counts(true_BF, [said_BF], patients, rng, mask=mask, resamples=DRAWS)
            return drawn[:, 1:, 0].astype(np.int32)
        common, own = stream(SEED, str(info["dataset"])), stream(SEED, f"{self.run.run_id} {self.checkpoint}")
        found = []
        for name, support in self.supports.items():
            said, value = (float(self.values[name, metric]) for metric in ("predicted", "f1"))
            z_R = shared(own, common.standard_normal((DRAWS,)))
            hits_R = centred(value, support + said - value * (support + said) / 2, z_R) * (support + said) / 2
            found.append(np.stack([hits_R, said - hits_R, support - hits_R]))
        return np.stack(found, axis=2)


class Ours(Side):
    """The side of some trainings, each with its runs by run id; all of one tier."""

    alone = True  # whether unfit runs are refused; a chapter about intervals takes them, too

    def __init__(self, trainings: Mapping[int, Mapping[str, Run]], name: str) -> None:
        tiers = {str(run.info["tier"]) for runs in trainings.values() for run in runs.values()}
        if len(tiers) != 1:
            raise UserError("runs of one tier", ", ".join(sorted(tiers)) or "no run", "judge one profile's runs")
        self.name, self.tier = name, tiers.pop()
        wanted = [run_id for table in tables.TABLES for run_id in needed(table)]
        self.missing = tuple(one for one in wanted if any(one not in runs for runs in trainings.values()))
        self.trainings, self.using = trainings, tuple(trainings)
        self._read: dict[tuple[Path, str, str | None], Scored] = {}

    def settle(self, check: Callable[[Side], Quantity]) -> Quantity:
        """What a check computes from the trainings that have every run it asks for. Raises NotRun if none has."""
        self.using = tuple(self.trainings)
        while True:
            try:
                return check(self)
            except NotRun as gone:
                self.using = tuple(one for one in self.using if one != gone.training)
                if not self.using:
                    self.using = tuple(self.trainings)
                    raise

    def carrying(self, table: int, findings: Sequence[str]) -> tuple[str, ...]:
        """The findings with enough positives among the studies of every training in use."""
        enough = [frequent(one.supports) for one in self._any(table)]
        return tuple(name for name in findings if all(name in one for one in enough))

    def score(self, table: int, row: str, average: str = "macro", metric: str = "f1") -> Quantity:
        return self._over(lambda one: one.score(average, metric, self.carrying(table, FINDINGS)), table, row)

    def finding(self, table: int, row: str, name: str) -> Quantity:
        return self._over(lambda one: one.finding(name), table, row)

    def failure(self, table: int, row: str) -> Quantity:
        return self._over(Scored.failure, table, row)

    def accuracy(self, row: str) -> Quantity:
        return self._over(Scored.accuracy, 2, row)

    def pace(self, row: str) -> Quantity:
        return self._over(Scored.pace, 2, row)

    def prevalence(self, table: int) -> dict[str, float]:
        shares = pd.DataFrame([pd.Series(one.supports) / one.n for one in self._any(table)]).mean()
        return {str(name): float(value) for name, value in shares.items()}

    def frequency(self, table: int, name: str) -> Quantity:
        """Recorded labels of one finding; how often drawn images have it is our own choice, and no evidence."""
        value = self.prevalence(table)[name]
        if self.tier == "miniature":
            raise CannotTell(OF_REAL_DATA)
        return replace(self._any(table)[0].quantity(value, np.full(DRAWS, value)), trainings=None)

    def _over(self, ask: Callable[[Scored], Quantity], table: int, row: str) -> Quantity:
        """The mean over the trainings in use of a row's number; the draws vary trainings, too.

        Raises CannotTell if a training is constant or below naming every label. All average the same findings.
        """
        run_id, checkpoint = run_of(table, row)
        each = [self._at(one, run_id, checkpoint) for one in self.using]
        if self.alone:
            carrying = self.carrying(table, FINDINGS)
            if reason := unfit_over(one.against_floor(carrying) for one in each):
                named = each[0].run.folder.name.removesuffix("-answers")  # in the experiment an arm and checkpoint
                raise CannotTell(f"{'-'.join(filter(None, [named, checkpoint]))} {reason}")
        found = [ask(one) for one in each]
        values = over_seeds([np.append(one.value, one.draws) for one in found])
        return replace(
            found[0], value=float(values[0]), draws=values[1:], runs=frozenset().union(*(one.runs for one in found)),
            trainings=found[0].trainings and len(found),
        )  # fmt: skip

    def _at(self, training: int, run_id: str, checkpoint: str | None) -> Scored:
        if run_id not in self.trainings[training]:
            raise NotRun(run_id, training)
        run = self.trainings[training][run_id]
        if (key := (run.folder, run_id, checkpoint)) not in self._read:
            self._read[key] = Scored(run, checkpoint)
        return self._read[key]

    def _any(self, table: int) -> list[Scored]:
        """Any run of a table in each training in use: all are about the same studies."""
        ids = needed(table)
        firsts = {one: next((run_id for run_id in ids if run_id in self.trainings[one]), ids[0]) for one in self.using}
        return [self._at(one, run_id, "best" if table == 4 else None) for one, run_id in firsts.items()]


def run_of(table: int, row: str) -> tuple[str, str | None]:
    """The id of the run behind a row, or a model of Tables 5 and 6, and the checkpoint that is meant."""
    spec = tables.TABLES[table]
    if table >= 5:
        return spec.run_id("macro", row), None
    return spec.run_id(row, "macro"), row.rpartition("_")[2] if spec.checkpoint else None


def name_of(run: Run) -> str:
    """A run's id, with its seed's folder where it is one of several trainings."""
    seed = run.folder.parent.name
    return f"{seed}/{run.folder.name}" if re.fullmatch(r"seed\d+", seed) else run.run_id


@functools.cache
def needed(table: int) -> tuple[str, ...]:
    """The ids of the runs that fill a table of the paper."""
    cells = tables.published(table)[["row", "column"]].itertuples(index=False)
    return tuple(dict.fromkeys(tables.TABLES[table].run_id(row, column) for row, column in cells))


def open_runs(words: str, results: Path | None = None) -> Ours:
    """The side of a profile's runs, of a folder of runs, or of one run's folder.

    Raises UserError if there is no whole run at that place, or runs of several tiers.
    """
    folder = written.folder(words)
    if words and folder.is_dir():
        one = read(folder)
        found = {run.run_id: tables.known(run) for run in ([one] if one else read_all(folder))}
    else:
        folder, found = tables.results_root(results) / words, tables.read_runs(words, results)
    if not found:
        raise UserError("a folder of finished runs, or a profile that has some", f"none at {folder}",
                        "make some with `make book PROFILE=...`, or name another folder")  # fmt: skip
    return Ours({0: found}, folder.name)
