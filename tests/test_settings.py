"""Settings that say where they come from, and the one error for users."""

import ast
import math
import re
from dataclasses import dataclass, field

from chexreason import config
from chexreason.checked import parse
from chexreason.errors import LEAST, LONGEST, UserError, unknown
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


def test_numbers_are_those_of_yaml_12() -> None:
    read = {"010": 10, "1_000": 1000, "-1e-3": -0.001, "-.inf": -math.inf, "1.5": 1.5, "yes": True}
    assert {text: parse(text, "x") for text in read} == read


def test_an_error_is_one_line_of_at_most_200_characters_with_both_ends_of_what_is_cut() -> None:
    assert str(UserError("an\nimage", "a letter", "scan again")) == "Expected an image, got a letter. Scan again."
    text = str(UserError("a folder of images", "/x" + "y" * 500 + "y", "choose another"))
    assert 190 < len(text) <= 200
    assert text.startswith("Expected a folder of images, got /xyyy")
    assert text.endswith("y. Choose another.")
    root = "/x" + "y" * 200
    for end, got, do in (
        ("", "a tree of another request (" + "z" * 200, f"delete the folder {root}, or choose another one"),
        ("/run.json", "no JSON object with run_id, tier", "remove that folder and run its stage again"),
    ):
        text = str(UserError(f"the requested phantoms in {root}{end}", got, do))
        assert len(text) <= 200
        assert re.search(f" in /xy+…y+{end}, got {got[:10]}", text)
    assert len(str(unknown("arm", "b" * 300, ["base"], "arms.py"))) < 150
    assert str(unknown("arm", "bo", ["base", *(f"another-{k}" for k in range(40))], "arms.py")).count("another") == 2


def words(node: ast.expr) -> str:
    """What an argument says, with a short word for what is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(words, parts))
        case ast.IfExp(body=one, orelse=other):
            return max(words(one), words(other), key=len)
    return "x" * 16


def test_what_we_write_leaves_room_for_what_we_quote() -> None:
    calls = [
        (path, node)
        for package in ("chexreason", "companion")
        for path in (config.ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("UserError", "NotHeld")
    ]
    assert len(calls) > 100
    for path, node in calls:
        wanted, _, do = map(words, node.args) if len(node.args) == 3 else ("", "", "")
        assert len("Expected , got . .") + len(wanted) + len(do) < LONGEST - LEAST, f"{path}:{node.lineno}"
