"""The teacher's trace for each study of a cohort.

Phantoms know what was drawn, so the scripted teacher writes their traces on the spot. Real films
need traces that a teacher model has written before: ``<cache>/traces/<prompt>.jsonl``, one
``{"study": key, "trace": text}`` a line.
"""

import json
from pathlib import Path

from chexreason import cohorts, data, teacher
from chexreason.cohorts import Chosen
from chexreason.config import Profile
from chexreason.errors import UserError
from chexreason.labels import positives
from chexreason.prompts import Prompt


def of(chosen: Chosen, prompt: Prompt, profile: Profile) -> list[str]:
    """One trace a study, in the cohort's order. Raises UserError if a trace is missing."""
    if data.is_phantom(chosen.root):
        drawn = data.lesions(chosen.root)
        rng = cohorts.stream(profile.seed, f"traces {prompt.name}")
        return [
            teacher.trace(drawn[study.key], positives(study.labels, profile.decoding.uncertain), prompt, rng)
            for study in chosen.studies
        ]
    path = profile.cache / "traces" / f"{prompt.name}.jsonl"
    if not path.is_file():
        raise UserError(
            f"the teacher's traces for {prompt.name}",
            f"no file {path}",
            "have them written first, one JSON line a study",
        )
    found = _read(path)
    missing = [study.key for study in chosen.studies if study.key not in found]
    if missing:
        raise UserError(
            f"a trace for each of {len(chosen.studies)} studies",
            f"{len(missing)} without one in {path.name}",
            "have the missing ones written",
        )
    return [found[study.key] for study in chosen.studies]


def _read(path: Path) -> dict[str, str]:
    """study key -> trace from JSON lines; a line that is none is named."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("study", "trace")):
            came = f"{len(line)} characters, not shown since they may be of a patient"
            raise UserError(f"study and trace in line {number} of {path.name}", came, "mend that line")
        found[entry["study"]] = entry["trace"]
    return found
