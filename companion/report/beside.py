"""What stands beside Tables 5 and 6: the same findings on both sides, the same answers scored twice, other test sets.

Not in the paper. It sets an average over fourteen findings beside one over nine; here both are over the nine that both
test sets have. And where a model does worse at a hospital, the images may be harder or the labels wrong, which in the
paper's section 4.4 cannot be told apart. Drawn images know what is to be seen, so the same answers are scored against
what a hospital recorded and against what is visible.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from chexreason import metrics
from chexreason.labels import LABEL_SETS, NIH_SHARED
from chexreason.runs import Run
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import DATASETS, MODELS, Evidence, gather, has_rows, read_runs, scores, tier_of
from companion.evidence.tables import profile as shown_profile
from companion.report import leads
from companion.report.frames import UNFIT, Column, frame_table, framed, grid
from companion.report.paired import titled
from companion.report.tables import unfit_note
from companion.report.theme import Html, badge, block, decimal, escape, signed

SHARED = "nih9"


def shared_values(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine findings that both test sets have: a row a model and side."""
    near, far = gather(5, profile, results), gather(6, profile, results)
    rows = []
    for side in ["paper", "ours"] if leads.whole(near) and leads.whole(far) else ["paper"]:
        for model, title in MODELS.items():
            one, other = (shown.side(side, model).reindex(NIH_SHARED).mean() for shown in (near, far))
            fourteen = near.side(side, model)["macro"]
            rows.append(
                {"Values of": "paper" if side == "paper" else near.tier,
                 "Model": title if side == "paper" else titled(model, near.tier),
                 "CheXpert, all fourteen": fourteen, "CheXpert, the nine": one, "NIH, the nine": other,
                 "Change on the nine": other - one}
            )  # fmt: skip
    return pd.DataFrame(rows)


def shared_findings(profile: str | None = None, results: Path | None = None) -> Html:
    """`shared_values` as a table, a block a side."""
    frame = shared_values(profile, results)
    tables = [gather(number, profile, results) for number in (5, 6)]
    ours = [k for k, side in enumerate(frame["Values of"]) if side != "paper"]
    columns = [Column(name, list(map(decimal, frame[name]))) for name in frame.columns[2:-1]]
    columns.append(Column(frame.columns[-1], list(map(signed, frame[frame.columns[-1]]))))
    body = grid("", _marked(frame["Model"], tables), columns, groups=list(frame["Values of"]), tinted=ours)
    shown = tables[1]
    facts = [f"profile {shown.profile}", *(["hospitals B and C"] if shown.tier == "miniature" else [])]
    head = badge(shown.tier, *facts, "macro-F1") if ours else badge("published", "macro-F1")
    notes = [note for one in tables for note in unfit_note(one)] if ours else []
    label, runs = "Macro-F1 on the findings that both test sets have", _runs(tables) if ours else []
    return framed(body, label, heads=[head], notes=notes, runs=runs)


def twice_scored(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine shared findings: a row a model; columns (data set, "recorded" or "visible").

    Empty if a run is missing or its images are real, since nobody knows what is to be seen on those.
    """
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for shown in (gather(number, profile, results) for number in (5, 6)):
        for model in MODELS:
            run = shown.run_of("macro", model)
            table = run.predictions() if run and has_rows(run) else pd.DataFrame({"visible": [""]})
            if not table["visible"].astype(bool).any():
                return pd.DataFrame()
            said = metrics.label_cells(table["predicted"], SHARED)
            for kind, column in {"recorded": "truth", "visible": "visible"}.items():
                found = metrics.scores(metrics.label_cells(table[column], SHARED), said, SHARED)
                rows.setdefault(titled(model, shown.tier), {})[shown.spec.dataset, kind] = found.macro["f1"]
    return pd.DataFrame.from_dict(rows, orient="index")


def recorded_and_visible(profile: str | None = None, results: Path | None = None) -> Html:
    """`twice_scored` as a table, or a line that says why there is none."""
    frame = twice_scored(profile, results)
    if frame.empty:
        return block('<p class="cxr-note">This needs the runs on both test sets, with drawn images.</p>')
    tables = [gather(number, profile, results) for number in (5, 6)]
    columns = [
        Column(kind, list(map(decimal, frame[dataset, kind])), f"{DATASETS[dataset][1]} (for {DATASETS[dataset][0]})")
        for dataset in ("chexpert", "nih")
        for kind in ("recorded", "visible")
    ]
    names, notes = _marked(frame.index, tables), []
    if any(name.endswith(UNFIT) for name in names):
        notes = [f"{UNFIT} Takes part in no order on one of the test sets: see the tables above."]
    for shown in tables:
        run = next(iter(shown.runs.values()))
        positives = metrics.label_cells(run.predictions()["truth"], SHARED).sum(axis=0)
        notes.append(
            f"At {DATASETS[shown.spec.dataset][1]}, {int((positives >= ENOUGH).sum())} of these {len(positives)} "
            f"findings have at least {ENOUGH} recorded positives; a conclusion would need an average over those alone."
        )
    head = badge(tables[1].tier, f"profile {tables[1].profile}", "macro-F1 over the nine shared findings")
    body = grid("Model", names, columns)
    label = "Scores against recorded and against visible findings"
    return framed(body, label, heads=[head], notes=list(map(escape, notes)), runs=_runs(tables))


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


def _marked(models: pd.Series | pd.Index, tables: Sequence[Evidence]) -> list[str]:
    """Names of models, those marked that take part in no order on one of the test sets."""
    out = {titled(model, one.tier) for one in tables for model in leads.unfit_of(one)}
    return [str(name) + (UNFIT if name in out else "") for name in models]


def _runs(tables: Sequence[Evidence]) -> list[Run]:
    return [run for one in tables for run in one.runs.values()]
