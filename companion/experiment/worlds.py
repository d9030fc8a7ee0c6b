"""What the models are asked about: the same patients filmed at other hospitals, labelled by each convention.

A *world* is a population (how often each finding occurs, as at A, B or C) filmed at one hospital.
Patient number k of a population has the same anatomy and the same findings in all its worlds. So a
difference between two worlds of one population is a difference of films, a difference between two
conventions on one world is one of labels, and a difference between two populations is one of patients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image
from tqdm import tqdm

from chexreason.data.study import Study
from chexreason.files import digest_of
from chexreason.labels import NIH_SHARED, POSITIVE
from companion.phantoms import Case, at_hospital, draw, relabel, sample_case
from companion.phantoms.conventions import CONVENTIONS
from companion.phantoms.writers import generator_digest

#: Films are drawn from a stream that no training cohort uses.
SEED = 9000
#: What an answer can be held against: a hospital's convention, or what was drawn.
YARDSTICKS = (*CONVENTIONS, "visible")
FINDINGS = NIH_SHARED


@dataclass(frozen=True)
class World:
    """Patients as at hospital `population`, filmed at hospital `film`."""

    population: str
    film: str

    @property
    def name(self) -> str:
        """Population and film, "AB" say."""
        return self.population + self.film

    def case(self, index: int) -> Case:
        """Patient number `index`."""
        return at_hospital(sample_case(SEED, index, self.population), self.film)


#: The worlds: all nine, but for patients of B filmed at C and of C filmed at B, which no question needs.
WORLDS: tuple[World, ...] = tuple(
    World(population, film) for population in "ABC" for film in "ABC" if {population, film} != {"B", "C"}
)

#: Question -> the worlds that its checkpoints are asked about. The scaffold is judged on the validation studies.
ASKED: dict[str, tuple[World, ...]] = {
    "cells": WORLDS,
    "scaffold": (),
    "cures": tuple(world for world in WORLDS if world.population == world.film),
    "ceiling": tuple(world for world in WORLDS if world.population == world.film),
    "collapse": tuple(world for world in WORLDS if world.name == "AA"),
    "dose": tuple(world for world in WORLDS if world.population == world.film),
}


def films(world: World, count: int, cache: Path) -> list[Study]:
    """The films of a world as studies without labels, drawn into `cache` where they are missing."""
    folder = cache / "worlds" / digest_of([SEED, generator_digest()])[:12] / world.name
    folder.mkdir(parents=True, exist_ok=True)
    studies = []
    for index in tqdm(range(count), desc=f"films {world.name}", unit="film", mininterval=2, leave=False):
        path = folder / f"{index:05d}.png"
        if not path.is_file():
            aside = path.with_suffix(".partial")
            Image.fromarray(draw(world.case(index))).save(aside, format="png")
            aside.replace(path)
        key = f"{index:05d}"
        studies.append(Study("mimic", key, key, path, "PA", "test", {}, FINDINGS))
    return studies


def labels(count: int) -> pd.DataFrame:
    """What each yardstick says of each patient: population, index, yardstick, positive (names, ";" between)."""
    return pd.DataFrame(list(_rows(count)))


def _rows(count: int) -> Iterator[dict[str, object]]:
    for population in "ABC":
        for index in range(count):
            case = sample_case(SEED, index, population)
            for yardstick in YARDSTICKS:
                if yardstick == "visible":
                    names = set(case.truth)
                else:
                    names = {name for name, value in relabel(case, yardstick).items() if value == POSITIVE}
                yield {
                    "population": population,
                    "index": index,
                    "yardstick": yardstick,
                    "positive": ";".join(name for name in FINDINGS if name in names),
                }
