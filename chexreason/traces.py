"""The teacher's trace for each study of a cohort (section 3.2.1).

A teacher has written them before: ``<cache>/traces/<prompt>.jsonl``, one ``{"study": key, "trace": text}`` a line.
`chexreason traces` asks a teacher model about real images; for phantoms a scripted teacher writes them.
"""

import json
from pathlib import Path
from typing import Any

from chexreason.cohorts import Cohort
from chexreason.completions import parse_completion
from chexreason.config import Profile
from chexreason.errors import UserError
from chexreason.labels import positives
from chexreason.prompts import Prompt


def place(profile: Profile, prompt: Prompt) -> Path:
    """Where the traces for a prompt lie: in the cache, since they tell of patients."""
    return profile.cache / "traces" / f"{prompt.name}.jsonl"


def of(chosen: Cohort, prompt: Prompt, profile: Profile) -> list[str]:
    """One trace a study, in the cohort's order.

    Raises UserError if a trace is missing, is not in the prompt's format, or ends in other labels than those recorded,
    as it does when the uncertainty policy or the release has changed since.
    """
    path, n = place(profile, prompt), len(chosen.studies)
    command = f"run chexreason traces --profile {profile.name} --prompt {prompt.name}"
    found = read(path) if path.is_file() else {}
    if missing := [study for study in chosen.studies if study.key not in found]:
        raise UserError(f"a trace for each of {n} studies in {path}", f"{len(missing)} without one", command)
    wrong = 0
    for study in chosen.studies:
        parsed = parse_completion(found[study.key]["trace"], prompt.answer)
        wrong += not parsed.valid or set(parsed.labels) != positives(study.labels, profile.decoding.uncertain)
    if wrong:
        wanted, do = f"traces in {path.name} that end in the labels recorded", f"move that file away and {command}"
        raise UserError(wanted, f"{wrong} of {n} that do not", do)
    return [found[study.key]["trace"] for study in chosen.studies]


def read(path: Path) -> dict[str, dict[str, Any]]:
    """study key -> its line, from JSON lines; a line that is none is named and not shown.

    What a killed process left of the last line does not count.
    """
    found: dict[str, dict[str, Any]] = {}
    *ended, last = path.read_bytes().split(b"\n")  # JSON escapes every other end of line
    for number, line in enumerate([*ended, last] if entry_of(last) else ended, 1):
        if line.strip():
            entry = entry_of(line)
            if entry is None:
                got = f"{len(line)} characters, not shown since they may be of a patient"
                raise UserError(f"study and trace in line {number} of {path.name}", got, "correct or delete that line")
            found[entry["study"]] = entry
    return found


def entry_of(line: bytes) -> dict[str, Any] | None:
    """A line as a mapping with study and trace, both text; None if it is no such thing."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("study", "trace"))
    return entry if whole else None
