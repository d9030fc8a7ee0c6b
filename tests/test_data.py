"""The door to the data: sources by name, what only phantoms have, and tables checked cell by cell."""

import gzip
import re
import traceback
from pathlib import Path

import numpy as np
import pytest

from chexreason import data
from chexreason.data.tables import ID, LABEL, TEXT, NotHeld, find_file, label_dicts, read_lines, read_table
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
    (tmp_path / "phantom.json").write_text('{"sizes": {"train": 1, "test": 1}}')
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


@pytest.mark.parametrize("cell", ["NaN", "inf", "2", "0.5", "-2", "True", "1,5", "1e0", "x" * 100_000])
def test_a_cell_that_is_none(tmp_path, cell):
    path = table(tmp_path, f'id,Edema\n\n1,1\n2,"{cell}"\n')
    with pytest.raises(UserError, match=rf"a label \(.* under 'Edema' in .*line 4, got '{cell[:40]}") as caught:
        read_table(path, {"id": ID, "Edema": LABEL}, public=True)
    assert len(str(caught.value)) <= 200
    with pytest.raises(UserError, match=r"under 'Edema' in .*, line 4, got a cell of \d+ characters?, not shown"):
        read_table(path, {"id": ID, "Edema": LABEL})


@pytest.mark.parametrize(("cell", "number"), [("7", 7), ("007.", 7), (" 7.00", 7), (f"{2**59 + 1}.0", 2**59 + 1)])
def test_an_id_is_digits_and_keeps_them_all(tmp_path, cell, number):
    assert read_table(table(tmp_path, f"id\n{cell}\n12\n"), {"id": ID})["id"].to_dict() == {2: number, 3: 12}


@pytest.mark.parametrize("cell", ["2e7", "9.5E+07", "7.5", "-7", "0x7", "\u0667", "9" * 19, ""])
def test_an_id_that_is_none_is_not_shown_even_of_a_public_table(tmp_path, cell):
    with pytest.raises(UserError, match=r"a whole number under 'id' in .*, line 2, got an? .*cell( of .*shown)?\."):
        read_table(table(tmp_path, f"id,x\n{cell},\n"), {"id": ID}, public=True)


@pytest.mark.parametrize(
    ("row", "got"), [("1", "1"), ("1,0,x", "3"), ('"1\n",0', "a row on several lines"), (",", None), ("1,0,,", None)]
)
def test_a_row_has_the_fields_of_the_header_and_commas_at_its_end_do_no_harm(tmp_path, row, got):
    path = table(tmp_path, f"name,Edema,\n1,1,\n{row}\n", "a.csv.gz")
    if got is None:
        assert len(read_table(path, {"Edema": LABEL})) == 2
    else:
        with pytest.raises(UserError, match=rf"2 fields in .*a\.csv\.gz, line \d, got {got}\. Download .* cut"):
            read_table(path, {"Edema": LABEL})


def test_a_last_row_that_is_cut_after_a_comma_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a line break at the end of .*a\.csv, got a last row that ends in a comma"):
        read_table(table(tmp_path, "id,Edema\n1,1.0\n2,"), {"id": ID, "Edema": LABEL})
    for whole, n in (("id,Edema\n1,1.0\n2,1.0", 2), ("id,Edema\n1,1.0\n2,\n", 2), ("id,Edema,\n2,1.0,", 1)):
        assert len(read_table(table(tmp_path, whole), {"id": ID, "Edema": LABEL})) == n


@pytest.mark.parametrize("rows", ["x\n", "12345\n"])
def test_a_cell_under_a_wrong_header_is_not_shown_where_it_may_be_an_id(tmp_path, rows):
    with pytest.raises(UserError, match=r"not shown" if rows == "12345\n" else "got 'x'"):
        read_table(table(tmp_path, f"Edema\n{rows}"), {"Edema": LABEL}, public=True)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg", False), ("id_1234.jpg", False), ("211_000.png", False),
     ("Doe_Jane_1957", False), ("Patient 12", False), ("P-0042.jpg", False), ("subject-1003", False),
     ("Doe_Jane.JPG", False), ("mimic-cxr-p10000032.txt", False), ("Data_Entry_2017_v2020.csv", True),
     ("CheXpert-v1.0 batch 1 (validate & csv)", True), ("CheXpert-v1.0-small.zip", True), ("images_001.tar.gz", True),
     ("train (1).csv", True), ("mimic-cxr-2.0.0-split.csv(2).gz", True), ("Data_Entry_2017_v2020 (1).csv", True),
     ("P-0042 (1).csv", False), ("Doe (1) 1957.csv", False), ("Doe (1).png", False),
     ("mimic-cxr-2.0.0-split.csv.gz", True), ("mimic-cxr-jpg-2.1.0.physionet.org", True), ("2.1.0", True)],
)  # fmt: skip
def test_a_name_with_digits_is_shown_only_if_it_is_the_releases(tmp_path, name, shown):
    (tmp_path / name).touch()
    with pytest.raises(NotHeld, match=re.escape(f"got {name}." if shown else "got 1 whose names are not shown.")):
        find_file(tmp_path, ["x"], "a table")


@pytest.mark.parametrize("damage", ["{", b"\xff\xfe", "[" * 10**5, "[]"])
def test_a_damaged_request_of_phantoms_and_a_cut_truth_are_refused(tmp_path, damage):
    table(tmp_path, damage, "phantom.json")
    with pytest.raises(UserError, match=r"the phantoms' request in .*, got damaged JSON"):
        data.phantom_request(tmp_path)
    table(tmp_path, '{"sizes": {"train": 9, "test": 7}}', "phantom.json")
    table(tmp_path, "study_key,visible\nnih/1/1,Edema\n", "truth.csv")
    again = "Delete that folder and draw it again."
    with pytest.raises(UserError, match=rf"a row for each of 16 phantoms in truth\.csv at .*, got 1\. {again}"):
        data.truth(tmp_path)
    table(tmp_path, "study_key,visible\nnih/1/1", "truth.csv")
    with pytest.raises(UserError, match=rf"2 fields in .*truth\.csv, line 2, got 1\. {again}"):
        data.truth(tmp_path)
    with pytest.raises(NotHeld, match=rf"MIMIC-CXR-JPG's chexpert table .* {again}"):
        data.load("mimic", tmp_path)


@pytest.mark.parametrize(
    "rows", ["study_id,Edema\nMARKER,1\n", "study_id,Edema\n1,MARKER\n", "study_id,Edema\nMARKER MARKER,1\n",
             "10000032,MARKER\n1,1\n",
             "# by MARKER,x\n1,1\n", "10000032|MARKER,x\n1,1\n",
             'study_id,Edema\n1,"MARKER\n', f"study_id,Edema\n{'9' * 30},MARKER\n"],
)  # fmt: skip
def test_no_message_and_no_cause_of_one_shows_a_cell(tmp_path, rows):
    with pytest.raises(UserError) as caught:
        read_table(table(tmp_path, rows), {"study_id": ID, "Edema": LABEL})
    shown = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in ("MARKER", "10000032", "9" * 30) if secret in shown]


def test_files_and_folders(tmp_path):
    sound = b"id,Edema\n1,1\n"
    path = table(tmp_path, sound.decode().encode("utf-16"))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(sound * 99)[:-20])
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for broken in (path, tmp_path / "cut.csv.gz", table(tmp_path, b"id\n1\0\n", "nul.csv"), tmp_path / "loop.csv"):
        with pytest.raises(UserError, match=rf"readable CSV or text file at .*{broken.name}"):
            read_table(broken, {"id": ID})
        with pytest.raises(UserError, match=r"readable CSV or text file at"):
            read_lines(broken)
    (tmp_path / "plain.csv.gz").write_bytes(sound)
    (tmp_path / "packed.csv").write_bytes(gzip.compress(sound))
    assert read_table(tmp_path / "plain.csv.gz", {"id": ID}).equals(read_table(tmp_path / "packed.csv", {"id": ID}))
    for empty, message in (("", "one column 'id' in"), ("id,Edema\n", "a table with rows in")):
        with pytest.raises(UserError, match=message):
            read_table(table(tmp_path, empty, "empty.csv.gz"), {"id": ID})
    (tmp_path / "c.csv").mkdir()
    assert find_file(tmp_path, ["c.csv", "a*.csv"], "a table") == path
    with pytest.raises(NotHeld, match=r"a table c in .*, got a\.csv, c\.csv/, cut\.csv\.gz, empty\.csv\.gz, .*…"):
        find_file(tmp_path, ["c", "d"], "a table")
