"""Profiles: what differs from machine to machine, and the settings of a study.

A *profile* (a YAML file in `chexreason/profiles/`) says where the data lie, which checkpoints stand for which
model, how many studies, and, each with its reason, the few settings that another size of model needs; all others
are `hyperparameters`' defaults. Code reads the profile; it never asks which tier it runs in.
"""

import functools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import pandas as pd
import yaml

from chexreason.errors import UserError, unknown
from chexreason.files import digest_of
from chexreason.hyperparameters import GRPO, SETTINGS, SFT, Decoding, Sizes
from chexreason.rewards import HardSettings, NuancedSettings
from chexreason.settings import origins

ROOT = Path(__file__).resolve().parents[1]
#: The profiles of the package, or a folder of one's own.
PROFILES = Path(os.environ.get("CHEXREASON_PROFILES") or Path(__file__).resolve().parent / "profiles")
RESULTS = ROOT / "results"
TIERS = ("published", "miniature", "replication")
#: Groups of settings that a profile may override and that other packages read (`overridden`).
ELSEWHERE = ("teacher",)
#: What a profile may name in place of TRL's trainers and transformers' own decoding (`engines`).
ENGINES = ("decode", "sft", "grpo")


Group = TypeVar("Group")


@dataclass(frozen=True)
class Override:
    """A setting that a profile changes, and why."""

    group: str
    name: str
    value: Any
    why: str


@dataclass(frozen=True)
class DataPlace:
    """Where a data set lies; `draw` is the request for a phantom tree, None for real data."""

    root: Path
    draw: Mapping[str, Any] | None = None

    @property
    def unset(self) -> str:
        """The variable that should name the folder, if it is not set; else nothing."""
        named = re.match(r"\$\{?(\w+)", str(self.root))
        return named[1] if named else ""


@dataclass(frozen=True)
class Profile:
    """One way to run the study: places, checkpoints, sizes and settings.

    `data` is keyed by data set (mimic, chexpert, nih), `models` by base model (medgemma, qwen, nv_reason).
    `engines` names trainers and decoders (`chexreason.engines`). `cache` holds checkpoints, images and everything that
    must not be published; `rows` is where per-study predictions go: among the results, or in the cache for
    credentialed data.
    """

    name: str
    tier: str
    what: str
    seed: int
    data: Mapping[str, DataPlace]
    models: Mapping[str, str]
    cache: Path
    results: Path
    rows: str
    sizes: Sizes
    sft: SFT
    grpo: GRPO
    decoding: Decoding
    hard: HardSettings
    nuanced: NuancedSettings
    engines: Mapping[str, Any]
    overrides: tuple[Override, ...]


def profile_names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yml"))


def raw(name: str) -> dict[str, Any]:
    """A profile as it is written; UserError for an unknown one."""
    if name not in profile_names():
        raise unknown("profile", name, profile_names(), "chexreason/profiles/")
    return dict(yaml.safe_load((PROFILES / f"{name}.yml").read_text(encoding="utf-8")))


def load_profile(
    name: str, *, seed: int | None = None, results: str | Path | None = None, cache: str | Path | None = None,
    unset: bool = False,
) -> Profile:  # fmt: skip
    """Read a profile; `seed`, `results` and `cache` replace what it says; an empty one replaces nothing.

    Raises UserError for an unknown profile, setting or key, a value of another type, and a data folder
    whose variable is not set; with `unset` the folder is then the variable's name, as `DataPlace.unset` tells.
    """
    text = raw(name)
    keys = {"tier", "what", "seed", "data", "models", "rows", "overrides"}
    engines = text.pop("engines", {})
    for what in engines:
        if what not in ENGINES:
            raise unknown("engine", what, ENGINES, "chexreason/config.py")
    if set(text) != keys:
        raise UserError(f"the keys {sorted(keys)} in profile {name}", str(sorted(text)), f"mend {name}.yml")
    if text["tier"] not in TIERS:
        raise unknown("tier", text["tier"], TIERS, "chexreason/config.py")
    overrides = tuple(_override(name, entry) for entry in text["overrides"])
    groups: dict[str, Any] = {group: overridden(overrides, group, cls, name) for group, cls in SETTINGS.items()}
    cache = Path(cache or Path(os.environ.get("CHEXREASON_CACHE", ROOT / ".cache")) / name)
    return Profile(
        name=name,
        tier=text["tier"],
        what=text["what"],
        seed=_seed(text["seed"] if seed is None else seed),
        data={source: _place(name, source, entry, cache, unset) for source, entry in text["data"].items()},
        models={base: _checkpoint(source) for base, source in text["models"].items()},
        cache=cache,
        results=Path(results or RESULTS) / name,
        rows=text["rows"],
        engines=engines,
        overrides=overrides,
        **groups,
    )


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError("a seed that is a whole number from 0 upwards", repr(value), "give one, seed=0 say")
    return value


def _checkpoint(source: str) -> str:
    """A folder of the repository as a full path; a hub id or another path as it is."""
    return str(ROOT / source) if (ROOT / source).is_dir() else source


def _place(profile: str, source: str, entry: Mapping[str, Any], cache: Path, unset: bool) -> DataPlace:
    if "draw" in entry:
        name = f"{source}-{digest_of(entry['draw'])[:8]}"  # another request is another tree
        return DataPlace(cache / "films" / name, entry["draw"])
    root = os.path.expandvars(entry["root"])
    if "$" in root:
        if unset:
            return DataPlace(Path(entry["root"]))
        raise UserError(
            f"a folder for {source} in profile {profile}", f"{entry['root']}, which is not set",
            f"export {entry['root'].strip('${}')}=/where/it/lies",
        )  # fmt: skip
    return DataPlace(Path(root).expanduser().resolve())


def _override(profile: str, entry: Mapping[str, Any]) -> Override:
    if set(entry) != {"setting", "value", "why"}:
        raise UserError("setting, value and why for an override", str(sorted(entry)), f"mend {profile}.yml")
    group, _, name = str(entry["setting"]).partition(".")
    if group not in (*SETTINGS, *ELSEWHERE):
        known = [f"{known}.{field}" for known, cls in SETTINGS.items() for field, _, _ in origins(cls)]
        raise unknown("setting", entry["setting"], known, "chexreason/hyperparameters.py")
    return Override(group, name, entry["value"], entry["why"])


def overridden(overrides: Iterable[Override], group: str, cls: type[Group], profile: str) -> Group:
    """The settings class of a group with a profile's overrides; UserError for an unknown setting or another type."""
    hints, fields = get_type_hints(cls), [name for name, _, _ in origins(cls)]
    values = {}
    for override in overrides:
        if override.group == group:
            if override.name not in fields:
                known = [f"{group}.{field}" for field in fields]
                raise unknown("setting", f"{group}.{override.name}", known, cls.__module__)
            values[override.name] = _typed(f"{group}.{override.name}", override.value, hints[override.name], profile)
    return cls(**values)


def _typed(setting: str, value: Any, hint: Any, profile: str) -> Any:
    """The value as its setting's type; YAML reads 1e-3 as text and 1 as int, and a float takes both."""
    kinds = set(get_args(hint) or (hint,))
    if type(value) in kinds:
        return value
    if float in kinds and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            raise UserError(f"a number for {setting}", repr(value), f"mend {profile}.yml") from None
    names = " or ".join(sorted("null" if kind is type(None) else kind.__name__ for kind in kinds))
    raise UserError(f"a value of type {names} for {setting}", repr(value), f"mend {profile}.yml")


@functools.cache
def _all_overrides() -> dict[tuple[str, str], list[str]]:
    """(group, name) -> "profile: value (why)" over all profiles, read without resolving paths."""
    found: dict[tuple[str, str], list[str]] = {}
    for profile in profile_names():
        for entry in raw(profile)["overrides"]:
            override = _override(profile, entry)
            line = f"{profile}: {override.value} ({override.why})"
            found.setdefault((override.group, override.name), []).append(line)
    return found


def settings_table(groups: Mapping[str, type] = SETTINGS) -> pd.DataFrame:
    """All settings of `groups` with columns group, setting, value, source, section, why, what, overrides.

    `source` is "stated" or "assumed"; `overrides` lists the profiles that set another value.
    """
    rows = [
        {
            "group": group,
            "setting": name,
            "value": default,
            "source": "stated" if origin.stated else "assumed",
            "section": origin.section,
            "why": origin.why,
            "what": origin.what,
            "overrides": "; ".join(_all_overrides().get((group, name), [])),
        }
        for group, cls in groups.items()
        for name, default, origin in origins(cls)
    ]
    return pd.DataFrame(rows)
