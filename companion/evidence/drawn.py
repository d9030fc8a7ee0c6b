"""What is on drawn studies, and what hospitals record of them, from the request alone: no image has to be there."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from chexreason.labels import FINDINGS, POSITIVE
from companion.phantoms.case import Case, relabel, sample_case
from companion.phantoms.conventions import CONVENTIONS
from companion.phantoms.hospitals import hospital
from companion.phantoms.layouts import LAYOUTS
from companion.phantoms.writers import first_index

#: What answers are held against: the labels of the study's own hospital.
RECORDED = "recorded"
#: What was drawn, all parents included.
DRAWN = "drawn"
#: All that drawn studies can be held against.
AGAINST = (RECORDED, DRAWN, *CONVENTIONS)


def cases(draw: Mapping[str, Any], split: str, keys: Collection[str]) -> Iterator[tuple[str, Case]]:
    """(study key, case) of studies of a split; `draw` is a profile's request for a tree: hospital, sizes and seed."""
    drawn, wanted = _split(draw["seed"], draw["hospital"], split, draw["sizes"].get(split, 0)), set(keys)
    return ((key, case) for key, case in drawn.items() if key in wanted)


@lru_cache(maxsize=32)
def _split(seed: int, name: str, split: str, n: int) -> Mapping[str, Case]:
    files, first = LAYOUTS[hospital(name).layout].files, first_index(name, split)
    return {files(split, number).key: sample_case(seed, first + number, name) for number in range(n)}


def stated(
    draw: Mapping[str, Any], split: str, keys: Collection[str], against: str = RECORDED
) -> dict[str, dict[str, float]]:
    """study key -> its labels (1.0, 0.0 or -1.0; absent is not mentioned) by one of `AGAINST`."""
    convention = hospital(draw["hospital"]).convention if against == RECORDED else against
    if against == DRAWN:
        return {key: dict.fromkeys(_in_order(case.truth), POSITIVE) for key, case in cases(draw, split, keys)}
    return {key: relabel(case, convention) for key, case in cases(draw, split, keys)}


def _in_order(names: Collection[str]) -> list[str]:
    return [name for name in FINDINGS if name in names]
