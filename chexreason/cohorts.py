"""Which studies each stage sees: SFT, RL, validation and the two test sets (sections 3.2.1, 3.2.2 and 4.3).

The paper draws 2,000 studies for SFT and 1,000 for RL from MIMIC-CXR-JPG; how is not in the text we have. We draw
patients at random, one study a patient, and never the same patient twice. With strata (`splits.draw_strata`) each
stratum keeps the share that it has in the source. The paper's tables speak of "CheXpert validation" while training uses
MIMIC labels in the CheXpert format; we take that to be the validation split of the training source, an assumption.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chexreason import data
from chexreason.config import Profile
from chexreason.data import splits
from chexreason.data.image import readable
from chexreason.data.study import Study, masked
from chexreason.errors import UserError, unknown
from chexreason.files import digest_of
from chexreason.labels import positives

#: stage's cohort -> (data set, split); any other data set's name stands for its test split
COHORTS: Mapping[str, tuple[str, str]] = {
    "sft": ("mimic", "train"),
    "rl": ("mimic", "train"),
    "validation": ("mimic", "validate"),
    "chexpert": ("chexpert", "test"),
    "nih": ("nih", "test"),
}
#: The cohorts that are drawn together, so that no patient is in both.
TRAINING = ("sft", "rl")
#: In `Cohort.left_out`: studies drawn from the publisher's lists (SFT's and RL's together) that had to be replaced.
NOT_THERE = "studies whose image is not there"


@dataclass(frozen=True)
class Cohort:
    """The studies of one cohort, with what was left out on the way."""

    name: str
    dataset: str
    root: Path
    studies: tuple[Study, ...]
    unreadable: tuple[Path, ...]
    left_out: Mapping[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 over the studies and their labels, in order; for phantoms also over their images' request."""
        drawn = data.phantom_request(self.root) if data.is_phantom(self.root) else None
        return digest_of([drawn, *((study.key, dict(study.labels)) for study in self.studies)])


def stream(seed: int, name: str) -> np.random.Generator:
    """Random draws of their own for each name, the same ones each time."""
    return np.random.default_rng([seed, *name.encode()])


def choose(profile: Profile, name: str) -> Cohort:
    """The studies of a cohort: readable, one a patient where the paper trains, in a fixed order.

    SFT and RL patients are drawn together and then separated, so they never overlap.
    Raises UserError if the data set holds too few patients, or too few of their images.
    """
    asked = drawn(profile, name)
    good, unreadable = profile.engine("images", lambda asked, _: readable(asked.studies))(asked, profile)
    _enough(profile, name, "readable images", len(good), len(asked.studies))
    return replace(asked, studies=tuple(good), unreadable=tuple(unreadable))


@contextlib.contextmanager
def may_read() -> Iterator[None]:
    """An error of the operating system below a data set's folder as a UserError: its own text would name a patient."""
    try:
        yield
    except OSError as error:
        got = (error.strerror or type(error).__name__).lower()
        raise UserError(
            "tables and images that may be read", got, "ask the owner of the folder for the right"
        ) from None


@may_read()
def drawn(profile: Profile, name: str) -> Cohort:
    """What `choose` draws: no image is opened, and none counts as unreadable.

    Where images of the studies drawn from the publisher's lists are not there, all are drawn again from those that are.
    Raises UserError where there are too few, or where one may not be read.
    """
    dataset, split = place_of(name)
    if dataset not in profile.data:
        raise unknown(f"data set of profile {profile.name}", dataset, profile.data, "its entry data")
    root = profile.data[dataset].root
    cohort = data.load(dataset, root, split)
    pool, left_out = cohort.studies, dict(cohort.left_out)
    if name in TRAINING:
        # An answer has to name something: a study whose labels are all negative or uncertain cannot
        # teach, and its Jaccard similarity would be 0 / 0.
        pool = tuple(study for study in pool if positives(study.labels, profile.decoding.uncertain))
        left_out["no positive label"] = len(cohort.studies) - len(pool)
    parts = _draw(pool, profile, name)
    if not any(parts):
        wanted, got = f"studies of split {split} for cohort {name}", f"none at {masked(root, 60)}"
        raise UserError(wanted, got, f"take the whole release, or leave {dataset} out of the study")
    there = [is_there(study.image) for part in parts for study in part]
    if not all(there):
        _enough(profile, name, "images", sum(there), len(there))
        left_out[NOT_THERE] = len(there) - sum(there)
        parts = _draw([study for study in pool if is_there(study.image)], profile, name)
    if denied := sum(not os.access(study.image, os.R_OK) for part in parts for study in part):
        wanted, got = f"images of cohort {name} that may be read", f"{denied:,} that may not"
        raise UserError(wanted, got, "give yourself the right to read them, or ask their owner for it")
    return Cohort(name, dataset, root, tuple(parts[name == "rl"]), (), left_out)


def _draw(pool: Sequence[Study], profile: Profile, name: str) -> list[list[Study]]:
    """SFT's and RL's cohorts, or another one alone; the same ones each time."""
    sizes, train, n = profile.sizes, name in TRAINING, getattr(profile.sizes, name, None)
    if n is None:
        return [list(pool)]
    ns = (sizes.sft, sizes.rl) if train else (n,)
    rng = stream(profile.seed, " ".join(place_of(name)))
    if sizes.stratified:
        return splits.draw_strata(pool, ns, rng, profile.decoding.uncertain, one_per_patient=train)
    both = splits.draw(pool, sum(ns), rng, one_per_patient=train)
    return [both[: ns[0]], both[ns[0] :]]


def is_there(path: Path) -> bool:
    """Whether a file is there; OSError where that may not be known, which `Path.is_file` may hide."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return False


def _enough(profile: Profile, name: str, what: str, there: int, listed: int) -> None:
    """Raise UserError if too few of a cohort's studies have their image."""
    least = profile.sizes.images_there
    if not there or there < least * listed:
        wanted = f"{what} of at least {100 * least:g} % of the listed studies of cohort {name}"
        drawn = data.is_phantom(profile.data[place_of(name)[0]].root)
        do = data.AGAIN if drawn else "download the rest, or set sizes.images_there"
        raise UserError(wanted, f"{there:,} of {listed:,}", do)


def place_of(name: str) -> tuple[str, str]:
    """The data set and the split that a cohort is drawn from. Raises UserError for an unknown name."""
    if name not in COHORTS and name not in data.SOURCES:
        raise unknown("cohort", name, {*COHORTS, *data.SOURCES}, "chexreason/cohorts.py")
    return COHORTS.get(name, (name, "test"))


def visible_truth(chosen: Cohort) -> Mapping[str, frozenset[str]]:
    """study key -> findings that were drawn, for phantoms; empty for real images."""
    return data.truth(chosen.root) if data.is_phantom(chosen.root) else {}
