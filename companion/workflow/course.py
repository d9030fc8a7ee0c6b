"""The exercises on the command line: work on one in an editor of your own, and mark what was handed in."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from chexreason.errors import UserError
from companion.workflow.words import Words


def exercise(words: Words) -> int:
    """Check your answer to an exercise of the book; list them, or write the file to begin from."""
    from companion.lab import exercises

    if not words.name:
        for name in exercises.names():
            print(f"{name:20} {exercises.get(name).title}")
        return 0
    one = exercises.get(words.name)
    place: Path = words.file or Path(f"{one.name}.py").resolve()
    if not place.exists():
        place.write_text(exercises.begun(one), encoding="utf-8")
        print(f"exercise: wrote {place}. Edit it, and type the same again.")
        return 0
    found = exercises.check(one, exercises.answer_in(one, _read(place)))
    print(found["output"], end="")
    if found["error"]:
        print(f"✗ {found['error']}")
    for check in found["checks"]:
        told = "" if check["right"] else f": {check['hint']}" + (f" ({check['error']})" if check["error"] else "")
        print(f"{'✓' if check['right'] else '✗'} {check['title']}{told}")
    return 0 if exercises.passed(found) else 1


def grade(words: Words) -> None:
    """Check all that was handed in from the book's pages anew; a table to the standard output, a row an answer."""
    from companion.lab import exercises

    places = sorted(words.folder.rglob("*.json"))
    if not places:
        raise UserError(f"files that the book's pages hand in (.json) in {words.folder}", "none", "name their folder")
    table = csv.writer(sys.stdout)
    table.writerow(["file", "exercise", "right", "checks", "passed", "note"])
    for place in places:
        for answer in _handed_in(place):
            one = exercises.get(answer["exercise"])
            found = exercises.check(one, answer["answer"])
            note = "" if answer["digest"] == one.digest else "of another version of the exercise"
            right = sum(check["right"] for check in found["checks"])
            row = [place.relative_to(words.folder), one.name, right, max(1, len(one.checks)), exercises.passed(found)]
            table.writerow([*row, " ".join(filter(None, [note, found["error"]]))])


def _handed_in(place: Path) -> list[dict[str, Any]]:
    try:
        answers = json.loads(_read(place))["answers"]
        wanted = all(isinstance(one[name], str) for one in answers for name in ("exercise", "digest", "answer"))
    except (ValueError, LookupError, TypeError):
        wanted = False
    if not wanted:
        raise UserError("a file that the book's pages hand in", f"another one, {place.name}", "remove it")
    return list(answers)


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError("a text in UTF-8", f"another file, {place.name}", "save it anew") from None
