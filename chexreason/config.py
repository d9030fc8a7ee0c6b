"""Profiles: what differs from machine to machine, and the settings of a study.

A *profile* (a YAML file in `chexreason/profiles/`) says where the data are, which checkpoints stand for which model,
how many studies, and, each with its reason, the few settings that another size of model needs; all others are the
defaults of `recipe`. Code reads the profile; it never asks which tier it runs in.
"""

import functools
import importlib.util
import inspect
import operator
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from chexreason import written
from chexreason.checked import check, parse
from chexreason.data import SOURCES
from chexreason.data.study import masked
from chexreason.errors import UserError, unknown
from chexreason.files import digest_of
from chexreason.prompts import PROMPTS, SFT_FORMATS, TABLE1_PROMPTS
from chexreason.recipe import GRPO, SETTINGS, SFT, Decoding, LoRA, Sizes
from chexreason.settings import origins, schema_of
from chexreason.written import SCHEMA, folder


def results_root(given: str | Path | None = None, usual: Path | None = None) -> Path:
    """The folder with a folder a profile: as given, or $CHEXREASON_RESULTS, or the usual one, the repository's."""
    return folder(given or os.environ.get("CHEXREASON_RESULTS") or usual or RESULTS)


ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
TIERS = ("published", *SCHEMA["properties"]["tier"]["enum"])
#: Groups that a profile may override and that another package reads (`overridden`), beside those of its rewards.
ELSEWHERE = ("teacher",)
#: Groups that take any option of a class of TRL's or PEFT's by its own name (`Profile.more`).
OPEN = {"lora": "peft.LoraConfig", "sft": "trl.SFTConfig", "grpo": "trl.GRPOConfig"}
#: By name and not imported: profiles are checked with them, and only the results of GRPO depend on their code.
REWARDS = "chexreason.rewards:REWARDS"
#: What a profile may name in place of the images as they are, of transformers' decoding and of TRL's trainers.
ENGINES = tuple(SCHEMA["properties"]["engines"]["properties"])
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
#: Stage -> the entries of its study whose combinations are its runs.
RUNS = {
    "prompting": ("prompts",), "sft": ("models", "prompts"), "grpo": ("rewards",),
    "generalization": ("models", "test_sets"),
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
    """Where a data set is; `draw` asks for phantoms; `unset` is a variable that `root` needs and that is not set."""

    root: Path
    draw: Mapping[str, Any] | None = None
    unset: str = ""


@dataclass(frozen=True)
class Profile:
    """One way to run the study: places, checkpoints, sizes and settings.

    `data` is keyed by data set (mimic, chexpert, nih), `models` by base model (medgemma, qwen, nv_reason). `study` says
    which runs make up each stage (`STUDY`). `cache` holds checkpoints, images and everything that must not be
    published; `rows` is where per-study predictions go: results, or cache for credentialed data. Paths are absolute.
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

    @property
    def stages(self) -> list[str]:
        """The stages that have runs in this study, in order."""
        return [stage for stage, entries in RUNS.items() if all(self.study[stage][entry] for entry in entries)]

    @property
    def used(self) -> list[str]:
        """The data sets that the study's stages look at."""
        tested = self.study["generalization"]["test_sets"] if "generalization" in self.stages else []
        taught = {"prompting", "sft", "grpo"}.intersection(self.stages)
        return [name for name in self.data if name in tested or (taught and name == "mimic")]

    def more(self, group: str) -> dict[str, Any]:
        """The options of a group that are none of our settings, as the profile has them."""
        declared = {name for name, _, _ in origins(SETTINGS[group])}
        return {one.name: one.value for one in self.overrides if one.group == group and one.name not in declared}

    def faults(self) -> Iterator[UserError]:
        """What forbids any computing: rows of credentialed data inside the repository, and folders that are not named.

        Images that are drawn are nobody's data, and that they are is for `draw` to say, not for what lies in a folder.
        """
        held = (SOURCES[name] for name in self.used if self.data[name].draw is None)
        repository = {ROOT, *(place for place in ROOT.parents if (place / ".git").exists())}
        inside = self.rows != "cache" or repository.intersection([self.cache, *self.cache.parents])
        for title in (source.title for source in held if source.credentialed and inside):
            wanted = f"rows of {title} outside the repository"
            if self.rows != "cache":
                yield UserError(wanted, f"rows: {self.rows}", "set `rows: cache` in the profile")
            else:
                yield UserError(wanted, masked(self.cache), "set CHEXREASON_CACHE to a folder elsewhere")
        for name, unset in ((name, self.data[name].unset) for name in self.used if self.data[name].unset):
            wanted, do = f"a folder for {name} in profile {self.name}", f"export {unset}=/where/it/lies"
            yield UserError(wanted, f"${unset}, which is not set", do)

    def engine(self, what: str, stock: Callable[..., Any]) -> Callable[..., Any]:
        """What the profile's `engines` names for `what`, called like `stock`, which is returned if it names nothing.

        An entry is the full name of a class or function, or a mapping with that `name` and keyword arguments. Raises
        UserError for a name that cannot be imported or called, and for wrong keyword arguments.
        """
        if what not in self.engines:
            return stock
        entry = self.engines[what]
        options = {"name": entry} if isinstance(entry, str) else dict(entry)
        try:
            engine = functools.partial(pkgutil.resolve_name(str(options.pop("name", ""))), **options)
            inspect.signature(engine)
            return engine
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            wanted = f"a class or function for engines.{what} in profile {self.name}"
            raise UserError(wanted, f"{entry!r} ({error})", "give its full name, package.module.Name") from error


def load_module(module: str) -> None:
    """Import a module by its name, or a file by its path; once a process. UserError for whatever it raises."""
    path = folder(module)
    name = module if path.suffix != ".py" else f"chexreason_extension_{path.stem}"
    try:
        if name == module:
            importlib.import_module(module)
        elif getattr(sys.modules.get(name), "__file__", None) != str(path):
            spec: Any = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    except BaseException as error:  # it is anybody's code
        sys.modules.pop(name, None)
        if isinstance(error, UserError | KeyboardInterrupt):
            raise
        wanted = f"a module or a Python file {masked(Path(Path(module).name), 24)} to import"
        got = f"{type(error).__name__}: {masked(Path(str(error)))}"
        raise UserError(wanted, got, "correct it, or give a .py file") from error


def load_profile(
    name: str, *, seed: int | None = None, results: str | Path | None = None, cache: str | Path | None = None,
    unset: bool = False, given: str | Mapping[str, Any] = "",
) -> Profile:  # fmt: skip
    """Read a profile; `seed`, `results` and `cache` replace what it says; an empty one replaces nothing.

    `given` comes on top of what it says, as a mapping or as JSON: `settings` ("grpo.beta" -> 0), changes of the
    `study`, and `modules`, files or modules of your own that register rewards, prompts, base models or data sets.

    Raises UserError for whatever is wrong with it (`profile_schema.yml`, `recipe`, `slips`) and for its `faults`; these
    are left to the caller with `unset`.
    """
    text, source, name = written.raw(name), name, written.file_of(name).stem
    more: Any = parse(given, "given", as_json=True) if given and isinstance(given, str) else dict(given or {})
    check(more, SCHEMA | SCHEMA["$defs"]["given"], "what is given by hand")
    for module in (*text.get("modules", ()), *more.get("modules", ())):
        load_module(module)
    changes = [text.get("study", {}), more.get("study", {})]
    usual = [f"03-grpo-{name}" for name in (STUDY["grpo"] | changes[0].get("grpo", {}))["rewards"]]
    text["study"] = {stage: functools.reduce(operator.or_, (change.get(stage, {}) for change in changes), runs)
                     for stage, runs in STUDY.items()}  # fmt: skip
    text["seed"] = text["seed"] if seed is None else seed
    rewards = pkgutil.resolve_name(REWARDS)
    known = {"data set": SOURCES, "test set": text["data"], "base model": text["models"], "prompt": PROMPTS}
    check(text, SCHEMA, f"profile {name}", known=known | {"reward": rewards})
    by_hand = [{"setting": key, "value": value, "why": "by hand"} for key, value in more.get("settings", {}).items()]
    overrides = tuple(_override(entry, (*SETTINGS, *ELSEWHERE, *rewards)) for entry in [*text["overrides"], *by_hand])
    for group in rewards.keys() & {one.group for one in overrides}:
        overridden(overrides, group, rewards[group], name)
    settings: dict[str, Any] = {group: overridden(overrides, group, cls, name) for group, cls in SETTINGS.items()}
    cache = folder(cache or Path(os.environ.get("CHEXREASON_CACHE") or ROOT / ".cache") / name)
    profile = Profile(
        name=name,
        source=source if source == name else str(folder(source)),
        tier=text["tier"],
        what=text["what"],
        seed=text["seed"],
        data={key: _place(key, entry, cache) for key, entry in text["data"].items()},
        models={base: _local(at) for base, at in text["models"].items()},
        cache=cache,
        results=results_root(results) / name,
        rows=text["rows"],
        study=text["study"],
        engines=text.get("engines", {}),
        overrides=overrides,
        **settings,
    )
    slips = pkgutil.resolve_name("chexreason.slips:slips")(profile, usual, unset)  # by name: no result depends on it
    for fault in (*slips, *(() if unset else profile.faults())):
        raise fault
    return profile


def _local(model: str) -> str:
    """A folder, of the repository first, by its full path; a hub id as it is."""
    return next((str(place) for place in (ROOT / model, folder(model)) if place.is_dir()), model)


def _place(source: str, entry: Mapping[str, Any], cache: Path) -> DataPlace:
    if "draw" in entry:
        name = f"{source}-{digest_of(entry['draw'])[:8]}"  # another request is another tree
        return DataPlace(cache / "images" / name, entry["draw"])
    root = entry["root"]
    unset = [name for name in re.findall(r"\$\{?(\w+)", root) if not os.environ.get(name)]
    if unset and not folder(root).exists():
        return DataPlace(Path(root), unset=unset[0])
    return DataPlace(folder(os.path.expandvars(root)))


def _override(entry: Mapping[str, Any], groups: Sequence[str]) -> Override:
    group, _, name = entry["setting"].partition(".")
    if group not in groups or not name:
        known = [f"{known}.{field}" for known, cls in SETTINGS.items() for field, _, _ in origins(cls)]
        raise unknown("setting", entry["setting"], known, "chexreason/recipe.py")
    return Override(group, name, entry["value"], entry["why"])


def overridden(overrides: Iterable[Override], group: str, cls: type[Group], profile: str) -> Group:
    """The settings class of a group with a profile's overrides; UserError for an unknown setting or a wrong value."""
    schema, given = schema_of(cls), {one.name: one.value for one in overrides if one.group == group}
    more = group in OPEN and given.keys() - schema.keys()
    known = schema_of(pkgutil.resolve_name(OPEN[group])) | schema if more else schema
    for name in given.keys() - known.keys():
        raise unknown("setting", f"{group}.{name}", [f"{group}.{one}" for one in known], cls.__module__)
    check(given, {"properties": known}, f"profile {profile}", group)
    return cls(**{
        name: float(value) if type(value) is int and "number" in schema[name].get("type", ()) else value
        for name, value in given.items() if name in schema
    })  # fmt: skip
