"""Which studies each stage sees: SFT, RL, validation and the two test sets (sections 3.2.1, 3.2.2 and 4.3).

The paper draws 2,000 studies for SFT and 1,000 for RL from MIMIC-CXR-JPG; how is not in the text we have. We draw
patients at random, one study a patient, and never the same patient twice. With strata (`splits.draw_strata`) each
stratum keeps the share that it has in the source. The paper's tables speak of "CheXpert validation" while training uses
MIMIC labels in the CheXpert format; we take that to be the validation split of the training source, an assumption.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chexreason import data
from chexreason.config import Profile
from chexreason.data import splits
from chexreason.data.image import readable
from chexreason.data.study import Study
from chexreason.errors import unknown
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


@dataclass(frozen=True)
class Chosen:
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


def choose(profile: Profile, name: str) -> Chosen:
    """The studies of a cohort: readable, one a patient where the paper trains, in a fixed order.

    SFT and RL patients are drawn together and then separated, so they never overlap.
    Raises UserError if the data set holds too few patients.
    """
    asked = drawn(profile, name)
    good, unreadable = profile.engine("images", readable_of)(asked, profile)
    return replace(asked, studies=tuple(good), unreadable=tuple(unreadable))


def readable_of(asked: Chosen, profile: Profile) -> tuple[list[Study], list[Path]]:
    """The studies whose image can be read, and the images that cannot; a profile's `engines` may name another."""
    return readable(asked.studies)


def drawn(profile: Profile, name: str) -> Chosen:
    """What `choose` draws, from the tables alone: no image is opened, and none counts as unreadable."""
    dataset, split = place_of(name)
    if dataset not in profile.data:
        raise unknown(f"data set of profile {profile.name}", dataset, profile.data, "its entry data")
    root, sizes, policy = profile.data[dataset].root, profile.sizes, profile.decoding.uncertain
    cohort, rng = data.load(dataset, root, split), stream(profile.seed, f"{dataset} {split}")
    left_out, n = dict(cohort.left_out), getattr(sizes, name, None)
    studies: list[Study]
    if name in ("sft", "rl"):
        # An answer has to name something: a study whose labels are all negative or uncertain cannot
        # teach, and its Jaccard similarity would be 0 / 0.
        usable = [study for study in cohort.studies if positives(study.labels, policy)]
        left_out["no positive label"] = len(cohort.studies) - len(usable)
        if sizes.stratified:
            sft, rl = splits.draw_strata(usable, (sizes.sft, sizes.rl), rng, policy)
        else:
            both = splits.draw(usable, sizes.sft + sizes.rl, rng)
            sft, rl = both[: sizes.sft], both[sizes.sft :]
        studies = sft if name == "sft" else rl
    elif n is None:
        studies = list(cohort.studies)
    elif sizes.stratified:
        [studies] = splits.draw_strata(cohort.studies, (n,), rng, policy, one_per_patient=False)
    else:
        studies = splits.draw(cohort.studies, n, rng, one_per_patient=False)
    return Chosen(name, dataset, root, tuple(studies), (), left_out)


def place_of(name: str) -> tuple[str, str]:
    """The data set and the split that a cohort is drawn from. Raises UserError for an unknown name."""
    if name not in COHORTS and name not in data.SOURCES:
        raise unknown("cohort", name, {*COHORTS, *data.SOURCES}, "chexreason/cohorts.py")
    return COHORTS.get(name, (name, "test"))


def visible_truth(chosen: Chosen) -> Mapping[str, frozenset[str]]:
    """study key -> findings that were drawn, for phantoms; empty for real images."""
    return data.truth(chosen.root) if data.is_phantom(chosen.root) else {}
