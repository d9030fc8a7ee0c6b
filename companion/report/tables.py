"""Tables 1 to 6: the published value, a replication's and a miniature's where there are runs, and what they rest on.

A number of a miniature must never be readable as a replication. So each of our columns or rows is
headed by its tier and tinted, a miniature's model is called one in its own heading, a badge above the
table says tier, profile, n and seed, and the runs behind it are listed below. Bold is for the paper's
side alone: the highest as printed, ties included. Ours has none, since a highest value is no best
(`leads`), and a run that is constant or below naming every label carries a sign. Without runs the
paper's values stand alone, with the command that makes the rest. great_tables builds the table
(headings are linked to cells, as screen readers need); its own style sheet has fixed light colours and
is left out in favour of `theme.STYLE`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from great_tables import GT, html, loc, style

from chexreason.labels import LABEL_SETS, NIH_SHARED
from chexreason.runs import Run
from companion.evidence.audit.lines import GROUNDS, reference_lines
from companion.evidence.tables import (
    DATASETS,
    METRICS,
    MODELS,
    Evidence,
    beside,
    gather,
    read_runs,
    scores,
    tier_of,
    title_of,
)
from companion.evidence.tables import profile as shown_profile
from companion.report import few, leads
from companion.report.baselines import all_labels
from companion.report.behind import runs_behind
from companion.report.paired import titled
from companion.report.theme import Html, badge, block, decimal, escape, fresh_id, scrolling, signed

AVERAGES = {"micro": "Micro average", "macro": "Macro average", "all": ""}
#: Stands beside our runs that take part in no order.
UNFIT = "¶"
STUB_HEADS = {1: "Prompt", 2: "", 3: "", 4: "", 5: "Finding", 6: "Finding"}


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
    body = _stacked(sides) if number in (2, 3, 4) else _paired(sides)
    return _framed(sides, body)


def frame_table(frame: pd.DataFrame, label: str, wrap: tuple[str, ...] = (), dense: bool = False) -> Html:
    """A data frame as a table of the book: wide ones scroll by themselves, columns in `wrap` break their lines."""
    built = GT(frame.reset_index(drop=True), id=fresh_id("table")).cols_align("left")
    if wrap:
        built = built.tab_style(style.css("white-space:normal;min-width:6.5em"), loc.body(columns=list(wrap)))
    raw = bare(built).replace('class="gt_table"', 'class="gt_table cxr-wide"') if wrap else bare(built)
    return block(scrolling(raw, label, dense))


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
        head = f'<div class="cxr-head">{badge(tier_of(name, results), name, dataset, f"n = {n} studies", "F1")}</div>'
        parts.append(head + frame_table(frame, f"F1 on {dataset}").text + runs_behind(runs.values()))
    return block("".join(parts))


def runs_table(finished: Iterable[Run]) -> Html:
    """The runs that a stage has made: how many studies each was scored on, how long it took, and on what."""
    columns = ["run_id", "label_set", "n", "seconds", "device"]
    return frame_table(pd.DataFrame([run.info for run in finished])[columns], "The runs behind the tables below")


def shared_values(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine findings that both test sets have: a row a model and side.

    The paper sets an average over fourteen findings beside one over nine; this table does not.
    """
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
    """Macro-F1 over the nine findings that both test sets have, a block a side (not in the paper)."""
    frame = shared_values(profile, results)
    tables = [gather(number, profile, results) for number in (5, 6)]
    out = {titled(model, one.tier) for one in tables for model in leads.unfit_of(one)}
    frame["Model"] = [name + (UNFIT if name in out else "") for name in frame["Model"]]
    numbers = [str(name) for name in frame.columns[2:]]
    built = GT(frame, rowname_col="Model", groupname_col="Values of", id=fresh_id("shared"))
    built = built.fmt(decimal, columns=numbers[:-1]).fmt(signed, columns=numbers[-1:])
    built = built.cols_align("right", columns=numbers)
    ours = [int(str(i)) for i in frame.index[frame["Values of"] != "paper"]]
    shown = tables[1]
    facts = [f"profile {shown.profile}", *(["hospitals B and C"] if shown.tier == "miniature" else [])]
    label = badge(shown.tier, *facts, "macro-F1") if ours else badge("published", "macro-F1")
    head = f'<div class="cxr-head">{label}</div>'
    body = scrolling(bare(_tinted(built, rows=ours)), "Macro-F1 on the findings that both test sets have")
    notes = [note for one in tables for note in _unfit_note(one)] if ours else []
    runs = [run for one in tables for run in one.runs.values()] if ours else []
    return block(head + body + "".join(f'<p class="cxr-note">{line}</p>' for line in notes) + runs_behind(runs))


def _paired(sides: Sequence[Evidence]) -> str:
    """Table 1: under each heading the paper's column, then ours. Tables 5 and 6: a block of models a side."""
    shown = sides[0]
    return _by_heading(sides) if shown.spec.number < 5 else _by_side(sides)


def _by_heading(sides: Sequence[Evidence]) -> str:
    shown = sides[0]
    rows = _all_rows(sides)
    frame = pd.DataFrame({"row": [title_of(shown.spec, row) for row in rows]})
    labels: dict[str, Any] = {}
    for column, metric in shown.columns():
        labels[f"{column}-{metric}-paper"] = "paper"
        frame[f"{column}-{metric}-paper"] = _values(shown, "paper", column, metric, rows)
        for one in _with_runs(sides):
            labels[f"{column}-{metric}-{one.tier}"] = one.tier
            frame[f"{column}-{metric}-{one.tier}"] = _values(one, "ours", column, metric, rows)
    built = _base(frame, shown).tab_stubhead(STUB_HEADS[shown.spec.number]).cols_label(labels)
    for column, metric in shown.columns():
        names = [str(name) for name in frame if str(name).startswith(f"{column}-{metric}-")]
        built = built.tab_spanner(_heading(column, metric), names)
    for one in _with_runs(sides):
        for row in leads.unfit_of(one):
            names = [name for name in labels if name.endswith(f"-{one.tier}")]
            built = built.fmt(lambda value: f"{decimal(value)}{UNFIT}", columns=names, rows=[rows.index(row)])
    papers = [name for name, side in labels.items() if side == "paper" and "failure" not in name]
    built = _bold(built, [(name, int(i)) for name in papers for i in leads.highest(frame[name])])
    return bare(_tinted(built, columns=[name for name, side in labels.items() if side != "paper"]))


def _by_side(sides: Sequence[Evidence]) -> str:
    shown = sides[0]
    marks = few.marks(sides)
    frame = pd.DataFrame({"row": [title_of(shown.spec, row) + marks.get(row, "") for row in shown.rows()]})
    labels: dict[str, Any] = {}
    blocks: dict[str, list[str]] = {}
    for side, one in [("paper", shown), *((one.tier, one) for one in _with_runs(sides))]:
        real, hospital = DATASETS[shown.spec.dataset]
        where = f"{side}, {hospital if side == 'miniature' else real}"
        none = few.absent(one) if side != "paper" else []
        out = leads.unfit_of(one) if side != "paper" else {}
        for column, metric in shown.columns() if side == "paper" else one.all_columns():
            name = f"{column}-{metric}-{side}"
            heading = MODELS[column] if side == "paper" else titled(column, one.tier)
            parts = re.split(r"(?<=-)| ", heading)  # ten columns have to fit beside one another
            labels[name] = html("<br>".join(map(escape, parts)) + (UNFIT if column in out else ""))
            values = _values(one, "paper" if side == "paper" else "ours", column, metric, shown.rows())
            frame[name] = [None if row in none else value for row, value in zip(shown.rows(), values, strict=True)]
            blocks.setdefault(where, []).append(name)
    numbers = list(labels)
    frame[numbers] = frame[numbers].astype(float)
    built = _base(frame, shown).tab_stubhead(STUB_HEADS[shown.spec.number]).cols_label(labels)
    for where, names in blocks.items():
        built = built.tab_spanner(where, names)
    papers = [name for name in numbers if name.endswith("-paper")]
    tight = style.css("padding-left:.2em;padding-right:.2em;")
    built = built.tab_style(tight, [loc.body(columns=numbers), loc.column_labels(columns=numbers)])
    built = built.tab_style(style.css("font-size:.82em;"), loc.column_labels(columns=numbers))
    built = _bold(
        built, [(name, int(str(index))) for index, row in frame[papers].iterrows() for name in leads.highest(row)]
    )
    total = [len(frame) - 1]
    line = style.css("border-top:2px solid var(--cxr-line);")
    built = built.tab_style(line, [loc.body(rows=total), loc.stub(rows=total)])
    return bare(_tinted(built, columns=[name for name in numbers if name not in papers]))


def _values(shown: Evidence, side: str, column: str, metric: str, rows: list[str]) -> list[float]:
    return [float(value) for value in shown.side(side, column, metric).reindex(rows)]


def _all_rows(sides: Sequence[Evidence]) -> list[str]:
    """The paper's rows, then those that any of our sides has."""
    return list(dict.fromkeys(row for one in sides for row in one.all_rows()))


def _with_runs(sides: Sequence[Evidence]) -> list[Evidence]:
    return [one for one in sides if one.runs]


def _stacked(sides: Sequence[Evidence]) -> str:
    """Tables 2 to 4: a block a variant, the paper's row above ours, one a tier."""
    shown = sides[0]
    values = {"paper": shown.published, **{one.tier: one.ours for one in _with_runs(sides)}}
    out = {(one.tier, row) for one in _with_runs(sides) for row in leads.unfit_of(one)}
    rows = [
        {"variant": title_of(shown.spec, row), "side": side + (UNFIT if (side, row) in out else "")}
        | {f"{column}-{metric}": of_side.get((row, column, metric)) for column, metric in shown.columns()}
        for row in _all_rows(sides)
        for side, of_side in values.items()
        if row in shown.rows() or side != "paper"
    ]
    frame = pd.DataFrame(rows)
    numbers = list(frame.columns[2:])
    frame[numbers] = frame[numbers].astype(float)
    labels: dict[str, Any] = {f"{column}-{metric}": METRICS[metric] for column, metric in shown.columns()}
    built = _base(frame, shown, stub="side", group="variant").tab_stubhead("Values").cols_label(labels)
    for average in ("micro", "macro"):
        built = built.tab_spanner(AVERAGES[average], [name for name in numbers if name.startswith(average)])
    papers = frame[frame["side"] == "paper"]
    scores = [name for name in numbers if "failure" not in name]
    built = _bold(built, [(name, int(i)) for name in scores for i in leads.highest(papers[name])])
    return bare(_tinted(built, rows=[i for i, row in enumerate(rows) if row["side"] != "paper"]))


def _base(frame: pd.DataFrame, shown: Evidence, stub: str = "row", group: str | None = None) -> GT:
    numbers = [str(name) for name in frame.columns if "-" in str(name)]
    built = GT(frame, rowname_col=stub, groupname_col=group, id=fresh_id(f"table{shown.spec.number}"))
    return built.fmt(decimal, columns=numbers).cols_align("right", columns=numbers)


def _heading(column: str, metric: str) -> str:
    return METRICS[metric] if column == "all" else f"{column.capitalize()}-{METRICS[metric]}"


def _bold(built: GT, cells: Iterable[tuple[str, int]]) -> GT:
    for name, row in cells:
        built = built.tab_style(style.text(weight="bold"), loc.body(columns=[name], rows=[row]))
    return built


def _tinted(built: GT, columns: list[str] | None = None, rows: list[int] | None = None) -> GT:
    tint = style.css("background:var(--cxr-tint);")
    if columns:
        built = built.tab_style(tint, [loc.body(columns=columns), loc.column_labels(columns=columns)])
    if rows:
        built = built.tab_style(tint, [loc.body(rows=rows), loc.stub(rows=rows)])
    return built


def bare(built: GT) -> str:
    """The table's HTML without great_tables' style sheet and its outer box."""
    raw = re.sub(r"<style>.*?</style>", "", built.as_raw_html(), flags=re.DOTALL)
    found = re.search(r"<table.*</table>", raw, flags=re.DOTALL)
    assert found, "great_tables always writes a table element"
    return found[0]


def _framed(sides: Sequence[Evidence], body: str) -> Html:
    spec, made = sides[0].spec, _with_runs(sides) or sides[:1]
    label = f"Table {spec.number}: {spec.title}"
    head = f'<div class="cxr-head"><strong>{escape(label)}</strong></div>'
    head += "".join(f'<div class="cxr-head">{_badges(one)}</div>' for one in made)
    lines = [*dict.fromkeys(note for one in made for note in _notes(one)), *few.notes(sides), _reference(spec.number)]
    notes = "".join(f'<p class="cxr-note">{line}</p>' for line in lines)
    behind = runs_behind(run for one in made for run in one.runs.values())
    return block(head + scrolling(body, label, dense=spec.number >= 5) + notes + behind)


def _badges(shown: Evidence) -> str:
    if not shown.runs:
        return badge("published", "arXiv 2512.23090", f"section {shown.spec.section}")
    infos = [run.info for run in shown.runs.values()]

    def span(read: Callable[[dict], object]) -> str:
        return ", ".join(dict.fromkeys(str(read(dict(info))) for info in infos))

    seeds = sorted({seed for info in infos for seed in info.get("seeds", [info["seed"]])})
    return badge(
        shown.tier,
        f"profile {shown.profile}",
        f"n = {span(lambda info: info['n'])} studies",
        f"seed {', '.join(map(str, seeds))}",
        f"{_place(shown)}, {span(lambda info: info['split'])} split",
    )


def _place(shown: Evidence) -> str:
    real, hospital = DATASETS[shown.spec.dataset]
    return f"{hospital} (in place of {real})" if shown.tier == "miniature" else real


def _notes(shown: Evidence) -> list[str]:
    """Sentences below a table: what is missing, how to read it, and what no film at all would score."""
    make = f"<code>make book PROFILE={escape(shown.profile)}</code>"
    if not shown.runs:
        return [
            f"The paper's values alone: the profile {escape(shown.profile)} has no results for this table. "
            f"{make} makes them.",
        ]
    notes = [_bold_note(shown.spec.number)]
    if shown.tier == "miniature":
        notes.insert(
            0,
            "Miniature: the models are small ones of the same classes as those they are named after, and the films "
            "are drawn. Compare no levels; whether an order or a direction can be compared, the text says.",
        )
    notes += _unfit_note(shown)
    if baseline := all_labels(shown.runs.values()):
        notes.append(
            f"Answering every label for every one of the {baseline.n} studies of the {shown.tier}, without a look at "
            f"the film, would score micro-F1 {decimal(baseline.micro['f1'])} and macro-F1 "
            f"{decimal(baseline.macro['f1'])}."
        )
    if shown.missing:
        notes.append(f"Not run yet: {escape(', '.join(shown.missing))}. {make} runs what is missing.")
    return notes


def _unfit_note(shown: Evidence) -> list[str]:
    """Which of our runs take part in no order, and why; nothing if all do."""
    reasons = [f"{leads.name_of(shown, name)} {reason}" for name, reason in leads.unfit_of(shown).items()]
    where = f"{shown.tier}, {DATASETS[shown.spec.dataset][1] if shown.tier == 'miniature' else shown.spec.dataset}"
    return [f"{UNFIT} Takes part in no order ({escape(where)}): {escape('; '.join(reasons))}."] if reasons else []


def _bold_note(number: int) -> str:
    what = "of each row" if number >= 5 else "of each column but the failure rates"
    return f"Bold: the highest value {what} as the paper prints it, which does not say that the difference is real."


def _reference(number: int) -> str:
    """What others than the models score on the paper's studies, for reading its values."""
    readers = "; ".join(f"{line.reader} {decimal(line.macro)}" for line in reference_lines(number))
    _, _, _, assumed = GROUNDS[number]
    return escape(f"To read the paper's macro-F1 by ({assumed}): {readers}.")
