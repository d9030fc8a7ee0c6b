"""What a label means at each hospital: do MIMIC, CheXpert and NIH share "identical definitions" (section 4.3)?

The paper explains transfer by a schema that MIMIC-CXR-JPG and CheXpert share, "encompassing identical
pathology definitions, labeling granularity, and uncertainty encoding". Public counts can tell. Labels
mined from reports name what the report names; radiologists who fill in a form also tick every parent
in the label tree, and never write *uncertain*. So the same word has another frequency and other company.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from companion.evidence import sealed
from companion.evidence.audit import facts
from companion.phantoms.tree import PARENTS

#: The parts of the data sets that can be set side by side, and how their labels were made.
PARTS: Mapping[str, tuple[str, str, str]] = {
    "MIMIC-CXR-JPG, train": ("mimic", "train", "mined from reports"),
    "CheXpert, train": ("chexpert", "train", "mined from reports"),
    "CheXpert, test": ("chexpert", "test", "radiologists"),
    "NIH ChestX-ray14, test": ("nih", "test", "mined from reports by another labeler"),
}


def policies(dataset: str, split: str) -> dict[str, tuple[float, float, float]]:
    """Prevalence of each finding when uncertain labels count as negative, as positive, or not at all."""
    return {
        name: (one.positives / one.n, (one.positives + one.uncertain) / one.n, one.positives / (one.n - one.uncertain))
        for name, one in facts.counts(dataset, split).items()
        if name in FINDINGS
    }


class Together(NamedTuple):
    """How often a study with one label carries another, by report labels and by radiologists."""

    given: str
    also: str
    reports: float  # CheXpert train
    radiologists: float  # CheXpert test


@functools.cache
def together() -> list[Together]:
    """Each child of the label tree with its parent, and No Finding with Support Devices."""
    both = {
        (row["split"], row[one], row[other]): int(row["both"])
        for row in sealed.rows("label_pairs.csv")
        for one, other in (("label_a", "label_b"), ("label_b", "label_a"))
        if row["dataset"] == "chexpert"
    }
    return [
        Together(given, also, *(both[part, given, also] / both[part, given, given] for part in ("train", "test")))
        for given, also in [*PARENTS.items(), (NO_FINDING, SUPPORT_DEVICES)]
    ]


def uncertain_share(dataset: str, split: str) -> float:
    """Uncertain labels as a share of positive and uncertain ones; 0 where radiologists decided."""
    table = facts.counts(dataset, split).values()
    unsure = sum(count.uncertain for count in table)
    return unsure / (unsure + sum(count.positives for count in table))
