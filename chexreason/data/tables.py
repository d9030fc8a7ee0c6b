"""Label tables read with every cell checked (paper, section 3.1).

A label file that is a little wrong (an id turned into a float by a spreadsheet, a column that was
renamed, a cell of 0.5) must not become a slightly wrong score. So the columns are asked for by
name and kind, and the first thing that does not fit is named with its file and line. The fast path
lets pandas parse numbers in C; only a file that fails is read a second time, as text, to find the
cell.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.errors import UserError
from chexreason.labels import ALIASES, FINDINGS

#: Kinds of column: a whole number from 0 up, any text, or a label cell (1, 0, -1 or blank).
ID, TEXT, LABEL = "id", "text", "label"

_DTYPES = {ID: "int64", TEXT: "str", LABEL: "float64"}
_EXPECTED = {ID: "a whole number", LABEL: "a label of 1.0, 0.0, -1.0 or nothing"}
_BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, pd.errors.ParserError)


def find_folder(path: Path, what: str) -> Path:
    """The absolute path of a folder that must be there; UserError naming `what` otherwise."""
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        return path
    came = "a file" if path.exists() else "nothing at that path"
    raise UserError(f"the folder of {what} at {path}", came, "give the folder that holds it")


def find_file(folder: Path, patterns: Sequence[str], what: str) -> Path:
    """The first file in `folder` that fits one of the glob patterns, earlier patterns first."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                return path
    raise UserError(
        f"{what} as {' or '.join(patterns)} in {folder}",
        "no such file",
        "download it, or give the folder that holds it",
    )


def read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """The asked-for columns of a CSV file (plain or .gz), checked cell by cell.

    `columns` maps a name to its kind. Returns a frame with exactly these columns, in this order:
    int64 for ids (also where a spreadsheet wrote 211 as 211.0), str for text (blank is ""), float64
    for labels (blank is NaN). A label may stand under another of its spellings (`labels.ALIASES`).
    Other columns are not read, so odd ones (the bracketed pairs of NIH, trailing commas) do no harm.

    Raises UserError, naming the file, for a file that cannot be read, a missing or doubled column,
    a table without rows, and the first cell that does not fit its kind.
    """
    header = column_names(path)
    places = {name: _place(path, header, name) for name in columns}
    frame = _read(path, places, columns)
    for name, kind in columns.items():
        values = frame[name].to_numpy()
        if kind == ID:
            bad = values < 0
        elif kind == LABEL:
            bad = ~(np.isnan(values) | np.isin(values, (1.0, 0.0, -1.0)))
        else:
            continue
        if bad.any():
            row = int(bad.argmax())
            raise _bad_cell(path, row, name, kind, str(frame[name].iloc[row]))
    return frame[list(columns)]


def label_columns(names: Sequence[str] = FINDINGS) -> dict[str, str]:
    """The column request for a set of findings.

    >>> label_columns(["Edema", "Fracture"])
    {'Edema': 'label', 'Fracture': 'label'}
    """
    return dict.fromkeys(names, LABEL)


def label_dicts(frame: pd.DataFrame, names: Sequence[str] = FINDINGS) -> list[dict[str, float]]:
    """One dict a row with the labels that are stated; blanks have no entry.

    >>> label_dicts(pd.DataFrame({"Edema": [1.0, np.nan], "Fracture": [-1.0, np.nan]}), ["Edema", "Fracture"])
    [{'Edema': 1.0, 'Fracture': -1.0}, {}]
    """
    values_BF = frame[list(names)].to_numpy(dtype="float64")
    dicts: list[dict[str, float]] = [{} for _ in range(len(frame))]
    rows, places = np.nonzero(~np.isnan(values_BF))
    stated = values_BF[rows, places].tolist()
    for row, place, value in zip(rows.tolist(), places.tolist(), stated, strict=True):
        dicts[row][names[place]] = value
    return dicts


def column_names(path: Path) -> list[str]:
    """The names in the file's first line; UserError when it cannot be read."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as raw:
            line = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            return [name.strip() for name in next(csv.reader(line), [])]
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def read_lines(path: Path) -> list[str]:
    """The non-blank lines of a text file; UserError when it cannot be read."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def bad_row(path: Path, row: int, expected: str, came: str) -> UserError:
    """The error for the table's data row number `row` (counted from 0, after the header)."""
    return UserError(f"{expected} in {path}, line {row + 2}", repr(came), "mend the file or download it again")


def _place(path: Path, header: list[str], name: str) -> int:
    spellings = {name, *(other for other, known in ALIASES.items() if known == name)}
    places = [place for place, column in enumerate(header) if column in spellings]
    if len(places) == 1:
        return places[0]
    came = f"{len(places)} of them" if places else f"the columns {', '.join(header) or '(none)'}"
    raise UserError(f"one column {name!r} in {path}", came, "use the file as it was released")


def _read(path: Path, places: Mapping[str, int], columns: Mapping[str, str]) -> pd.DataFrame:
    try:
        frame = _parse(path, places, {name: _DTYPES[kind] for name, kind in columns.items()}, columns)
    except _BROKEN as error:
        raise _unreadable(path, error) from error
    except ValueError as error:  # a cell that is no number: find it
        raise _first_bad_cell(path, places, columns) or _unreadable(path, error) from error
    if frame.empty:
        raise UserError(f"a table with rows in {path}", "a header and no rows", "download the file again")
    return frame


def _parse(
    path: Path, places: Mapping[str, int], dtypes: Mapping[str, str], columns: Mapping[str, str]
) -> pd.DataFrame:
    """Columns are picked by place: names may hold commas or stand twice, and rows may end in one."""
    names = sorted(places, key=lambda name: places[name])
    blank = {name: [""] for name in names if dtypes[name] != "str" and columns[name] == LABEL}
    try:
        return pd.read_csv(
            path,
            header=None,
            skiprows=1,
            names=names,
            usecols=[places[name] for name in names],
            index_col=False,
            dtype=dict(dtypes),
            keep_default_na=False,
            na_values=blank,
            encoding="utf-8-sig",
            compression="infer",
        )
    except pd.errors.EmptyDataError:
        return pd.DataFrame({name: pd.Series(dtype=dtypes[name]) for name in names})


def _first_bad_cell(path: Path, places: Mapping[str, int], columns: Mapping[str, str]) -> UserError | None:
    frame = _parse(path, places, dict.fromkeys(columns, "str"), columns)
    for name, kind in columns.items():
        if kind == TEXT:
            continue
        pattern = r"\d+(?:\.0*)?" if kind == ID else r"\s*(?:-?1(?:\.0*)?|0(?:\.0*)?)?\s*"
        bad = ~frame[name].str.fullmatch(pattern).to_numpy(dtype=bool)
        if bad.any():
            row = int(bad.argmax())
            return _bad_cell(path, row, name, kind, frame[name].iloc[row])
    return None


def _bad_cell(path: Path, row: int, name: str, kind: str, came: str) -> UserError:
    return bad_row(path, row, f"{_EXPECTED[kind]} under {name!r}", came)


def _unreadable(path: Path, error: BaseException) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"a readable CSV or text file at {path}", reason, "download the file again")
