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
    found = exercises.check(one, exercises.answer_in(one, _read(place)), at=place.parent)
    print(found["output"], end="")
    if found["error"]:
        print(f"✗ {found['error']}")
    for check in found["checks"]:
        hint = "" if check["right"] else f": {check['hint']}" + (f" ({check['error']})" if check["error"] else "")
        print(f"{'✓' if check['right'] else '✗'} {check['title']}{hint}")
    return 0 if exercises.passed(found) else 1


def grade(words: Words) -> None:
    """Check what was handed in from the book's pages anew, a row an answer; this runs the code that was handed in."""
    from companion.lab import exercises

    folder: Path = words.folder
    places = [folder] if folder.is_file() else sorted(place for place in folder.rglob("*.json") if place.is_file())
    if not places:
        raise UserError(
            f"a file that the book's pages hand in (.json), or a folder of them, at {folder}", "none", "correct it"
        )
    table = csv.writer(sys.stdout)
    table.writerow(["file", "exercise", "right", "checks", "passed", "note"])
    for place in places:
        name = place.name if place == folder else str(place.relative_to(folder))
        answers, seen = _handed_in(place), set[str]()
        if not answers:
            table.writerow([name, "", 0, 0, False, "no answers that the book's pages hand in"])
        for answer in answers:
            if answer["exercise"] not in exercises.names():
                table.writerow([name, repr(answer["exercise"])[:40], 0, 0, False, "no such exercise"])
                continue
            one = exercises.get(answer["exercise"])
            found = exercises.check(one, answer["answer"])
            notes = ["of another version of the exercise"] * (answer["digest"] != one.digest)
            notes += ["handed in more than once"] * (one.name in seen)
            notes += [f"error: {found['error']}"] * bool(found["error"])
            seen.add(one.name)
            right = sum(check["right"] for check in found["checks"])
            row = [name, one.name, right, max(1, len(one.checks)), exercises.passed(found)]
            table.writerow([*row, "; ".join(notes)])


def _handed_in(place: Path) -> list[dict[str, Any]]:
    """The answers in a file; none in a file of another kind."""
    try:
        answers = json.loads(place.read_text(encoding="utf-8-sig"))["answers"]
        whole = all(isinstance(one[name], str) for one in answers for name in ("exercise", "digest", "answer"))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return list(answers) if whole and isinstance(answers, list) else []


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("a text in UTF-8", f"another file, {place.name}", "save it anew") from None
