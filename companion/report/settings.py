"""Every setting with its value, its source and the profiles that change it, as a table."""

import functools
from collections.abc import Mapping

import pandas as pd

from chexreason import written
from chexreason.recipe import CHOICES, SETTINGS
from chexreason.rewards import REWARDS
from chexreason.settings import origins


@functools.cache
def _all_overrides() -> dict[tuple[str, str], list[str]]:
    """(group, name) -> "profile: value (why)" over all profiles, read without resolving paths."""
    found: dict[tuple[str, str], list[str]] = {}
    for profile in written.profile_names():
        for entry in written.raw(profile)["overrides"]:
            group, _, name = str(entry["setting"]).partition(".")
            found.setdefault((group, name), []).append(f"{profile}: {entry['value']} ({entry['why']})")
    return found


def all_groups() -> dict[str, type]:
    """The settings classes by the name that a profile uses for them, those of the rewards included."""
    return {**SETTINGS, **{name: made for name, made in REWARDS.items() if isinstance(made, type)}}


def settings_table(groups: Mapping[str, type] | None = None) -> pd.DataFrame:
    """All settings of `groups` with columns group, setting, value, source, section, why, what, overrides.

    `source` is "stated" or "assumed"; `overrides` lists the profiles that set another value.
    """
    rows = [
        {"group": group, "setting": name, "value": default, "source": "stated" if origin.stated else "assumed",
         "section": origin.section, "why": origin.why, "what": origin.what,
         "overrides": "; ".join(_all_overrides().get((group, name), []))}
        for group, cls in (groups or all_groups()).items()
        for name, default, origin in origins(cls)
    ]  # fmt: skip
    fixed = {"source": "assumed", "section": "", "what": "no setting of TRL's", "overrides": ""}
    if "grpo" in (groups or SETTINGS):
        rows += [{"group": "grpo", "setting": name, "value": value, "why": why, **fixed}
                 for name, (value, why) in CHOICES.items()]  # fmt: skip
    return pd.DataFrame(rows)
