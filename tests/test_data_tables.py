"""Checked reading of CSV files, apart from any data set."""

import gzip
import traceback

import numpy as np
import pytest

from chexreason.data.tables import ID, LABEL, TEXT, find_file, find_folder, label_dicts, read_lines, read_table
from chexreason.errors import UserError


def test_columns_come_by_name_in_the_asked_order(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("odd[x,y],name, Edema ,id,\n1,2,PA,-1,007,\n3,4,,,12,\n")
    frame = read_table(path, {"id": ID, "Edema": LABEL, "name": TEXT})
    assert list(frame.columns) == ["id", "Edema", "name"]
    assert frame["id"].tolist() == [7, 12]
    assert frame["name"].tolist() == ["PA", ""]


def test_blank_is_nothing_and_na_is_text(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfid,name,Edema\r\n007,NA,-1\r\n12,,\r\n"))
    frame = read_table(path, {"id": ID, "name": TEXT, "Edema": LABEL})
    assert frame["id"].tolist() == [7, 12]
    assert frame["name"].tolist() == ["NA", ""]
    assert label_dicts(frame, ["Edema"]) == [{"Edema": -1.0}, {}]


@pytest.mark.parametrize("cell", ["NaN", "inf", "2", "0.5", "-2", "True", "1,5"])
def test_a_cell_that_is_no_label(tmp_path, cell):
    path = tmp_path / "a.csv"
    path.write_text(f'id,Edema\n1,1\n2,"{cell}"\n')
    with pytest.raises(UserError, match=rf"a label of .* under 'Edema' in {path}, line 3, got '{cell}"):
        read_table(path, {"id": ID, "Edema": LABEL}, public=True)
    with pytest.raises(UserError, match=rf"under 'Edema' in {path}, line 3, got a cell of \d characters?, not shown"):
        read_table(path, {"id": ID, "Edema": LABEL})


@pytest.mark.parametrize(
    "rows", ["study_id,Edema\nMARKER,1\n", "study_id,Edema\n1,MARKER\n", "study_id,Edema\nMARKER MARKER,1\n",
             "10000032,MARKER\n1,1\n", 'study_id,Edema\n1,"MARKER\n', f"study_id,Edema\n{'9' * 30},MARKER\n"],
)  # fmt: skip
def test_no_message_and_no_cause_of_one_shows_a_cell(tmp_path, rows):
    path = tmp_path / "a.csv"
    path.write_text(rows)
    with pytest.raises(UserError) as caught:
        read_table(path, {"study_id": ID, "Edema": LABEL})
    shown = "".join(traceback.format_exception(caught.value))
    for secret in ("MARKER", "10000032", "9" * 30):
        assert secret not in shown


@pytest.mark.parametrize("cell", ["1", "1.0", "0", "0.0", "-1", "-1.0", "-0.0", "", " 1.0"])
def test_a_cell_that_is_one(tmp_path, cell):
    path = tmp_path / "a.csv"
    path.write_text(f"id,Edema\n1,{cell}\n")
    value = read_table(path, {"Edema": LABEL})["Edema"].iloc[0]
    assert value == float(cell) if cell else np.isnan(value)


def test_a_file_in_another_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("id,Edema\n1,1\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"readable CSV or text file at .*a\.csv"):
        read_table(path, {"id": ID})
    with pytest.raises(UserError, match=r"readable CSV or text file at .*a\.csv"):
        read_lines(path)


def test_files_and_folders(tmp_path):
    (tmp_path / "b.csv").touch()
    (tmp_path / "a.csv").mkdir()
    assert find_file(tmp_path, ["a.csv", "*.csv"], "a table") == tmp_path / "b.csv"
    with pytest.raises(UserError, match="a table as c or d in"):
        find_file(tmp_path, ["c", "d"], "a table")
    with pytest.raises(UserError, match=r"the folder of films at .*, got a file"):
        find_folder(tmp_path / "b.csv", "films")
