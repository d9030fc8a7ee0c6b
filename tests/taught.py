"""Profiles with a teacher's settings: in memory, and written to a file as a user would."""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from chexreason.config import Override, Profile
from chexreason.written import PROFILES
from companion.replication.traces.teacher import Teacher


def with_teacher(profile: Profile, teacher: Teacher, **changes) -> Profile:
    """The profile (with other changes) under a teacher; `teacher_of` gives an equal one back."""
    overrides = [
        Override("teacher", field.name, getattr(teacher, field.name), "a test") for field in dataclasses.fields(teacher)
    ]
    return dataclasses.replace(profile, overrides=tuple(overrides), **changes)


def write_profile(folder: Path, mimic: Path, n: int, **teacher: Any) -> list[str]:
    """Write a profile `own` of `n` studies for SFT from `mimic`; the words of a command that take it and its places."""
    text = yaml.safe_load((PROFILES / "smoke.yml").read_text())
    given = {"sizes.sft": n, "sizes.rl": 2} | {f"teacher.{name}": value for name, value in teacher.items()}
    text["overrides"] = [{"setting": name, "value": value, "why": "for a test"} for name, value in given.items()]
    text["data"]["mimic"], text["rows"] = {"root": str(mimic)}, "cache"
    (folder / "own.yml").write_text(yaml.safe_dump(text))
    places = ["--cache", str(folder / "cache"), "--results", str(folder / "results")]
    return ["--profile", str(folder / "own.yml"), *places]
