"""What fills the pages about settings, prompts and data sets; each from its one home in the code."""

import pandas as pd

from chexreason import prompts
from companion.evidence import sealed
from companion.phantoms import HOSPITALS
from companion.report.frames import frame_table
from companion.report.settings import settings_table
from companion.report.theme import Html, block, escape

GROUPS = {
    "sizes": "How many studies",
    "sft": "Supervised fine-tuning",
    "grpo": "GRPO",
    "decoding": "Decoding and scoring",
    "hard": "The hard reward (equation 3)",
    "nuanced": "The nuanced reward (equation 4)",
}


def settings(group: str) -> Html:
    """The settings of one group: value, whether stated or assumed, what for, and what profiles change."""
    table = settings_table()
    mine = table[table["group"] == group]
    stated = "stated, section " + mine["section"].astype(str)
    shown = pd.DataFrame(
        {
            "setting": mine["setting"] + ": " + mine["what"],
            "value": ["all" if value is None else str(value) for value in mine["value"]],
            "source": stated.where(mine["source"] == "stated", "assumed: " + mine["why"].astype(str)),
            "profiles that change it": mine["overrides"],
        }
    )
    if not (shown["profiles that change it"] != "").any():
        shown = shown.drop(columns="profiles that change it")
    names = tuple(str(name) for name in shown if name != "value")
    return frame_table(shown, f"Settings: {GROUPS[group]}", wrap=names)


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
