"""What stands beside Tables 5 and 6: the same answers scored twice, and test sets that the paper does not have.

Where a model does worse at a hospital, the images may be harder or the labels wrong, which in the paper's section 4.4
cannot be told apart. Drawn images know what is to be seen, so the same answers are scored against what a hospital
recorded and against what is visible, over the nine findings that both test sets have.
"""

from pathlib import Path

import pandas as pd

from chexreason import metrics
from chexreason.labels import LABEL_SETS, NIH_SHARED
from chexreason.runs import Run
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import DATASETS, MODELS, gather, has_rows, read_runs, scores, tier_of
from companion.evidence.tables import profile as shown_profile
from companion.report import leads
from companion.report.frames import UNFIT, Column, frame_table, framed, grid
from companion.report.paired import titled
from companion.report.tables import unfit_note
from companion.report.theme import Html, badge, block, decimal

SHARED = "nih9"


def twice_scored(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine shared findings: a row a model; columns (data set, "recorded" or "visible").

    Empty if a run is missing; without "visible" if its images are real, since nobody knows what is to be seen on those.
    """
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for shown in (gather(number, profile, results) for number in (5, 6)):
        for model in MODELS:
            if (run := shown.run_of("macro", model)) is None:
                return pd.DataFrame()
            row, dataset = rows.setdefault(titled(model, shown.tier), {}), shown.spec.dataset
            row[dataset, "recorded"] = float(scores(run)[[(name, "f1") for name in NIH_SHARED]].mean())
            if has_rows(run) and (table := run.predictions())["visible"].astype(bool).any():
                said, seen = (metrics.label_cells(table[column], SHARED) for column in ("predicted", "visible"))
                row[dataset, "visible"] = metrics.scores(seen, said, SHARED).macro["f1"]
    return pd.DataFrame.from_dict(rows, orient="index")


def recorded_and_visible(profile: str | None = None, results: Path | None = None) -> Html:
    """`twice_scored` as a table, or a line that says why there is none."""
    frame = twice_scored(profile, results)
    if frame.empty:
        return block('<p class="cxr-note">This needs the runs on both test sets.</p>')
    tables = [gather(number, profile, results) for number in (5, 6)]
    columns = [
        Column(kind, list(map(decimal, frame[key])), f"{DATASETS[dataset][1]} (for {DATASETS[dataset][0]})")
        for key in frame.columns
        for dataset, kind in [map(str, key)]
    ]
    notes = [note for one in tables for note in unfit_note(one)]
    out = {titled(model, one.tier) for one in tables for model in leads.unfit_of(one)}
    for shown in tables:
        support = scores(next(iter(shown.runs.values())))[[(name, "support") for name in NIH_SHARED]]
        notes.append(
            f"At {DATASETS[shown.spec.dataset][1]}, {int((support >= ENOUGH).sum())} of these {len(support)} "
            f"findings have at least {ENOUGH} recorded positives; a conclusion would need an average over those alone."
        )
    head = badge(tables[1].tier, f"profile {tables[1].profile}", "macro-F1 over the nine shared findings")
    body = grid("Model", [name + UNFIT * (name in out) for name in frame.index.astype(str)], columns)
    label = "Scores against recorded and against visible findings"
    return framed(body, label, heads=[head], notes=notes, runs=[run for one in tables for run in one.runs.values()])


def other_test_sets(profile: str | None = None, results: Path | None = None) -> Html:
    """F1 by finding on each test set that is not the paper's, a column a model; nothing if there is none."""
    name, parts = profile or shown_profile(), []
    found: dict[str, dict[str, Run]] = {}
    for run in read_runs(name, results).values():
        if run.info["stage"] == "generalization" and run.info["dataset"] not in DATASETS:
            found.setdefault(str(run.info["dataset"]), {})[str(run.info["model"])] = run
    for dataset, runs in found.items():
        columns = {model: scores(run).xs("f1", level="metric") for model, run in runs.items()}
        rows = ["macro", *LABEL_SETS[str(next(iter(runs.values())).info["label_set"])]]
        frame = pd.DataFrame(columns).reindex(rows).map(decimal).rename_axis("finding").reset_index()
        n = ", ".join(sorted({str(run.info["n"]) for run in runs.values()}))
        head = badge(tier_of(name, results), name, dataset, f"n = {n} studies", "F1")
        parts.append(frame_table(frame, f"F1 on {dataset}", head=head, runs=runs.values()).text)
    return Html("".join(parts))
