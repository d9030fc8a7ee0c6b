"""What fills the pages about settings, prompts, data sets and recipes; each from its one home."""

import pandas as pd

from chexreason import prompts
from chexreason.recipe import GRPO
from companion.evidence import sealed
from companion.phantoms import HOSPITALS
from companion.report.frames import frame_table
from companion.report.settings import settings_table
from companion.report.theme import Html, badge, block, escape

GROUPS = {
    "sizes": "How many studies",
    "sft": "Supervised fine-tuning",
    "grpo": "GRPO",
    "decoding": "Decoding and scoring",
    "hard": "The hard reward (equation 3)",
    "nuanced": "The nuanced reward (equation 4)",
}
#: Columns of results/published/recipes.csv as the book heads them.
RECIPES = {"recipe": "Recipe", "beta": "KL weight", "group": "Group", "clip": "Clip bounds", "advantage": "Advantage",
           "sampling": "Temperature, top-p", "learning_rate": "Learning rate", "reward": "Reward",
           "source": "Read in"}  # fmt: skip


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
    heads = {"name": "Hospital", "title": "What it is", "convention": "Labels by", "layout": "Layout on disk",
             "source": "Source of the rates"}  # fmt: skip
    rows = [{head: getattr(place, name) for name, head in heads.items()} for place in HOSPITALS.values()]
    return frame_table(pd.DataFrame(rows), "The three simulated hospitals", wrap=list(heads.values())[1:])


def recipes() -> Html:
    """GRPO's settings in the paper and in public code and configurations, each with where it was read.

    A dash is a value that the file read does not set, or that section 3.2.2 does not state.
    """
    paper = {
        "recipe": "ChexReason", "beta": f"{GRPO.beta:g}", "group": str(GRPO.num_generations),
        "clip": f"{GRPO.epsilon:.2f} below, {GRPO.epsilon_high:.2f} above",
        "advantage": "group mean, with Dr. GRPO's loss; whether with the spread is open",
        "temperature": f"{GRPO.temperature:g}", "top_p": f"{GRPO.top_p:g}", "learning_rate": "", "read": "code",
        "reward": "Jaccard of labels if the format is exact, else 0; a penalty if short (equation 3); or equation 4",
        "source": "section 3.2.2",
    }  # fmt: skip
    found = [paper, *sealed.rows("recipes.csv")]
    for row in found:
        row["sampling"] = f"{row['temperature']}, {row['top_p']}" if row["temperature"] else ""
        # A browser may break a long path after its strokes.
        row["source"] = f"{row['read']}: ".removeprefix("code: ") + row["source"].replace("/", "/\u200b")
    frame = pd.DataFrame(found)[list(RECIPES)].replace("", "–").rename(columns=RECIPES)
    wide = [str(name) for name in frame if name not in ("KL weight", "Group")]
    return frame_table(frame, "Recipes", wrap=wide, dense=True,
                       head=badge("published", "public code and configurations"))  # fmt: skip
