"""Tables 1 to 6: the published value, a replication's and a miniature's where there are runs, and what they rest on.

A number of a miniature must never be readable as a replication. So each of our columns or rows is
headed by its tier and tinted, a miniature's model is called one in its own heading, a badge above the
table says tier, profile, n and seed, and the runs behind it are listed below. Bold is for the paper's
side alone: the highest as printed, ties included. Ours has none, since a highest value is no best
(`leads`), and a run that is constant or below naming every label carries a sign. Without runs the
paper's values stand alone, with the command that makes the rest.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from great_tables import html

from chexreason import metrics
from chexreason.completions import Failure
from chexreason.labels import LABEL_SETS
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit import validation
from companion.evidence.audit.facts import supports
from companion.evidence.audit.lines import GROUNDS, reference_lines
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import (
    DATASETS,
    METRICS,
    TABLES,
    Evidence,
    beside,
    counted,
    gather,
    has_rows,
    scores,
    title_of,
)
from companion.evidence.tables import profile as shown_profile
from companion.report import leads
from companion.report.frames import UNFIT, Column, framed, grid
from companion.report.standing import CLEAR, FIRST, Standing, standings
from companion.report.theme import Html, badge, decimal, escape

AVERAGES = {"micro": "Micro average", "macro": "Macro average", "all": ""}
#: The order of averages from left to right: the one that the paper leans on is on every screen.
ORDER = ("macro", "micro", "all")
#: Mark of a row with few positives, and in whose studies: the paper's, then ours in the order in which they are shown.
FEW = (("†", "in the paper's test set"), ("‡", "among the studies of the {}"), ("§", "among the studies of the {}"))


def table(number: int, profile: str | None = None, results: Path | None = None) -> Html:
    """Table `number` of the paper (1 to 6), with the values of a profile and of other tiers that have runs.

    `results` is the folder that holds a folder a profile. Raises UserError for an unknown number or profile.
    """
    found = [gather(number, one, results) for one in beside(profile or shown_profile(), results)]
    made, paper = [one for one in found if one.runs], found[0].alone()
    sides, shown = [paper, *made], made or [paper]
    label, positives = f"Table {number}: {paper.spec.title}", list(map(_positives, sides))
    told = [_standing_note(paper, made), *_few_notes(sides, positives), _reference(number)]
    folded = [*dict.fromkeys(note for one in shown for note in _reading(one)), *told]
    return framed(
        _stacked(sides) if number < 5 else _by_side(sides, positives), label, title=label,
        heads=list(map(badges, shown)), notes=[note for one in shown for note in _notes(one)], folded=folded,
        runs=[run for one in made for run in one.runs.values()], dense=number >= 5,
        anchor=f"table-{number}",
    )  # fmt: skip


def _by_side(sides: Sequence[Evidence], positives: Sequence[Mapping[str, float]]) -> str:
    """Tables 5 and 6: a block of columns a side; below the findings the averages, and where each model stands."""
    spec, rows, best = sides[0].spec, _all_rows(sides), _highest(sides[0])
    columns, few = list[Column](), [{row for row, n in known.items() if n < ENOUGH} for known in positives]
    some = any(0 in known.values() for known in positives)
    for one, known in zip(sides, positives, strict=True):
        over = f"{_name(one)}, {DATASETS[spec.dataset][one.tier == 'miniature']}"
        out, where = leads.unfit_of(one), standings(one)
        if known:
            counts = [f"{known[row]:.0f}" if row in known else "" for row in rows]
            columns.append(Column(html("posi-<br>tives"), [*counts, *[""] * (some + 4)], over, tint=bool(one.runs)))
        for column, metric in one.all_columns():
            values = one.side("ours" if one.runs else "paper", column, metric).reindex(rows)
            there = [value for row, value in values.items() if row != "macro" and known.get(str(row)) != 0]
            place = where.get(column, Standing())
            cells = ["–" if known.get(str(row)) == 0 else decimal(value) for row, value in values.items()]
            cells += [decimal(float(np.mean(there)))] * some
            cells += place
            bold = [k for k, row in enumerate(rows) if not one.runs and (row, column, metric) in best]
            head = html(
                "<br>".join(map(escape, re.split(r"(?<=-)| ", leads.titled(column, one.tier))))
                + UNFIT * (column in out)
            )
            columns.append(Column(head, cells, over, tint=bool(one.runs), bold=bold))
    names = [title_of(spec, row) + "".join(mark for (mark, _), rare in zip(FEW, few, strict=False) if row in rare)
             for row in rows]  # fmt: skip
    names += ["… of those with positives"] * some + ["95 % from", "to", "ranks", f"minus {FIRST[spec.number][2]}"]
    return grid("Finding", names, columns, tight=True, foot=5 + some)


def _stacked(sides: Sequence[Evidence]) -> str:
    """Tables 1 to 4: a block a side, macro-F1 first."""
    spec, best = sides[0].spec, _highest(sides[0])
    cells = [(row, one) for one in sides for row in one.all_rows()]
    places = {id(one): standings(one) for one in sides}
    where = [places[id(one)].get(row, Standing()) for row, one in cells]
    columns = [
        Column(METRICS[metric], [decimal(_values(one).get((row, column, metric))) for row, one in cells],
               AVERAGES[column], bold=[k for k, (row, one) in enumerate(cells)
                                       if not one.runs and (row, column, metric) in best])
        for column, metric in sorted(sides[0].columns(), key=lambda one: (ORDER.index(one[0]), one[1] != "f1"))
    ]  # fmt: skip
    beside = {"95 % interval": [one.interval for one in where], "ranks": [one.rank for one in where],
              f"minus {FIRST[spec.number][2]}": [one.minus for one in where]}  # fmt: skip
    columns[1:1] = [Column(head, texts, AVERAGES["macro"]) for head, texts in beside.items()]
    out = {_name(one): leads.unfit_of(one) for one in sides}
    names = [title_of(spec, row) + UNFIT * (row in out[_name(one)]) for row, one in cells]
    return grid("Prompt" if spec.number == 1 else "Variant", names, columns, groups=[_block(one) for _, one in cells],
                tinted=[k for k, (_, one) in enumerate(cells) if one.runs])  # fmt: skip


def _block(one: Evidence) -> str:
    """What stands above a side's rows: the paper's or ours, and which model."""
    model = "qwen" if one.spec.number == 3 else "medgemma"
    return f"{_name(one)}: {leads.titled(model, one.tier)}"


def _name(one: Evidence) -> str:
    return one.tier if one.runs else "paper"


def _values(one: Evidence) -> pd.Series:
    return one.ours if one.runs else one.published


def _all_rows(sides: Sequence[Evidence]) -> list[str]:
    """The paper's rows, then those that any of our sides has."""
    return list(dict.fromkeys(row for one in sides for row in one.all_rows()))


def _highest(paper: Evidence) -> set[tuple[str, str, str]]:
    """The cells that are the highest of their column, in Tables 5 and 6 of their row; rates of failure are not."""
    printed = paper.published.drop("failure_rate", level="metric", errors="ignore")
    groups = printed.groupby(level="row" if paper.spec.number >= 5 else ["column", "metric"])
    return {cell for _, values in groups for cell in leads.highest(values)}


def _positives(one: Evidence) -> dict[str, float]:
    """Positives of each finding of Tables 5 and 6 among a side's studies; empty if unknown.

    How many NIH studies the paper scored is not in the text that we have.
    """
    if one.spec.number < 5 or not one.runs:
        return supports("chexpert", "test", LABEL_SETS["chexpert14"]) if one.spec.number == 5 else {}
    run = next(iter(one.runs.values()))
    found = scores(run)
    return {name: float(found[name, "support"]) for name in LABEL_SETS[str(run.info["label_set"])]}


def _few_notes(sides: Sequence[Evidence], positives: Sequence[Mapping[str, float]]) -> list[str]:
    """What the marks mean, and which findings have no positive at all, so that they have no F1 to show."""
    said = []
    for (mark, whose), one, known in zip(FEW, sides, positives, strict=False):
        if min(known.values(), default=ENOUGH) < ENOUGH:
            none = ", ".join(name for name, count in known.items() if not count)
            said.append(
                f"{mark} Fewer than {ENOUGH} positives {escape(whose.format(one.tier))}: a handful of studies decide "
                "such a row. The macro average of the table counts it, as the paper does; an average that carries a "
                "conclusion leaves it out."
                + f" None at all of {escape(none)}: there is nothing to score, and the macro average, which counts it "
                "as 0, is lower for it." * bool(none)
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
    """Sentences below a table: what is missing, and which of our runs take part in no order."""
    make = f"<code>make book PROFILE={escape(shown.profile)}</code>"
    if not shown.runs:
        none = f"The paper's values alone: the profile {escape(shown.profile)} has no results for this table."
        return [f"{none} {make} makes those that its study has."]
    missing = f"Not run: {escape(', '.join(shown.missing))}. {make} runs those that its study has."
    return [*unfit_note(shown), *[missing] * bool(shown.missing)]


def _standing_note(paper: Evidence, made: Sequence[Evidence]) -> str:
    """What the intervals, the ranks and the differences are."""
    number = paper.spec.number
    studies = min(sure.NIH_SIZES) if number == 6 else validation.size()
    many = "" if number == 5 else f", if there were {studies} studies"
    table, row, _ = FIRST[number]
    first = escape(leads.titled(row, paper.tier) if number >= 5 else title_of(TABLES[table], row))
    said = (
        f"Intervals of the paper's macro-F1 are reconstructed{many}; no other training is in them. Ranks are those "
        "that the studies leave open: rows that share a rank cannot be told apart. Minus: the difference of macro-F1 "
        f"to {first}, with {CLEAR} where its interval leaves out zero."
    )
    unranked = " Models that were trained once each are not ranked." * (number > 1)
    return said + f" Our intervals are over patients.{unranked}" * bool(made)


def _reading(shown: Evidence) -> list[str]:
    """How to read a table, and what no image at all would score."""
    if not shown.runs:
        return []
    what = "of each row" if shown.spec.number >= 5 else "of each column but the failure rates"
    notes = [f"Bold: the highest value {what} as the paper prints it, which does not say that the difference is real."]
    if shown.tier == "miniature":
        notes.insert(
            0,
            "Miniature: the models are small ones of the same classes as those they are named after, and the images "
            "are drawn. Compare no levels; whether an order or a direction can be compared, the text says.",
        )
    if run := next(filter(has_rows, shown.runs.values()), None):
        rows, label_set = run.predictions(), str(run.info["label_set"])
        true_BF = metrics.label_cells(rows["truth"], label_set)
        every = metrics.scores(true_BF, np.ones_like(true_BF), label_set, mask=counted(rows, label_set))
        notes.append(
            f"Answering every label for every one of the {every.n} studies of the {shown.tier}, without a look at "
            f"the image, would score micro-F1 {decimal(every.micro['f1'])} and macro-F1 {decimal(every.macro['f1'])}."
        )
    return notes + _cut_note(shown)


def _cut_note(shown: Evidence) -> list[str]:
    """How many answers were cut at the longest length allowed, of the runs whose rows are there."""
    names = [name for name, _ in shown.all_columns()] if shown.spec.number >= 5 else shown.all_rows()
    runs = {name: run for name in names if (run := leads.run_at(shown, name)[0]) and has_rows(run)}
    held = {name: run.predictions()["failures"].astype(str) for name, run in runs.items()}
    cut = {name: int(of.str.contains(Failure.TRUNCATED).sum()) for name, of in held.items()}
    said = ", ".join(f"{leads.name_of(shown, name)} {n} of {len(held[name])}" for name, n in cut.items() if n)
    return [f"Answers cut at the longest length allowed: {escape(said) or 'none'}."] if held else []


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
