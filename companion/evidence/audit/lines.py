"""Reference lines: what a reader scores who never looks at an image, and what others have scored (not in the paper).

Answering one label for every study has precision p and recall 1, so F1 = 2p / (1 + p) for a finding of
prevalence p. For the CheXpert test set two more are known: the labeler that mines reports, and three radiologists who
were not part of the truth.
"""

from collections.abc import Mapping
from typing import NamedTuple

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import facts
from companion.evidence.tables import DATASETS


class Line(NamedTuple):
    """One reader's macro-F1 (and micro-F1 where it follows) on a data set."""

    reader: str
    macro: float
    micro: float | None
    source: str


def all_labels(prevalence: Mapping[str, float]) -> tuple[float, float]:
    """Macro- and micro-F1 of answering every label."""
    density = sum(prevalence.values()) / len(prevalence)
    return sum(2 * p / (1 + p) for p in prevalence.values()) / len(prevalence), 2 * density / (1 + density)


def most_frequent(prevalence: Mapping[str, float]) -> tuple[str, float, float]:
    """The label that most studies have, and the macro- and micro-F1 of answering it alone."""
    name = max(prevalence, key=lambda label: prevalence[label])
    p = prevalence[name]
    return name, 2 * p / (1 + p) / len(prevalence), 2 * p / (sum(prevalence.values()) + 1)


#: Table -> the part of a data set whose prevalences stand for it, its findings, and what is assumed about it.
GROUNDS: Mapping[int, tuple[str, str, tuple[str, ...], str]] = {
    **dict.fromkeys(
        (1, 2, 3, 4),
        ("mimic", "train", FINDINGS, "the validation studies are as those of MIMIC-CXR-JPG; not in the text we have"),
    ),
    5: ("chexpert", "test", FINDINGS, "the official test set"),
    6: ("nih", "test", NIH_SHARED, "the official test list; the paper's subset is not in the text we have"),
}


def prevalence_of(table: int) -> dict[str, float]:
    """Prevalence of each finding on the studies that a table is (assumed to be) about."""
    dataset, split, findings, _ = GROUNDS[table]
    return facts.prevalence(dataset, split, findings)


def reference_lines(table: int) -> list[Line]:
    """What readers without an image, and known others, score on the studies of a table."""
    dataset, split, _, assumed = GROUNDS[table]
    prevalence = prevalence_of(table)
    source = f"prevalences of {DATASETS[dataset][0]} {split}; {assumed}"
    name, macro, micro = most_frequent(prevalence)
    return [
        Line("every label for every study", *all_labels(prevalence), source),
        Line(f"the most frequent label, {name}", macro, micro, source),
        Line("no label at all", 0.0, 0.0, "by definition"),
        *(Line(f"{one.line}, {one.reader}", one.macro, None, one.source) for one in facts.readers(dataset)),
    ]
