"""Studies as a table for TRL: chat turns, and images that are opened late."""

import pytest

from chexreason import prompts
from chexreason.data.image import UnreadableImage, open_image
from chexreason.examples import examples
from chexreason.models import chat

PROMPT = prompts.get("only_label")


def test_a_row_has_the_image_the_prompt_and_the_answer(studies) -> None:
    rows = examples(studies, PROMPT, [f"answer {k}" for k in range(8)])
    assert len(rows) == 8
    row = rows[3]
    assert set(row) == {"path", "images", "prompt", "completion"}
    [image] = row["images"]
    assert (image.mode, image.size) == ("RGB", (180, 180))
    assert row["prompt"] + row["completion"] == chat(PROMPT.text, "answer 3")


def test_each_row_shows_its_own_image_which_is_opened_when_the_row_is_read(studies) -> None:
    studies[1].image.unlink()
    rows = examples(studies, PROMPT)
    for k in (0, 7):
        assert rows[k]["images"][0].tobytes() == open_image(studies[k].image).convert("RGB").tobytes()
    with pytest.raises(UnreadableImage, match="no such file") as caught:
        rows[1]
    assert caught.value.path == studies[1].image
