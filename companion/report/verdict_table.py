"""The ledger of claims as a table that sorts and filters, each row leading to its evidence.

The table is whole without any script: `ledger.js`, a few lines that come with the page, adds the controls, all of
them native buttons and fields, so that a keyboard and a screen reader work them. Nothing is fetched. On a
phone each row becomes a card.
"""

import base64
import functools
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from companion.evidence.claims import (
    CHANCE,
    CLAIMS,
    FAILS,
    HOLDS,
    NOT_RUN,
    OTHERWISE,
    REFUSED,
    RESTS,
    STANDINGS,
    VERDICTS,
    Outcome,
    open_side,
    outcomes,
)
from companion.evidence.claims.views import on_paper
from companion.evidence.sections import EXPERIMENT, STAGES
from companion.evidence.tables import beside, read_runs, results_root
from companion.evidence.tables import profile as shown_profile
from companion.report.behind import PLAN
from companion.report.theme import Html, badge, block, escape, scrolling, signed

#: A verdict's sign, and a standing's, so that none is told by colour alone.
SIGNS = {HOLDS: "✓", RESTS: "⇄", CHANCE: "≈", FAILS: "✗", OTHERWISE: "≠", REFUSED: "∅", NOT_RUN: "–"}
#: Where the audit's pictures and tables are; each has an anchor that starts like this.
AUDIT = "audit.html#evidence-"
#: What a claim rests on, by the name of its evidence: the place, and what is shown there.
EVIDENCE = {
    **{name: (f"{AUDIT}{name}", shown) for name, shown in {
        "arithmetic": "numbers of the text",
        "contradictions": "contradictions",
        "conventions": "label conventions",
        "matched": "the same findings",
        "noise": "intervals of Tables 5 and 6",
        "untold": "what is missing",
        "validation": "intervals of Tables 1 to 4",
        "waterfall-chexreason": "by finding",
        "waterfall-medgemma_sft": "by finding",
    }.items()},
    "table1": ("prompting.html#table-1", "Table 1"),
    "table2": ("sft.html#table-2", "Table 2"),
    "table3": ("sft.html#table-3", "Table 3"),
    "tables2and3": ("sft.html", "Tables 2 and 3"),
    "table4": ("grpo.html#table-4", "Table 4"),
    "figure1": ("sft.html#how-the-training-went-figure-1", "Figure 1"),
    "cells": ("cells.html", "images, labels or patients"),
    "collapse": ("smaller.html#does-anything-collapse", "collapse"),
    "cures": ("smaller.html#does-a-mitigation-gain-abroad", "mitigations"),
    "data": ("data.html#chexpert", "how the test set was used"),
}  # fmt: skip


#: The claims that are shown first: those of the abstract, and the paper's explanation of what it found.
KEY = frozenset(name for name, claim in CLAIMS.items() if claim.stated and claim.place.startswith("abstract")) | {
    "aligns-to-convention"
}


@functools.cache
def judged(profile: str | None, results: Path | None = None) -> Mapping[str, Outcome]:
    """Every claim's verdict on the paper (None), or on a profile's runs; empty if it has none."""
    if profile is None:
        return on_paper()
    there = read_runs(profile, results) or any((results_root(results) / profile).glob("seed*/*/run.json"))
    return outcomes(CLAIMS, open_side(profile, results)) if there else {}


def tally(found: Mapping[str, Outcome]) -> dict[str, int]:
    """How many claims have each verdict, twins included."""
    return {verdict: sum(one.verdict == verdict for one in found.values()) for verdict in VERDICTS}


def standings(found: Mapping[str, Outcome]) -> dict[str, int]:
    """Where the claims stand that the paper makes, each counted once."""
    return {where: sum(one.standing == where for one in stated(found).values()) for where in STANDINGS}


def stated(found: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes of what the paper itself says, without the twins."""
    return {name: one for name, one in found.items() if CLAIMS[name].stated}


def ledger(profile: str | None = None, results: Path | None = None) -> Html:
    """The table: each claim's verdict on the paper and, where there are runs, on the profiles and the experiment."""
    paper, badges = judged(None), badge("published", "arXiv 2512.23090")
    ours = {}
    for name in [*beside(profile or shown_profile(), results), EXPERIMENT]:
        if found := judged(name, results):
            tier = next(iter(found.values())).tier
            ours[f"on our runs ({name}, {tier})"] = found
            badges += f" {badge(tier, name)}"
    heads = ["claim", "where", "on the paper's tables", "depends on a choice of", *ours, "evidence"]
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{escape(one)}</button></th>' for one in heads
    )
    rows = "".join(_row(claim, paper, ours, heads) for claim in CLAIMS)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    style, script = (Path(__file__).with_name(f"ledger.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    whole = scrolling(table, "The claims of the paper and their verdicts") + _as_csv(paper, ours)
    return block(
        f'<style>\n{style}</style><div class="cxr-ledger"><div class="cxr-head">{badges}</div>{_controls()}'
        f"{whole}</div><script>{script}</script>"
    )


def _as_csv(paper: Mapping[str, Outcome], ours: Mapping[str, Mapping[str, Outcome]]) -> str:
    """All claims and verdicts, as a file to keep."""
    sides = {"paper": paper, **ours}
    frame = pd.DataFrame([
        {"claim": name, "says": claim.says, "where": claim.place, "ours": "" if claim.stated else "our reading",
         **{f"{side}: {what}": getattr(found[name], what) for side, found in sides.items()
            for what in ("verdict", "effect", "low", "high", "reason")}}
        for name, claim in CLAIMS.items()
    ])  # fmt: skip
    data = base64.b64encode(frame.to_csv(index=False).encode()).decode()
    return f'<p class="cxr-note"><a download="claims.csv" href="data:text/csv;base64,{data}">All of it as CSV</a></p>'


def _row(name: str, paper: Mapping[str, Outcome], ours: Mapping[str, Mapping[str, Outcome]], heads: list[str]) -> str:
    claim, one = CLAIMS[name], paper[name]
    data = {"topic": claim.topic.lower(), "paper": one.verdict, "standing": one.standing}
    data |= ({} if claim.stated else {"twin": "yes"}) | ({"key": "yes"} if name in KEY else {})
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    whose = " (our reading)" if not claim.stated else " (the bar is ours)" if claim.sharpened else ""
    place, shown = EVIDENCE[claim.evidence]
    cells = [
        f'<th scope="row" id="claim-{escape(name)}">{escape(claim.says)}'
        f'<span class="cxr-small">{escape(claim.rests_on)}</span></th>',
        f'<td data-head="where">{escape(claim.place)}{whose}</td>',
        _verdict(one, heads[2]),
        f'<td data-head="{heads[3]}">{_choices(one, paper)}</td>',
        *(_verdict(found[name], head) for head, found in ours.items()),
        f'<td data-head="evidence"><a href="{place}" aria-label="{shown}: {escape(claim.says)}">{shown}</a></td>',
    ]
    look = "" if claim.stated else ' class="cxr-twin"'
    return f"<tr{look} {attributes}>{''.join(cells)}</tr>"


def _choices(one: Outcome, found: Mapping[str, Outcome]) -> str:
    """What turns a claim, and what its twin says."""
    said = []
    for kind, twin in one.turned_by:
        other = found[twin]
        effect = "" if other.effect is None else f" {signed(other.effect)}"
        told = f"{SIGNS[other.verdict]} {other.verdict}{effect}: {escape(CLAIMS[twin].rests_on)}"
        said.append(f'{escape(kind)}<span class="cxr-small">{told}</span>')
    return "".join(said) or "–"


def _verdict(one: Outcome, head: str) -> str:
    cell = f'<td data-head="{escape(head)}" data-sort="{VERDICTS.index(one.verdict)}">'
    if one.verdict == NOT_RUN:
        return f'{cell}<span title="not run">–</span></td>'
    words = f'<span class="cxr-verdict" data-verdict="{one.verdict}">{SIGNS[one.verdict]} {one.verdict}</span>'
    if one.effect is not None:
        words += f' <span class="cxr-effect">{signed(one.effect)}</span>'
    if one.low is not None and one.high is not None and one.low < one.high:  # what is counted has no interval
        words += f'<span class="cxr-small cxr-effect">{signed(one.low)} to {signed(one.high)}</span>'
    words += f'<span class="cxr-small">{escape("; ".join(details(one)))}</span>'
    # The runs behind it, to unfold; each leads to what made it.
    pages = {stage.number: f"notebooks/{stage.notebook}.html" for stage in STAGES.values()}
    runs = "".join(
        f'<li><a href="{pages.get(run.partition("-")[0], PLAN)}"><code>{escape(run)}</code></a></li>'
        for run in one.runs
    )
    words += f"<details><summary>runs ({len(one.runs)})</summary><ul>{runs}</ul></details>" * bool(runs)
    return f"{cell}{words}</td>"


def details(one: Outcome) -> list[str]:
    """A verdict's reason, whether it stands with all tests, and on how many studies."""
    jointly = {None: "", True: "also with all {} tests", False: "not with all {} tests"}[one.together]
    return [part for part in (one.reason, jointly.format(one.tests), one.n) if part]


def _controls() -> str:
    topics = dict.fromkeys(claim.topic for claim in CLAIMS.values())
    choices = {"topic": ("topic", topics), "standing": ("stands", STANDINGS),
               "paper": ("on the paper's tables", VERDICTS)}  # fmt: skip
    fields = (
        f'<label>show<select name="key"><option value="yes">{len(KEY)} key claims</option>'
        '<option value="">all claims</option></select></label>'
        '<label>words<input type="search" name="words" size="14"></label>'
    )
    for name, (label, options) in choices.items():
        listed = "".join(f'<option value="{escape(one.lower())}">{escape(one)}</option>' for one in options)
        fields += f'<label>{escape(label)}<select name="{name}"><option value="">all</option>{listed}</select></label>'
    end = '<button type="reset">start again</button><output aria-live="polite"></output>'
    return f'<form class="cxr-controls" hidden>{fields}{end}</form>'
