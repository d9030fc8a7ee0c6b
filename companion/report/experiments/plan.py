"""The plan's page, from the registry of arms and the experiment's record."""

import json

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


def again() -> str:
    """Which runs the code as it is now was seen to compute anew, from the experiment's record; empty if none."""
    place = results_root() / PROFILE / "record.json"
    seen = json.loads(place.read_text(encoding="utf-8")).get("again") if place.is_file() else None
    if not seen:
        return ""
    return (
        f"The code has changed since the first runs. On {seen['date']} the code as it was then (revision "
        f"{(seen['revision'] or 'unknown')[:7]}) trained and asked {len(seen['arms'])} arms anew at seed "
        f"{seen['seed']} ({', '.join(seen['arms'])}), which between them pass through all of it: all {seen['files']} "
        f"files are {seen.get('against', 'those kept')}, to the byte."
    )
