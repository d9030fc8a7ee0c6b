"""Files that are never half there, and digests."""

import errno
import os

import pytest

from chexreason import files, resume
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest, write_atomically


def test_a_file_is_written_with_its_folders_and_replaced_whole(tmp_path) -> None:
    place = tmp_path / "a" / "b" / "run.json"
    write_atomically(place, b"a long first text")
    write_atomically(place, b"short")
    assert place.read_bytes() == b"short"
    assert [path.name for path in place.parent.iterdir()] == ["run.json"]


@pytest.mark.parametrize("before", [None, b"the old text"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_full_disk_or_a_kill_leaves_what_was_there(tmp_path, monkeypatch, before, error) -> None:
    place = tmp_path / "metrics.csv"
    if before is not None:
        place.write_bytes(before)

    def stop(_: int) -> None:
        raise error

    monkeypatch.setattr(files.os, "fsync", stop)
    with pytest.raises((UserError, KeyboardInterrupt)) as caught:
        write_atomically(place, b"new")
    assert (place.read_bytes() if place.exists() else None) == before
    if isinstance(error, OSError):
        assert "room and permission to write metrics.csv, got No space left on device in " in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == (["metrics.csv"] if before else [])


def test_digests_see_bytes_names_and_order_but_not_the_order_of_keys(tmp_path) -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert len({digest_of({"a": 1}), digest_of({"a": 2}), digest_of([1, 2]), digest_of([2, 1])}) == 4
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    def folder(name: str, **contents: str) -> str:
        for file, text in contents.items():
            write_atomically(tmp_path / name / "deep" / file, text.encode())
        return file_digest(tmp_path / name)

    first = folder("one", weights="1", config="2")
    assert folder("two", config="2", weights="1") == first
    assert first not in (folder("three", weights="1", config="3"), folder("four", weights="1", settings="2"))


def test_results_that_may_not_be_written_need_no_lock(tmp_path) -> None:
    (tmp_path / "closed").touch()
    with files.alone_at("a", tmp_path / "cache", tmp_path / "closed" / "demo"):
        assert (tmp_path / "cache" / "locks" / "a").exists()


@pytest.mark.parametrize(
    "seal", ["", "null", "5", "true", "[1]", '["x", null]', "[null, 5]", '[null, ["a"]]', "[" * 100_000, '["x", "a/b"]']
)
def test_a_folder_with_a_broken_seal_is_not_whole(tmp_path, seal) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "weights").write_bytes(b"w")
    files.seal(tmp_path / "a", "a")
    assert not files.whole(tmp_path / "a"), "it cannot need itself"
    files.seal(tmp_path / "a")
    assert files.whole(tmp_path / "a")
    (tmp_path / "a" / files.SEAL).write_text(seal)
    assert not files.whole(tmp_path / "a")


def test_checkpoints_are_folders_with_a_step_and_nothing_else(tmp_path) -> None:
    for name in ("checkpoint-9", "checkpoint-63-2", "checkpoint-5.5", "checkpoint-old-5", "checkpoint-10"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-8").touch()
    (tmp_path / "checkpoint-7").symlink_to(tmp_path / "checkpoint-9")
    assert [path.name for path in resume.checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-10"]
