# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Compare two runs, and look behind the numbers
#
# What the book's page *Compare two runs yourself* does, in a few cells that you can change: the same patients are
# drawn, so the numbers are the same. `make lab` opens this notebook; papermill runs it with two runs of your own
# (`-p run_a … -p run_b …`).

# %% tags=["parameters"]
profile: str = "demo"  # whose results
run_a: str = "04-generalization-medgemma_sft-chexpert"  # a run's name, or its folder
run_b: str = "04-generalization-chexreason-chexpert"
labels: str = ""  # nine, or findings with commas; all that both have if empty
uncertain: str = ""  # zeros, ones or ignore; as the runs were scored if empty
against: str = "recorded"  # of drawn studies also: drawn, or the labels of a convention, such as radiologist
drop_failures: bool = False  # leave out studies where an answer cannot be read

# %%
import pandas as pd

from chexreason.labels import NIH_SHARED
from companion.evidence import paired, tables
from companion.report import frame_table

# %% [markdown]
# ## All runs of the profile, as data frames

# %%
runs = tables.read_runs(profile)
overview = pd.DataFrame([{"run": name, **run.info} for name, run in runs.items()])
frame_table(overview[["run", "stage", "model", "prompt", "dataset", "split", "n", "seed"]], "All runs")

# %%
metrics = pd.concat([run.metrics().assign(run=name) for name, run in runs.items()], ignore_index=True)
micro = metrics[(metrics["finding"] == "micro") & (metrics["metric"] == "f1")]
frame_table(micro[["run", "value"]].sort_values("value", ascending=False).round(3), "Micro-F1 of all runs")

# %% [markdown]
# ## Two of them: each study's answers side by side

# %%
chosen = (paired.open_run(run_a, profile), paired.open_run(run_b, profile))
rows = (paired.rows_of(chosen[0]), paired.rows_of(chosen[1]))
beside = rows[0].merge(rows[1], on="study_key", suffixes=("_a", "_b"))
changed = beside[beside["predicted_a"] != beside["predicted_b"]]
print(f"{len(changed)} of {len(beside)} studies got another answer")
frame_table(
    changed[["study_key", "truth_a", "predicted_a", "predicted_b"]].head(10),
    "The first ten of them",
    wrap=["truth_a", "predicted_a", "predicted_b"],
)

# %% [markdown]
# ## The comparison
#
# Intervals are by patient, of one training each: another training of either may lie outside.

# %%
findings = NIH_SHARED if labels == "nine" else tuple(filter(None, labels.split(",")))
found = paired.compare(
    chosen, rows, findings=findings, policy=uncertain or None, against=against, drop_failures=drop_failures,
    all_of=labels != "nine",
)  # fmt: skip
print(f"{found.tier}: {found.where}; {found.studies} studies of {found.patients} patients")
frame_table(found.table.round(3), "The second run minus the first")

# %% [markdown]
# ## Which answers cannot be read, and how
#
# A run on your own predictions may have no such column.

# %%
failed = beside[beside[["failed_a", "failed_b"]].astype(bool).any(axis=1)]
frame_table(failed[["study_key", "failures_a", "failures_b"]].head(10), "Answers that cannot be read")
