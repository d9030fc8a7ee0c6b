"""The test patients: a stratified sample of each hospital's population, imaged at each hospital, labelled in each way.

A *world* is a population imaged at one hospital. Patient number k of a population has the same anatomy and the same
findings in all its worlds. So a difference between two worlds of one population is a difference of images, a difference
between two conventions on one world is one of labels, and a difference between two populations is one of patients.

Rare findings decide an average over findings, so patients are drawn by strata: each patient of a large pool belongs to
the rarest finding that the population's own hospital records of them, and of each such stratum enough are taken. A
patient then stands for as many of the population as the stratum has for each one taken (Horvitz and Thompson 1952).
"""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from chexreason.data.study import Study
from chexreason.files import digest_of
from chexreason.labels import FINDINGS, NIH_SHARED, NO_FINDING, POSITIVE
from companion.experiment import worlds
from companion.experiment.worlds import REFERENCES
from companion.phantoms import Case, at_hospital, draw, sample_case
from companion.phantoms.case import labelling_stream, sample_lesions
from companion.phantoms.conventions import CONVENTIONS, record, truth_of
from companion.phantoms.hospitals import hospital
from companion.phantoms.prepare import is_whole
from companion.phantoms.writers import generator_digest, save_image

#: Patients come from a stream that nothing else is drawn from: not the training images, and not the experiment before.
SEED = 9100
#: Patients of the pool of each population. So many are taken as they come, most where the primary outcome is; then more
#: of the rare findings, until there are enough of each.
POOL, PLAIN, ENOUGH = 16_000, {"A": 1200, "B": 450, "C": 700}, 50
#: The findings whose ranking is measured: those that all three hospitals record, less No Finding.
SEEN = tuple(name for name in NIH_SHARED if name != NO_FINDING)


class World(worlds.World):
    """Patients of this stream as at hospital `population`, imaged at hospital `image`."""

    def case(self, index: int) -> Case:
        """Patient number `index`."""
        return at_hospital(sample_case(SEED, index, self.population), self.image)


WORLDS: tuple[World, ...] = tuple(World(world.population, world.image) for world in worlds.WORLDS)
#: Each hospital's own.
OWN: tuple[World, ...] = tuple(world for world in WORLDS if world.population == world.image)


def _recorded(population: str, index: int) -> dict[str, frozenset[str]]:
    """What each reference says of a patient; the names it has as positive."""
    lesions, _ = sample_lesions(SEED, index, population)
    said = {name: record(lesions, name, labelling_stream(SEED, index, name)) for name in CONVENTIONS}
    named = {name: frozenset(f for f, value in labels.items() if value == POSITIVE) for name, labels in said.items()}
    return named | {"visible": frozenset(truth_of(lesions))}


@functools.cache
def sample(population: str) -> pd.DataFrame:
    """The patients of a population: index, stratum, weight, and a column of names (";" between) for each reference.

    Weights have a mean of one. At least `ENOUGH` patients have each finding by the population's own convention and by
    what was drawn, so far as the pool has them.
    """
    own = hospital(population).convention
    said = [_recorded(population, index) for index in range(POOL)]
    rate = {name: sum(name in one[own] for one in said) for name in SEEN}
    strata = [min((n for n in SEEN if n in one[own]), key=lambda n: rate[n], default="none") for one in said]
    members = {name: [k for k, stratum in enumerate(strata) if stratum == name] for name in (*SEEN, "none")}
    take = {name: -(-PLAIN[population] * len(where) // POOL) for name, where in members.items()}
    for name in sorted(SEEN, key=lambda n: rate[n]):  # the rarest first: its patients have commoner findings, too
        for reference in (own, "visible"):
            while sum(_has(said, members, take, name, reference)) < ENOUGH and take[name] < len(members[name]):
                take[name] += 1
    rows = [
        {"index": k, "stratum": name, "weight": len(where) / take[name],
         **{reference: ";".join(f for f in FINDINGS if f in said[k][reference]) for reference in REFERENCES}}
        for name, where in members.items() for k in where[: take[name]]
    ]  # fmt: skip
    table = pd.DataFrame(rows).sort_values("index", ignore_index=True)
    return table.assign(weight=table["weight"] / table["weight"].mean())


def _has(
    said: list[dict[str, frozenset[str]]], members: dict[str, list[int]], take: dict[str, int], name: str,
    reference: str,
) -> list[bool]:  # fmt: skip
    return [name in said[k][reference] for stratum, where in members.items() for k in where[: take[stratum]]]


def images(world: World, cache: Path) -> list[Study]:
    """The images of a world's patients as studies without labels, drawn into `cache` where they are missing or cut."""
    folder = cache / "worlds" / digest_of([SEED, generator_digest()])[:12] / world.name
    indices = sample(world.population)["index"]
    missing = [index for index in indices if not is_whole(folder / f"{index:05d}.png")]
    Parallel(n_jobs=1)(delayed(_save)(world, index, folder) for index in missing)
    return [
        Study("mimic", f"{k:05d}", f"{k:05d}", folder / f"{k:05d}.png", "PA", "test", {}, FINDINGS) for k in indices
    ]


def black(cache: Path, times: int) -> list[Study]:
    """A black image, as so many studies."""
    place = cache / "worlds" / "black.png"
    if not is_whole(place):
        save_image(np.zeros((224, 224), np.uint8), place)
    return [Study("mimic", "black", "0", place, "PA", "test", {}, FINDINGS)] * times


def _save(world: World, index: int, folder: Path) -> None:
    save_image(draw(world.case(index)), folder / f"{index:05d}.png")


def truth(population: str, reference: str) -> np.ndarray:
    """What a reference records of a population's patients, a column a finding of `FINDINGS` (N, 14)."""
    return np.array([[name in row.split(";") for name in FINDINGS] for row in sample(population)[reference]])
