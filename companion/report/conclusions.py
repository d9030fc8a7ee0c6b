"""What may be concluded from our own runs in Tables 1 to 6 (sections 4.1 to 4.4), and of the paper's highest value.

A table of our runs over the findings with enough positives: the score of each and its difference to one of them, with
intervals over patients; in Tables 4 to 6 once more, post hoc, on the studies that both answer readably, since a model
that learns to close its answer gains in F1 without seeing more. A best is named only among runs of one model and where
patients cannot explain the lead; runs of one training each get no order; what scores below naming every label takes
part in nothing.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.metrics import label_cells
from chexreason.runs import Run
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import Evidence, gather, has_rows, title_of
from companion.report import leads
from companion.report.failures import unreadable
from companion.report.frames import UNFIT, frame_table
from companion.report.paired import Together, together
from companion.report.tables import badges
from companion.report.theme import Html, block, decimal, escape, spoken

#: What the runs of a table are compared with; nothing in Tables 2 and 3, and the highest in Table 1.
SFT = {4: "SFT checkpoint", 5: "medgemma_sft", 6: "medgemma_sft"}


def ours(number: int, profile: str | None = None, results: Path | None = None) -> Html:
    """Our runs of Table `number`: macro-F1, and the difference to the highest (Table 1) or the SFT checkpoint (4 to 6).

    Raises UserError if the runs do not rest on the same findings, studies, split and seeds.
    """
    shown = gather(number, profile, results)
    names, runs, out = _compared(shown, profile, results)
    if not has_rows(*runs):
        return block(f'<p class="cxr-note">This needs the rows of all runs of Table {number}.</p>')
    made = [run for run in runs if run]
    scored = together(made)
    fit = [k for k, name in enumerate(names) if name not in out]
    first = _first(number, names, scored, fit)
    columns: dict[str, list[str]] = {
        f"macro-F1, all {len(scored.names)} findings": list(map(decimal, scored.macro()[0]))
    }
    often = scored.frequent
    if often:
        levels = [scored.score(k, often) for k in range(len(names))]
        columns[f"over {len(often)} of {len(scored.names)} findings with at least {ENOUGH} positives"] = [
            f"{decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)})" for one in levels
        ]
    if often and first in fit:
        columns[f"minus {_title(shown, names[first])}"] = [
            "" if k == first else spoken(scored.difference(first, k, often)) for k in range(len(names))
        ]
        if number >= 4:
            columns["the same where both can be read (post hoc)"] = [
                "" if k == first else _readable(made[first], made[k]) for k in range(len(names))
            ]
    frame = pd.DataFrame(columns)
    frame.loc[[k for k in range(len(names)) if k not in fit]] = "–"
    frame.insert(0, "", [_title(shown, name) + (UNFIT if name in out else "") for name in names])
    frame["labels named per recorded"] = [decimal(_named(run), 2) for run in made]
    frame["unreadable answers"] = list(map(unreadable, made))
    basis = f" All but the scores over all findings rests on {', '.join(often)}." if often else ""
    lead = f"Intervals at 95 % over {scored.patients} patients.{basis}"
    notes = [lead, _note(shown, scored, names, fit, first)]
    reasons = [f"{UNFIT} {_title(shown, name)} takes part in no order: {reason}." for name, reason in out.items()]
    said = list(map(escape, [*notes, *reasons]))
    label = f"What can be said of our runs in Table {number}"
    return frame_table(frame, label, head=badges(shown), notes=said, wrap=list(frame.columns[1:]))


def _readable(first: Run, second: Run) -> str:
    """Macro-F1 of the second minus that of the first on the studies that both answer readably."""
    readable_B = np.logical_and(*(~run.predictions()["failed"].to_numpy(dtype=bool) for run in (first, second)))
    if not readable_B.any() or not (often := (part := together([first, second], only=readable_B)).frequent):
        return "too few"
    return f"{spoken(part.difference(0, 1, often))} on {part.studies}"


def _named(run: Run) -> float:
    """Labels named for each label recorded: pooled recall over precision."""
    rows, label_set = run.predictions(), str(run.info["label_set"])
    named, recorded = (int(label_cells(rows[column], label_set).sum()) for column in ("predicted", "truth"))
    return named / recorded if recorded else float("nan")


def _compared(
    shown: Evidence, profile: str | None, results: Path | None
) -> tuple[list[str], list[Run | None], dict[str, str]]:
    """Names of what is compared, the runs, and why some take part in nothing; in Table 4 with what both start from."""
    number = shown.spec.number
    paper = shown.rows() if number < 5 else [column for column, _ in shown.columns()]
    names = ["hard_best", "nuanced_best"] if number == 4 else paper
    runs, out = [leads.run_at(shown, name)[0] for name in names], leads.unfit_of(shown)
    if number == 4:
        before, start = gather(2, profile, results), "free_reasoning"
        names, runs = [SFT[4], *names], [leads.run_at(before, start)[0], *runs]
        out[SFT[4]] = leads.unfit_of(before).get(start, "")
    return names, runs, {name: out[name] for name in names if out.get(name)}


def _title(shown: Evidence, name: str) -> str:
    return name if name == SFT[4] else leads.name_of(shown, name)


def _first(number: int, names: list[str], scored: Together, fit: list[int]) -> int | None:
    """The place of what the others are compared with, if there is any."""
    if number == 1:
        return max(fit, key=lambda k: float(scored.macro()[0, k]), default=None)
    return names.index(SFT[number]) if number in SFT else None


def _note(shown: Evidence, scored: Together, names: list[str], fit: list[int], first: int | None) -> str:
    """What follows, in sentences."""
    if not scored.frequent:
        return "No finding has enough positives to carry a conclusion."
    if shown.spec.number > 1:
        none = f" No difference to {_title(shown, names[first])} is given." if first is not None else ""
        said = f"{leads.ONE_TRAINING.capitalize()}: what another training would give is in no interval."
        return said + none * (first not in fit)
    if first is None or len(fit) < 2:
        return "Too few runs take part for a best."
    lead = _title(shown, names[first])
    near = [k for k in fit if k != first and not scored.difference(k, first, scored.frequent).low > 0]
    return (
        f"None is called best: {len(near)} of the other {len(fit) - 1} prompts cannot be distinguished from {lead}, "
        "the highest over all findings."
        if near
        else f"{lead} is best: its lead over each other prompt is more than the patients explain."
    )


def printed_highest(number: int) -> str:
    """The paper's highest macro-F1 of Tables 1 to 3, and which others are within chance of it, as a clause."""
    shown = gather(number)
    top, near = leads.within_chance(number, shown.rows())
    first, others = (" and ".join(title_of(shown.spec, row) for row in rows) for rows in (top, near))
    lead = (
        f"its lead over {others} is within chance"
        if near
        else f"its lead over each of the other {len(shown.rows()) - len(top)} is more than chance makes"
    )
    return f"{first} ({shown.side('paper', 'macro').max():.3f}); {lead}"


def most_failures() -> str:
    """The paper's highest rate of answers that fail to parse, and the prompts that have it."""
    shown = gather(1)
    rates = shown.side("paper", "all", "failure_rate")
    return f"{rates.max():.1%} ({' and '.join(title_of(shown.spec, row) for row in leads.highest(rates))})"
