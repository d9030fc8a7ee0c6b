"""The ledger of claims as a table that sorts and filters, each row leading to its evidence.

The table is whole without any script: `ledger.js`, a few lines that come with the page, adds the controls, all of
them native buttons and fields, so that a keyboard and a screen reader work them. Nothing is fetched. On a
phone each row becomes a card.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

from chexreason.claims import CANNOT, CLAIMS, STANDINGS, Outcome, open_side, outcomes, standing
from chexreason.claims.choices import BORNE_OUT, CHOICE, CONTRADICTED, NOISE, REFUSED
from chexreason.evidence import beside, read_runs, results_root
from chexreason.evidence import profile as shown_profile
from chexreason.provenance import STAGES
from chexreason.report.theme import Html, badge, block, escape, signed

#: The sign of how a claim stands, so that nothing is told by colour alone.
SIGNS = {BORNE_OUT: "✓", CHOICE: "±", NOISE: "?", CONTRADICTED: "✗", REFUSED: "–"}
#: The profile of the experiment.
EXPERIMENT = "experiment"
#: Where a row's evidence is: a picture or table of the audit's chapter.
AUDIT_PAGE = "audit.html"
#: What is shown there, by anchor.
EVIDENCE = {
    "arithmetic": "arithmetic",
    "contradictions": "contradictions",
    "conventions": "label conventions",
    "matched": "the same findings",
    "noise": "intervals",
    "untold": "what is missing",
    "validation": "intervals",
    "waterfall-chexreason": "by finding",
    "waterfall-medgemma_sft": "by finding",
}
#: What is shown on another page: page and words.
ELSEWHERE = {
    "table1": ("prompting.html", "Table 1"),
    "table2": ("sft.html", "Table 2"),
    "table3": ("sft.html", "Table 3"),
    "table4": ("grpo.html", "Table 4"),
    "sets": ("data.html", "the data sets"),
}
STYLE = """<style>
.cxr-ledger .cxr-controls{display:flex;flex-wrap:wrap;gap:.5em .9em;align-items:end;font-size:.85em;margin:.4em 0 .8em}
.cxr-ledger .cxr-controls[hidden]{display:none}
.cxr-ledger .cxr-controls label{display:flex;flex-direction:column;gap:.15em}
.cxr-ledger :is(select,input,.cxr-controls button){font:inherit;color:var(--cxr-text);
background:var(--pst-color-background,Canvas);border:1px solid var(--cxr-line);border-radius:.3em;padding:.25em .5em;
min-height:2.1em;max-width:100%}
.cxr-ledger thead button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:left}
.cxr-ledger thead button::after{content:" ↕";opacity:.6}
.cxr-ledger th[aria-sort=ascending] button::after{content:" ↑";opacity:1}
.cxr-ledger th[aria-sort=descending] button::after{content:" ↓";opacity:1}
.cxr-ledger :is(button,select,input,a):focus-visible{outline:2px solid var(--cxr-accent);outline-offset:2px}
.cxr-ledger table{width:100%;table-layout:auto}
.cxr .cxr-ledger :is(td,th),.cxr .cxr-ledger thead th{text-align:left;vertical-align:top;white-space:normal}
.cxr-ledger tbody th{min-width:14em}
.cxr-ledger .cxr-verdict{font-weight:600;white-space:nowrap}
.cxr-ledger .cxr-effect{white-space:nowrap;font-variant-numeric:tabular-nums}
.cxr-ledger .cxr-small{display:block;font-size:.9em;color:var(--cxr-muted);font-weight:400;white-space:normal}
@media (max-width:700px){
.cxr-ledger thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.cxr-ledger :is(table,tbody){display:block}
.cxr-ledger tbody tr:not([hidden]){display:block;border-bottom:2px solid var(--cxr-line);padding:.5em 0}
.cxr-ledger :is(td,tbody th){display:block;border:0;padding:.15em 0;min-width:0}
.cxr-ledger tbody th{font-weight:600}
.cxr-ledger td[data-head]::before{content:attr(data-head) ": ";font-size:.9em;color:var(--cxr-muted)}
}
</style>"""


@functools.cache
def judged(profile: str | None, results: Path | None = None) -> Mapping[str, Outcome]:
    """Every claim's verdict on the paper (None), or on a profile's runs; empty if it has none."""
    if profile is None:
        return outcomes(CLAIMS)
    there = read_runs(profile, results) or any((results_root(results) / profile).glob("seed*/*/run.json"))
    return outcomes(CLAIMS, open_side(profile, results)) if there else {}


def ledger(profile: str | None = None, results: Path | None = None) -> Html:
    """The table: each claim's verdict on the paper and, where there are runs, on the profiles and the experiment."""
    paper = judged(None)
    names = [*beside(profile or shown_profile(), results), EXPERIMENT]
    ours = {name: found for name in names if (found := judged(name, results))}
    sides = [f"on our runs ({name}, {next(iter(found.values())).tier})" for name, found in ours.items()]
    heads = ["claim", "where", "on the paper's tables", *sides, "evidence"]
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{escape(one)}</button></th>' for one in heads
    )
    rows = "".join(_row(claim, paper, ours, heads) for claim in CLAIMS)
    badges = badge("published", "arXiv 2512.23090")
    badges += "".join(f" {badge(next(iter(found.values())).tier, name)}" for name, found in ours.items())
    script = Path(__file__).with_name("ledger.js").read_text(encoding="utf-8")
    return block(
        f'{STYLE}<div class="cxr-ledger"><div class="cxr-head">{badges}</div>{_controls(sides)}'
        f'<div class="cxr-scroll" role="region" tabindex="0" aria-label="The claims of the paper and their verdicts">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div><script>{script}</script>"
    )


def _row(name: str, paper: Mapping[str, Outcome], ours: Mapping[str, Mapping[str, Outcome]], heads: list[str]) -> str:
    claim = CLAIMS[name]
    data = f'data-topic="{escape(claim.topic.lower())}" data-paper="{escape(standing(paper[name]))}"'
    data += "".join(f' data-run{k}="{escape(standing(found[name]))}"' for k, found in enumerate(ours.values()))
    cells = [
        f'<th scope="row" id="claim-{escape(name)}">{escape(claim.says)}'
        f'<span class="cxr-small">{escape(claim.rests_on)}</span></th>',
        f'<td data-head="where">{escape(claim.place)}</td>',
        _verdict(paper[name], heads[2]),
    ]
    cells += [_verdict(found[name], head) for found, head in zip(ours.values(), heads[3:], strict=False)]
    page, words = ELSEWHERE.get(claim.evidence) or (f"{AUDIT_PAGE}#evidence-{claim.evidence}", EVIDENCE[claim.evidence])
    link = f'<a href="{escape(page)}" aria-label="evidence: {escape(claim.says)}">'
    cells.append(f'<td data-head="evidence">{link}{escape(words)}</a></td>')
    return f"<tr {data}>{''.join(cells)}</tr>"


def _verdict(one: Outcome, head: str) -> str:
    stands = standing(one)
    order = STANDINGS.index(stands)
    words = f'<span class="cxr-verdict">{SIGNS[stands]} {one.verdict}</span>'
    if one.effect is not None and one.low is not None and one.high is not None:
        words += (
            f' <span class="cxr-effect">{signed(one.effect)}</span><span class="cxr-small cxr-effect">'
            f"{signed(one.low)} to {signed(one.high)}</span>"
        )
    detail = one.reason if one.n == "" else f"{one.reason}; {one.n}"
    said = f'<span class="cxr-small">{escape(detail)}</span>'
    said += "".join(f'<span class="cxr-small">{SIGNS[CHOICE]} {escape(text)}</span>' for text in one.turns)
    if one.together is not None and one.verdict != CANNOT:
        all_at_once = "also with all claims judged at once" if one.together else "not with all claims judged at once"
        said += f'<span class="cxr-small">{all_at_once}</span>'
    said += _runs(one)
    return f'<td data-head="{escape(head)}" data-sort="{order}">{words}{said}</td>'


def _runs(one: Outcome) -> str:
    """The way to the runs behind a verdict: the pages of their stages, which list them."""
    stages = {stage.number: stage.page for stage in STAGES.values()}
    pages = dict.fromkeys(stages[run[:2]] for run in one.runs if run[:2] in stages)
    links = ", ".join(f'<a href="{page}.html">{page}</a>' for page in pages)
    return f'<span class="cxr-small">runs: {links}</span>' if links else ""


def _controls(ours: list[str]) -> str:
    topics = list(dict.fromkeys(claim.topic for claim in CLAIMS.values()))

    def choice(name: str, label: str, options: list[str]) -> str:
        listed = "".join(f'<option value="{escape(one.lower())}">{escape(one)}</option>' for one in options)
        return f'<label>{escape(label)}<select name="{name}"><option value="">all</option>{listed}</select></label>'

    return (
        '<form class="cxr-controls" hidden><label>words<input type="search" name="words" size="14"></label>'
        + choice("topic", "topic", topics)
        + choice("paper", "on the paper's tables", list(STANDINGS))
        + "".join(choice(f"run{k}", name, list(STANDINGS)) for k, name in enumerate(ours))
        + '<button type="reset">show all</button><output aria-live="polite"></output></form>'
    )
