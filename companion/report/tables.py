"""Tables 1 to 6: the published value, a replication's and a miniature's where there are runs, and what they rest on.

A number of a miniature must never be readable as a replication. So each of our columns or rows is
headed by its tier and tinted, a miniature's model is called one in its own heading, a badge above the
table says tier, profile, n and seed, and the runs behind it are listed below. Bold is for the paper's
side alone: the highest as printed, ties included. Ours has none, since a highest value is no best
(`leads`), and a run that is constant or below naming every label carries a sign. Without runs the
paper's values stand alone, with the command that makes the rest.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from great_tables import html

from chexreason import metrics
from chexreason.labels import LABEL_SETS
from companion.evidence.audit.facts import supports
from companion.evidence.audit.lines import GROUNDS, reference_lines
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import (
    DATASETS,
    METRICS,
    MODELS,
    Evidence,
    beside,
    counted,
    gather,
    has_rows,
    title_of,
)
from companion.evidence.tables import profile as shown_profile
from companion.report import leads
from companion.report.frames import UNFIT, Column, framed, grid
from companion.report.paired import titled
from companion.report.theme import Html, badge, decimal, escape

AVERAGES = {"micro": "Micro average", "macro": "Macro average", "all": ""}
STUB_HEADS = {1: "Prompt", 2: "Values", 3: "Values", 4: "Values", 5: "Finding", 6: "Finding"}
#: Mark of a row with few positives, and in whose studies: the paper's, then ours in the order in which they are shown.
FEW = (("†", "in the paper's test set"), ("‡", "among the studies of the {}"), ("§", "among the studies of the {}"))


def table(
    number: int, profile: str | None = None, results: Path | None = None, *, published_only: bool = False
) -> Html:
    """Table `number` of the paper (1 to 6) with a profile's values beside it, or without them.

    `results` is the folder that holds a folder a profile. Raises UserError for an unknown number or profile.
    """
    asked = profile or shown_profile()
    if published_only:
        sides = [gather(number, asked, results).alone()]
    else:
        sides = [gather(number, one, results) for one in beside(asked, results)]
    made, spec = [one for one in sides if one.runs], sides[0].spec
    build = _by_heading if number == 1 else _by_side if number >= 5 else _stacked
    label = f"Table {number}: {spec.title}"
    lines = [*dict.fromkeys(note for one in made or sides[:1] for note in _notes(one)), *_few_notes(sides[0], made)]
    return framed(
        build(sides[0], made), label, title=label, heads=[badges(one) for one in made or sides[:1]],
        notes=[*lines, _reference(number)], runs=[run for one in made for run in one.runs.values()], dense=number >= 5,
    )  # fmt: skip


def _by_heading(shown: Evidence, made: Sequence[Evidence]) -> str:
    """Table 1: under each heading the paper's column, then ours."""
    rows = _all_rows(shown, made)
    columns = []
    for column, metric in shown.columns():
        over = METRICS[metric] if column == "all" else f"{column.capitalize()}-{METRICS[metric]}"
        printed = shown.side("paper", column, metric).reindex(rows)
        bold = [] if metric == "failure_rate" else [rows.index(row) for row in leads.highest(printed)]
        columns.append(Column("paper", list(map(decimal, printed)), over, bold=bold))
        for one in made:
            out, values = leads.unfit_of(one), one.side("ours", column, metric).reindex(rows)
            cells = [decimal(value) + (UNFIT if row in out else "") for row, value in values.items()]
            columns.append(Column(one.tier, cells, over, tint=True))
    return grid(STUB_HEADS[1], [title_of(shown.spec, row) for row in rows], columns)


def _by_side(shown: Evidence, made: Sequence[Evidence]) -> str:
    """Tables 5 and 6: a block of models a side."""
    marks: dict[str, str] = {}
    for (mark, _), positives in zip(FEW, _positives(shown, made), strict=False):
        for row in (row for row, count in positives.items() if count < ENOUGH):
            marks[row] = marks.get(row, "") + mark
    real, hospital = DATASETS[shown.spec.dataset]
    printed = pd.DataFrame({column: shown.side("paper", column, metric) for column, metric in shown.columns()})
    best = [(column, k) for k, (_, values) in enumerate(printed.iterrows()) for column in leads.highest(values)]
    columns = [
        Column(_head(MODELS[str(name)]), list(map(decimal, printed[name])), f"paper, {real}",
               bold=[k for column, k in best if column == name])
        for name in printed
    ]  # fmt: skip
    for one, positives in zip(made, _positives(shown, made)[1:], strict=True):
        over, out = f"{one.tier}, {hospital if one.tier == 'miniature' else real}", leads.unfit_of(one)
        for column, metric in one.all_columns():
            values = one.side("ours", column, metric).reindex(shown.rows())
            cells = ["–" if positives.get(str(row)) == 0 else decimal(value) for row, value in values.items()]
            columns.append(Column(_head(titled(column, one.tier), column in out), cells, over, tint=True))
    rows = [title_of(shown.spec, row) + marks.get(row, "") for row in shown.rows()]
    return grid(STUB_HEADS[5], rows, columns, tight=True)


def _head(model: str, out: bool = False) -> Any:
    parts = re.split(r"(?<=-)| ", model)  # ten columns have to fit beside one another
    return html("<br>".join(map(escape, parts)) + (UNFIT if out else ""))


def _stacked(shown: Evidence, made: Sequence[Evidence]) -> str:
    """Tables 2 to 4: a block a variant, the paper's row above ours, one a tier."""
    values = {"paper": shown.published, **{one.tier: one.ours for one in made}}
    out = {(one.tier, row) for one in made for row in leads.unfit_of(one)}
    cells = [(row, side) for row in _all_rows(shown, made) for side in values if row in shown.rows() or side != "paper"]
    columns = []
    for column, metric in shown.columns():
        highest = leads.highest(shown.side("paper", column, metric)) if metric != "failure_rate" else []
        bold = [k for k, (row, side) in enumerate(cells) if side == "paper" and row in highest]
        texts = [decimal(values[side].get((row, column, metric))) for row, side in cells]
        columns.append(Column(METRICS[metric], texts, AVERAGES[column], bold=bold))
    return grid(
        STUB_HEADS[2],
        [side + (UNFIT if (side, row) in out else "") for row, side in cells],
        columns,
        groups=[title_of(shown.spec, row) for row, _ in cells],
        tinted=[k for k, (_, side) in enumerate(cells) if side != "paper"],
    )


def _all_rows(shown: Evidence, made: Sequence[Evidence]) -> list[str]:
    """The paper's rows, then those that any of our sides has."""
    return list(dict.fromkeys(row for one in (shown, *made) for row in one.all_rows()))


def _positives(shown: Evidence, made: Sequence[Evidence]) -> list[dict[str, float]]:
    """Positives of each finding of Tables 5 and 6, of the paper's studies and of each of our sides; empty if unknown.

    How many NIH studies the paper scored is not in the text that we have.
    """
    found = [supports("chexpert", "test", LABEL_SETS["chexpert14"]) if shown.spec.number == 5 else {}]
    for one in made:
        rows = (
            next(iter(one.runs.values())).metrics().query("metric == 'support' and finding not in ('macro', 'micro')")
        )
        found.append(dict(zip(rows["finding"].astype(str), rows["value"].astype(float), strict=True)))
    return found if shown.spec.number >= 5 else []


def _few_notes(shown: Evidence, made: Sequence[Evidence]) -> list[str]:
    """What the marks mean, and which findings have no positive at all, so that they have no F1 to show."""
    said = []
    tiers = ("", *(one.tier for one in made))
    for (mark, whose), tier, positives in zip(FEW, tiers, _positives(shown, made), strict=False):
        none = [name for name, count in positives.items() if not count]
        if min(positives.values(), default=ENOUGH) < ENOUGH:
            said.append(
                f"{mark} Fewer than {ENOUGH} positives {escape(whose.format(tier))}: a handful of studies decide such "
                "a row. The macro average of the table counts it, as the paper does; an average that carries a "
                "conclusion leaves it out."
            )
        if none:
            said[-1] += (
                f" None at all of {escape(', '.join(none))}: there is nothing to score, and the macro average, which "
                "counts it as 0, is lower for it."
            )
    return said


def badges(shown: Evidence) -> str:
    """The tier of a table, and what its runs were asked on."""
    if not shown.runs:
        return badge("published", "arXiv 2512.23090", f"section {shown.spec.section}")
    infos = [run.info for run in shown.runs.values()]
    n, splits = (", ".join(dict.fromkeys(str(info[what]) for info in infos)) for what in ("n", "split"))
    seeds = sorted({seed for info in infos for seed in info.get("seeds", [info["seed"]])})
    real, hospital = DATASETS[shown.spec.dataset]
    place = f"{hospital} (in place of {real})" if shown.tier == "miniature" else real
    return badge(shown.tier, f"profile {shown.profile}", f"n = {n} studies", f"seed {', '.join(map(str, seeds))}",
                 f"{place}, {splits} split")  # fmt: skip


def _notes(shown: Evidence) -> list[str]:
    """Sentences below a table: what is missing, how to read it, and what no image at all would score."""
    make = f"<code>make book PROFILE={escape(shown.profile)}</code>"
    if not shown.runs:
        return [
            f"The paper's values alone: the profile {escape(shown.profile)} has no results for this table. "
            f"{make} makes them.",
        ]
    what = "of each row" if shown.spec.number >= 5 else "of each column but the failure rates"
    notes = [f"Bold: the highest value {what} as the paper prints it, which does not say that the difference is real."]
    if shown.tier == "miniature":
        notes.insert(
            0,
            "Miniature: the models are small ones of the same classes as those they are named after, and the images "
            "are drawn. Compare no levels; whether an order or a direction can be compared, the text says.",
        )
    notes += unfit_note(shown)
    for run in [run for run in shown.runs.values() if has_rows(run)][:1]:
        rows, label_set = run.predictions(), str(run.info["label_set"])
        true_BF = metrics.label_cells(rows["truth"], label_set)
        every = metrics.scores(true_BF, np.ones_like(true_BF), label_set, mask=counted(rows, label_set))
        notes.append(
            f"Answering every label for every one of the {every.n} studies of the {shown.tier}, without a look at "
            f"the image, would score micro-F1 {decimal(every.micro['f1'])} and macro-F1 {decimal(every.macro['f1'])}."
        )
    if shown.missing:
        notes.append(f"Not run yet: {escape(', '.join(shown.missing))}. {make} runs what is missing.")
    return notes


def unfit_note(shown: Evidence) -> list[str]:
    """Which of our runs take part in no order, and why; nothing if all do."""
    reasons = [f"{leads.name_of(shown, name)} {reason}" for name, reason in leads.unfit_of(shown).items()]
    where = f"{shown.tier}, {DATASETS[shown.spec.dataset][1] if shown.tier == 'miniature' else shown.spec.dataset}"
    return [f"{UNFIT} Takes part in no order ({escape(where)}): {escape('; '.join(reasons))}."] if reasons else []


def _reference(number: int) -> str:
    """What others than the models score on the paper's studies, for reading its values."""
    readers = "; ".join(f"{line.reader} {decimal(line.macro)}" for line in reference_lines(number))
    _, _, _, assumed = GROUNDS[number]
    return escape(f"To read the paper's macro-F1 by ({assumed}): {readers}.")
