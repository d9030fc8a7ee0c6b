"""How large the house is: what the method loads, the hour's read, both packages and the tests, in files and lines."""

from collections.abc import Iterable
from pathlib import Path

from chexreason.config import ROOT
from companion.workflow.provenance import PACKAGES, closure

#: The method in the order in which README has it read.
HOUR = ("rewards", "completions", "recipe", "objective", "sft", "grpo", "training", "evaluate", "metrics", "study")


def sizes() -> list[tuple[str, int, int]]:
    """(what, files, lines) of each part."""
    loaded = closure(["chexreason.grpo"])
    parts: list[tuple[str, Iterable[Path]]] = [
        ("loaded by `import chexreason.grpo`", loaded),
        ("of these in companion", [path for path in loaded if path.is_relative_to(ROOT / "companion")]),
        ("the hour's read", [ROOT / "chexreason" / f"{name}.py" for name in HOUR]),
        *((f"{name}/", (ROOT / name).rglob("*.py")) for name in (*PACKAGES, "tests", "benchmarks")),
    ]
    found = [(what, list(paths)) for what, paths in parts]
    return [(what, len(paths), sum(map(_lines, paths))) for what, paths in found]


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
