"""The paper's GRPO recipe beside those of its neighbours (section 3.2.2 against public code and configurations).

The neighbours are in `results/published/recipes.csv`, each with the file it was read from; the paper's own row comes
from the settings. A dash is a value that the file read does not set, or that section 3.2.2 does not state.
"""

from dataclasses import dataclass

import pandas as pd

from chexreason.recipe import GRPO
from companion.evidence import sealed
from companion.report.frames import frame_table
from companion.report.theme import Html, badge

FILE = "recipes.csv"
TEXT = ("recipe", "group", "clip", "advantage", "temperature", "top_p", "learning_rate", "reward", "read", "source")
HEADS = {"recipe": "Recipe", "beta": "KL weight", "group": "Group", "clip": "Clip bounds", "advantage": "Advantage",
         "sampling": "Temperature, top-p", "learning_rate": "Learning rate", "reward": "Reward",
         "source": "Read in"}  # fmt: skip
#: Lets a browser break a long path after its strokes.
BREAK = "/\u200b"


@dataclass(frozen=True)
class Span:
    """The paper's value, and the least and the most of its neighbours."""

    ours: float
    least: float
    most: float


def rows() -> list[dict[str, str]]:
    """The neighbours' recipes as they are in the file. Raises UserError if it is not the one that was checked."""
    return sealed.rows(FILE)


def neighbours() -> Html:
    """All recipes in one table, the paper's first, each with where it was read."""
    found = [_papers(), *({**row, "source": _source(row)} for row in rows())]
    for row in found:
        row["sampling"] = f"{row['temperature']}, {row['top_p']}" if row["temperature"] else ""
        row["source"] = row["source"].replace("/", BREAK)
    frame = pd.DataFrame(found)[list(HEADS)].replace("", "–").rename(columns=HEADS)
    wide = ("Recipe", "Clip bounds", "Advantage", "Temperature, top-p", "Learning rate", "Reward", "Read in")
    head = badge("published", "public code and configurations")
    return frame_table(frame, "Recipes", wrap=wide, dense=True, head=head)


def _papers() -> dict[str, str]:
    return {
        "recipe": "ChexReason", "beta": f"{GRPO.beta:g}", "group": str(GRPO.num_generations),
        "clip": f"{GRPO.epsilon:.2f} below, {GRPO.epsilon_high:.2f} above",
        "advantage": "group mean, with Dr. GRPO's loss; whether with the spread is open",
        "temperature": f"{GRPO.temperature:g}", "top_p": f"{GRPO.top_p:g}", "learning_rate": "",
        "reward": "Jaccard of labels if the format is exact, else 0; a penalty if short (equation 3); or equation 4",
        "source": "section 3.2.2",
    }  # fmt: skip


def _source(row: dict[str, str]) -> str:
    return row["source"] if row["read"] == "code" else f"{row['read']}: {row['source']}"


def spans() -> dict[str, Span]:
    """KL weight and size of the group: the paper's, and its neighbours' range."""
    betas = [float(row["beta"]) for row in rows()]
    groups = [float(row["group"]) for row in rows() if row["group"]]
    return {
        "beta": Span(GRPO.beta, min(betas), max(betas)),
        "group": Span(GRPO.num_generations, min(groups), max(groups)),
    }


def range_of_groups() -> str:
    """How the paper's group size stands among its neighbours'."""
    group = spans()["group"]
    return "the smallest" if group.ours < group.least else "within the range"
