"""The door to the data: sources by name, what only phantoms have, and tables checked cell by cell."""

import gzip
import traceback
from pathlib import Path

import numpy as np
import pytest

from chexreason import data
from chexreason.data.tables import ID, LABEL, TEXT, find_file, find_folder, label_dicts, read_lines, read_table
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from companion.phantoms import prepare


def test_sources_know_what_they_can_state_and_who_may_see_it(tmp_path):
    assert {name: source.name for name, source in data.SOURCES.items()} == {n: n for n in ("mimic", "chexpert", "nih")}
    assert all(set(source.label_set) <= set(FINDINGS) for source in data.SOURCES.values())
    assert [name for name, source in data.SOURCES.items() if not source.credentialed] == ["nih"]
    assert [name for name, source in data.SOURCES.items() if source.scored_on == "nih9"] == ["nih"]
    with pytest.raises(UserError, match="a source among chexpert, mimic, nih, got 'padchest'"):
        data.load("padchest", tmp_path)


def test_truth_and_lesions_are_known_for_phantoms_only(tmp_path):
    assert not data.is_phantom(tmp_path)
    with pytest.raises(UserError, match=r"no phantom\.json there\. The visible truth is known for phantoms only"):
        data.truth(tmp_path)
    (tmp_path / "phantom.json").write_text("{}")
    rows = 'nih/1/1,Edema;Lung Opacity,"[{""finding"": ""Edema"", ""severity"": 0.5}]"\nnih/2/2,,[]\n'
    (tmp_path / "truth.csv").write_text("study_key,visible,lesions\n" + rows)
    assert data.is_phantom(tmp_path)
    assert data.truth(tmp_path) == {"nih/1/1": {"Edema", "Lung Opacity"}, "nih/2/2": frozenset()}
    assert prepare.lesions(tmp_path) == {"nih/1/1": [{"finding": "Edema", "severity": 0.5}], "nih/2/2": []}
    (tmp_path / "phantom.json.partial").write_text("{}")
    with pytest.raises(UserError, match="half drawn"):
        data.load("nih", tmp_path)


def table(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    content = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


def test_columns_come_by_name_and_blank_is_nothing(tmp_path):
    path = table(tmp_path, "odd[x,y],name, Edema ,id,\n1,2,PA,-1,007,\n3,4,,,12.0,\n")
    frame = read_table(path, {"id": ID, "Edema": LABEL, "name": TEXT})
    assert list(frame.columns) == ["id", "Edema", "name"]
    assert (frame["id"].tolist(), frame["name"].tolist()) == ([7, 12], ["PA", ""])
    zipped = table(tmp_path, b"\xef\xbb\xbfid,name,Edema\r\n007,NA,-1\r\n12,,\r\n", "a.csv.gz")
    frame = read_table(zipped, {"id": ID, "name": TEXT, "Edema": LABEL})
    assert (frame["id"].tolist(), frame["name"].tolist()) == ([7, 12], ["NA", ""])
    assert label_dicts(frame, ["Edema"]) == [{"Edema": -1.0}, {}]


@pytest.mark.parametrize("cell", ["1", "1.0", "0", "0.0", "-1", "-1.0", "-0.0", "", " 1.0"])
def test_a_cell_that_is_a_label(tmp_path, cell):
    value = read_table(table(tmp_path, f"id,Edema\n1,{cell}\n"), {"Edema": LABEL})["Edema"].iloc[0]
    assert value == float(cell) if cell else np.isnan(value)


@pytest.mark.parametrize("cell", ["NaN", "inf", "2", "0.5", "-2", "True", "1,5", "1e0"])
def test_a_cell_that_is_none(tmp_path, cell):
    path = table(tmp_path, f'id,Edema\n1,1\n2,"{cell}"\n')
    with pytest.raises(UserError, match=rf"a label of .* under 'Edema' in {path}, line 3, got '{cell}"):
        read_table(path, {"id": ID, "Edema": LABEL}, public=True)
    with pytest.raises(UserError, match=rf"under 'Edema' in {path}, line 3, got a cell of \d characters?, not shown"):
        read_table(path, {"id": ID, "Edema": LABEL})


@pytest.mark.parametrize(
    "rows", ["study_id,Edema\nMARKER,1\n", "study_id,Edema\n1,MARKER\n", "study_id,Edema\nMARKER MARKER,1\n",
             "10000032,MARKER\n1,1\n", 'study_id,Edema\n1,"MARKER\n', f"study_id,Edema\n{'9' * 30},MARKER\n"],
)  # fmt: skip
def test_no_message_and_no_cause_of_one_shows_a_cell(tmp_path, rows):
    with pytest.raises(UserError) as caught:
        read_table(table(tmp_path, rows), {"study_id": ID, "Edema": LABEL})
    shown = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in ("MARKER", "10000032", "9" * 30) if secret in shown]


def test_files_and_folders(tmp_path):
    sound = b"id,Edema\n1,1\n"
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(sound * 99)[:-20])
    (tmp_path / "page.csv.gz").write_bytes(b"<html>please sign in</html>")
    path = table(tmp_path, sound.decode().encode("utf-16"))
    for broken in (path, tmp_path / "cut.csv.gz", tmp_path / "page.csv.gz"):
        with pytest.raises(UserError, match=rf"readable CSV or text file at .*{broken.name}"):
            read_table(broken, {"id": ID})
    with pytest.raises(UserError, match=r"readable CSV or text file at .*a\.csv"):
        read_lines(path)
    for empty, told in (("", "one column 'id' in"), ("id,Edema\n", "a table with rows in")):
        with pytest.raises(UserError, match=told):
            read_table(table(tmp_path, empty, "empty.csv.gz"), {"id": ID})
    (tmp_path / "c.csv").mkdir()
    assert find_file(tmp_path, ["c.csv", "a*.csv"], "a table") == path
    with pytest.raises(UserError, match="a table as c or d in"):
        find_file(tmp_path, ["c", "d"], "a table")
    with pytest.raises(UserError, match=r"the folder of images at .*, got a file"):
        find_folder(path, "images")
