"""Runs on the terminal: one of one's own predictions as scored, and two runs compared."""

import os
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from chexreason.data import SOURCES
from chexreason.labels import LABEL_SETS
from chexreason.runs import Run
from companion.evidence import tables
from companion.evidence.audit.lines import reference_lines
from companion.evidence.claims import CLAIMS, Outcome
from companion.evidence.comparable import ENOUGH
from companion.evidence.outcomes import NAMED
from companion.evidence.paired import Compared, recorded_policy
from companion.evidence.scoring import BLIND
from companion.evidence.sealed import listed
from companion.report.terminal import NARROWEST, WIDEST, titled, wrapped
from companion.report.theme import decimal, signed

AVERAGES = {"micro": "micro", "macro": "macro", "macro of NIH's nine": "macro, NIH's nine",
            "macro of frequent": f"macro, {ENOUGH} positives or more"}  # fmt: skip
LABELS = {"recorded": "what is recorded", "drawn": "what was drawn", "report": "labels mined from a report",
          "radiologist": "a radiologist's labels", "text-mined": "text-mined labels, as NIH has them"}  # fmt: skip
POLICIES = {"zeros": "count as not there", "ones": "count as there", "ignore": "do not count"}


def run_text(run: Run, claims: Mapping[str, Outcome], width: int) -> str:
    """A scored run: what was scored, its averages and findings, the reference lines, the claims, where it lies."""
    width, info = max(NARROWEST, min(WIDEST, width)), run.info
    values = run.metrics().set_index(["finding", "metric"])
    cell, names = values["value"], LABEL_SETS[str(info["label_set"])]
    ends = {end: values[end].xs("f1", level="metric").to_dict() for end in ("low", "high")}
    where = f"{_title(info['dataset'])}, {info['split']} split"
    form = {
        "probabilities": f"probabilities, named from {info['config']['threshold']:g} on",
        "completions": f"completions, read as {info['prompt']} asks for them",
    }.get(info["form"], info["form"])
    facts = [f"{info['n']:,} studies of {info['patients']:,} patients; {len(names)} findings; {form}; "
             f"uncertain labels {POLICIES[recorded_policy(run)]}."]  # fmt: skip
    facts += [f"Left out: {_counted(info['left_out'])}."] if info["left_out"] else []
    facts += [f"Not all of the test set, which has {whole:,}: the paper's values below are of all."
              for whole in _more(run)]  # fmt: skip
    head = ["F1", "95 % by patient", "P", "R", "AUROC", "recorded", "named"]
    lines: dict[str, list[str]] = {}
    for name in [*(one for one in AVERAGES if (one, "f1") in values.index), "", *names]:
        shown = ("f1", "low", "high", "precision", "recall", "auroc", "support", "predicted")
        at = {one: float(cell.get((name, one), np.nan)) for one in shown}
        at |= {end: float(of.get(name, np.nan)) for end, of in ends.items()}
        known = at["support"] != 0  # else there is nothing to score
        between = f"{decimal(at['low'])} to {decimal(at['high'])}" if known and at["low"] == at["low"] else ""
        shares = [(decimal(at[one]) if known else "–") if at[one] == at[one] else "" for one in shown[:1] + shown[3:6]]
        counts = [f"{at[one]:.0f}" if at[one] == at[one] else "" for one in shown[6:]]
        lines[AVERAGES.get(name, name)] = [shares[0], between, *shares[1:], *counts]
    found = pd.DataFrame.from_dict(lines, orient="index", columns=head)
    found = found.loc[:, (found != "").any()]
    operating = [f"{title} {decimal(cell['micro', title], 2)}" for title in
                 ("labels named per recorded", "abnormal called normal", "normal called normal")
                 if ("micro", title) in cell.index]  # fmt: skip
    failed = f"answers that cannot be read {cell['micro', 'failure_rate']:.1%}"
    out = [titled(f"{info['model']} on {where} ({info['tier']})", width), *(wrapped(one, width) for one in facts), "",
           columns(found, width, "Finding"), "",
           wrapped(f"{'; '.join([*operating, failed])}.".capitalize(), width), "",
           titled("To hold it against", width), columns(_references(run, cell), width, "reader"), ""]  # fmt: skip
    floor = cell["macro", f"f1 of {BLIND[0]}"]
    if cell["macro", "f1"] < floor:
        out += [wrapped(f"Below naming every label (macro-F1 {decimal(floor)}): it stands in no ranking.", width), ""]
    out += [*_claims(run, claims, width), "", wrapped(f"Written: {os.path.relpath(run.folder)}", width)]
    return "\n".join(out)


def _more(run: Run) -> Iterable[int]:
    """Studies of the published test set where the run scored fewer."""
    of_paper = run.info["dataset"] in ("chexpert", "nih") and (run.info["split"], run.info["tier"]) == (
        "test",
        "replication",
    )
    if of_paper and run.info["n"] < (whole := listed(str(run.info["dataset"]))):
        yield whole


def _references(run: Run, cell: pd.Series) -> pd.DataFrame:
    """Readers without an image on the same studies; known readers and the paper's models on theirs."""
    info, lines = run.info, {}
    for name in BLIND:
        lines[f"{name}, same studies"] = [decimal(cell[one, f"f1 of {name}"]) for one in ("micro", "macro")]
    lines["no label, same studies"] = [decimal(0.0)] * 2
    number = next((n for n in (5, 6) if tables.TABLES[n].dataset == info["dataset"] and info["split"] == "test"), None)
    if number and info["tier"] != "miniature" and not tables.unlike(tables.TABLES[number], run):
        lines |= {line.reader: ["", decimal(line.macro)] for line in reference_lines(number)[3:]}
        printed = tables.gather(number, info["profile"]).alone().published
        for model, title in tables.MODELS.items():
            lines[f"{title}, as printed (Table {number})"] = ["", decimal(printed["macro", model, "f1"])]
    return pd.DataFrame.from_dict(lines, orient="index", columns=["micro-F1", "macro-F1"])


def _claims(run: Run, claims: Mapping[str, Outcome], width: int) -> Iterable[str]:
    if not claims:
        models = ", ".join(tables.MODELS)
        told = (
            f"No claim of the paper is about a model called {run.info['model']}. They are about its five models on the "
            "two test sets: "
            f"if these are the predictions of one, name it with --name ({models})."
        )
        return [wrapped(told, width)]
    said = [titled("The claims that it concerns", width)]
    alike: dict[str, list[str]] = {}
    for name, one in claims.items():
        if not one.missing:
            alike.setdefault(f"{one.verdict}: {one.reason}", []).append(f"- {CLAIMS[name].says} [{name}]")
    for verdict, about in alike.items():
        said += [wrapped(line, width) for line in (verdict, *about)]
    if waiting := [one.missing for one in claims.values() if one.missing]:
        gone = ", ".join(dict.fromkeys(waiting))
        said.append(wrapped(f"{len(waiting)} wait for runs that are not there: {gone}.", width))
    return said


def compared_text(found: Compared, width: int) -> str:
    """Two runs, the difference of each score, and what it rests on."""
    width = max(NARROWEST, min(WIDEST, width))
    out = [titled("The second run minus the first", width)]
    for place, name, failed in zip(("first", "second"), found.names, found.failures, strict=True):
        out.append(wrapped(f"{place}: {name}; answers that cannot be read: {failed:,}", width))
    out.append(wrapped(
        f"{found.tier}: {found.where}; {found.studies:,} studies of {found.patients:,} patients, "
        f"{len(found.findings)} finding{'s' * (len(found.findings) > 1)}; held against {LABELS[found.against]}; "
        f"uncertain labels {POLICIES[found.policy]}.", width))  # fmt: skip
    if found.left_out:
        out.append(wrapped(f"Left out: {_counted(found.left_out)}.", width))
    starred, lines = False, dict[str, list[str]]()
    for one in found.table.to_dict("records"):
        if one["score"] in (found.findings[0], NAMED.title):
            lines[" " * len(lines)] = [""] * 5
        first, second, gap = decimal(one["first"]), decimal(one["second"]), signed(one["difference"])
        ends = f"{signed(one['low'])} to {signed(one['high'])}" if one["low"] == one["low"] else ""
        if one["positives"] == 0:  # there is nothing to score
            first, second, gap, ends = "–", "–", "–", ""
        star = " *" if (one["low"] > 0 or one["high"] < 0) and not any(found.unfit) else "  "
        count = f"{one['positives']:.0f}" if one["positives"] == one["positives"] else ""
        starred |= "*" in star
        lines[AVERAGES.get(one["score"].replace("-F1", ""), one["score"])] = [count, first, second, gap, ends + star]
    counts = "recorded" if found.against == "recorded" else "positive"
    head = [counts, "first", "second", "difference", f"95 % by {'patient' if found.seeds == 1 else 'training'}  "]
    out += ["", columns(pd.DataFrame.from_dict(lines, orient="index", columns=head), width, "F1"), ""]
    for place, reason in zip(("first", "second"), found.unfit, strict=True):
        if reason:
            out.append(wrapped(f"The {place} {reason}: its differences carry no conclusion.", width))
    star = "* The interval leaves out 0, each by itself. " if starred else ""
    note = star + (
        "Patients are drawn again and again, the same for both runs; what another training of either would give is in "
        "no interval." if found.seeds == 1 else
        f"Means of {found.seeds} trainings, each on studies of its own; Student's interval of their differences, which "
        "is wide for few. Which findings are frequent differs from seed to seed: their average is left out."
    )  # fmt: skip
    return "\n".join([*out, wrapped(note, width)])


def _title(dataset: str) -> str:
    return SOURCES[dataset].title if dataset in SOURCES else dataset


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in reasons.items())


def columns(frame: pd.DataFrame, width: int, stub: str) -> str:
    """A table whose numbers stand below one another; of its columns as many as fit, the others further below."""
    stubs = [stub, *map(str, frame.index)]
    first = max(map(len, stubs))
    if first > width // 2:
        first = width // 2
        stubs = [one if len(one) <= first else f"{one[: first - 1]}…" for one in stubs]
    blocks: list[list[list[str]]] = [[]]
    room = width - first
    for name in frame:
        cells = [str(name), *frame[name]]
        size = max(map(len, cells)) + 2
        if size > room and blocks[-1]:
            blocks.append([])
            room = width - first
        blocks[-1].append([one.rjust(size) for one in cells])
        room -= size
    tables_ = ["\n".join("".join([s.ljust(first), *line]).rstrip() for s, *line in zip(stubs, *block, strict=True))
               for block in blocks]  # fmt: skip
    return "\n\n".join(tables_)
