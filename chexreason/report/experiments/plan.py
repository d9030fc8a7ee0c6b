"""The tables of the plan's page, from the registry of arms and the profile."""

import pandas as pd

from chexreason import config
from chexreason.experiments import arms, worlds
from chexreason.report.experiments.answers import PROFILE
from chexreason.report.tables import frame_table
from chexreason.report.theme import Html, Prose


def arms_table() -> Html:
    """Every arm: its question, what it is, where it starts from, how many seeds."""
    rows = [
        {
            "Question": arm.question,
            "Arm": name,
            "What it is": arm.what,
            "Starts from": arm.start or "",
            "Seeds": len(arms.seeds_of(name)) if arm.stage else 1,
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
