"""The test conditions: the same patients imaged at other hospitals, labelled by each convention.

A *world* is a population (how often each finding occurs, as at A, B or C) imaged at one hospital. Patient number k of a
population has the same anatomy and the same findings in all its worlds. So a difference between two worlds of one
population is a difference of images, a difference between two conventions on one world is one of labels, and a
difference between two populations is one of patients.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from chexreason.data.study import Study
from chexreason.files import digest_of
from chexreason.labels import NIH_SHARED, POSITIVE
from companion.phantoms import Case, at_hospital, draw, relabel, sample_case
from companion.phantoms.conventions import CONVENTIONS
from companion.phantoms.prepare import is_whole
from companion.phantoms.writers import generator_digest, save_image

#: Images are drawn from a stream that no training cohort uses.
SEED = 9000
#: What an answer can be held against: a hospital's convention, or what was drawn.
REFERENCES = (*CONVENTIONS, "visible")
FINDINGS = NIH_SHARED


@dataclass(frozen=True)
class World:
    """Patients as at hospital `population`, imaged at hospital `image`."""

    population: str
    image: str

    @property
    def name(self) -> str:
        """Population and place of the images, "AB" say."""
        return self.population + self.image

    def case(self, index: int) -> Case:
        """Patient number `index`."""
        return at_hospital(sample_case(SEED, index, self.population), self.image)


#: The worlds: all nine, but for patients of B imaged at C and of C imaged at B, which no question needs.
WORLDS: tuple[World, ...] = tuple(
    World(population, image) for population in "ABC" for image in "ABC" if {population, image} != {"B", "C"}
)

_OWN = tuple(world for world in WORLDS if world.population == world.image)
#: Question -> the worlds that its checkpoints are asked about. The scaffold is judged on the validation studies.
ASKED: dict[str, tuple[World, ...]] = {
    "cells": WORLDS, "scaffold": (), "cures": _OWN, "ceiling": _OWN, "collapse": _OWN[:1], "dose": _OWN,
}  # fmt: skip


def images(world: World, count: int, cache: Path) -> list[Study]:
    """The images of a world as studies without labels, drawn into `cache` where they are missing or cut."""
    folder = cache / "worlds" / digest_of([SEED, generator_digest()])[:12] / world.name
    studies = []
    for index in tqdm(range(count), desc=f"images {world.name}", unit="image", mininterval=2, leave=False):
        key = f"{index:05d}"
        path = folder / f"{key}.png"
        if not is_whole(path):
            save_image(draw(world.case(index)), path)
        studies.append(Study("mimic", key, key, path, "PA", "test", {}, FINDINGS))
    return studies


def labels(count: int) -> pd.DataFrame:
    """What each reference says of each patient: population, index, reference, positive (names, ";" between)."""
    rows = []
    for population in "ABC":
        for index in range(count):
            case = sample_case(SEED, index, population)
            said = {name: {k for k, value in relabel(case, name).items() if value == POSITIVE} for name in CONVENTIONS}
            for reference, names in {**said, "visible": case.truth}.items():
                positive = ";".join(name for name in FINDINGS if name in names)
                rows.append({"population": population, "index": index, "reference": reference, "positive": positive})
    return pd.DataFrame(rows)
