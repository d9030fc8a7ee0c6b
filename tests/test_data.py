"""The door to the data: sources by name, and what only phantom trees have."""

from pathlib import Path

import pytest

from chexreason import data
from chexreason.data.study import Cohort
from chexreason.errors import UserError
from chexreason.labels import FINDINGS


def test_sources_know_what_they_can_state():
    assert set(data.SOURCES) == {"mimic", "chexpert", "nih"}
    for name, source in data.SOURCES.items():
        assert source.name == name
        assert set(source.label_set) <= set(FINDINGS)
    assert [name for name, source in data.SOURCES.items() if not source.credentialed] == ["nih"]


def test_an_unknown_source(tmp_path):
    with pytest.raises(UserError, match="a source among chexpert, mimic, nih, got 'padchest'"):
        data.load("padchest", tmp_path)


def test_a_cohort_is_as_long_as_its_studies():
    assert len(Cohort((), {})) == 0


def phantom(root: Path, rows: str) -> Path:
    (root / "phantom.json").write_text("{}")
    (root / "truth.csv").write_text("study_key,visible,lesions\n" + rows)
    return root


def test_truth_and_lesions_of_a_phantom_tree(tmp_path):
    assert not data.is_phantom(tmp_path)
    rows = 'nih/1/1,Edema;Lung Opacity,"[{""finding"": ""Edema"", ""severity"": 0.5}]"\nnih/2/2,,[]\n'
    root = phantom(tmp_path, rows)
    assert data.is_phantom(root)
    assert data.truth(root) == {"nih/1/1": {"Edema", "Lung Opacity"}, "nih/2/2": frozenset()}
    assert data.lesions(root) == {"nih/1/1": [{"finding": "Edema", "severity": 0.5}], "nih/2/2": []}


def test_real_trees_have_no_truth(tmp_path):
    with pytest.raises(UserError, match=r"no phantom\.json there\. The visible truth is known for phantoms only"):
        data.truth(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [("nih/1/1,Oedema,[]\n", r"names of findings .*, line 2, got 'Oedema'"), ("nih/1/1,,[\n", r"JSON list .*line 2")],
)
def test_a_malformed_truth(tmp_path, rows, message):
    root = phantom(tmp_path, rows)
    with pytest.raises(UserError, match=message):
        (data.truth if "Oedema" in rows else data.lesions)(root)


def test_a_half_drawn_tree_is_not_taken_for_a_whole_one(tmp_path):
    (tmp_path / "phantom.json.partial").write_text("{}")
    with pytest.raises(UserError, match="half drawn"):
        data.load("nih", tmp_path)
