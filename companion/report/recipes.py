"""The paper's GRPO recipe beside those of its neighbours (section 3.2.2 against public code and configurations).

The neighbours are in `results/published/recipes.csv`, each with the file it was read from; the paper's own row comes
from the settings. A dash is a value that the file read does not set, or that section 3.2.2 does not state.
"""

import pandas as pd

from chexreason.recipe import GRPO
from companion.evidence import sealed
from companion.report.frames import frame_table
from companion.report.theme import Html, badge

FILE = "recipes.csv"
HEADS = {"recipe": "Recipe", "beta": "KL weight", "group": "Group", "clip": "Clip bounds", "advantage": "Advantage",
         "sampling": "Temperature, top-p", "learning_rate": "Learning rate", "reward": "Reward",
         "source": "Read in"}  # fmt: skip
#: Lets a browser break a long path after its strokes.
BREAK = "/\u200b"


def rows() -> list[dict[str, str]]:
    """The neighbours' recipes as they are in the file. Raises UserError if it is not the one that was checked."""
    return sealed.rows(FILE)


def neighbours() -> Html:
    """All recipes in one table, the paper's first, each with where it was read."""
    found = [_papers(), *map(dict, rows())]
    for row in found:
        read = "" if row.get("read", "code") == "code" else f"{row['read']}: "
        row["sampling"] = f"{row['temperature']}, {row['top_p']}" if row["temperature"] else ""
        row["source"] = read + row["source"].replace("/", BREAK)
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
