"""The one error for users: its text, its registry helper, and pickling, which takes it out of a worker process."""

import pickle
from pathlib import Path

import pytest

from chexreason.data.film import UnreadableFilm
from chexreason.errors import UserError, unknown


def test_the_three_parts_make_one_line() -> None:
    error = UserError("a film", "a letter", "scan again")
    assert str(error) == "Expected a film, got a letter. Scan again"
    assert (error.expected, error.got, error.do) == ("a film", "a letter", "scan again")


def test_an_unknown_name_is_told_the_known_ones_in_order() -> None:
    text = str(unknown("reward", "soft", ["nuanced", "hard"], "chexreason/rewards.py"))
    assert text == "Expected a reward among hard, nuanced, got 'soft'. Add a new one in chexreason/rewards.py"


@pytest.mark.parametrize("error", [UserError("a", "b", "c"), UnreadableFilm(Path("/film.png"), "nothing")])
def test_pickling_keeps_type_text_and_parts(error) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
