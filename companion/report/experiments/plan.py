"""The tables of the plan's page, from the registry of arms and the profile."""

import json

import pandas as pd

from chexreason import config
from companion.evidence.tables import results_root
from companion.experiment import arms, worlds
from companion.report.experiments.answers import PROFILE
from companion.report.tables import frame_table
from companion.report.theme import Html, Prose


def arms_table() -> Html:
    """Every arm: its question, what it is, where it starts from, how many seeds."""
    rows = [
        {
            "Question": arm.question,
            "Arm": name,
            "What it is": arm.what,
            "Starts from": arm.start or "",
            "Seeds": len(arms.seeds_of(name)) if arm.stage or arm.samples else 1,
        }
        for name, arm in arms.ARMS.items()
    ]
    return frame_table(pd.DataFrame(rows), "The arms of the experiment", wrap=("Arm", "What it is", "Starts from"))


def sizes() -> Prose:
    """How large the runs are, from the profile."""
    profile = config.load_profile(PROFILE)
    return Prose(
        f"Sizes: {profile.sizes.sft} studies to fine-tune on, {profile.sizes.rl} rewarded studies, "
        f"{profile.sizes.validation} validation studies, {len(worlds.WORLDS)} test worlds of {profile.sizes.worlds} "
        "patients each. `make experiments` repeats all of it, `chexreason experiment ARM --seed SEED` one arm."
    )


def again() -> Prose:
    """Which runs the code as it is now was seen to compute anew, from the experiment's record; empty if none."""
    place = results_root() / PROFILE / "record.json"
    seen = json.loads(place.read_text(encoding="utf-8")).get("again") if place.is_file() else None
    if not seen:
        return Prose("")
    revision = (seen["revision"] or "unknown")[:7]
    against = seen.get("against", "those kept")
    return Prose(
        f"The code has changed since the first runs. On {seen['date']} the code as it was then (revision {revision}) "
        f"trained and asked {len(seen['arms'])} arms anew at seed {seen['seed']} "
        f"({', '.join(seen['arms'])}), which between them pass through all of it: all {seen['files']} files are "
        f"{against}, to the byte. `chexreason experiment again` repeats that."
    )
