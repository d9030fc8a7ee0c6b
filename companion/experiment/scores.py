"""The scores of an arm's answers in every cell: a population, the imaging hospital, and the reference standard."""

from typing import NamedTuple

import pandas as pd

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.metrics import Bools

#: The answers are held against the nine findings that all three hospitals record.
LABEL_SET = "nih9"
#: Hospital -> the convention that its own labels follow.
OWN = {"A": "report", "B": "radiologist", "C": "text-mined"}


class Cell(NamedTuple):
    """Patients as at `population`, imaged at `image`, held against `reference`."""

    population: str
    image: str
    reference: str


def own(hospital: str) -> Cell:
    """A hospital's own patients and images, held against its own labels."""
    return Cell(hospital, hospital, OWN[hospital])


def truth_of(labels: pd.DataFrame, cell: Cell, index: list[int]) -> Bools:
    """What the cell's reference records of these patients (N, F). Raises UserError if a patient has no labels."""
    rows = labels[(labels["population"] == cell.population) & (labels["reference"] == cell.reference)]
    truth = rows.set_index("index")["positive"].reindex(index)
    if not len(index) or truth.isna().any():
        raise UserError("a cell that was asked about", str(tuple(cell)), "see companion/experiment/worlds.py")
    return metrics.label_cells(truth, LABEL_SET)


def asked(answers: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The answers to a cell's images, patients in order."""
    found = answers[(answers["population"] == cell.population) & (answers["image"] == cell.image)]
    return found.sort_values("index")


def cells(answers: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """All metrics of every cell, in tidy form (population, image, reference, finding, metric, value)."""
    parts = []
    for population, image in answers[["population", "image"]].drop_duplicates().itertuples(index=False):
        for reference in labels["reference"].unique():
            cell = Cell(population, image, reference)
            rows = asked(answers, cell)
            scores = metrics.scores(
                truth_of(labels, cell, list(rows["index"])),
                metrics.label_cells(rows["predicted"], LABEL_SET),
                LABEL_SET,
                failure_rate=float(rows["failed"].astype(bool).mean()),
            )
            parts.append(scores.to_frame().assign(population=population, image=image, reference=reference))
    return pd.concat(parts, ignore_index=True)
