"""The recipes of others: each with its source, the paper's from the settings, and sentences that follow the file."""

from chapter import sentences

from chexreason.recipe import GRPO
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
    said = sentences("grpo")
    assert "weight of 0.15 is 15 times the largest of the 6 others (0.01)" in said
    assert "groups of 4 answers are the smallest (the others': 8 to 64)" in said


def test_the_neighbour_with_almost_the_same_reward():
    """Its public reward: Jaccard times an exact format, less a ramp for short answers; no KL term, groups of 16."""
    (row,) = (row for row in recipes.rows() if row["recipe"] == "NV-Reason-CXR-3B")
    assert (row["beta"], row["group"]) == ("0", "16")
    assert "Jaccard" in row["reward"]
    assert "below 400 tokens" in row["reward"]
