"""Files that are never half there, and digests."""

import errno
import os

import pytest

from chexreason import files
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest, write_atomically


def test_a_file_is_written_with_its_folders_and_replaced_whole(tmp_path) -> None:
    place = tmp_path / "a" / "b" / "run.json"
    write_atomically(place, b"a long first text")
    write_atomically(place, b"short")
    assert place.read_bytes() == b"short"
    assert [path.name for path in place.parent.iterdir()] == ["run.json"]


@pytest.mark.parametrize("before", [None, b"the old text"])
def test_a_full_disk_leaves_what_was_there_and_one_line(tmp_path, monkeypatch, before) -> None:
    place = tmp_path / "metrics.csv"
    if before is not None:
        place.write_bytes(before)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"room and permission to write metrics\.csv, got No space left on device in "):
        write_atomically(place, b"new")
    assert (place.read_bytes() if place.exists() else None) == before
    assert [path.name for path in tmp_path.iterdir()] == (["metrics.csv"] if before else [])


def test_a_killed_write_leaves_no_final_file(tmp_path, monkeypatch) -> None:
    def killed(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "run.json", b"new")
    assert not (tmp_path / "run.json").exists()


def test_a_folder_that_cannot_be_made_is_the_users_error_too(tmp_path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"permission to write run\.json, got .* in .*results"):
        write_atomically(tmp_path / "results" / "01" / "run.json", b"{}")


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_a_files_digest_is_that_of_its_bytes(tmp_path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_folders_digest_sees_bytes_and_names(tmp_path) -> None:
    def folder(name: str, **contents: str):
        for file, text in contents.items():
            (tmp_path / name / "deep").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "deep" / file).write_text(text)
        return file_digest(tmp_path / name)

    first = folder("one", weights="1", config="2")
    assert folder("two", config="2", weights="1") == first
    assert folder("three", weights="1", config="3") != first
    assert folder("four", weights="1", settings="2") != first
