"""Exercises that check themselves: one file is the task on a page, the file to work on, and its own test.

A file of ``book/exercises`` has cells as jupytext writes them:

    # %% [markdown]             the task; its first line is the title
    # %% starter                what is edited
    # %% check: TITLE           its first comment is the hint; it fails where an assertion does
    # %% solution               passes all checks; is on no page
    # %% wrong: TITLE           a mistake; TITLE is the first check that it fails

Instead of a starter, ``# %% number: DECIMALS`` or ``# %% choice`` asks for an answer that needs no Python: the number,
or lines ``- text`` of which the right one begins with ``+``, each with its remark behind ``::``.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexreason import config
from chexreason.errors import UserError, unknown
from chexreason.files import digest_of

FOLDER = config.ROOT / "book" / "exercises"
#: Seconds after which an answer's code is stopped, here and in a page.
LIMIT = 20
_CELL = re.compile(r"^# %% *(\[markdown\]|\w+)(?:: *(.+))?$", re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """A file of exercises, read."""

    name: str
    title: str
    task: str  # Markdown
    kind: str  # starter, number or choice
    given: str  # code to begin from, decimals of the number, or the choices
    checks: tuple[dict[str, str], ...]  # title, code, hint
    solution: str
    wrong: tuple[tuple[str, str], ...]  # title of the check that it fails first, code

    @property
    def digest(self) -> str:
        """Of what is asked and how it is checked; a hand-in says which exercise it answers."""
        return digest_of([self.task, self.kind, self.given, list(self.checks)])[:12]


def read(place: Path) -> Exercise:
    """An exercise from its file. Raises UserError for a file that lacks a part."""
    cells = list(_cells(place.read_text(encoding="utf-8")))
    of = {kind: (about, text) for kind, about, text in cells}
    kind = next((name for name in ("starter", "number", "choice") if name in of), "")
    if "[markdown]" not in of or not kind or (kind != "choice" and "solution" not in of):
        raise UserError("an exercise with a task, a starter, checks and a solution", place.name, "add what is missing")
    task = "\n".join(line.removeprefix("#").removeprefix(" ") for line in of["[markdown]"][1].splitlines())
    title, _, rest = task.partition("\n")
    checks = []
    for about, text in [(about, text) for one, about, text in cells if one == "check"]:
        hint, _, code = text.partition("\n")
        checks.append({"title": about, "code": code, "hint": hint.removeprefix("#").strip()})
    return Exercise(
        place.stem, title.removeprefix("#").strip(), rest.strip(), kind,
        of[kind][0] if kind == "number" else of[kind][1], tuple(checks), of.get("solution", ("", ""))[1],
        tuple((about, text) for one, about, text in cells if one == "wrong"),
    )  # fmt: skip


def _cells(text: str) -> Iterator[tuple[str, str, str]]:
    marks = list(_CELL.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : after.start() if after else len(text)].strip("\n")
        yield mark[1], (mark[2] or "").strip(), body


def names() -> list[str]:
    """The exercises there are."""
    return sorted(place.stem for place in FOLDER.glob("*.py"))


def get(name: str) -> Exercise:
    """An exercise by its name. Raises UserError for another one."""
    if name not in names():
        raise unknown("exercise", name, names(), "book/exercises")
    return read(FOLDER / f"{name}.py")


def check(exercise: Exercise, answer: str, limit: float = LIMIT, at: Path | None = None) -> dict[str, Any]:
    """An answer by the exercise's checks, as `checking.run` tells of them.

    Its code runs in a process of its own, in the folder `at` or in one that is removed, with the rights of whoever
    calls this; after `limit` seconds it and all that it started are ended.
    """
    if exercise.kind != "starter":
        return {"output": "", "error": "", "checks": [_chosen(exercise, answer)]}
    with tempfile.TemporaryDirectory() as folder:
        asked, reply = Path(folder, "asked.json"), Path(folder, "reply.json")
        asked.write_text(json.dumps({"code": answer, "checks": exercise.checks}), encoding="utf-8")
        command = [sys.executable, "-m", "companion.lab.checking", str(asked), str(reply)]
        nothing, where = subprocess.DEVNULL, {**os.environ, "PYTHONPATH": str(config.ROOT)}
        running = subprocess.Popen(
            command, stdin=nothing, stdout=nothing, stderr=nothing, cwd=at or folder, env=where, start_new_session=True
        )
        try:
            running.wait(limit)
            error = "it ended Python itself"
        except subprocess.TimeoutExpired:
            error = f"it was stopped after {limit:g} seconds: does a loop never end?"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)  # what it started, too
            running.wait()
        try:
            found = json.loads(reply.read_text(encoding="utf-8"))
            titles = [one["title"] for one in found["checks"]]
            if found["error"] or titles == [one["title"] for one in exercise.checks]:
                return dict(found)
        except (OSError, ValueError, LookupError, TypeError):
            pass
    return {"output": "", "error": error, "checks": []}


def _chosen(exercise: Exercise, answer: str) -> dict[str, Any]:
    right = sealed(exercise, answer) == sealed(exercise, right_answer(exercise))
    hint = next((remark for text, remark, _ in choices(exercise) if text == answer), "Not yet.")
    if exercise.kind == "number" and not sealed(exercise, answer):
        hint = "Write a number, with a point: 0.25, for instance."
    if exercise.kind == "choice" and answer not in [text for text, _, _ in choices(exercise)]:
        hint = "Write one of the texts that can be chosen, as it stands."
    return {"title": exercise.title, "right": right, "hint": hint, "error": ""}


def begun(exercise: Exercise) -> str:
    """The file to work on: the task as comments, and what there is to begin from."""
    task = "\n".join(f"# {line}".rstrip() for line in f"{exercise.title}\n\n{exercise.task}".splitlines())
    asked = "".join(f"# - {text}\n" for text, _, _ in choices(exercise)) + "# Write the answer below.\n"
    return f"{task}\n\n" + (f"{exercise.given}\n" if exercise.kind == "starter" else asked)


def answer_in(exercise: Exercise, text: str) -> str:
    """The answer in a file that `begun` began: its code, or its last line that is no comment."""
    if exercise.kind == "starter":
        return text
    lines = [line.partition(" # ")[0].strip() for line in text.splitlines() if line.strip()[:1] not in ("", "#")]
    last = lines[-1] if lines else ""
    return last.replace(",", ".") if exercise.kind == "number" else last.removeprefix("- ")


def passed(found: dict[str, Any]) -> bool:
    """Whether an answer is right in all."""
    return not found["error"] and bool(found["checks"]) and all(one["right"] for one in found["checks"])


def choices(exercise: Exercise) -> list[tuple[str, str, bool]]:
    """Of a choice: each text, the remark on it, and whether it is the right one; none of any other exercise."""
    if exercise.kind != "choice":
        return []
    lines = [line.removeprefix("#").strip() for line in exercise.given.splitlines()]
    parsed = [(line[0] == "+", *line[1:].partition("::")[::2]) for line in lines if line[:1] in ("+", "-")]
    return [(text.strip(), remark.strip(), right) for right, text, remark in parsed]


def right_answer(exercise: Exercise) -> str:
    """What answers a number or a choice."""
    return next((text for text, _, right in choices(exercise) if right), exercise.solution.removeprefix("#").strip())


def sealed(exercise: Exercise, answer: str) -> str:
    """An answer that cannot be read off a page (32-bit FNV-1a); a number as it is rounded, empty for none."""
    if exercise.kind == "number":
        try:
            answer = f"{float(answer):.{int(exercise.given)}f}"
        except ValueError:
            return ""
    found = 0x811C9DC5
    for byte in f"{exercise.name}:{answer}".encode(errors="replace"):
        found = ((found ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{found:08x}"


def for_page(exercise: Exercise) -> dict[str, Any]:
    """What a page is given of an exercise; neither its solution nor its mistakes."""
    about = {"title": exercise.title, "kind": exercise.kind, "digest": exercise.digest}
    if exercise.kind == "starter":
        return about | {"starter": exercise.given, "checks": list(exercise.checks)}
    remarks = {text: remark for text, remark, _ in choices(exercise)}
    decimals = int(exercise.given) if exercise.kind == "number" else 0
    return about | {"remarks": remarks, "decimals": decimals, "sealed": sealed(exercise, right_answer(exercise))}
