"""The recipes of others: each with its source, the paper's from the settings, and sentences that follow the file."""

import pytest

from chexreason.recipe import GRPO
from companion.evidence import sealed
from companion.report import recipes


def test_each_recipe_says_where_it_was_read():
    found = recipes.rows()
    assert len(found) == 6
    assert all(row["source"] and row["read"] in ("code", "as reported") for row in found)
    for row in found:
        assert ("@" in row["source"]) == (row["read"] == "code"), "code is named with its revision"
    shown = recipes.neighbours().text
    assert "as reported: a review of arXiv:2505.16400" in shown
    assert all(row["recipe"] in shown for row in found)
    assert "section 3.2.2" in shown


def test_the_papers_row_comes_from_the_settings():
    shown = recipes.neighbours().text
    assert f">{GRPO.beta:g}</td>" in shown
    assert recipes.spans()["group"] == recipes.Span(4, 8, 64)


def test_the_sentence_follows_the_file(monkeypatch):
    said = str(recipes.compared())
    assert "0.15 is 15 times the largest of the 6 others (0.01); 4 of them have none" in said
    other = [{**row, "beta": "0.05"} for row in recipes.rows()]
    monkeypatch.setattr(sealed, "rows", lambda *words: other)
    assert "3 times the largest of the 6 others (0.05); 0 of them have none" in str(recipes.compared())


@pytest.mark.parametrize("name", ["NV-Reason-CXR-3B"])
def test_the_neighbour_with_almost_the_same_reward(name):
    """Its public reward: Jaccard times an exact format, less a ramp for short answers; no KL term, groups of 16."""
    (row,) = (row for row in recipes.rows() if row["recipe"] == name)
    assert (row["beta"], row["group"]) == ("0", "16")
    assert "Jaccard" in row["reward"]
    assert "below 400 tokens" in row["reward"]
