"""Whatever is made to be shown is shown: no sentence, table or figure is written for a page that never asks for it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from chexreason.report import experiments

from chexreason import config, report

PACKAGE = config.ROOT / "chexreason" / "report"
PAGES = [*(config.ROOT / "book").rglob("*.md"), *(config.ROOT / "notebooks").glob("*.py")]


def made_to_be_shown(path: Path) -> list[str]:
    """The public functions of a module that return a piece of a page."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.returns]
    return [f.name for f in functions if ast.unparse(f.returns) in ("Html", "Prose") and not f.name.startswith("_")]


def calls(text: str) -> set[str]:
    """What a text calls, with the names before it: "report.experiments.dose.figure", say."""
    return set(re.findall(r"[A-Za-z_][\w.]*(?=\()", text))


def imports(text: str) -> set[tuple[str, str]]:
    """(Module, name) of what a module imports by name."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    return {(str(node.module).split(".")[-1], one.name) for node in found for one in node.names}


@cache
def sources() -> list[tuple[Path, set[str], set[tuple[str, str]]]]:
    """What each page and each module behind them calls and imports."""
    texts = {path: path.read_text(encoding="utf-8") for path in (*PAGES, *PACKAGE.rglob("*.py"))}
    # A page of the book is no module: its cells hold one line of imports each.
    lines = re.compile(r"^from chexreason.*$", re.MULTILINE)
    return [
        (path, calls(text), imports(text if path.suffix == ".py" else "\n".join(lines.findall(text))))
        for path, text in texts.items()
    ]


def is_asked_for(path: Path, name: str, own: str) -> bool:
    """Whether this very function is called: by its module's name, or where it is at hand without one."""
    heads = [path.stem]
    if report.HOMES.get(name) == path.stem:
        heads.append("report")
    if getattr(vars(experiments).get(name), "__module__", "").split(".")[-1] == path.stem:
        heads.append("experiments")
    function = next(node for node in ast.parse(own).body if getattr(node, "name", None) == name)
    if name in calls(own.replace(str(ast.get_source_segment(own, function)), "")):
        return True
    return any(
        any(f".{call}".endswith(f".{head}.{name}") for call in called for head in heads)
        or (other != path and name in called and (path.stem, name) in imported)
        for other, called, imported in sources()
    )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_piece_has_its_place(path) -> None:
    own = path.read_text(encoding="utf-8")
    for name in made_to_be_shown(path):
        assert is_asked_for(path, name, own), f"{path.stem}.{name} is on no page"


def test_a_piece_that_is_named_like_another_module_s_needs_its_own_place() -> None:
    dose = PACKAGE / "experiments" / "dose.py"
    own = dose.read_text(encoding="utf-8")
    for name in ("table", "changes", "curves"):  # each is asked of another chapter
        own += f'\n\ndef {name}() -> Html:\n    """Nothing asks for it but itself."""\n    return {name}()\n'
        assert not is_asked_for(dose, name, own)
    assert is_asked_for(dose, "figure", own)
