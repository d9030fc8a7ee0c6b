"""A file of predictions in the forms that people have, joined to the labelled studies that it is about.

A CSV file, packed with gzip or not, with a column of ids and either a column a finding, of 0 and 1 or of probabilities,
or a column `completion` with what a model wrote. An id may be a path, a study or an image by its name, or a key of our
own rows. Columns may bear CheXpert's names or NIH's, in any case.
"""

import csv
import difflib
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chexreason.completions import parse_completion
from chexreason.data import tables
from chexreason.data.study import Study, masked
from chexreason.errors import UserError
from chexreason.files import write_atomically
from chexreason.labels import FINDINGS, NIH_TO_CHEXPERT, read_labels
from chexreason.prompts import PROMPTS, Prompt
from companion.evidence.stats import Floats
from companion.replication.own.labels import Labels

#: Columns that may hold the ids, the first that is there; an image says more than its study.
IDS = ("study_key", "path", "image index", "image", "image_id", "dicom_id", "filename", "study_id", "study", "id")
COMPLETION = "completion"
_NIH = {name.replace("_", " ").lower(): known for name, known in NIH_TO_CHEXPERT.items()}
NO_HEADER = "a first line that is no header"
_KNOWN = [name.lower() for name in FINDINGS] + list(_NIH)
#: From which a probability counts, unless one says otherwise.
THRESHOLD = 0.5
PROBABILITIES, CHOICES, ANSWERS = "probabilities", "0/1 labels", "completions"


class Said(NamedTuple):
    """What a file says of each study that it is scored on."""

    form: str
    studies: tuple[Study, ...]
    findings: tuple[str, ...]
    rows: list[dict[str, Any]]  # the columns of `chexreason.rows` that are not recorded
    chance_BF: Floats | None  # probabilities, where the file holds them
    left_out: dict[str, int]


def read(
    path: Path, to: Labels, *, column: str | None, threshold: float, prompt: Prompt, partial: bool, lists: Path
) -> Said:
    """The predictions in a file about labelled studies; from `threshold` on a probability names its finding.

    Raises UserError, in one line, for a file that is none of the forms, a cell that does not fit, an id that is
    unknown or occurs twice, and a study without a prediction; with `partial` what only one side has is left out. Where
    no message may name a study, those without a prediction are listed in a file in the folder `lists`.
    """
    frame = _table(path)
    header = [str(name) for name in frame]
    id_name = _id_column(path, header, column)
    named = {name: known for name in header if name != id_name and (known := _finding(name))}
    text = next((name for name in header if name.lower() == COMPLETION), None)
    if bool(named) == bool(text):
        got = "both" if named else f"neither among {_shown(header)}"
        wanted = f"a column a finding, or a column {COMPLETION!r}, in {_file(path)}"
        raise UserError(wanted, got, "keep the one to be scored" if named else "name the columns as CheXpert or NIH do")
    strange = [name for name in header if name not in (id_name, text, *named)]
    for name in strange:
        if near := difflib.get_close_matches(name.replace("_", " ").lower(), _KNOWN, 1, 0.85):
            raise UserError(f"columns of {_file(path)} named as CheXpert or NIH do", repr(name), f"write {near[0]}")
    places, left_out = _join(path, frame[id_name], to, partial, lists)
    left_out |= {"columns that name no finding": len(strange)} if strange and not text else {}
    studies, chosen = tuple(to.studies[place] for place in places), frame.loc[list(places.values())]
    if text:
        rows = answers(chosen[text], prompt)
        other = next((one for one in PROMPTS.values() if one.answer.tag != prompt.answer.tag), prompt)
        if (
            all(row["failed"] for row in rows)
            and chosen[text].str.contains(f"</{other.answer.tag}>", regex=False).any()
        ):
            got, do = f"all in <{other.answer.tag}>", f"say --prompt {other.name}"
            raise UserError(f"answers of {_file(path)} in <{prompt.answer.tag}> blocks", got, do)
        return Said(ANSWERS, studies, to.findings, rows, None, left_out)
    findings = tuple(name for name in to.findings if name in named.values())
    unscored = [name for name in named if named[name] not in findings]
    if not findings:
        got = f"columns for {', '.join(dict.fromkeys(named.values()))}"
        raise UserError(f"a column for a finding of {to.title}", got, f"scored are {', '.join(to.findings)}")
    left_out |= {"columns of findings that are not scored here": len(unscored)} if unscored else {}
    values = pd.DataFrame({name: _numbers(path, frame[name]) for name in named}, index=frame.index).loc[chosen.index]
    # Mass and Nodule are both a Lung Lesion: the larger of two columns of one finding counts.
    chance_BF = np.stack([values[[c for c in named if named[c] == name]].max(axis=1) for name in findings], axis=1)
    form = CHOICES if np.isin(chance_BF, (0, 1)).all() else PROBABILITIES
    if form == CHOICES and threshold != THRESHOLD:
        raise UserError(f"probabilities in {_file(path)} for a threshold", "0 and 1 alone", "leave out --threshold")
    said_BF = chance_BF >= threshold if form == PROBABILITIES else chance_BF == 1
    nothing = {"completion": "", "tokens": 0, "failures": "", "valid": True, "failed": False}
    rows = [{**nothing, "predicted": ";".join(np.array(findings)[said_F])} for said_F in said_BF]
    return Said(form, studies, findings, rows, chance_BF if form == PROBABILITIES else None, left_out)


def answers(texts: Iterable[str], prompt: Prompt) -> list[dict[str, Any]]:
    """What completions say, read as the answers to a prompt are: the columns of a run's rows."""
    parsed = [(text, parse_completion(text, prompt.answer)) for text in texts]
    return [
        {"completion": text, "tokens": 0, "failures": ";".join(sorted(one.failures)), "valid": one.valid,
         "failed": one.failed, "predicted": ";".join(one.labels)}
        for text, one in parsed
    ]  # fmt: skip


def _table(path: Path) -> pd.DataFrame:
    """All cells as text; the index is the line in the file where a row ends."""
    header = tables.column_names(path)  # or UserError: it cannot be read
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode("utf-8-sig")
    wanted = f"{len(header)} fields, as in the header, in {_file(path)}"
    reader, rows, lines = csv.reader(io.StringIO(text, newline=""), strict=True), [], []
    try:
        for row in reader:
            if "".join(row).strip():
                if len(row) < len(header) or any(row[len(header) :]):
                    raise UserError(f"{wanted}, line {reader.line_num}", str(len(row)), "quote cells that hold commas")
                rows.append(row[: len(header)])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise UserError(f"{wanted}, line {reader.line_num}", str(error), "save it again as CSV") from None
    if len(rows) < 2 or len(set(header)) < len(header):
        twice = [name for name, count in Counter(header).items() if count > 1]
        got = f"{_shown(twice)} twice" if twice else "no row"
        got = NO_HEADER if _shown(header) == NO_HEADER else got
        raise UserError(f"a header with each column once, and rows, in {_file(path)}", got, "correct it")
    return pd.DataFrame(rows[1:], columns=header, index=lines[1:], dtype="str")


def _file(path: Path) -> str:
    return masked(Path(path.name), 40)


def _shown(names: Sequence[str]) -> str:
    """Column names for a message; what may be a row is not shown."""
    line = ", ".join(names)
    if any(re.fullmatch(r"[-.\d]+|.*\d{5}.*", name) for name in names):  # a row, which may name a patient
        return NO_HEADER
    if len(names) == 1 and (found := re.search(r"[;\t|]", line)):
        return f"columns separated by {found[0]!r}"
    return masked(Path(line if len(line) <= 60 else f"{line[:59]}…"))


def _id_column(path: Path, header: list[str], asked: str | None) -> str:
    by_name = {name.lower(): name for name in header}
    for name in [asked.lower()] if asked else IDS:
        if name in by_name:
            return by_name[name]
    wanted = f"a column {asked!r}" if asked else "a column of ids such as Path, Image Index or study_id"
    got = _shown(header)
    do = "save it with commas" if got.startswith("columns separated") else "name it with --id COLUMN"
    raise UserError(f"{wanted} in {_file(path)}", got, do)


def _finding(column: str) -> str | None:
    """The finding that a column is about, by CheXpert's name or NIH's; None for any other column.

    >>> _finding("pleural_effusion"), _finding("Effusion"), _finding("Infiltration")
    ('Pleural Effusion', 'Pleural Effusion', None)
    """
    words = column.replace("_", " ").strip()
    known = read_labels(words)[0] if "," not in words else ()
    return known[0] if known else _NIH.get(words.lower())


def _numbers(path: Path, cells: pd.Series) -> pd.Series:
    """A finding's column as numbers from 0 to 1."""
    plain = cells.str.strip().str.lower().replace({"true": "1", "false": "0"})
    values = pd.to_numeric(plain, errors="coerce")
    expected = f"0, 1 or a probability under {str(cells.name)!r}"
    try:
        tables.refuse(Path(path.name), cells, ~values.between(0, 1), expected)
    except UserError as error:
        known = ((values < 0) | (values > 1)) & (values != -1)
        do = "put a sigmoid before logits" if known.any() else "decide for 0 or 1, or leave the row out with --partial"
        raise UserError(error.expected, error.got, do) from None
    return values.astype(float)


def _names(study: Study) -> Iterator[str]:
    """What a study may be called."""
    yield from (study.key, study.study_id, study.image.name, study.image.stem)


def _readings(cell: str) -> Iterator[str]:
    """What an id may stand for, the likeliest first: an image before the study whose folder it lies in."""
    text = cell.strip().replace("\\", "/").strip("/")
    *above, name = text.split("/")
    yield from (text, name, name.rpartition(".")[0], "-".join([*above[-1:], name]), "-".join(above[-2:]))
    yield from (part.removeprefix("s") for part in [name, *above[-1:]])


def _join(path: Path, ids: pd.Series, to: Labels, partial: bool, lists: Path) -> tuple[dict[int, Any], dict[str, int]]:
    """Place of each study -> the line about it; and what was left out. Rows on other images of a study do not count."""
    counts = Counter(name for study in to.studies for name in set(_names(study)))
    by_name = {n: k for k, study in enumerate(to.studies) for n in _names(study) if counts[n] == 1 and n}
    found: dict[int, list[tuple[bool, Any]]] = {}
    strange = []
    for line, cell in ids.items():
        reading = next((one for one in _readings(cell) if one in by_name), None)
        if reading is None:
            strange.append(line)
            continue
        image, name = to.studies[by_name[reading]].image, cell.strip().replace("\\", "/").rpartition("/")[2]
        exact = name in (image.name, image.stem) or not Path(name).suffix
        found.setdefault(by_name[reading], []).append((exact, line))
    right = {k: [line for exact, line in each if exact] or [line for _, line in each] for k, each in found.items()}
    where = _file(path)
    if twice := {place: lines for place, lines in right.items() if len(lines) > 1}:
        (place, lines), more = next(iter(twice.items())), f" ({len(twice):,} such)" * (len(twice) > 1)
        got = f"{_called(to, [place])} on lines {lines[0]} and {lines[1]}{more}"
        raise UserError(f"one row a study in {where}", got, "keep one row a study")
    chosen = {place: right[place][0] for place in sorted(right)}
    others = sum(map(len, found.values())) - len(chosen)
    missing = [place for place in range(len(to.studies)) if place not in chosen]
    if not chosen:
        got = f"{len(strange):,} others, the first on line {strange[0]}"
        raise UserError(f"ids of studies of {to.title} in {where}", got, "check the column, with --id, and the split")
    if strange and not partial:
        got = f"{len(strange):,} of others, the first on line {strange[0]}"
        raise UserError(f"ids of studies of {to.title} in {where}", got, "correct them, or say --partial")
    if missing and not partial:
        got = f"none for {_called(to, missing)}"
        if not to.public:
            names = "\n".join(to.studies[place].study_id for place in missing) + "\n"
            write_atomically(lists / "missing.txt", names.encode())
            got += f", listed in {masked(lists / 'missing.txt', 40)}"
        raise UserError(f"a row in {where} for each of {len(to.studies):,} studies", got, "add them, or say --partial")
    images = [Path(str(ids[chosen[place]]).strip()).suffix.lower() in (".jpg", ".jpeg", ".png") for place in chosen]
    lateral = sum(
        image and not any(exact for exact, _ in found[place]) for place, image in zip(chosen, images, strict=True)
    )
    reasons = {
        "studies without a prediction": len(missing),
        "rows on studies without a label": len(strange),
        "rows on other images of a study": others,
        "studies with a row on another image alone": lateral,
    }
    return chosen, {why: count for why, count in reasons.items() if count}


def _called(to: Labels, places: Sequence[int]) -> str:
    """Some studies for a message: by name where the data are public, else how many."""
    if not to.public:
        return f"{len(places):,} {'study' if len(places) == 1 else 'studies'}"
    some = ", ".join(to.studies[place].study_id for place in places[:3])
    return some + f" and {len(places) - 3:,} more" * (len(places) > 3)


def check_threshold(value: float) -> None:
    """Raise UserError for a threshold that no probability can reach."""
    if not 0 < value <= 1:
        raise UserError("a threshold above 0, at most 1", f"{value:g}", "give another --threshold")
