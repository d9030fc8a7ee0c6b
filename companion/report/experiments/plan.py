"""The plan's page, from the registry of arms and the experiment's record."""

import json
from typing import Any

import pandas as pd

from companion.evidence.tables import results_root
from companion.experiment import arms
from companion.report.experiments.names import PROFILE
from companion.report.frames import frame_table
from companion.report.theme import Html


def arms_table() -> Html:
    """Every arm: its question, what it is, where it starts from, how many seeds."""
    rows = [
        (arm.question, name, arm.what, arm.start or "", len(arms.seeds_of(name)) if arm.stage or arm.samples else 1)
        for name, arm in arms.ARMS.items()
    ]
    shown = pd.DataFrame(rows, columns=["Question", "Arm", "What it is", "Starts from", "Seeds"])
    return frame_table(shown, "The arms of the experiment", wrap=("Arm", "What it is", "Starts from"))


def again() -> dict[str, Any]:
    """When some arms were last trained anew with the code as it was, from the experiment's record; none if never."""
    place = results_root() / PROFILE / "record.json"
    seen = json.loads(place.read_text(encoding="utf-8")).get("again") if place.is_file() else None
    never = {"date": "–", "revision": "–", "seed": "–", "arms": [], "files": 0}
    return never | {"against": "those kept"} | (seen or {})
