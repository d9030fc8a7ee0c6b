"""Whatever is made to be shown is shown: no sentence, table or figure is written for a page that never asks for it."""

import ast
from pathlib import Path

import pytest

from chexreason import config

PACKAGE = config.ROOT / "chexreason" / "report"
PAGES = [*(config.ROOT / "book").rglob("*.md"), *(config.ROOT / "notebooks").glob("*.py")]


def made_to_be_shown(path: Path) -> list[str]:
    """The public functions of a module that return a piece of a page."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.returns]
    return [f.name for f in functions if ast.unparse(f.returns) in ("Html", "Prose") and not f.name.startswith("_")]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_piece_has_its_place(path) -> None:
    asked = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    modules = [other.read_text(encoding="utf-8") for other in PACKAGE.rglob("*.py")]
    for name in made_to_be_shown(path):
        calls = sum(text.count(f"{name}(") - text.count(f"def {name}(") for text in modules)
        assert f"{name}(" in asked or calls, f"{path.stem}.{name} is on no page"
