"""Writes what the scripts of the laboratory are given, as scripts: a page opened from disk may fetch nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

from companion.evidence import tables
from companion.lab import exercises, groups, images, pyodide, rows, words, xrays


def write(folder: Path) -> None:
    """Write the data of all pages into a folder, and Python for the pages if npm has it."""
    folder.mkdir(parents=True, exist_ok=True)
    python, missing = pyodide.packed()
    given = {
        "words": ("words", words.words()), "python-data": ("python", pyodide.data(missing)),
        "exercises-data": ("exercises", {name: exercises.for_page(exercises.get(name)) for name in exercises.names()}),
    }  # fmt: skip
    if xrays.ANSWERS.is_file():
        given |= {
            "xrays-data": ("xrays", xrays.data(xrays.answers())), "reward-data": ("reward", groups.data()),
        }  # fmt: skip
        cohorts = rows.data(tables.profile())
        for where, seen in images.data(tables.profile(), cohorts).items():
            cohorts[where]["images"] = name = images.name_of(where)
            given[name] = (name, seen)
        given["again-data"] = ("again", cohorts | rows.seeds())
    for name, (key, value) in given.items():
        (folder / f"{name}.js").write_text(script(key, value), encoding="utf-8")
    if python:
        shutil.copy(python, folder / "pyodide.js")
    else:
        print(f"html: without Python in the pages: {missing}; the next make html tries again")


def script(key: str, value: Any) -> str:
    """A script that gives the pages a value."""
    # A line separator and "</script>" may stand in an answer.
    text = json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
    return f"(globalThis.LAB ??= {{}}).{key} = {text};\n"
