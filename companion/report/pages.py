"""What fills the pages about settings, prompts, data sets and models; each from its one home in the code.

A page holds no list of its own: settings come from `chexreason.config`, prompts from
`chexreason.prompts`, facts of the data sets from
`results/published/datasets.csv`, and a model's card from the folder of its checkpoint.
"""

import re

import pandas as pd
from markdown_it import MarkdownIt
from markdown_it.token import Token

from chexreason import config, prompts
from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import sealed
from companion.phantoms import HOSPITALS
from companion.report.settings import settings_table
from companion.report.tables import frame_table
from companion.report.theme import Html, Prose, badge, block, escape, scrolling

CHECKPOINTS = config.ROOT / "companion" / "phantoms" / "checkpoints"
GROUPS = {
    "sizes": "How many studies",
    "sft": "Supervised fine-tuning",
    "grpo": "GRPO",
    "decoding": "Decoding and scoring",
    "hard": "The hard reward (equation 3)",
    "nuanced": "The nuanced reward (equation 4)",
}


def settings_summary() -> Prose:
    """How many settings the paper states, and how many had to be assumed."""
    table = settings_table()
    stated = int((table["source"] == "stated").sum())
    return Prose(
        f"Of the {len(table)} settings of this study, the paper states {stated}; the other {len(table) - stated} "
        "had to be assumed, and each says why."
    )


def settings(group: str) -> Html:
    """The settings of one group: value, whether stated or assumed, what for, and what profiles change."""
    table = settings_table()
    mine = table[table["group"] == group]
    changed = bool((mine["overrides"] != "").any())
    rows = []
    for row in mine.to_dict("records"):
        source = f"section {row['section']}" if row["source"] == "stated" else row["why"]
        others = "<br>".join(escape(line) for line in _overrides(row["overrides"]))
        rows.append(
            f'<tr><th scope="row" class="cxr-left cxr-wrap"><code>{escape(row["setting"])}</code><br>'
            f"{escape(row['what'])}</th><td>{escape('all' if row['value'] is None else row['value'])}</td>"
            f'<td class="cxr-left cxr-wrap"><span class="cxr-source cxr-{row["source"]}">{row["source"]}</span> '
            f"{escape(source)}</td>" + (f'<td class="cxr-left cxr-wrap">{others}</td>' if changed else "") + "</tr>"
        )
    names = ["setting", "value", "source"] + (["profiles that change it"] if changed else [])
    head = "".join(f'<th scope="col"{"" if name == "value" else " class=cxr-left"}>{name}</th>' for name in names)
    body = f'<table class="cxr-wide"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return block(scrolling(body, f"Settings: {GROUPS[group]}"))


def _overrides(listed: str) -> list[str]:
    """One line a profile; a reason may hold a semicolon of its own, so a line begins at a profile's name.

    >>> _overrides("demo: 1 (small; fast); paper: 2 (as stated)")
    ['demo: 1 (small; fast)', 'paper: 2 (as stated)']
    """
    names = "|".join(map(re.escape, config.profile_names()))
    return [line for line in re.split(rf"; (?=(?:{names}): )", listed) if line]


def prompt_cards() -> Html:
    """Every prompt: its cue, and the instruction as it is sent."""
    cards = []
    for prompt in prompts.PROMPTS.values():
        blocks = " then ".join(f"<code>&lt;{name}&gt;</code>" for name in prompt.answer.blocks)
        cards.append(
            f'<details class="cxr-card"><summary><strong>{escape(prompt.title)}</strong>: {escape(prompt.cue)}'
            f"</summary><p>{escape(prompt.text)}</p><p class='cxr-note'>Name <code>{escape(prompt.name)}</code>, "
            f"version {prompt.version}; answers in {blocks}.</p></details>"
        )
    return block("".join(cards))


def dataset_facts(dataset: str) -> Html:
    """What is publicly known of a data set, each fact with its source."""
    table = sealed.frame("datasets.csv")
    mine = table[table["dataset"] == dataset][["fact", "value", "source"]]
    return frame_table(mine, f"Facts about {dataset}", wrap=("fact", "value", "source"))


def hospitals() -> Html:
    """The three simulated hospitals: what they imitate and where their rates come from."""
    rows = [
        {
            "Hospital": place.name,
            "What it is": place.title,
            "Labels by": place.convention,
            "Layout on disk": place.layout,
            "Source of the rates": place.source,
        }
        for place in HOSPITALS.values()
    ]
    frame = pd.DataFrame(rows)
    return frame_table(frame, "The three simulated hospitals", wrap=tuple(frame.columns[1:]))


def shared_labels() -> Prose:
    """Which findings NIH shares, as a sentence."""
    rest = [name for name in FINDINGS if name not in NIH_SHARED]
    return Prose(
        f"The paper scores NIH on {len(NIH_SHARED)} of the {len(FINDINGS)} findings: {', '.join(NIH_SHARED)}. "
        f"Left out are {', '.join(rest)}."
    )


def model_cards() -> Html:
    """The cards of the base checkpoints that come with the repository."""
    cards = sorted(CHECKPOINTS.glob("*/README.md"))
    if not cards:
        return block('<p class="cxr-note">No base checkpoint is in this copy of the repository.</p>')
    parts = [f'<section class="cxr-modelcard">{render(path.read_text(encoding="utf-8"))}</section>' for path in cards]
    return block(f'<div class="cxr-head">{badge("miniature", "drawn pictures only")}</div>' + "".join(parts))


def render(text: str, deeper: int = 2) -> str:
    """Markdown as HTML with its headings `deeper` levels down; a YAML head and relative links fall away."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + deeper)}"
        _unlink(token)
    html = parser.renderer.render(tokens, parser.options, {})
    return re.sub(r"<table>.*?</table>", lambda found: scrolling(found[0], "table"), html, flags=re.DOTALL)


def _unlink(token: Token) -> None:
    for child in token.children or []:
        target = child.attrGet("href") if child.type == "link_open" else None
        if target is not None and not str(target).startswith(("http://", "https://")):
            child.attrs.pop("href")
