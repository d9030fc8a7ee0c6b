"""The public numbers that the audit rests on: the paper's cells as printed, and aggregate label counts.

Everything is read from `results/published/`: Tables 1 to 6, `label_counts.csv` (how many studies or
images of each data set carry each label), `label_pairs.csv` (how many carry two), and
`reference_lines.csv` (what the report labeler and radiologists score). Counts are aggregates of
public files; each row names its source. No row of any patient is read or needed.
"""

import functools
from collections.abc import Mapping

import pandas as pd

from chexreason.config import RESULTS
from chexreason.errors import unknown
from chexreason.evidence import TABLES
from chexreason.files import file_digest

PUBLISHED = RESULTS / "published"
TABLE_NUMBERS: tuple[int, ...] = tuple(TABLES)


@functools.cache
def cells(number: int) -> Mapping[tuple[str, str, str], str]:
    """A table of the paper: (row, column, metric) -> the number as it is printed."""
    frame = pd.read_csv(PUBLISHED / f"table{number}.csv", dtype=str)
    return {(row.row, row.column, row.metric): str(row.value) for row in frame.itertuples(index=False)}


def value(number: int, row: str, column: str, metric: str = "f1") -> float:
    """One printed cell as a number."""
    return float(cells(number)[row, column, metric])


def column(number: int, name: str, metric: str = "f1") -> dict[str, float]:
    """A column of a table by row, without the macro row of Tables 5 and 6."""
    return {
        row: float(text)
        for (row, where, what), text in cells(number).items()
        if (where, what) == (name, metric) and row != "macro"
    }


def digests() -> dict[int, str]:
    """SHA-256 of each transcribed table."""
    return {number: file_digest(PUBLISHED / f"table{number}.csv") for number in TABLE_NUMBERS}


@functools.cache
def _counts() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "label_counts.csv").set_index(["dataset", "split"])


def counts(dataset: str, split: str) -> pd.DataFrame:
    """Label counts of one part of a data set: by label, columns positives, uncertain, negatives, n, source.

    Raises UserError for a part that is not listed.
    """
    table = _counts()
    if (dataset, split) not in table.index:
        known = [f"{a} {b}" for a, b in table.index.unique()]
        raise unknown("part of a data set", f"{dataset} {split}", known, "results/published/label_counts.csv")
    return table.loc[[(dataset, split)]].set_index("label")


def size(dataset: str, split: str) -> int:
    """Studies (or images, for NIH) of a part of a data set."""
    return int(counts(dataset, split)["n"].iloc[0])


def prevalence(dataset: str, split: str, findings: tuple[str, ...]) -> dict[str, float]:
    """Share of positives of each finding; uncertain labels count as negative."""
    table = counts(dataset, split)
    return {name: float(table.at[name, "positives"] / table.at[name, "n"]) for name in findings}


def supports(dataset: str, split: str, findings: tuple[str, ...], n: int | None = None) -> dict[str, float]:
    """Positives of each finding among n studies of that prevalence (default: the part itself)."""
    total = size(dataset, split) if n is None else n
    return {name: share * total for name, share in prevalence(dataset, split, findings).items()}


@functools.cache
def _pairs() -> dict[tuple[str, str, str, str], int]:
    found: dict[tuple[str, str, str, str], int] = {}
    for row in pd.read_csv(PUBLISHED / "label_pairs.csv").itertuples(index=False):
        found[row.dataset, row.split, row.label_a, row.label_b] = int(row.both)
        found[row.dataset, row.split, row.label_b, row.label_a] = int(row.both)
    return found


def share_with(dataset: str, split: str, given: str, also: str) -> float:
    """Of the studies that carry the label `given`, the share that carry `also` too."""
    pairs = _pairs()
    return pairs[dataset, split, given, also] / pairs[dataset, split, given, given]


def reference_lines(dataset: str) -> pd.DataFrame:
    """What readers other than the five models score: line, reader, macro_f1, label_set, source."""
    table = pd.read_csv(PUBLISHED / "reference_lines.csv")
    return table[table["dataset"] == dataset].reset_index(drop=True)
