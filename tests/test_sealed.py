"""Published files are read only as they were checked: altered, broken, missing, unlisted ones are told in a line."""

import shutil
import subprocess
import sys

import pytest

from chexreason.config import RESULTS
from chexreason.errors import UserError
from companion.evidence import sealed
from companion.evidence.audit import facts


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of results/published that `sealed` reads instead."""
    place = tmp_path / "results" / "published"
    shutil.copytree(RESULTS / "published", place)
    monkeypatch.setattr(sealed, "PUBLISHED", place)
    return place


def change(path, old, new):
    """Replace a text in a file."""
    before = path.read_bytes()
    assert old.encode() in before
    path.write_bytes(before.replace(old.encode(), new.encode(), 1))


def run_audit(place, *words):
    """`chexreason audit` in a process of its own on other results: what it ends with, and what it says."""
    code = (
        "import sys, pathlib\nfrom chexreason import config\n"
        f"config.RESULTS = pathlib.Path({str(place.parent)!r})\n"
        f"from companion.workflow.commands import main\nsys.exit(main(['audit', *{list(words)!r}]))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_every_file_is_as_it_was_checked():
    assert sealed.altered() == {}
    listed = set(sealed.digests())
    assert listed == {path.name for path in (RESULTS / "published").glob("*.csv")}
    assert set(facts.digests()) == set(range(1, 7))


@pytest.mark.parametrize("name", ["table2.csv", "label_counts.csv", "label_pairs.csv", "datasets.csv"])
def test_an_altered_file_is_named_and_not_read(copy, name):
    text = (copy / name).read_text()
    change(copy / name, text[-40:], text[-40:].replace("1", "2").replace("0", "1") + "\n")
    wrong = sealed.altered()
    assert list(wrong) == [name]
    assert f"results/published/{name} as it was checked" in wrong[name]
    assert "git checkout" in wrong[name]
    with pytest.raises(UserError, match=name):
        sealed.rows(name)


def test_a_file_that_is_unlisted_or_missing_and_a_broken_list_are_told(copy):
    (copy / "table7.csv").write_text("table,row,column,metric,value\n")
    (copy / "table5.csv").unlink()
    assert "digest" in sealed.altered()["table7.csv"]
    assert "no such file" in sealed.altered()["table5.csv"]
    with pytest.raises(UserError, match=r"table7\.csv"):
        sealed.rows("table7.csv")
    (copy / sealed.SUMS).write_text("table1.csv 12\n")
    with pytest.raises(UserError, match=r"line 1 of results/published/SHA256SUMS"):
        sealed.digests()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda place: change(place / "table2.csv", "0.461", "0.641"), "results/published/table2.csv"),
        (shutil.rmtree, "results/published/SHA256SUMS"),
    ],
    ids=["altered", "no folder"],
)
def test_the_audit_ends_with_one_line_that_names_the_file(copy, spoil, named):
    spoil(copy)
    ended = run_audit(copy)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "xpected" in ended.stderr
