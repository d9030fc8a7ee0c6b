"""What the tables are made of: the paper's values and a profile's runs, in one shape (Tables 1 to 6).

Both sides are series indexed by (row, column, metric) with the names of `results/published/table<n>.csv`, so a
published value and this run's can only meet in the same cell. A profile without runs is not an error, its side is then
empty.
"""

import functools
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason import config, metrics, prompts, written
from chexreason.config import results_root
from chexreason.data import SOURCES
from chexreason.errors import UserError, unknown
from chexreason.labels import LABEL_SETS
from chexreason.runs import Run, read_all
from companion.evidence import comparable, sealed

KEYS = ["row", "column", "metric"]

#: The five models of Tables 5 and 6, as the paper heads their columns.
MODELS: Mapping[str, str] = {
    "nv_reason": "NV-Reason",
    "medgemma": "MedGemma",
    "qwen": "Qwen2.5-VL",
    "medgemma_sft": "MedGemma (SFT)",
    "chexreason": "ChexReason",
}
#: What a miniature of each is called, so that no picture of a table can be taken for one of the real models.
MINIATURES: Mapping[str, str] = {
    "nv_reason": "mini-NV",
    "medgemma": "mini-Gemma",
    "qwen": "mini-Qwen",
    "medgemma_sft": "mini-Gemma (SFT)",
    "chexreason": "mini-ChexReason",
}
#: The stage in the record of a run of one's own predictions (`chexreason score`).
OWN = "score"
#: The data sets by short name: the paper's, and the hospital that stands for it in the miniature.
DATASETS: Mapping[str, tuple[str, str]] = {
    "mimic": ("MIMIC-CXR-JPG", "hospital A"),
    "chexpert": ("CheXpert", "hospital B"),
    "nih": ("NIH ChestX-ray14", "hospital C"),
}
METRICS: Mapping[str, str] = {"precision": "P", "recall": "R", "f1": "F1", "failure_rate": "Fail rate"}
#: tier -> the profiles whose results stand for it beside another tier's, the largest first
OF_TIER: Mapping[str, tuple[str, ...]] = {"replication": ("paper",), "miniature": ("full", "demo")}


@dataclass(frozen=True)
class TableSpec:
    """One of the paper's tables: its section, its heading in our words, and where our values come from.

    `run` is the run id with {row} or {column} in it; `checkpoint` is True where a row's name ends in
    the checkpoint (Table 4).
    """

    number: int
    section: str
    title: str
    dataset: str
    run: str
    checkpoint: bool = False

    def run_id(self, row: str, column: str) -> str:
        return self.run.format(row=row.rpartition("_")[0] if self.checkpoint else row, column=column)

    def others(self, have: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
        """Rows (columns of Tables 5 and 6) that runs fill and the paper does not have, by the runs' ids."""
        pattern = re.escape(self.run).replace(r"\{row\}", "(.+)").replace(r"\{column\}", "(.+)")
        found = [match[1] for run_id in have if (match := re.fullmatch(pattern, run_id))]
        names = [f"{name}_{which}" for name in found for which in ("best", "last")] if self.checkpoint else found
        return tuple(name for name in names if name not in known)


@dataclass(frozen=True)
class Evidence:
    """One table's values from the paper and from a profile, with the runs behind the latter, in the paper's order."""

    spec: TableSpec
    profile: str
    tier: str
    published: pd.Series  # (row, column, metric) -> value
    ours: pd.Series  # the same index names; only cells that a run fills
    runs: Mapping[str, Run]
    missing: tuple[str, ...]  # run ids that the table needs and the profile has not
    others: tuple[str, ...] = ()  # rows, in Tables 5 and 6 columns, that only runs have

    def rows(self) -> list[str]:
        return list(dict.fromkeys(self.published.index.get_level_values("row")))

    def columns(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((column, metric) for _, column, metric in self.published.index))

    def all_rows(self) -> list[str]:
        """The paper's rows, then those that only runs have."""
        return [*self.rows(), *(self.others if self.spec.number < 5 else ())]

    def all_columns(self) -> list[tuple[str, str]]:
        """The paper's columns, then those that only runs have."""
        return [*self.columns(), *((name, "f1") for name in (self.others if self.spec.number >= 5 else ()))]

    def side(self, which: str, column: str, metric: str = "f1") -> pd.Series:
        """One column by row, of "paper" or "ours"; empty where there is no run."""
        values = self.published if which == "paper" else self.ours
        found = {row: values.get((row, column, metric)) for row in self.all_rows()}
        return pd.Series(found, dtype=float).dropna()

    def alone(self) -> "Evidence":
        """The paper's side only."""
        return replace(self, tier="published", ours=self.ours.iloc[:0], runs={}, missing=(), others=())

    def run_of(self, row: str, column: str) -> Run | None:
        return self.runs.get(self.spec.run_id(row, column))


TABLES: Mapping[int, TableSpec] = {
    1: TableSpec(1, "4.1", "Nine prompts for the untouched MedGemma", "mimic", "01-prompting-{row}"),
    2: TableSpec(2, "4.2", "Four formats of fine-tuning, MedGemma", "mimic", "02-sft-medgemma-{row}"),
    3: TableSpec(3, "4.2", "Four formats of fine-tuning, Qwen2.5-VL", "mimic", "02-sft-qwen-{row}"),
    4: TableSpec(4, "4.3", "Two rewards for GRPO", "mimic", "03-grpo-{row}", checkpoint=True),
    5: TableSpec(5, "4.4", "Five models on CheXpert, F1", "chexpert", "04-generalization-{column}-chexpert"),
    6: TableSpec(6, "4.4", "Five models on NIH ChestX-ray14, F1", "nih", "04-generalization-{column}-nih"),
}


def profile() -> str:
    """The profile that the book shows: $CHEXREASON_PROFILE, or demo. Raises UserError for an unknown one."""
    return _known(os.environ.get("CHEXREASON_PROFILE") or "demo")


def beside(name: str, results: Path | None = None) -> list[str]:
    """The profiles that a table shows, one a tier: `name`, and the first of each other tier that has runs.

    A replication comes before a miniature. `OF_TIER` says which profiles stand for a tier.
    """
    chosen = {tier_of(name, results): name}
    for tier, names in OF_TIER.items():
        having = [other for other in names if read_runs(other, results)]
        if tier not in chosen and having:
            chosen[tier] = having[0]
    return [chosen[tier] for tier in config.TIERS[::-1] if tier in chosen]


def tier_of(name: str, results: Path | None = None) -> str:
    """A profile's tier: as it is written, or, of a profile of your own, as its runs say."""
    if name in written.profile_names():
        return str(written.raw(name)["tier"])
    runs = read_all(results_root(results) / name)
    return str(runs[0].info["tier"]) if runs else _known(name)


def read_runs(name: str, results: Path | None = None) -> dict[str, Run]:
    """The finished runs of a profile by run id; empty if there are none."""
    folder = results_root(results) / name
    return {run.run_id: known(run) for run in read_all(folder if folder.is_dir() else folder.with_name(_known(name)))}


def known(run: Run) -> Run:
    """The run, whose label set is known from then on: predictions of one's own may be scored on some findings only."""
    if (name := str(run.info.get("label_set"))) not in LABEL_SETS and run.info.get("stage") == OWN:
        comparable.label_set(name.split(","))
    return run


def published(number: int) -> pd.DataFrame:
    """A table of the paper, tidy (table, row, column, metric, value). UserError unless it is as it was checked."""
    if number not in TABLES:
        raise unknown("table", number, [str(n) for n in TABLES], "companion/evidence/tables.py")
    return sealed.frame(f"table{number}.csv")


def gather(number: int, name: str | None = None, results: Path | None = None) -> Evidence:
    """Both sides of a table for a profile (default: the one that the book shows)."""
    paper, name = published(number).set_index(KEYS)["value"], name or profile()
    spec, have = TABLES[number], read_runs(name, results)
    others = spec.others(have, set(paper.index.unique("row" if number < 5 else "column")))
    shown = Evidence(spec, name, tier_of(name, results), paper, paper.iloc[:0], {}, (), others)
    read = functools.cache(lambda run_id, checkpoint: scores(have[run_id], checkpoint))
    ours, wanted = {}, {}
    for row, (column, metric) in itertools.product(shown.all_rows(), shown.all_columns()):
        run_id = spec.run_id(row, column)
        wanted[run_id] = have.get(run_id)
        if run_id in have and not (row == "macro" and unlike(spec, have[run_id])):
            found = read(run_id, row.rpartition("_")[2] if spec.checkpoint else None)
            finding = row if number >= 5 else ("micro" if column == "all" else column)
            if (finding, metric) in found.index:
                ours[row, column, metric] = float(found[finding, metric])
    index = pd.MultiIndex.from_tuples(list(ours), names=KEYS) if ours else paper.index[:0]
    return replace(
        shown, ours=pd.Series(list(ours.values()), index=index, dtype=float),
        runs={run_id: run for run_id, run in wanted.items() if run},
        missing=tuple(run_id for run_id, run in wanted.items() if not run),
    )  # fmt: skip


def scores(run: Run, checkpoint: str | None = None) -> pd.Series:
    """A run's metrics by (finding, metric); of one checkpoint for a GRPO run. Raises UserError if it has none."""
    table = run.metrics()
    if "checkpoint" in table:
        table = table[table["checkpoint"] == checkpoint]
    whole = {"finding", "metric", "value"} <= set(table)
    there = set(zip(table["finding"], table["metric"], strict=True)) if whole else set()
    lack = [" ".join(row) for row in _rows_of(run.info["label_set"]) if row not in there]
    if lack:
        raise UserError(
            "columns finding, metric, value and all their rows" + (f" for {checkpoint}" if checkpoint else ""),
            f"{run.folder.name}/metrics.csv without {lack[0]}", "remove that folder and run its stage again",
        )  # fmt: skip
    return table.set_index(["finding", "metric"])["value"]


@functools.cache
def _rows_of(label_set: str) -> list[tuple[str, str]]:
    """The rows (finding, metric) of scores over a label set."""
    nothing = np.zeros((1, len(LABEL_SETS[label_set])), dtype=bool)
    made = metrics.scores(nothing, nothing, label_set).to_frame()
    return list(zip(made["finding"], made["metric"], strict=True))


def unlike(spec: TableSpec, run: Run) -> bool:
    """Whether a run of one's own averages other findings than its table, where that average then does not stand."""
    return run.info.get("stage") == OWN and run.info["label_set"] != SOURCES[spec.dataset].scored_on


def trained(run: Run) -> bool:
    """Whether a run shows one training of this study, rather than a model as it came."""
    return run.info["stage"] in ("sft", "grpo") or run.info["model"] in ("medgemma_sft", "chexreason")


def has_rows(*runs: Run | None) -> bool:
    """Whether the rows of all these runs are among the results, study by study; credentialed ones are not."""
    return all(run is not None and (run.folder / "predictions.csv.gz").is_file() for run in runs)


def unfit(run: Run, checkpoint: str | None = None, findings: Sequence[str] | None = None) -> str:
    """Why a run takes part in no order, difference or "best" (`comparable.unfit`); empty if it does.

    The score is macro-F1 over `findings`, by default over the run's label set. Without rows (credentialed images, the
    last checkpoint of GRPO) it is only held against naming every label.
    """
    names = LABEL_SETS[run.info["label_set"]] if findings is None else findings
    return comparable.unfit(commonest(run, checkpoint), *levels(scores(run, checkpoint), names))


def commonest(run: Run, checkpoint: str | None) -> float | None:
    """Share of the commonest answer; None where no rows are kept."""
    if checkpoint == "last" or not has_rows(run):
        return None
    return comparable.commonest_share(list(run.predictions()["predicted"]))


def levels(values: pd.Series, names: Sequence[str]) -> tuple[float, float]:
    """Macro-F1 over some findings, and that of naming every label; 0 both if no finding carries a score."""
    if not names:
        return 0.0, 0.0
    supports = [float(values[name, "support"]) for name in names]
    floor = float(comparable.every_label(supports, float(values["micro", "n"])).mean())
    return float(np.mean([values[name, "f1"] for name in names])), floor


def title_of(spec: TableSpec, row: str) -> str:
    """A row's heading as the paper writes it."""
    if spec.number <= 3:
        return prompts.PROMPTS[row].title if row in prompts.PROMPTS else row.replace("_", " ").capitalize()
    if spec.checkpoint:  # the paper's "Maximum" is the last training step
        name, _, which = row.rpartition("_")
        return f"{name.replace('_', ' ').capitalize()}, {'best F1-score' if which == 'best' else 'maximum steps'}"
    return "Macro average" if row == "macro" else row


def _known(name: str) -> str:
    if name not in written.profile_names():
        raise unknown("profile", name, written.profile_names(), "chexreason/profiles/")
    return name


def counted(rows: pd.DataFrame, label_set: str) -> metrics.Bools:
    """Which cells count (B, F): all but labels that the uncertainty policy ignores."""
    if "ignored" not in rows:
        return np.ones((len(rows), len(LABEL_SETS[label_set])), dtype=bool)
    return ~metrics.label_cells(rows["ignored"], label_set)
