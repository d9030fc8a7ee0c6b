"""The CheXpert label tree: a radiologist who marks Edema also marks Lung Opacity; a report labeler does not."""

from collections.abc import Mapping

#: child -> parent in the CheXpert label tree (Irvin et al. 2019, figure 1, arXiv:1901.07031).
PARENTS: Mapping[str, str] = {
    "Cardiomegaly": "Enlarged Cardiomediastinum",
    "Lung Lesion": "Lung Opacity",
    "Edema": "Lung Opacity",
    "Consolidation": "Lung Opacity",
    "Pneumonia": "Consolidation",
    "Atelectasis": "Lung Opacity",
}


def ancestors(finding: str) -> tuple[str, ...]:
    """All parents of a finding, nearest first.

    >>> ancestors("Pneumonia")
    ('Consolidation', 'Lung Opacity')
    """
    parent = PARENTS.get(finding)
    return (parent, *ancestors(parent)) if parent else ()


def closure(positives: frozenset[str] | set[str]) -> frozenset[str]:
    """The findings together with all their parents, as a radiologist's reading has them.

    >>> sorted(closure({"Cardiomegaly"}))
    ['Cardiomegaly', 'Enlarged Cardiomediastinum']
    """
    return frozenset(positives).union(*(ancestors(f) for f in positives))
