"""Writes what the scripts of the laboratory are given, as scripts: a page opened from disk may fetch nothing."""

import json
from pathlib import Path
from typing import Any

from companion.evidence import tables
from companion.lab import groups, rows, words, xrays


def write(folder: Path) -> None:
    """Write the data of all pages into a folder, if there are any."""
    if not xrays.ANSWERS.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    given = {
        "words": ("words", words.words()), "xrays-data": ("xrays", xrays.data(xrays.answers())),
        "reward-data": ("reward", groups.data()), "again-data": ("again", rows.data(tables.profile())),
    }  # fmt: skip
    for name, (key, value) in given.items():
        (folder / f"{name}.js").write_text(script(key, value), encoding="utf-8")


def script(key: str, value: Any) -> str:
    """A script that gives the pages a value."""
    # A line separator and "</script>" may stand in an answer.
    text = json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
    return f"(globalThis.LAB ??= {{}}).{key} = {text};\n"
