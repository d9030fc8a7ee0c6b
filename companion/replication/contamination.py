"""Whether a film or a patient is on two sides of a line that they must not cross.

Three lines are checked: between the SFT, RL and validation studies; between each data set's training
and test part; and between what is trained on and what is tested on, whatever the data set. A patient
is told by the data set's own number, a film by its bytes. Two files can only be the same if they are
equally long, so only those are read: of a quarter of a million films, a few. What is found is counted
and never named.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chexreason import cohorts, data
from chexreason.cohorts import COHORTS
from chexreason.config import Profile
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.files import file_digest

#: The cohorts that something is learnt from or chosen on.
LEARNT = ("sft", "rl", "validation")


@dataclass(frozen=True)
class Overlap:
    """One line: what was held against what, how many are on both sides; None if it could not be checked."""

    what: str
    shared: int | None
    of: int
    note: str = ""

    @property
    def crossed(self) -> bool:
        """Whether anything is on both sides."""
        return bool(self.shared)

    def __str__(self) -> str:
        if self.shared is None:
            return f"{self.what}: not checked, {self.note}"
        return f"{self.what}: {self.shared:,} of {self.of:,}"


def overlaps(profile: Profile) -> list[Overlap]:
    """Every line, for the cohorts that the profile draws. Raises UserError where the data sets cannot be read."""
    drawn = {name: cohorts.drawn(profile, name).studies for name in COHORTS}
    found = [
        _patients(f"patients in both {a} and {b}", drawn[a], drawn[b])
        for a, b in (("sft", "rl"), ("sft", "validation"), ("rl", "validation"))
    ]
    for source, place in profile.data.items():
        found += _within(source, place.root, [s for name in COHORTS if name not in LEARNT for s in drawn[name]])
    trained, tested = (
        [study for name in COHORTS if (name in ("sft", "rl")) == learnt for study in drawn[name]]
        for learnt in (True, False)
    )
    return [*found, _films("films both trained and scored on", trained, tested)]


def _within(source: str, root: Path, tested: list[Study]) -> Iterator[Overlap]:
    """A data set's training part against its official test part, or against the test studies of ours."""
    name = data.SOURCES[source].title
    parts: dict[str, list[Study]] = {}
    for split in ("train", "test"):
        try:
            parts[split] = list(data.load(source, root, split).studies)
        except UserError:  # that part is not held here, which is no mistake
            yield Overlap(f"patients in training and test part of {name}", None, 0, f"no {split} part here")
            return
    yield _patients(f"patients in training and test part of {name}", parts["test"], parts["train"])
    ours = [study for study in tested if study.source == source]
    if ours:
        yield _films(f"test films of {name} that are in its training part", ours, parts["train"])


def _patients(what: str, one: Iterable[Study], other: Iterable[Study]) -> Overlap:
    mine, theirs = ({(study.source, study.patient_id) for study in side} for side in (one, other))
    return Overlap(what, len(mine & theirs), len(mine))


def _films(what: str, one: Iterable[Study], other: Iterable[Study]) -> Overlap:
    mine, theirs = [study.image for study in one], [study.image for study in other]
    return Overlap(what, same_films(mine, theirs), len(mine))


def same_films(one: Iterable[Path], other: Iterable[Path]) -> int:
    """How many files of `one` have the bytes of some file of `other`; files that are not there count as none."""
    mine, theirs = _by_length(one), _by_length(other)
    shared = 0
    for length in mine.keys() & theirs.keys():
        digests = {file_digest(path) for path in theirs[length]}
        shared += sum(file_digest(path) in digests for path in mine[length])
    return shared


def _by_length(paths: Iterable[Path]) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for path in paths:
        try:
            found.setdefault(os.stat(path).st_size, []).append(path)
        except FileNotFoundError:
            continue
    return found
