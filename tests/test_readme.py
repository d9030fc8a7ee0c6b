"""README's things to try work as they are typed, and show what README says."""

import re
import shlex
import subprocess
import sys

from chexreason import config

README = (config.ROOT / "README.md").read_text(encoding="utf-8")
SECTION = re.search(r"^### Things to try\n(.*?)^## ", README, flags=re.DOTALL | re.MULTILINE)[1]
BLOCKS = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
#: What is typed line by line; the reward of one's own is a block, for test_extension.py.
COMMANDS = [line for block in BLOCKS if not block.startswith("cat ") for line in block.splitlines()]


def typed(start: str, tmp_path, **instead: str) -> str:
    """The output of the command that starts so, run from the root as README says; `.cache` is a folder of the test."""
    [line] = [line for line in COMMANDS if line.startswith(start)]
    for old, new in {".cache": str(tmp_path), **instead}.items():
        assert old in line or old == ".cache"
        line = line.replace(old, new)
    words = shlex.split(line, comments=True)
    modules = {"chexreason": "companion", "jupytext": "jupytext", "papermill": "papermill"}
    name = words[0].removeprefix(".venv/bin/")
    command = [sys.executable, *(["-m", modules[name]] if name in modules else []), *words[1:]]
    ended = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout


def test_each_thing_to_try_is_a_command_that_is_tried_here() -> None:
    starts = [
        ".venv/bin/jupytext", ".venv/bin/papermill",
        ".venv/bin/chexreason exercise", ".venv/bin/chexreason exercise adv", ".venv/bin/chexreason compare",
        '.venv/bin/python -c "import pandas', '.venv/bin/python -c "from', ".venv/bin/chexreason phantom",
        ".venv/bin/chexreason run", ".venv/bin/chexreason claims --run demo --results",
        ".venv/bin/chexreason claims --run demo   ",
    ]  # fmt: skip
    assert [line.startswith(start) for line, start in zip(COMMANDS, starts, strict=True)] == [True] * len(starts)


def test_two_runs_are_compared_by_papermill(tmp_path) -> None:
    typed(".venv/bin/jupytext", tmp_path)
    typed(".venv/bin/papermill", tmp_path)
    assert "The second run minus the first" in (tmp_path / "compared.ipynb").read_text(encoding="utf-8")


def test_exercises_are_listed_and_one_is_begun_and_two_runs_are_held_against_what_was_drawn(tmp_path) -> None:
    listed = subprocess.run([sys.executable, "-m", "companion", "exercise"], capture_output=True, text=True, check=True)
    assert "The advantages of a group" in listed.stdout
    assert "wrote" in typed(".venv/bin/chexreason exercise adv", tmp_path)
    assert "def advantages" in (tmp_path / "advantages.py").read_text(encoding="utf-8")
    assert "held against what was drawn" in " ".join(typed(".venv/bin/chexreason compare", tmp_path).split())


def test_failed_answers_are_shown(tmp_path) -> None:
    assert typed('.venv/bin/python -c "import pandas', tmp_path).count("<solution>") >= 2


def test_the_hard_reward_is_shown_term_by_term(tmp_path) -> None:
    shown = typed('.venv/bin/python -c "from', tmp_path)
    assert "'jaccard': 0.5" in shown
    assert "'short': 0.0" in shown


def test_images_are_drawn_as_hospital_b_files_them(tmp_path) -> None:
    typed(".venv/bin/chexreason phantom", tmp_path)
    assert len(list((tmp_path / "films-of-B").rglob("*.jpg"))) >= 20
    assert list((tmp_path / "films-of-B").rglob("groundtruth.csv"))


def test_another_seed_goes_to_its_own_folder_and_is_judged_beside_the_committed_one(tmp_path) -> None:
    """With few studies and tokens; README's commands use `demo` as it is."""
    few = "--set sizes.validation=2 --set decoding.max_new_tokens=8"
    before = {path: path.stat().st_mtime_ns for path in (config.RESULTS / "demo").rglob("*")}
    typed(".venv/bin/chexreason run", tmp_path, prompting=f"prompting --profile smoke {few}")
    assert {path: path.stat().st_mtime_ns for path in (config.RESULTS / "demo").rglob("*")} == before
    runs = list((tmp_path / "seed-1" / "smoke").glob("01-*/run.json"))
    assert len(runs) == 9
    assert all('"seed": 1' in path.read_text() for path in runs)
    smoke = typed(".venv/bin/chexreason claims --run demo --results", tmp_path, demo="smoke")
    assert smoke.startswith("smoke (tier: miniature)")


def test_the_committed_run_is_judged(tmp_path) -> None:
    assert typed(".venv/bin/chexreason claims --run demo   ", tmp_path).startswith("demo (tier: miniature)")
