"""Profiles: what differs from machine to machine, and the settings of a study.

A *profile* (a YAML file in `chexreason/profiles/`) says where the data are, which checkpoints stand for which model,
how many studies, and, each with its reason, the few settings that another size of model needs; all others are the
defaults of `recipe`. Code reads the profile; it never asks which tier it runs in.
"""

import contextlib
import functools
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from chexreason.errors import UserError, unknown
from chexreason.files import digest_of
from chexreason.prompts import SFT_FORMATS, TABLE1_PROMPTS
from chexreason.recipe import GRPO, SETTINGS, SFT, Decoding, LoRA, Sizes
from chexreason.settings import origins

ROOT = Path(__file__).resolve().parents[1]
#: The profiles of the package, or a folder of one's own.
PROFILES = Path(os.environ.get("CHEXREASON_PROFILES") or Path(__file__).resolve().parent / "profiles")
RESULTS = ROOT / "results"
TIERS = ("published", "miniature", "replication")
#: Groups that a profile may override and that another package reads (`overridden`), beside those of its rewards.
ELSEWHERE = ("teacher",)
#: Groups that take any option of TRL's or PEFT's by its own name (`Profile.more`).
OPEN = ("lora", "sft", "grpo")
#: What a profile may name in place of the images as they are, of transformers' decoding and of TRL's trainers.
ENGINES = ("images", "decode", "sft", "grpo")
#: Which runs make up each stage. A profile may change any entry: another prompt, base model or reward is a line.
STUDY: dict[str, dict[str, Any]] = {
    "prompting": {"model": "medgemma", "prompts": list(TABLE1_PROMPTS)},
    "sft": {"models": ["medgemma", "qwen"], "prompts": list(SFT_FORMATS)},
    "grpo": {
        "model": "medgemma", "prompt": "free_reasoning", "start": "02-sft-medgemma-free_reasoning",
        "rewards": ["nuanced", "hard"],
    },
    "generalization": {
        "test_sets": ["chexpert", "nih"],
        # model -> its base model, its prompt and, if it was trained, the run whose best adapter it carries
        "models": {
            "nv_reason": {"base": "nv_reason", "prompt": "nv_reason"},
            "medgemma": {"base": "medgemma", "prompt": "free_reasoning"},
            "qwen": {"base": "qwen", "prompt": "free_reasoning"},
            "medgemma_sft": {
                "base": "medgemma", "prompt": "free_reasoning", "adapter": "02-sft-medgemma-free_reasoning",
            },
            "chexreason": {"base": "medgemma", "prompt": "free_reasoning", "adapter": "03-grpo-hard"},
        },
    },
}  # fmt: skip
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
    """Where a data set is; `draw` is the request for phantoms, None for real data."""

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

    `data` is keyed by data set (mimic, chexpert, nih), `models` by base model (medgemma, qwen, nv_reason). `study` says
    which runs make up each stage (`STUDY`). `cache` holds checkpoints, images and everything that must not be
    published; `rows` is where per-study predictions go: among the results, or in the cache for credentialed data.
    """

    name: str
    source: str  # the name that the package knows it by, or the path of its file
    tier: str
    what: str
    seed: int
    data: Mapping[str, DataPlace]
    models: Mapping[str, str]
    cache: Path
    results: Path
    rows: str
    sizes: Sizes
    lora: LoRA
    sft: SFT
    grpo: GRPO
    decoding: Decoding
    study: Mapping[str, Mapping[str, Any]]
    engines: Mapping[str, Any]
    overrides: tuple[Override, ...]

    def more(self, group: str) -> dict[str, Any]:
        """The options of a group that are none of our settings, as the profile has them."""
        declared = {name for name, _, _ in origins(SETTINGS[group])}
        return {one.name: one.value for one in self.overrides if one.group == group and one.name not in declared}

    def engine(self, what: str, stock: Callable[..., Any]) -> Callable[..., Any]:
        """What the profile's `engines` names for `what`, called like `stock`, which is returned if it names nothing.

        An entry is the full name of a class or function, or a mapping with that `name` and keyword arguments. Raises
        UserError for a name that cannot be imported.
        """
        if what not in self.engines:
            return stock
        entry = self.engines[what]
        options = {"name": entry} if isinstance(entry, str) else dict(entry)
        try:
            return functools.partial(pkgutil.resolve_name(str(options.pop("name", ""))), **options)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(
                f"a class or function for engines.{what} in profile {self.name}", f"{entry!r} ({error})",
                "give its full name, package.module.Name",
            ) from error  # fmt: skip


def profile_names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yml"))


def raw(name: str) -> dict[str, Any]:
    """A profile as it is written, by its name or by the path of its file; UserError for an unknown one."""
    return dict(yaml.safe_load(file_of(name).read_text(encoding="utf-8")))


def file_of(name: str) -> Path:
    """Where a profile is written: one of the package by its name, one of your own by its path."""
    if name.endswith(".yml") and Path(name).is_file():
        return Path(name)
    if name not in profile_names():
        raise unknown("profile", name, profile_names(), "chexreason/profiles/, or give the path of a .yml file")
    return PROFILES / f"{name}.yml"


def load_module(module: str) -> None:
    """Import a module by its name, or a file by its path; once a process. Raises UserError if that cannot be done."""
    path = Path(module).expanduser().resolve()
    name = module if path.suffix != ".py" else f"chexreason_extension_{path.stem}"
    try:
        if name == module:
            importlib.import_module(module)
        elif getattr(sys.modules.get(name), "__file__", None) != str(path):
            spec: Any = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    except (SyntaxError, ImportError, NameError, OSError) as error:
        sys.modules.pop(name, None)
        raise UserError(
            f"a module {name} or a Python file {path.name} that can be imported", f"{type(error).__name__}: {error}",
            "correct that file, give the path of a .py file, or install the module",
        ) from error  # fmt: skip


def load_profile(
    name: str, *, seed: int | None = None, results: str | Path | None = None, cache: str | Path | None = None,
    unset: bool = False, given: str | Mapping[str, Any] = "",
) -> Profile:  # fmt: skip
    """Read a profile; `seed`, `results` and `cache` replace what it says; an empty one replaces nothing.

    `given` comes on top of what it says, as a mapping or as JSON: `settings` ("grpo.beta" -> 0), changes of the
    `study`, and `modules`, files or modules of your own that register rewards, prompts, base models or data sets.

    Raises UserError for an unknown profile, setting or key, a value of another type, and a data folder
    whose variable is not set; with `unset` the folder is then the variable's name, as `DataPlace.unset` tells.
    """
    text, source, name = raw(name), name, file_of(name).stem
    more: Mapping[str, Any] = json.loads(given) if isinstance(given, str) and given else dict(given or {})
    for module in (*text.pop("modules", ()), *more.get("modules", ())):
        load_module(module)
    engines, study = text.pop("engines", {}), _study(text.pop("study", {}), more.get("study", {}))
    keys = {"tier", "what", "seed", "data", "models", "rows", "overrides"}
    if set(text) != keys:
        raise UserError(f"the keys {sorted(keys)} in profile {name}", str(sorted(text)), f"correct {name}.yml")
    for kind, value, known in (("tier", text["tier"], TIERS), *(("engine", what, ENGINES) for what in engines)):
        if value not in known:
            raise unknown(kind, value, known, "chexreason/config.py")
    seed = text["seed"] if seed is None else seed
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError("a seed that is a whole number from 0 upwards", repr(seed), "give one, such as seed=0")
    by_hand = [{"setting": key, "value": value, "why": "by hand"} for key, value in more.get("settings", {}).items()]
    groups = (*SETTINGS, *ELSEWHERE, *study["grpo"]["rewards"])
    overrides = tuple(_override(name, entry, groups) for entry in [*text["overrides"], *by_hand])
    settings: dict[str, Any] = {group: overridden(overrides, group, cls, name) for group, cls in SETTINGS.items()}
    cache = Path(cache or Path(os.environ.get("CHEXREASON_CACHE") or ROOT / ".cache") / name)
    return Profile(
        name=name,
        source=source if source == name else str(Path(source).resolve()),
        tier=text["tier"],
        what=text["what"],
        seed=seed,
        data={key: _place(name, key, entry, cache, unset) for key, entry in text["data"].items()},
        # a folder of the repository as a full path; a hub id or another path as it is
        models={base: str(ROOT / at) if (ROOT / at).is_dir() else at for base, at in text["models"].items()},
        cache=cache,
        results=Path(results or RESULTS) / name,
        rows=text["rows"],
        study=study,
        engines=engines,
        overrides=overrides,
        **settings,
    )


def _study(*changes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The paper's runs with changes, stage by stage, the later ones on top."""
    study = {stage: dict(entries) for stage, entries in STUDY.items()}
    for stage, entries in (entry for change in changes for entry in change.items()):
        if stage not in study:
            raise unknown("stage of the study", stage, STUDY, "chexreason/config.py")
        for key in entries:
            if key not in study[stage]:
                raise unknown(f"entry of study.{stage}", key, STUDY[stage], "chexreason/config.py")
        study[stage] |= entries
    return study


def _place(profile: str, source: str, entry: Mapping[str, Any], cache: Path, unset: bool) -> DataPlace:
    if "draw" in entry:
        name = f"{source}-{digest_of(entry['draw'])[:8]}"  # another request is another tree
        return DataPlace(cache / "images" / name, entry["draw"])
    root = os.path.expandvars(entry["root"])
    if "$" in root:
        if unset:
            return DataPlace(Path(entry["root"]))
        raise UserError(
            f"a folder for {source} in profile {profile}", f"{entry['root']}, which is not set",
            f"export {entry['root'].strip('${}')}=/where/it/lies",
        )  # fmt: skip
    return DataPlace(Path(root).expanduser().resolve())


def _override(profile: str, entry: Mapping[str, Any], groups: Sequence[str]) -> Override:
    if entry.keys() != {"setting", "value", "why"}:
        raise UserError("setting, value and why for an override", str(sorted(entry)), f"correct {profile}.yml")
    group, _, name = str(entry["setting"]).partition(".")
    if group not in groups or not name:
        known = [f"{known}.{field}" for known, cls in SETTINGS.items() for field, _, _ in origins(cls)]
        raise unknown("setting", entry["setting"], known, "chexreason/recipe.py")
    return Override(group, name, entry["value"], entry["why"])


def overridden(overrides: Iterable[Override], group: str, cls: type[Group], profile: str) -> Group:
    """The settings class of a group with a profile's overrides; UserError for an unknown setting or another type."""
    hints, values = get_type_hints(cls), {}
    known = [name for name, _, _ in origins(cls)]
    for override in overrides:
        if override.group == group and override.name in known:
            values[override.name] = _typed(f"{group}.{override.name}", override.value, hints[override.name], profile)
        elif override.group == group and group not in OPEN:
            names = [f"{group}.{name}" for name in known]
            raise unknown("setting", f"{group}.{override.name}", names, cls.__module__)
    return cls(**values)


def _typed(setting: str, value: Any, hint: Any, profile: str) -> Any:
    """The value as its setting's type; YAML reads 1e-3 as text and 1 as int, and a float takes both."""
    kinds = set(get_args(hint) or (hint,))
    if type(value) in kinds:
        return value
    if float in kinds and not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)
    names = " or ".join(sorted("null" if kind is type(None) else kind.__name__ for kind in kinds))
    raise UserError(f"a value of type {names} for {setting}", repr(value), f"correct {profile}.yml")
