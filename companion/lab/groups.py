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
        "validation": {"truth": [cell.split(";") for cell in checked["truth"]],
                       "said": {model: list(checked[model]) for model in xrays.MODELS}},
    }  # fmt: skip
