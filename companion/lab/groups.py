"""Groups of completions as a training rewarded them, and answers to validation studies, for *Try a reward*."""

import json
from typing import Any

import pandas as pd

from chexreason.config import Profile, load_profile
from companion.experiment import plan
from companion.lab import xrays

FOLDER = xrays.ANSWERS.parent
#: Completions of a group.
SIZE = 4
#: Blanks in front of an answer that the second level of the game allows.
FEW = 50
_SFT = "every rule has to take the fine-tuned model's answers"
_LIST = "every rule has to be a list"
#: The levels of *hack the reward, then fix it*: which reward pays, whose earnings are to be beaten (zero, if nobody's),
#: where all answers have to come from, how many blanks they may have, and what a player reads.
LEVELS: tuple[dict[str, Any], ...] = (
    {"reward": "hard", "beats": "sft", "source": "sft", "blanks": None, "fix": False, "rule": _SFT,
     "task": "Equation 3: earn more than the fine-tuned model with its own labels, unchanged."},
    {"reward": "hard", "beats": "hard", "source": "sft", "blanks": FEW, "fix": False,
     "rule": f"{_SFT}, with at most {FEW} blanks",
     "task": "Equation 3: earn more than the model after GRPO (equation 3) with the fine-tuned model's labels, and no "
             f"more than {FEW} blanks in an answer."},
    {"reward": "nuanced", "beats": "", "source": "list", "blanks": None, "fix": False, "rule": _LIST,
     "task": "Equation 4: earn more than nothing without looking at an image. One answer for all earns far less."},
    {"reward": "nuanced", "beats": "", "source": "list", "blanks": None, "fix": True, "rule": _LIST,
     "task": "Fix it: change equation 4 until your rules of level three earn less than nothing, and the fine-tuned "
             "model still earns more than the untouched one, and more than nothing."},
)  # fmt: skip
#: reward -> each of its terms, and how it comes about.
TERMS = {
    "hard": {
        "jaccard": "|named ∩ recorded| / |named ∪ recorded|", "short": "− short_penalty if |t| < min_length",
    },
    "nuanced": {
        "match": "exact, if named = recorded", "recall": "recall × share of the recorded labels that are named",
        "precision": "precision × share of the named labels that are recorded",
        "false_positive": "− false_positive × frequencies of the wrong labels / that of the commonest",
        "repetition": "− repetition × named labels that dominate the window",
        "collapse": "− collapse, if any named label dominates",
        "malformed": "− malformed, if the blocks or the labels fail", "unknown": "− invalid × unknown names",
        "duplicate": "− duplicate × repeated names", "outside": "− outside, if text stands outside the blocks",
    },
}  # fmt: skip


def groups() -> pd.DataFrame:
    """A row a completion, groups together: step, image, truth, completion, terms of equation 3, advantage."""
    return pd.read_csv(FOLDER / "groups.csv.gz", keep_default_na=False)


def validation() -> pd.DataFrame:
    """A row a validation study with a recorded label: truth, and the greedy answer of each of the models."""
    table = pd.read_csv(FOLDER / "validation.csv.gz", keep_default_na=False)
    return table[table["truth"] != ""].reset_index(drop=True)


def shares() -> dict[str, float]:
    """finding -> its share among the rewarded studies, by which equation 4 weighs false positives."""
    return dict(json.loads((FOLDER / "shares.json").read_text(encoding="utf-8")))


def run_profile() -> Profile:
    """The profile that the groups were trained with."""
    return load_profile(str(plan.PROFILE), unset=True)


def constants() -> dict[str, dict[str, float]]:
    """reward -> those of its constants that the training scaled."""
    return {"hard": {one.name: one.value for one in run_profile().overrides if one.group == "hard"}, "nuanced": {}}


def data() -> dict[str, Any]:
    """What the page is given."""
    rows, checked = groups(), validation()
    made = [
        {"step": int(rows["step"][k]), "truth": rows["truth"][k].split(";"),
         "said": list(rows["completion"][k : k + SIZE])}
        for k in range(0, len(rows), SIZE)
    ]  # fmt: skip
    return {
        "constants": constants(), "groups": made, "shares": shares(), "models": xrays.MODELS,
        "levels": LEVELS, "terms": TERMS,
        "validation": {"truth": [cell.split(";") for cell in checked["truth"]],
                       "said": {model: list(checked[model]) for model in xrays.MODELS}},
    }  # fmt: skip
