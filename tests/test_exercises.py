"""Exercises: each is solved by its solution and by nothing else in its file; and what was handed in is marked."""

import builtins
import csv
import fcntl
import io
import json

import pytest

from chexreason.errors import UserError
from companion.lab import checking, exercises
from companion.workflow.commands import main

CODE = [name for name in exercises.names() if exercises.get(name).kind == "starter"]
OTHER = [name for name in exercises.names() if name not in CODE]


def first_wrong(found) -> str | None:
    return next((one["title"] for one in found["checks"] if not one["right"]), None)


@pytest.mark.parametrize("name", CODE)
def test_the_starter_fails_the_solution_passes_and_each_mistake_fails_at_its_check(name) -> None:
    one = exercises.get(name)
    assert not exercises.passed(exercises.check(one, one.given))
    found = exercises.check(one, one.solution)
    assert exercises.passed(found), found
    caught = [first_wrong(exercises.check(one, code)) for _, code in one.wrong]
    assert caught == [title for title, _ in one.wrong]
    assert {title for title, _ in one.wrong} <= {check["title"] for check in one.checks}
    assert all(check["hint"].endswith((".", "?")) for check in one.checks)


@pytest.mark.parametrize("name", OTHER)
def test_the_right_answer_is_right_and_no_other(name) -> None:
    one = exercises.get(name)
    right = exercises.right_answer(one)
    assert exercises.passed(exercises.check(one, right))
    others = [text for text, _, good in exercises.choices(one) if not good] or ["0.31", "-0.3", "", "none", "inf"]
    assert not any(exercises.passed(exercises.check(one, other)) for other in others)
    assert len([good for _, _, good in exercises.choices(one) if good]) == (one.kind == "choice")
    told = json.dumps(exercises.for_page(one))
    assert one.kind == "choice" or right not in told


def test_a_number_is_right_however_it_is_written() -> None:
    one = exercises.get("one_advantage")
    assert all(exercises.passed(exercises.check(one, text)) for text in ("0.3", ".30", " 0.300 ", "3e-1"))


@pytest.mark.parametrize(
    ("code", "error"),
    [("while True: pass", "stopped after 1 seconds"), ("import os; os._exit(0)", "ended Python"),
     ("1 +", "line 1: Synt"), ("import sys\nsys.exit(0)", "line 2: SystemExit"),
     ("a = 1\nb = a / 0", "line 2: ZeroDivisionError"),
     ("def f():\n    return f()\nf()", "RecursionError"),
     ("assert 1 == 2", "line 1: AssertionError"), ("print('\\ud800')\nraise ValueError('é')", "ValueError: é")],
)  # fmt: skip
def test_whatever_code_ends_in_is_told_in_a_line(code, error) -> None:
    found = exercises.check(exercises.get("advantages"), code, limit=1 if "while" in code else exercises.LIMIT)
    assert error in found["error"]
    assert "\n" not in found["error"]
    assert not exercises.passed(found)


def test_what_is_printed_does_not_disturb_the_checks() -> None:
    one = exercises.get("advantages")
    found = exercises.check(one, f"{one.solution}\nprint('{{}}')\nprint('[1')")
    assert exercises.passed(found)
    assert found["output"] == "{}\n[1\n"


@pytest.mark.parametrize("name", exercises.names())
def test_in_a_terminal_the_file_is_written_once_and_then_checked(name, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, place = exercises.get(name), tmp_path / f"{name}.py"
    assert main(["exercise", name]) == 0
    begun = place.read_text(encoding="utf-8")
    compile(begun, str(place), "exec")
    assert main(["exercise", name, str(place)]) == 1
    assert "✗" in capsys.readouterr().out
    right = one.solution if one.kind == "starter" else exercises.right_answer(one)
    place.write_text(f"{begun}\n{right}\n", encoding="utf-8")
    assert main(["exercise", name]) == 0
    assert "✗" not in capsys.readouterr().out


def test_the_list_names_each_exercise_and_another_name_is_refused(capsys) -> None:
    assert main(["exercise"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == exercises.names()
    assert main(["exercise", "advantage"]) == 2
    assert "Expected an exercise among advantages" in capsys.readouterr().err


def test_what_was_handed_in_is_checked_anew(tmp_path, capsys) -> None:
    """A page's own verdict is not believed, and an answer to an older version of the exercise is marked as one."""
    one = exercises.get("advantages")
    given = [
        {"exercise": "advantages", "digest": one.digest, "answer": one.given, "right": True},
        {"exercise": "advantages", "digest": "older", "answer": one.solution},
        {"exercise": "one_advantage", "digest": exercises.get("one_advantage").digest, "answer": "0.3"},
    ]
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "exercises-answers.json").write_text(json.dumps({"answers": given}), encoding="utf-8")
    assert main(["grade", str(tmp_path)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["passed"] for row in rows] == ["False", "True", "True"]
    assert [row["right"] for row in rows] == ["1", str(len(one.checks)), "1"]
    assert ["version" in row["note"] for row in rows] == [False, True, False]


ODD = ["", "[]", '{"answers": [{"exercise": 1}]}', '{"answers": 3}', '{"answers": []}', "\xff", "[" * 200_000]


def test_one_odd_file_is_named_and_the_others_are_marked(tmp_path, capsys) -> None:
    for k, text in enumerate(ODD):
        (tmp_path / f"a{k}.json").write_bytes(text.encode("latin-1"))
    (tmp_path / "b.json").mkdir()
    right = {"exercise": "one_advantage", "digest": exercises.get("one_advantage").digest, "answer": "0.3"}
    odd = [{**right, "exercise": "none"}, right, right, {**right, "answer": "\ud800"}]
    odd += [{"exercise": "advantages", "digest": "", "answer": "assert False, '=1+1'"}]
    (tmp_path / "z.json").write_text("\ufeff" + json.dumps({"answers": odd}), encoding="utf-8")
    assert main(["grade", str(tmp_path)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in rows] == [f"a{k}.json" for k in range(len(ODD))] + ["z.json"] * 5
    assert all(row["note"].startswith("no answers") for row in rows[: len(ODD)])
    assert [row["passed"] for row in rows[len(ODD) :]] == ["False", "True", "True", "False", "False"]
    assert rows[-5]["note"] == "no such exercise"
    assert rows[-3]["note"] == "handed in more than once"
    assert rows[-1]["note"].endswith("error: line 1: AssertionError: =1+1")


def test_an_answer_that_writes_its_own_verdict_is_not_believed() -> None:
    forged = "import atexit, sys, json\natexit.register(lambda: sys.__stdout__.write('{}'))\n"
    for code in (f"{forged}def advantages(r): return r", "import os; os.write(1, b'\\xff'); os._exit(0)", "assert 0"):
        found = exercises.check(exercises.get("advantages"), code)
        assert not exercises.passed(found)
        assert found["error"] or len(found["checks"]) == len(exercises.get("advantages").checks)


def test_what_an_answer_started_ends_with_it(tmp_path) -> None:
    """A child that would go on for ever holds a lock; the answer ends when it is held."""
    lock, held = tmp_path / "lock", tmp_path / "held"
    code = f"""import fcntl, os, time
if not os.fork():
    file = open({str(lock)!r}, "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    open({str(held)!r}, "w").close()
    while True:
        time.sleep(1)
while not os.path.exists({str(held)!r}):
    time.sleep(0.01)
"""
    assert not exercises.passed(exercises.check(exercises.get("advantages"), code, limit=600))
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits until the child is gone


def test_much_output_is_cut_and_nothing_built_in_stays_changed() -> None:
    found = checking.run("print('x' * 1_000_000)\nimport sys; sys.stdout.close()", [])
    assert len(found["output"]) == checking.KEPT
    before = len
    checking.run("import builtins; builtins.len = lambda x: 4; builtins.own = 1; import colorsys", [])
    assert len is before
    assert not hasattr(builtins, "own")
    checks = [{"title": "t", "code": "f()", "hint": "h"}]
    assert checking.run("\ndef f():\n    return 1 / 0", checks)["checks"][0]["error"].startswith("line 3: ZeroDivision")
    assert checking.run("", checks)["checks"][0]["error"].startswith("NameError")


def test_no_files_and_a_file_without_parts_are_refused(tmp_path, capsys) -> None:
    assert main(["grade", str(tmp_path)]) == 2
    (tmp_path / "bare.py").write_text("# %% [markdown]\n# # Title\n", encoding="utf-8")
    with pytest.raises(UserError, match="an exercise with a task"):
        exercises.read(tmp_path / "bare.py")
