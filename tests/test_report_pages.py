"""The pages about settings, recipes and data, the executed notebooks, and the pictures of phantoms."""

import importlib
import re

import pytest
from chapter import sentences

from chexreason import config
from chexreason.recipe import GRPO
from companion.evidence import sealed
from companion.phantoms import FINDING_PAINTERS, HOSPITALS
from companion.report import pages, phantoms


def test_an_executed_notebook_is_its_page_below_its_tier(made_up, monkeypatch):
    monkeypatch.syspath_prepend(config.ROOT / "book" / "_ext")
    monkeypatch.setenv("CHEXREASON_RESULTS", str(made_up))
    read = importlib.import_module("executed_notebooks").read
    for profile, said in (("smoke", "download the executed notebook"), ("demo", "`make book PROFILE=demo` runs it")):
        monkeypatch.setenv("CHEXREASON_PROFILE", profile)
        cells = read("01_prompting\n").cells
        assert said in "".join(cell.source for cell in cells[:2])
    monkeypatch.setenv("CHEXREASON_PROFILE", "smoke")
    title, head, _, code = read("01_prompting\n").cells
    assert title.source.startswith("# Made up: 01_prompting")
    assert "cxr-miniature" in head.source
    assert code.outputs[0].text == "a" * 300 + "\n"


def test_phantom_pictures_are_described():
    shown = phantoms.finding("Pneumothorax").text
    assert shown.count("<img ") == shown.count('alt="Pneumothorax, ') == 3 + len(HOSPITALS)
    assert "side: left; zone: apical" in shown
    page = (config.ROOT / "book" / "phantoms.md").read_text(encoding="utf-8")
    assert set(re.findall(r'phantoms\.finding\("(.*)"\)', page)) == set(FINDING_PAINTERS)
    assert phantoms.hospitals().text.count(" records: ") == 2 * 3  # the caption, and for who cannot see it
    assert phantoms.gallery("C", count=2).text.count("<img ") == 2


def test_each_class_of_our_html_has_a_style():
    """So that no name is changed in the code alone."""
    code = "".join(path.read_text(encoding="utf-8") for path in (config.ROOT / "companion" / "report").rglob("*.py"))
    styles = [config.ROOT / "book" / "_style" / "book.css", *(config.ROOT / "companion" / "report").glob("*.css")]
    styled = "".join(path.read_text(encoding="utf-8") for path in styles)
    used = {name for names in re.findall(r'class="([^"<>]*)"', code) for name in names.split()
            if re.fullmatch(r"cxr(-[a-z]+)+", name)}  # fmt: skip
    assert {"cxr-images", "cxr-panels", "cxr-head"} <= used
    assert not {name for name in used if f".{name}" not in styled}


@pytest.mark.parametrize("group", pages.GROUPS)
def test_settings_say_what_is_stated_and_why_others_are_assumed(group):
    shown = pages.settings(group).text
    assert "stated, section 3" in shown or "assumed: " in shown


def test_each_recipe_says_where_it_was_read_and_the_papers_comes_from_the_settings():
    rows, shown = sealed.rows("recipes.csv"), pages.recipes().text
    assert len(rows) == 6
    for row in rows:
        assert row["recipe"] in shown
        assert row["source"]
        assert row["read"] == ("code" if "@" in row["source"] else "as reported"), "code is named with its revision"
    assert "as reported: a review of arXiv:2505.16400" in shown
    assert f">{GRPO.beta:g}</td>" in shown
    assert "section 3.2.2" in shown
    said = sentences("grpo")
    assert "weight of 0.15 is 15 times the largest of the 6 others (0.01)" in said
    assert "groups of 4 answers are the smallest (the others': 8 to 64)" in said
    # The neighbour with almost the paper's reward: Jaccard times an exact format, less a ramp for short answers.
    (row,) = (row for row in rows if row["recipe"] == "NV-Reason-CXR-3B")
    assert (row["beta"], row["group"]) == ("0", "16")
    assert "Jaccard" in row["reward"]
    assert "below 400 tokens" in row["reward"]
