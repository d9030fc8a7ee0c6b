"""The pages about settings, prompts, data and models, the executed notebooks, and the pictures of phantoms."""

import re

import nbformat
import pytest

from chexreason import config
from companion.phantoms import FINDING_PAINTERS, HOSPITALS
from companion.report import notebooks, pages, phantoms


def test_executed_notebooks_are_shown_as_they_ran(made_up):
    shown = notebooks.notebook("01_prompting", "smoke", made_up).text
    assert "Made up: 01_prompting" in shown
    assert "a" * 300 in shown
    assert "download=" in shown
    assert "make book" in notebooks.notebook("02_sft", "demo", made_up).text


def test_progress_bars_and_colour_codes_stay_out(tmp_path):
    v4 = nbformat.v4
    outputs = [
        v4.new_output("stream", name="stderr", text="10%|###"),
        v4.new_output("stream", name="stdout", text="\x1b[31m1%\rdone\x1b[0m"),
        v4.new_output("error", ename="ValueError", evalue="<bad>", traceback=[]),
    ]
    path = tmp_path / "smoke" / "notebooks" / "01_prompting.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("run()", outputs=outputs)]), path)
    shown = re.sub(r'href="data:[^"]*"', "", notebooks.notebook("01_prompting", "smoke", tmp_path).text)
    assert "###" not in shown
    assert "\x1b" not in shown
    assert ">done<" in shown
    assert "ValueError: &lt;bad&gt;" in shown


def test_phantom_pictures_are_described():
    shown = phantoms.finding("Pneumothorax").text
    assert shown.count("<img ") == shown.count('alt="Pneumothorax, ') == 3 + len(HOSPITALS)
    page = (config.ROOT / "book" / "phantoms.md").read_text(encoding="utf-8")
    assert set(re.findall(r'phantoms\.finding\("(.*)"\)', page)) == set(FINDING_PAINTERS)
    hospitals = phantoms.hospitals().text
    assert hospitals.count("<img ") == 3
    assert "records: " in hospitals
    assert phantoms.gallery("C", count=2).text.count("<img ") == 2


@pytest.mark.parametrize("group", pages.GROUPS)
def test_settings_say_what_is_stated_and_why_others_are_assumed(group):
    shown = pages.settings(group).text
    assert "stated, section 3" in shown or "assumed: " in shown
