"""The files of profiles: where they are, and what they say on top of the ones that they are `like`."""

import os
from pathlib import Path
from typing import Any

import yaml

from chexreason.checked import check, once, parse
from chexreason.data.study import masked
from chexreason.errors import UserError, unknown

#: The folder where the command was started; a notebook's kernel runs in another one.
STARTED_IN = "CHEXREASON_STARTED_IN"


def folder(path: str | Path) -> Path:
    """The absolute path: `~` is the home, and a relative one begins where the command was started.

    Raises UserError for a `~` with the name of no user.
    """
    whole = os.path.expanduser(path)
    if str(whole).startswith("~"):
        raise UserError("a user's home before the first / of a path", masked(Path(path)), "correct it")
    return Path(os.path.realpath(os.path.join(os.environ.get(STARTED_IN, ""), whole)))


#: The profiles of the package, or a folder of one's own.
PROFILES = folder(os.environ.get("CHEXREASON_PROFILES") or Path(__file__).parent / "profiles")
#: What a profile may say, in JSON Schema.
SCHEMA = yaml.safe_load(Path(__file__).with_name("profile_schema.yml").read_text(encoding="utf-8"))


def profile_names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yml"))


def raw(name: str) -> dict[str, Any]:
    """A profile as it is written, on top of the one that it is `like`; by its name or by the path of its file.

    Stages of the study are merged entry by entry, overrides setting by setting; whatever else is said again replaces
    what the other says. Raises UserError for an unknown profile, and a wrong one.
    """
    text: dict[str, Any] = {}
    for path in files_of(name):
        where = f"profile {path.stem[-30:]}"
        check(path.stem, SCHEMA["$defs"]["stem"], where, "file name")
        more = _written(path)
        check(text | more, SCHEMA, where)
        said = once((entry["setting"], entry) for entry in more.get("overrides", ()))
        kept = [entry for entry in text.get("overrides", ()) if entry["setting"] not in said]
        study = text.get("study", {})
        study = study | {stage: study.get(stage, {}) | runs for stage, runs in more.get("study", {}).items()}
        text |= {**more, "overrides": [*kept, *said.values()], "study": study}
    return text


def files_of(name: str) -> list[Path]:
    """Where a profile is written, behind the one that it is `like`, if any, and so on; UserError for a circle."""
    files = [file_of(name)]
    while other := _written(files[0]).get("like"):
        beside = files[0].parent / other
        if (path := beside.resolve() if other.endswith(".yml") and beside.is_file() else file_of(other)) in files:
            raise UserError(f"profile {files[0].stem} like another one", other, "take out a line `like`")
        files.insert(0, path)
    return files


def _written(path: Path) -> dict[str, Any]:
    where = f"profile {path.stem[-30:]}"
    text = parse(path.read_bytes(), where)
    check(text, {"type": "object", "properties": {"like": {"type": "string"}}}, where)
    return dict(text)


def file_of(name: str) -> Path:
    """Where a profile is written: one of the package by its name, one of your own by its path."""
    if name.endswith(".yml") and folder(name).is_file():
        return folder(name)
    if name not in profile_names():
        known, more = profile_names(), "chexreason/profiles/, or give a .yml file"
        raise unknown("profile", masked(Path(name)), known, more)
    return PROFILES / f"{name}.yml"
