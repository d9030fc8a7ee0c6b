"""Checked reading of CSV files, apart from any data set."""

import gzip

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
    with pytest.raises(UserError, match=rf"a label of .* under 'Edema' in {path}, line 3; came '{cell}"):
        read_table(path, {"id": ID, "Edema": LABEL})


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
    with pytest.raises(UserError, match=r"the folder of films at .*; came a file"):
        find_folder(tmp_path / "b.csv", "films")
