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
from companion.evidence.tables import DATASETS, MODELS, OWN, gather, has_rows, read_runs, scores, tier_of
from companion.evidence.tables import profile as shown_profile
from companion.report import leads
from companion.report.frames import UNFIT, frame_table
from companion.report.tables import unfit_note
from companion.report.theme import Html, badge, block, decimal

SHARED = "nih9"


def twice_scored(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine shared findings: a row a model; columns (data set, "recorded" or "visible").

    Empty if a run is missing; without "visible" if its images are real, since nobody knows what is to be seen on those.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for shown in (gather(number, profile, results) for number in (5, 6)):
        for model in MODELS:
            if (run := shown.run_of("macro", model)) is None:
                return pd.DataFrame()
            name, dataset = leads.titled(model, shown.tier), shown.spec.dataset
            recorded = scores(run)[[(finding, "f1") for finding in NIH_SHARED]].mean()
            found.setdefault((dataset, "recorded"), {})[name] = float(recorded)
            if has_rows(run) and (table := run.predictions())["visible"].astype(bool).any():
                said, seen = (metrics.label_cells(table[column], SHARED) for column in ("predicted", "visible"))
                found.setdefault((dataset, "visible"), {})[name] = metrics.scores(seen, said, SHARED).macro["f1"]
    return pd.DataFrame(found)


def recorded_and_visible(profile: str | None = None, results: Path | None = None) -> Html:
    """`twice_scored` as a table, or a line that says why there is none."""
    frame = twice_scored(profile, results)
    if frame.empty:
        return block('<p class="cxr-note">This needs the runs on both test sets.</p>')
    tables = [gather(number, profile, results) for number in (5, 6)]
    notes = [note for one in tables for note in unfit_note(one)]
    out = {leads.titled(model, one.tier) for one in tables for model in leads.unfit_of(one)}
    for shown in tables:
        support = scores(next(iter(shown.runs.values())))[[(name, "support") for name in NIH_SHARED]]
        notes.append(
            f"At {DATASETS[shown.spec.dataset][1]}, {int((support >= ENOUGH).sum())} of these {len(support)} "
            f"findings have at least {ENOUGH} recorded positives; a conclusion would need an average over those alone."
        )
    head = badge(tables[1].tier, f"profile {tables[1].profile}", "macro-F1 over the nine shared findings")
    cells = frame.map(decimal).rename(index=lambda name: name + UNFIT * (name in out)).rename_axis("Model")
    cells.columns = pd.Index(["{} (for {}), {}".format(*DATASETS[key[0]][::-1], key[1]) for key in frame.columns])
    runs = [run for one in tables for run in one.runs.values()]
    label = "Scores against recorded and against visible findings"
    return frame_table(cells.reset_index(), label, head=head, notes=notes, runs=runs, wrap=list(map(str, cells)))


def other_test_sets(profile: str | None = None, results: Path | None = None) -> Html:
    """F1 by finding on each test set that is not the paper's, a column a model; nothing if there is none."""
    name, shown = profile or shown_profile(), Html("")
    runs = [run for run in read_runs(name, results).values() if run.info["stage"] in ("generalization", OWN)]
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.info["dataset"] not in DATASETS:
            groups.setdefault((str(run.info["dataset"]), str(run.info["label_set"])), []).append(run)
    for (dataset, label_set), here in groups.items():
        columns = {str(run.info["model"]): scores(run).xs("f1", level="metric") for run in here}
        rows = ["macro", *LABEL_SETS[label_set]]
        frame = pd.DataFrame(columns).reindex(rows).map(decimal).rename_axis("finding").reset_index()
        n = ", ".join(sorted({str(run.info["n"]) for run in here}))
        head = badge(tier_of(name, results), name, dataset, f"n = {n} studies", "F1")
        shown += frame_table(frame, f"F1 on {dataset}", head=head, runs=here)
    return shown
