"""What a gain of GRPO is made of: answers that could not be read before, and answers that are better (post hoc).

An answer that cannot be read counts as naming nothing, so a model that learns to write one solution block instead of
two gains in F1 without seeing more. Nobody asked for this table beforehand: it was made after the runs were seen. It
counts the failures by kind (`completions.Failure`), and scores a change once more on the studies that both models
answer readably. Those studies are chosen by the answers, so the second change is a description, no estimate of what
the models would do on other images.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chexreason.completions import Failure
from chexreason.metrics import label_cells
from chexreason.runs import Run
from companion.evidence.comparable import ENOUGH, every_label
from companion.evidence.stats import Interval
from companion.evidence.tables import DATASETS, has_rows, read_runs, tier_of, unfit
from companion.evidence.tables import profile as shown_profile
from companion.report.frames import UNFIT, Column, framed, grid
from companion.report.leads import enough
from companion.report.paired import titled, together
from companion.report.theme import Html, Prose, badge, block, decimal, escape, spoken

KINDS: Mapping[str, str] = {
    Failure.REPEATED_BLOCK: "a block twice",
    Failure.MISSING_BLOCK: "a block missing",
    Failure.WRONG_ORDER: "blocks in the wrong order",
    Failure.TRUNCATED: "cut off",
    Failure.UNKNOWN_LABEL: "unknown labels only",
    Failure.EMPTY: "names nothing",
}
#: Page -> the runs it shows side by side, with what they are called.
ON_VALIDATION: Mapping[str, str] = {
    "02-sft-medgemma-free_reasoning": "SFT checkpoint",
    "03-grpo-hard": "hard reward's best checkpoint",
    "03-grpo-nuanced": "nuanced reward's best checkpoint",
}
LINEAGE = ("medgemma", "medgemma_sft", "chexreason")


@dataclass(frozen=True)
class Change:
    """A difference of two runs in macro-F1, on all studies and on those that both answer readably."""

    studies: int
    both: int  # studies that both answer readably
    names: tuple[str, ...]  # all findings
    frequent: tuple[str, ...]  # those with enough positives among the readably answered studies
    everywhere: Interval
    readable: Interval
    frequent_everywhere: Interval | None
    frequent_readable: Interval | None


def kinds(run: Run) -> Counter[str]:
    """Why answers of a run could not be read: how many failed answers show each kind; one may show several."""
    rows = run.predictions()
    failed = rows[rows["failed"].astype(bool)]
    return Counter(kind for cell in failed["failures"] for kind in str(cell).split(";") if kind)


def change(first: Run, second: Run) -> Change:
    """Macro-F1 of the second minus that of the first, with and without the studies that one of them fails on.

    Raises UserError unless both rest on the same studies, ValueError if they answer none of them readably alike.
    """
    readable_B = np.logical_and(*(~run.predictions()["failed"].to_numpy(dtype=bool) for run in (first, second)))
    if not readable_B.any():
        raise ValueError(f"expected a study that {first.run_id} and {second.run_id} both answer readably, got none")
    whole, part = together([first, second]), together([first, second], only=readable_B)
    return Change(
        whole.studies, part.studies, part.names, part.frequent, whole.difference(0, 1), part.difference(0, 1),
        *(one.difference(0, 1, part.frequent) if part.frequent else None for one in (whole, part)),
    )  # fmt: skip


def on_validation(profile: str | None = None, results: Path | None = None) -> Html:
    """The SFT checkpoint and both rewards on the validation studies: failures by kind, scores, labels named."""
    profile = profile or shown_profile()
    have = read_runs(profile, results)
    shown = {title: have[run_id] for run_id, title in ON_VALIDATION.items() if run_id in have}
    return _table(shown, profile, "mimic", "Answers that cannot be read, on the validation studies")


def abroad(dataset: str, profile: str | None = None, results: Path | None = None) -> Html:
    """The untouched base, SFT and ChexReason side by side on "chexpert" or "nih"."""
    profile = profile or shown_profile()
    have, tier = read_runs(profile, results), tier_of(profile)
    runs = {titled(model, tier): f"04-generalization-{model}-{dataset}" for model in LINEAGE}
    shown = {title: have[run_id] for title, run_id in runs.items() if run_id in have}
    real, hospital = DATASETS[dataset]
    where = hospital if tier == "miniature" else real
    return _table(shown, profile, dataset, f"Base, SFT and GRPO side by side: {where}")


def _table(shown: Mapping[str, Run], profile: str, dataset: str, title: str) -> Html:
    if not shown or not has_rows(*shown.values()):
        return block(f'<p class="cxr-note">This needs the rows of the runs of {escape(profile)}.</p>')
    runs, tier, zero = list(shown.values()), tier_of(profile), "0"
    scored, found = together(runs), [kinds(run) for run in runs]
    seen = [kind for kind in KINDS if any(counts[kind] for counts in found)]
    out = {name: unfit(run, _checkpoint(run)) for name, run in shown.items()}
    many = f"{len(scored.frequent)} finding{'s' if len(scored.frequent) != 1 else ''}"
    # The last row of each column is a reader who names every label for every study.
    each = dict(zip(scored.names, every_label(list(scored.positives.values()), scored.studies), strict=True))
    often = (
        [*scored.macro(scored.frequent)[0], np.mean([each[name] for name in scored.frequent])]
        if scored.frequent
        else [None] * (len(runs) + 1)
    )
    columns = {
        "macro-F1": [decimal(value) for value in (*scored.macro()[0], np.mean(list(each.values())))],
        f"macro-F1 of the {many} with {ENOUGH} positives or more": list(map(decimal, often)),
        "labels named per recorded": [
            *(decimal(_named(run), 2) for run in runs),
            decimal(len(each) * scored.studies / sum(scored.positives.values()), 2),
        ],
        "unreadable answers": [*(str(_failed(run)) for run in runs), zero],
        **{f"… {KINDS[kind]}": [*(str(counts[kind]) for counts in found), zero] for kind in seen},
    }
    names = [*(name + (UNFIT if out[name] else "") for name in shown), "naming every label"]
    body = grid("", names, [Column(head, cells) for head, cells in columns.items()])
    real, hospital = DATASETS[dataset]
    where = f"{hospital} (in place of {real})" if tier == "miniature" else real
    seeds = ", ".join(sorted({str(run.info["seed"]) for run in runs}))
    head = badge(tier, f"profile {profile}", where, f"n = {scored.studies} studies", f"seed {seeds}", "post hoc")
    reasons = [f"{name} {reason}" for name, reason in out.items() if reason]
    notes = [
        "Post hoc: these columns were chosen after the runs had been seen. An unreadable answer counts as naming "
        "nothing, and may be of several kinds. One training each: another would give other numbers.",
        *([f"{UNFIT} Takes part in no order: {'; '.join(reasons)}."] if reasons else []),
    ]
    body = f'<div class="cxr-breaks">{body}</div>'
    return framed(body, title, title=title, heads=[head], notes=list(map(escape, notes)), runs=runs)


def _failed(run: Run) -> int:
    return int(run.predictions()["failed"].astype(bool).sum())


def _named(run: Run) -> float:
    """Labels named for each label recorded, among the findings that are scored: pooled recall over precision."""
    rows, label_set = run.predictions(), str(run.info["label_set"])
    named, recorded = (int(label_cells(rows[column], label_set).sum()) for column in ("predicted", "truth"))
    return named / recorded if recorded else float("nan")


def _checkpoint(run: Run) -> str | None:
    return "best" if run.info["stage"] == "grpo" else None


def said_on_validation(profile: str | None = None, results: Path | None = None) -> Prose:
    """What becomes of each reward's change where only readable answers count."""
    have = read_runs(profile or shown_profile(), results)
    start, *ends = ((have.get(run_id), title) for run_id, title in ON_VALIDATION.items())
    said = [_said(start[0], end, start[1], title) for end, title in ends]
    return Prose("\n\n".join(line for line in said if line))


def said_abroad(profile: str | None = None, results: Path | None = None) -> Prose:
    """What becomes of the change from SFT to ChexReason at both hospitals where only readable answers count."""
    profile = profile or shown_profile()
    have, tier = read_runs(profile, results), tier_of(profile)
    lines = []
    for dataset, (real, hospital) in DATASETS.items():
        first, second = (have.get(f"04-generalization-{model}-{dataset}") for model in LINEAGE[1:])
        if said := _said(first, second, "SFT checkpoint", "model after GRPO"):
            lines.append(f"At {hospital if tier == 'miniature' else real}, {said}")
    return Prose("\n\n".join(lines))


def _said(first: Run | None, second: Run | None, one: str, other: str) -> str:
    if first is None or second is None or not has_rows(first, second):
        return ""
    found, counts = change(first, second), kinds(first)
    reasons = {name: unfit(run, _checkpoint(run)) for name, run in ((one, first), (other, second))}
    text = (
        f"{_failed(first)} of {found.studies} answers of the {one} cannot be read, {counts[Failure.REPEATED_BLOCK]} of "
        f"them because a block is written twice; of the {other}, {_failed(second)}."
    )
    if out := "; ".join(f"the {name} {reason}" for name, reason in reasons.items() if reason):
        return f"{text} No change of macro-F1 is given: {out}."
    text += (
        f" The change of macro-F1 is {spoken(found.everywhere)} on all studies and {spoken(found.readable)} on the "
        f"{found.both} that both answer readably"
    )
    if found.frequent_everywhere and found.frequent_readable:
        text += (
            f"; over {enough(found.frequent, len(found.names))} there, {spoken(found.frequent_everywhere)} and "
            f"{spoken(found.frequent_readable)}"
        )
    return f"{text}. The intervals vary the studies; this is one training, and another may come out otherwise."
