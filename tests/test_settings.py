"""Settings that say where they come from."""

import dataclasses
from dataclasses import dataclass, field

from chexreason.settings import Origin, assumed, origins, paper


@dataclass(frozen=True)
class Example:
    stated: int = paper(4, "3.2.2", "completions a study")
    guessed: float = assumed(0.1, "the paper is silent", "a small price")


def test_a_default_stands_beside_its_source() -> None:
    assert Example() == Example(4, 0.1)
    assert list(origins(Example)) == [
        ("stated", 4, Origin(True, "3.2.2", "", "completions a study")),
        ("guessed", 0.1, Origin(False, "", "the paper is silent", "a small price")),
    ]


def test_a_changed_value_leaves_the_default_and_its_origin_alone() -> None:
    assert dataclasses.replace(Example(), stated=9).stated == 9
    assert next(origins(Example))[1] == 4


def test_a_field_without_an_origin_is_listed_as_such_and_state_is_not() -> None:
    @dataclass
    class Bare:
        silent: int = 3
        state: int = field(init=False, default=0)

    assert list(origins(Bare)) == [("silent", 3, Origin(False, "", "no source given", ""))]
