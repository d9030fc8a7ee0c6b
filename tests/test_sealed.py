"""Published files are read only as they were checked: altered, broken, missing, unlisted ones are told in a line."""

import re
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


def test_every_file_is_as_it_was_checked():
    assert sealed.altered() == {}
    listed = set(sealed.digests())
    assert listed == {path.name for path in (RESULTS / "published").glob("*.csv")}
    assert set(facts.digests()) == set(range(1, 7))


@pytest.mark.parametrize("name", ["table2.csv", "label_counts.csv", "label_pairs.csv", "datasets.csv"])
def test_an_altered_file_is_named_and_not_read(copy, name):
    (copy / name).write_text((copy / name).read_text() + "\n")
    ((named, why),) = sealed.altered().items()
    assert (named, "git checkout" in why) == (name, True)
    assert f"results/published/{name} as it was checked" in why
    for read in (sealed.rows, sealed.frame):
        with pytest.raises(UserError, match=name):
            read(name)


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


@pytest.mark.parametrize(("spoiled", "named"), [("table2.csv", "table2.csv"), ("", "SHA256SUMS")])
def test_the_audit_ends_with_one_line_that_names_the_file(copy, spoiled, named):
    """In a process of its own; an altered table, or no folder at all."""
    if spoiled:
        (copy / spoiled).write_text((copy / spoiled).read_text().replace("0.461", "0.641"))
    else:
        shutil.rmtree(copy)
    code = (
        "import sys, pathlib\nfrom chexreason import config\n"
        f"config.RESULTS = pathlib.Path({str(copy.parent)!r})\n"
        "from companion.workflow.commands import main\nsys.exit(main(['audit']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert re.fullmatch(rf"[^\n]*xpected [^\n]*results/published/{named}[^\n]*\n", ended.stderr)
