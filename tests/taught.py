"""A profile whose overrides say what a teacher's settings are."""

import dataclasses

from chexreason.config import Override, Profile
from companion.replication.traces.teacher import Teacher


def with_teacher(profile: Profile, teacher: Teacher, **changes) -> Profile:
    """The profile (with other changes) under a teacher; `teacher_of` gives an equal one back."""
    overrides = [
        Override("teacher", field.name, getattr(teacher, field.name), "a test") for field in dataclasses.fields(teacher)
    ]
    return dataclasses.replace(profile, overrides=tuple(overrides), **changes)
