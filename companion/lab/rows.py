"""The rows of runs for the page of re-analysis: what is stated of each study, and what each run said of it.

Only rows that anybody may see: those of drawn images and of public data sets. A run on credentialed data is refused,
wherever its rows lie.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from chexreason.data import SOURCES
from chexreason.labels import FINDINGS, LABEL_SETS
from chexreason.rows import STATES
from chexreason.runs import Run, read_all
from companion.evidence import paired, tables
from companion.evidence.drawn import AGAINST, RECORDED

#: State of a finding -> its sign in a row; what is not mentioned is a point.
SIGNS = {"1": "+", "0": "-", "-1": "?"}


#: Where the experiment keeps its trainings, a folder a seed.
EXPERIMENT = "experiment/runs"


def may_be_shown(run: Run) -> bool:
    """Whether the rows of a run are public, or of drawn studies: by their labels, whatever their record says."""
    source = SOURCES.get(str(run.info["dataset"]))
    if source is not None and not source.credentialed:
        return True
    if run.info["tier"] != "miniature" or not (run.folder / "predictions.csv.gz").is_file():
        return False
    names = LABEL_SETS.get(str(run.info["label_set"]), ())
    return paired.as_drawn(run, paired.rows_of(run), names) is not None


def data(profile: str) -> dict[str, Any]:
    """cohort (data set and split) -> its findings, studies and runs, of a profile's results."""
    return _cohorts(tables.read_runs(profile), profile)


def seeds() -> dict[str, Any]:
    """The experiment's cohort -> ``seeds``: its validation studies at each seed, as `data` has them."""
    found: dict[str, Any] = {}
    for place in sorted((tables.results_root() / EXPERIMENT).glob("seed*")):
        profile = f"{EXPERIMENT}/{place.name}"
        runs = {run.run_id: run for run in read_all(place) if run.info.get("label_set") in LABEL_SETS}
        for where, held in _cohorts(runs, profile).items():
            found.setdefault(f"experiment: {where}", {"seeds": {}})["seeds"][str(held["seed"])] = held
    return found


def _cohorts(runs: Mapping[str, Run], profile: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for run_id, run in sorted(runs.items()):
        if not may_be_shown(run) or not (run.folder / "predictions.csv.gz").is_file():
            continue
        names = LABEL_SETS[str(run.info["label_set"])]
        rows = paired.with_states(run, paired.rows_of(run), names)
        if STATES not in rows:
            continue
        where = f"{run.info['dataset']}, {run.info['split']} split"
        if where not in found:
            found[where] = _cohort(rows, names, run) | {"profile": profile}
        held = found[where]
        rows = rows.set_index("study_key").reindex(held["keys"])
        if rows["truth"].isna().any() or held["findings"] != list(names):
            continue  # of other studies or findings
        failed = rows["failed"].astype(bool)
        held["runs"][run_id] = {
            "said": [_mask(cell) for cell in rows["predicted"]],
            "failed": failed.astype(int).tolist(),
        }
    return found


def _cohort(rows: pd.DataFrame, names: tuple[str, ...], run: Run) -> dict[str, Any]:
    labels = {RECORDED: _signs(rows, names)}
    if paired.drawing(run):
        each = ((name, paired.labelled(run, rows, names, name)) for name in AGAINST if name != RECORDED)
        labels |= {name: _signs(table, names) for name, table in each if table is not None}
    return {
        "findings": list(names), "keys": list(rows["study_key"]), "patients": list(rows["patient_key"]),
        "labels": labels,
        "policy": paired.recorded_policy(run), "tier": run.info["tier"],
        "seed": run.info["seed"], "runs": {},
    }  # fmt: skip


def _signs(rows: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    stated = [dict(entry.split("=") for entry in cell.split(";") if entry) for cell in rows[STATES]]
    return ["".join(SIGNS.get(one.get(name, ""), ".") for name in names) for one in stated]


def _mask(cell: str) -> int:
    """Labels as a number: bit k is the k-th of the 14 findings."""
    return sum(1 << FINDINGS.index(name) for name in cell.split(";") if name)
