"""The same answers scored twice: against what a hospital recorded, and against what is to be seen (not in the paper).

Only drawn films know what is to be seen. Where a model does worse at a hospital, the films may be
harder or the labels may be wrong, and in the paper's section 4.4 the two cannot be told apart. Here
they can: both scores are over the nine findings that both test sets have.
"""

from pathlib import Path

import pandas as pd
from great_tables import GT

from chexreason import metrics
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import DATASETS, MODELS, Evidence, gather, has_rows
from companion.report import leads
from companion.report.behind import runs_behind
from companion.report.paired import titled
from companion.report.tables import UNFIT, bare
from companion.report.theme import Html, badge, block, decimal, escape, fresh_id, scrolling

SHARED = "nih9"


def twice_scored(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine shared findings: a row a model; columns (data set, "recorded" or "visible").

    Empty if a run is missing or its films are real, since nobody knows what is to be seen on those.
    """
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for number in (5, 6):
        shown = gather(number, profile, results)
        for model in MODELS:
            scored = _scores(shown, model)
            if scored is None:
                return pd.DataFrame()
            for kind, value in scored.items():
                rows.setdefault(titled(model, shown.tier), {})[shown.spec.dataset, kind] = value
    return pd.DataFrame.from_dict(rows, orient="index")


def _scores(shown: Evidence, model: str) -> dict[str, float] | None:
    run = shown.run_of("macro", model)
    if run is None or not has_rows(run):
        return None
    rows = run.predictions()
    if not rows["visible"].astype(bool).any():
        return None
    predicted = metrics.label_cells(rows["predicted"], SHARED)
    columns = {"recorded": "truth", "visible": "visible"}
    truths = {kind: metrics.label_cells(rows[column], SHARED) for kind, column in columns.items()}
    return {kind: metrics.scores(truth, predicted, SHARED).macro["f1"] for kind, truth in truths.items()}


def recorded_and_visible(profile: str | None = None, results: Path | None = None) -> Html:
    """`twice_scored` as a table, or a line that says why there is none."""
    frame = twice_scored(profile, results)
    if frame.empty:
        return block('<p class="cxr-note">This needs the runs on both test sets, with drawn films.</p>')
    tables = [gather(number, profile, results) for number in (5, 6)]
    shown = tables[1]
    out = {titled(model, one.tier) for one in tables for model in leads.unfit_of(one)}
    pairs = [(str(pair[0]), str(pair[1])) for pair in frame.columns.tolist()]
    names = {f"{dataset}-{kind}": kind for dataset, kind in pairs}
    flat = pd.DataFrame(
        {
            "Model": [name + (UNFIT if name in out else "") for name in frame.index],
            **dict(zip(names, frame.to_numpy().T, strict=True)),
        }
    )
    built = (
        GT(flat, rowname_col="Model", id=fresh_id("visible")).tab_stubhead("Model").fmt(decimal, columns=list(names))
    )
    built = built.cols_label(dict(names)).cols_align("right", columns=list(names))
    for dataset in dict.fromkeys(dataset for dataset, _ in pairs):
        real, hospital = DATASETS[dataset]
        built = built.tab_spanner(
            f"{hospital} (for {real})", [name for name in names if name.startswith(f"{dataset}-")]
        )
    facts = f"profile {shown.profile}", "macro-F1 over the nine shared findings"
    head = f'<div class="cxr-head">{badge(shown.tier, *facts)}</div>'
    runs = [run for one in tables for run in one.runs.values()]
    body = scrolling(bare(built), "Scores against recorded and against visible findings")
    notes = [*([f"{UNFIT} Takes part in no order on one of the test sets: see the tables above."] if out else []),
             *map(_few, tables)]  # fmt: skip
    return block(head + body + "".join(f'<p class="cxr-note">{escape(note)}</p>' for note in notes) + runs_behind(runs))


def _few(shown: Evidence) -> str:
    """How many of the nine findings have enough positives for a conclusion at a hospital."""
    run = next(iter(shown.runs.values()))
    positives = metrics.label_cells(run.predictions()["truth"], SHARED).sum(axis=0)
    return (
        f"At {DATASETS[shown.spec.dataset][1]}, {int((positives >= ENOUGH).sum())} of these {len(positives)} findings "
        f"have at least {ENOUGH} recorded positives; a conclusion would need an average over those alone."
    )
