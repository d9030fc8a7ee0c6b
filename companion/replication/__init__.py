"""For those who hold the data sets: doctor, manifests, the leak check, traces from a teacher, vLLM, predictions."""

from pathlib import Path

from chexreason.config import ROOT, Profile
from chexreason.data import SOURCES
from chexreason.data.study import masked
from chexreason.errors import UserError


def credentialed(profile: Profile, source: str) -> bool:
    """Whether a profile holds a data set whose rows must not be passed on; what it draws itself are phantoms."""
    return SOURCES[source].credentialed and profile.data[source].draw is None


def keep_outside(profile: Profile, source: str, folder: Path) -> None:
    """Raise UserError if what tells of patients would lie inside the repository."""
    if credentialed(profile, source) and folder.resolve().is_relative_to(ROOT):
        raise UserError(
            f"a folder outside the repository for what is made of {SOURCES[source].title}", masked(folder),
            "set CHEXREASON_CACHE, or --out, to a folder elsewhere",
        )  # fmt: skip
