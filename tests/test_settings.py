"""Settings that say where they come from, and the one error for users."""

from dataclasses import dataclass, field

from chexreason.errors import UserError, unknown
from chexreason.settings import Origin, assumed, origins, paper


@dataclass(frozen=True)
class Example:
    stated: int = paper(4, "3.2.2", "completions a study")
    guessed: float = assumed(0.1, "the paper is silent", "a small price")
    silent: int = 3
    state: int = field(init=False, default=0)


def test_a_default_stands_beside_its_source_and_state_is_none() -> None:
    assert (Example().stated, Example().guessed) == (4, 0.1)
    assert list(origins(Example)) == [
        ("stated", 4, Origin(True, "3.2.2", "", "completions a study")),
        ("guessed", 0.1, Origin(False, "", "the paper is silent", "a small price")),
        ("silent", 3, Origin(False, "", "no source given", "")),
    ]


def test_an_error_is_one_line_and_names_what_is_known() -> None:
    assert str(UserError("an image", "a letter", "scan again")) == "Expected an image, got a letter. Scan again."
    text = str(unknown("reward", "soft", ["nuanced", "hard"], "chexreason/rewards.py"))
    assert text == "Expected a reward among hard, nuanced, got 'soft'. Add a new one in chexreason/rewards.py."
