"""Why answers cannot be read, and what a change is worth on the answers that can (post hoc).

An answer that cannot be read counts as naming nothing, so a model that learns to write one solution block instead of
two gains in F1 without seeing more. Nobody asked for this beforehand: it was made after the runs were seen. Failures
are counted by kind (`completions.Failure`), and each model's difference to the SFT checkpoint is given once more on
the studies that both answer readably. Those studies are chosen by the answers, so that column is a description.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.completions import Failure
from chexreason.metrics import label_cells
from chexreason.runs import Run
from companion.evidence.comparable import ENOUGH, every_label
from companion.evidence.tables import DATASETS, has_rows, read_runs, tier_of, unfit
from companion.evidence.tables import profile as shown_profile
from companion.report.frames import UNFIT, Column, framed, grid
from companion.report.paired import titled, together
from companion.report.theme import Html, badge, block, decimal, escape, spoken

KINDS: Mapping[str, str] = {
    Failure.REPEATED_BLOCK: "a block twice",
    Failure.MISSING_BLOCK: "a block missing",
    Failure.WRONG_ORDER: "blocks in the wrong order",
    Failure.TRUNCATED: "cut off",
    Failure.UNKNOWN_LABEL: "unknown labels only",
    Failure.EMPTY: "names nothing",
}
#: Run -> what it is called, on the validation studies.
ON_VALIDATION: Mapping[str, str] = {
    "02-sft-medgemma-free_reasoning": "SFT checkpoint",
    "03-grpo-hard": "hard reward's best checkpoint",
    "03-grpo-nuanced": "nuanced reward's best checkpoint",
}
LINEAGE = ("medgemma", "medgemma_sft", "chexreason")


def by_kind(failures: Iterable[Iterable[str]]) -> pd.Series:
    """How many failed answers show each kind, by its name; one may be of several kinds."""
    counts = Counter(kind for one in failures for kind in one)
    return pd.Series({name: counts[kind] for kind, name in KINDS.items()})


def kinds(run: Run) -> pd.Series:
    """`by_kind` of a run's failed answers."""
    rows = run.predictions()
    return by_kind(str(cell).split(";") for cell in rows.loc[rows["failed"].astype(bool), "failures"])


def on_validation(profile: str | None = None, results: Path | None = None) -> Html:
    """The SFT checkpoint and both rewards on the validation studies: failures by kind, scores, labels named."""
    title = "Answers that cannot be read, on the validation studies"
    return _table(ON_VALIDATION, "SFT checkpoint", "mimic", title, profile or shown_profile(), results)


def abroad(dataset: str, profile: str | None = None, results: Path | None = None) -> Html:
    """The untouched base, SFT and ChexReason side by side on "chexpert" or "nih"."""
    profile = profile or shown_profile()
    tier, (real, hospital) = tier_of(profile), DATASETS[dataset]
    runs = {f"04-generalization-{model}-{dataset}": titled(model, tier) for model in LINEAGE}
    title = f"Base, SFT and GRPO side by side: {hospital if tier == 'miniature' else real}"
    return _table(runs, titled("medgemma_sft", tier), dataset, title, profile, results)


def _table(
    wanted: Mapping[str, str], start: str, dataset: str, title: str, profile: str, results: Path | None
) -> Html:  # fmt: skip
    have = read_runs(profile, results)
    shown = {name: have[run_id] for run_id, name in wanted.items() if run_id in have}
    if len(shown) < len(wanted) or not has_rows(*shown.values()):
        return block(f'<p class="cxr-note">This needs the rows of the runs of {escape(profile)}.</p>')
    runs, tier = list(shown.values()), tier_of(profile)
    out = {name: why for name, run in shown.items() if (why := unfit(run, _checkpoint(run)))}
    scored, failed = together(runs), [int(run.predictions()["failed"].astype(bool).sum()) for run in runs]
    often = scored.frequent
    many = f"{len(often)} finding{'s' * (len(often) != 1)}"
    # The last row of each column is a reader who names every label for every study.
    each = dict(zip(scored.names, every_label(list(scored.positives.values()), scored.studies), strict=True))
    found = pd.DataFrame([kinds(run) for run in runs])
    columns = {
        "macro-F1": [decimal(value) for value in (*scored.macro()[0], np.mean(list(each.values())))],
        f"macro-F1 of the {many} with {ENOUGH} positives or more": [
            decimal(value) for value in (*scored.macro(often)[0], np.mean([each[name] for name in often]))
        ]
        if often
        else ["–"] * (len(runs) + 1),
        "labels named per recorded": [
            *(decimal(_named(run), 2) for run in runs),
            decimal(len(each) * scored.studies / sum(scored.positives.values()), 2),
        ],
        "unreadable answers": [*map(str, failed), "0"],
        **{f"… {kind}": [*map(str, found[kind]), "0"] for kind in found if found[kind].any()},
        f"change from {start}: all studies; those readable by both": [
            *(
                "" if name == start else _change(shown[start], run, {start, name} & set(out))
                for name, run in shown.items()
            ),
            "",
        ],
    }
    names = [*(name + (UNFIT if name in out else "") for name in shown), "naming every label"]
    body = grid("", names, [Column(head, cells) for head, cells in columns.items()])
    real, hospital = DATASETS[dataset]
    where = f"{hospital} (in place of {real})" if tier == "miniature" else real
    seeds = ", ".join(sorted({str(run.info["seed"]) for run in runs}))
    head = badge(tier, f"profile {profile}", where, f"n = {scored.studies} studies", f"seed {seeds}", "post hoc")
    notes = [
        "Post hoc: these columns were chosen after the runs had been seen. An unreadable answer counts as naming "
        "nothing, and may be of several kinds. One training each: another would give other numbers, and the intervals, "
        f"over patients, do not hold that. The change is of macro-F1 over the findings with {ENOUGH} positives or more "
        "among the studies that both models answer readably.",
        *(f"{UNFIT} {name} takes part in no order: {why}." for name, why in out.items()),
    ]
    body = f'<div class="cxr-breaks">{body}</div>'
    return framed(body, title, title=title, heads=[head], notes=list(map(escape, notes)), runs=runs)


def _change(first: Run, second: Run, out: set[str]) -> str:
    """Macro-F1 of the second minus that of the first over all studies, then over those that both answer readably; over
    the findings with enough positives among the latter."""
    if out:
        return "not compared"
    readable_B = np.logical_and(*(~run.predictions()["failed"].to_numpy(dtype=bool) for run in (first, second)))
    if not readable_B.any() or not (often := (part := together([first, second], only=readable_B)).frequent):
        return "too few readable by both"
    parts = (together([first, second]), part)
    return "; ".join(f"{spoken(one.difference(0, 1, often))} on {one.studies}" for one in parts)


def _named(run: Run) -> float:
    """Labels named for each label recorded, among the findings that are scored: pooled recall over precision."""
    rows, label_set = run.predictions(), str(run.info["label_set"])
    named, recorded = (int(label_cells(rows[column], label_set).sum()) for column in ("predicted", "truth"))
    return named / recorded if recorded else float("nan")


def _checkpoint(run: Run) -> str | None:
    return "best" if run.info["stage"] == "grpo" else None
