"""The recorded labels that predictions are scored against: those of a data set of the study, or of one's own.

A data set of one's own is described in a small YAML file (`schema.yml`). It is taken for one that must not be passed
on, as MIMIC-CXR-JPG and CheXpert are.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

from chexreason import cohorts, data, written
from chexreason.checked import check, parse
from chexreason.config import Profile
from chexreason.data import tables
from chexreason.data.study import Study, masked
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, LABEL_SETS, NEGATIVE, POSITIVE, UNCERTAIN

SCHEMA = yaml.safe_load(Path(__file__).with_name("schema.yml").read_text(encoding="utf-8"))
#: What a cell may hold unless the file says otherwise; a blank one is not mentioned.
STATES = {"positive": ["1", "1.0"], "negative": ["0", "0.0"], "uncertain": ["-1", "-1.0"]}
VALUES = {"positive": POSITIVE, "negative": NEGATIVE, "uncertain": UNCERTAIN}


class Labels(NamedTuple):
    """The labelled studies of a data set."""

    name: str
    title: str
    studies: tuple[Study, ...]
    findings: tuple[str, ...]  # on which it is scored
    left_out: dict[str, int]
    public: bool  # whether a message may name a study
    real: bool  # and not drawn


def of_data_set(profile: Profile, name: str, split: str) -> Labels:
    """The studies of one of the data sets of a profile, which was asked to draw what it draws.

    Raises UserError where its folder is not known, and as `data.load` does.
    """
    place, source = profile.data[name], data.SOURCES[name]
    if place.unset:
        do = f"give it with --data, or export {place.unset}=/where/it/lies"
        raise UserError(f"the folder of {source.title}", f"${place.unset}, which is not set", do)
    if (drawn := data.is_phantom(place.root)) and profile.tier == "replication":
        wanted = f"{source.title} in {masked(place.root, 60)} for the tier replication"
        raise UserError(wanted, "drawn images", "name the profile that draws them, such as --profile demo")
    with cohorts.may_read():
        found = data.load(name, place.root, split)
    public = drawn or not source.credentialed
    title = f"{source.title}, {split} split" + " (drawn images)" * drawn
    return Labels(name, title, found.studies, LABEL_SETS[source.scored_on], dict(found.left_out), public, not drawn)


def of_file(path: Path) -> Labels:
    """The studies that a file such as my.yml describes. Raises UserError for whatever is wrong with it or its table."""
    path, where = written.folder(path), f"data set {masked(Path(path.name), 30)}"
    if not path.is_file():
        raise UserError(f"a data set described in {masked(path, 60)}", "no file", "correct --dataset")
    check(path.stem, written.SCHEMA["$defs"]["name"], where, "file name")
    text = parse(path.read_bytes(), where)
    check(text, SCHEMA, where, known={"finding": FINDINGS})
    if path.stem in data.SOURCES:
        raise UserError("a name of its own for your data set", path.name, "rename the file")
    table, states = path.parent / text["labels"], {**STATES, **text.get("states", {})}
    cells_of = [(str(cell), VALUES[state]) for state, cells in states.items() for cell in cells]
    of_cell = dict(cells_of)
    if len(of_cell) < len(cells_of):
        twice = next(cell for cell, _ in cells_of if [one for one, _ in cells_of].count(cell) > 1)
        raise UserError(f"one state for each cell in {where}", f"{twice!r} in several", "correct its `states`")
    names = tuple(name for name in FINDINGS if name in text["findings"])
    columns = [text["id"], text["patient"], *(text["findings"][name] for name in names)]
    for column in {one for one in columns if columns.count(one) > 1} - {text["id"]}:
        raise UserError(f"a column for each entry of {where}", f"{column!r} twice", "correct it")
    try:
        frame = tables.read_table(table, dict.fromkeys(columns, tables.TEXT))
    except UserError as error:
        raise UserError(error.expected, error.got, f"correct {path.name}, or the table") from None
    ids, patients = frame[text["id"]].str.strip(), frame[text["patient"]].str.strip()
    tables.refuse(table, ids, ids.eq("") | ids.duplicated(), "an id that occurs once")
    tables.refuse(table, patients, patients.eq(""), "a patient")
    known = f"one of {', '.join(of_cell) if len(', '.join(of_cell)) < 40 else 'its `states`'} or nothing"
    values = {}
    for name in names:
        cells = frame[text["findings"][name]].str.strip()
        tables.refuse(table, cells, ~cells.isin([*of_cell, ""]), f"{known} under {text['findings'][name]!r}")
        values[name] = cells.map(of_cell).astype(float)
    labels = tables.label_dicts(pd.DataFrame(values, index=frame.index), names)
    studies = tuple(
        Study(path.stem, patient, study, Path(study), "", "test", stated, names)
        for study, patient, stated in zip(ids, patients, labels, strict=True)
    )
    return Labels(path.stem, path.stem, studies, names, {}, False, True)
