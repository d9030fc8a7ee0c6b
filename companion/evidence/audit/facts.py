"""The public numbers that the audit rests on: the paper's cells as printed, and aggregate label counts.

Everything is read from `results/published/` (`sealed`): Tables 1 to 6, `label_counts.csv` (how many studies or images
of each data set carry each label), `label_pairs.csv` (how many carry two), and `reference_lines.csv` (what the report
labeler and radiologists score). Each row names its source. No row of any patient is read or needed.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from chexreason.errors import unknown
from chexreason.files import digest_of
from companion.evidence import sealed
from companion.evidence.tables import TABLES

PAPER = "arXiv 2512.23090v2"


@functools.cache
def cells(number: int) -> Mapping[tuple[str, str, str], str]:
    """A table of the paper: (row, column, metric) -> the number as it is printed."""
    found = sealed.rows(f"table{number}.csv")
    return {(row["row"], row["column"], row["metric"]): row["value"] for row in found}


def rows(number: int) -> list[str]:
    """The rows of a table."""
    return list(dict.fromkeys(row for row, _, _ in cells(number)))


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
    """SHA-256 of each transcribed table, as it was checked; `cells` refuses any other."""
    return {number: sealed.digests()[f"table{number}.csv"] for number in TABLES}


def tables_digest() -> str:
    """One digest over the six tables."""
    return digest_of(digests())


class Count(NamedTuple):
    """How many of n studies (or images, for NIH) carry a label; uncertain ones are 0 where none are published."""

    positives: int
    uncertain: int
    n: int


@functools.cache
def counts(dataset: str, split: str) -> Mapping[str, Count]:
    """Label counts of one part of a data set, by label. Raises UserError for a part that is not listed."""
    listed = sealed.rows("label_counts.csv")
    part = [row for row in listed if (row["dataset"], row["split"]) == (dataset, split)]
    if not part:
        known = dict.fromkeys(f"{row['dataset']} {row['split']}" for row in listed)
        raise unknown("part of a data set", f"{dataset} {split}", known, "results/published/label_counts.csv")
    return {row["label"]: Count(int(row["positives"]), int(row["uncertain"] or 0), int(row["n"])) for row in part}


def size(dataset: str, split: str) -> int:
    """Studies (or images, for NIH) of a part of a data set."""
    return next(iter(counts(dataset, split).values())).n


def prevalence(dataset: str, split: str, findings: tuple[str, ...]) -> dict[str, float]:
    """Share of positives of each finding; uncertain labels count as negative."""
    table = counts(dataset, split)
    return {name: table[name].positives / table[name].n for name in findings}


def supports(dataset: str, split: str, findings: tuple[str, ...], n: int | None = None) -> dict[str, float]:
    """Positives of each finding among n studies of that prevalence (default: the part itself)."""
    return {name: share * (n or size(dataset, split)) for name, share in prevalence(dataset, split, findings).items()}


def readers(dataset: str) -> list[Any]:
    """What the report labeler and the radiologists score, where published: line, reader, macro and source each."""
    found = sealed.frame("reference_lines.csv").query("dataset == @dataset").rename(columns={"macro_f1": "macro"})
    return list(found.itertuples())


def mimic_splits() -> dict[str, int]:
    """Studies of MIMIC-CXR-JPG's own train, validate and test split."""
    listed = {(row["dataset"], row["fact"]): row["value"] for row in sealed.rows("datasets.csv")}
    numbers = listed["MIMIC-CXR-JPG", "training, validation and test studies"].split(", ")
    return {name: int(text.replace(",", "")) for name, text in zip(("train", "validate", "test"), numbers, strict=True)}
