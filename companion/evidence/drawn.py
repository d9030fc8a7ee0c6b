"""What hospitals record of drawn studies, from the request alone: no image is drawn, and none has to be there."""

from collections.abc import Collection, Mapping
from typing import Any

from companion.phantoms.case import relabel, sample_case
from companion.phantoms.hospitals import hospital
from companion.phantoms.layouts import LAYOUTS
from companion.phantoms.writers import first_index


def recorded(draw: Mapping[str, Any], split: str, keys: Collection[str]) -> dict[str, dict[str, float]]:
    """study key -> its labels (1.0, 0.0 or -1.0; absent is not mentioned), of studies of a split.

    `draw` is a profile's request for a tree: hospital, sizes and seed.
    """
    about = hospital(draw["hospital"])
    files, wanted = LAYOUTS[about.layout].files, set(keys)
    found = {}
    for number in range(draw["sizes"].get(split, 0)):
        if (key := files(split, number).key) in wanted:
            case = sample_case(draw["seed"], first_index(draw["hospital"], split) + number, draw["hospital"])
            found[key] = relabel(case, about.convention)
    return found
