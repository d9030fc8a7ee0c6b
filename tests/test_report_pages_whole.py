"""Whatever is made to be shown is shown: no table, figure or sentence is written for a page that never asks for it."""

import ast
import re

from chexreason import config

REPORT = config.ROOT / "companion" / "report"
PAGES = [*(config.ROOT / "book").rglob("*.md"), *(config.ROOT / "notebooks").glob("*.py")]


def test_each_piece_has_its_place() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (*PAGES, *REPORT.rglob("*.py"))}
    lost = []
    waiting = {"seeing", "mechanism", "recipes"}  # their chapters come with the runs of the second experiment
    for path in (one for one in REPORT.rglob("*.py") if one.stem not in waiting):
        functions = [node for node in ast.parse(sources[path]).body if isinstance(node, ast.FunctionDef)]
        for made in functions:
            if made.name.startswith("_") or not made.returns or ast.unparse(made.returns) != "Html":
                continue
            calls = re.compile(rf"\b(?:report|experiments|{path.stem})\.{made.name}\(|(?<![\w.])(?<!def ){made.name}\(")
            own = sources[path].replace(str(ast.get_source_segment(sources[path], made)), "")
            if not any(calls.search(own if other == path else text) for other, text in sources.items()):
                lost.append(f"{path.stem}.{made.name}")
    assert not lost
