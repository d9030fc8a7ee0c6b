"""What may be concluded from our own runs in Tables 1 to 6 (sections 4.1 to 4.4).

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
from companion.evidence.tables import gather, has_rows
from companion.report import leads
from companion.report.failures import by_kind
from companion.report.frames import UNFIT, frame_table
from companion.report.tables import badges
from companion.report.theme import Html, block, decimal, escape, spoken

#: What the runs of a table are compared with; nothing in Tables 2 and 3, and the highest in Table 1.
SFT = {4: "SFT checkpoint", 5: "medgemma_sft", 6: "medgemma_sft"}


def ours(number: int, profile: str | None = None, results: Path | None = None) -> Html:
    """Our runs of Table `number`: macro-F1, and the difference to the highest (Table 1) or the SFT checkpoint (4 to 6).

    Raises UserError if the runs do not rest on the same findings, studies, split and seeds.
    """
    shown = gather(number, profile, results)
    out, names = leads.unfit_of(shown), shown.rows() if number < 5 else [column for column, _ in shown.columns()]
    places = {name: (shown, name) for name in (["hard_best", "nuanced_best"] if number == 4 else names)}
    if number == 4:  # with what both start from
        before, start = gather(2, profile, results), "free_reasoning"
        places, out = {SFT[4]: (before, start), **places}, {SFT[4]: leads.unfit_of(before).get(start, ""), **out}
    found = [leads.run_at(*place)[0] for place in places.values()]
    if not has_rows(*found):
        return block(f'<p class="cxr-note">This needs the rows of all runs of Table {number}.</p>')
    runs = [run for run in found if run]
    titles = [name if name == SFT[4] else leads.name_of(shown, name) for name in places]
    scored, off = leads.together(runs), {k: out[name] for k, name in enumerate(places) if out.get(name)}
    often, fit = scored.frequent, [k for k in range(len(runs)) if k not in off]
    first = list(places).index(SFT[number]) if number in SFT else None
    if number == 1:
        first = max(fit, key=lambda k: float(scored.all_RM[0, k]), default=None)

    columns = {f"macro-F1, all {len(scored.names)} findings": list(map(decimal, scored.all_RM[0]))}
    if often:
        levels = [scored.score(k) for k in range(len(runs))]
        columns[f"over {len(often)} of {len(scored.names)} findings with at least {ENOUGH} positives"] = [
            f"{decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)})" for one in levels
        ]
    if often and first is not None and first in fit:
        columns[f"minus {titles[first]}"] = [
            "" if k == first else spoken(scored.difference(first, k)) for k in range(len(runs))
        ]
        if number >= 4:
            columns["the same where both can be read (post hoc)"] = [
                "" if k == first else _readable(runs[first], run) for k, run in enumerate(runs)
            ]
    frame = pd.DataFrame(columns)
    frame.loc[list(off)] = "–"
    frame.insert(0, "", [title + UNFIT * (k in off) for k, title in enumerate(titles)])
    frame["labels named per recorded"] = [decimal(_named(run), 2) for run in runs]
    frame["unreadable answers"] = list(map(_unreadable, runs))

    basis = f" All but the scores over all findings rests on {', '.join(often)}." if often else ""
    notes = [f"Intervals at 95 % over {scored.patients} patients.{basis}"]
    if not often:
        notes.append("No finding has enough positives to carry a conclusion.")
    elif number > 1:
        none = f" No difference to {titles[first]} is given." if first is not None and first not in fit else ""
        notes.append(
            f"One training each, so no order is given: what another training would give is in no interval.{none}"
        )
    elif first is None or len(fit) < 2:
        notes.append("Too few runs take part for a best.")
    elif near := [k for k in fit if k != first and not scored.difference(k, first).low > 0]:
        notes.append(f"None is called best: {len(near)} of the other {len(fit) - 1} prompts cannot be distinguished "
                     f"from {titles[first]}, the highest over all findings.")  # fmt: skip
    else:
        notes.append(f"{titles[first]} is best: its lead over each other prompt is more than the patients explain.")
    notes += [f"{UNFIT} {titles[k]} takes part in no order: {reason}." for k, reason in off.items()]
    label = f"What can be said of our runs in Table {number}"
    return frame_table(frame, label, head=badges(shown), notes=list(map(escape, notes)), wrap=list(frame.columns[1:]))


def _readable(first: Run, second: Run) -> str:
    """Macro-F1 of the second minus that of the first on the studies that both answer readably."""
    readable_B = np.logical_and(*(~run.predictions()["failed"].to_numpy(dtype=bool) for run in (first, second)))
    if not readable_B.any() or not (part := leads.together([first, second], only=readable_B)).frequent:
        return "too few"
    return f"{spoken(part.difference(0, 1))} on {part.studies}"


def _named(run: Run) -> float:
    """Labels named for each label recorded: pooled recall over precision."""
    rows, label_set = run.predictions(), str(run.info["label_set"])
    named, recorded = (int(label_cells(rows[column], label_set).sum()) for column in ("predicted", "truth"))
    return named / recorded if recorded else float("nan")


def _unreadable(run: Run) -> str:
    """How many answers of a run cannot be read, and of which kinds they are."""
    rows = run.predictions()
    failed = rows.loc[rows["failed"].astype(bool), "failures"]
    kinds = by_kind(str(cell).split(";") for cell in failed)
    named = ", ".join(f"{kind} {count}" for kind, count in kinds.items() if count)
    return f"{len(failed)} ({named})" if named else str(len(failed))
