"""``python -m chexreason``: what it does before there is an environment, and where none can be; Colab and Binder."""

import ast
import os
import re
import sys
from pathlib import Path

import jupytext
import platforms
import pytest

from companion.workflow import commands, environment

ROOT = Path(environment.ROOT)
#: What an interpreter reads before it is known to be one that the pins take.
FIRST = ("chexreason/__main__", "chexreason/__init__", "companion/__init__", "companion/workflow/__init__",
         "companion/workflow/environment")  # fmt: skip


@pytest.fixture
def started(monkeypatch, capsys):
    """`python -m chexreason` with words, where there is no environment; gives what it did, its status and its error."""
    did = []

    def replaced(python: str, command: list[str]) -> None:
        did.append(command)
        raise SystemExit(0)

    monkeypatch.setattr(environment, "whole", lambda: False)
    monkeypatch.setattr(environment, "make", lambda: did.append("made"))
    monkeypatch.setattr(os, "execv", replaced)

    def start(words: str) -> tuple[list, object, str]:
        monkeypatch.setattr(sys, "argv", ["chexreason", *words.split()])
        with pytest.raises(SystemExit) as ended:
            environment.main()
        return did, ended.value.code, capsys.readouterr().err

    return start


@pytest.mark.parametrize("name", FIRST)
def test_an_old_python_reads_what_says_that_it_is_old(name) -> None:
    tree = ast.parse((ROOT / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours = {"companion.workflow", "companion.workflow.environment"}  # `commands` is imported once the version is known
    assert {module.partition(".")[0] for module in imported - ours} <= sys.stdlib_module_names


@pytest.mark.parametrize("words", ["book --profile smoke", "html --out x", "run sft", "test --cores 3"])
def test_a_command_is_run_in_the_environment_once_it_is_made(started, words) -> None:
    assert started(words)[:2] == (["made", [environment.PY, "-m", "companion", *words.split()]], 0)


@pytest.mark.parametrize(
    ("words", "status", "told"), [("bok", 2, "got argument command: invalid choice: 'bok'"), ("book --help", 0, "")]
)
def test_wrong_words_and_questions_make_no_environment(started, words, status, told) -> None:
    did, ended, error = started(words)
    assert (did, ended, told in error) == ([], status, True)


def test_a_python_that_the_pins_do_not_take_hands_over_to_another(started, monkeypatch) -> None:
    monkeypatch.setattr(environment, "BEYOND", (3, 0))
    monkeypatch.setattr(environment, "choose", lambda: "/another/python3")
    assert started("book")[:2] == ([["/another/python3", "-m", "chexreason", "book"]], 0)


def test_windows_is_told_of_wsl(started, monkeypatch, capsys) -> None:
    """By the module and by the console script, which pip makes there, too."""
    monkeypatch.setattr(sys, "platform", "win32")
    told = "chexreason: Expected Linux or macOS, got Windows. Install WSL (wsl --install), clone this repository in it "
    did, status, error = started("book")
    assert (did, status, error.startswith(told), len(error.splitlines())) == ([], 2, True, 1)
    assert commands.main(["audit"]) == 2
    assert capsys.readouterr().err == error


def test_every_target_of_make_is_a_command() -> None:
    targets = re.findall(r"^([a-z]+):  ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(targets) - {"help"} <= set(commands.COMMANDS)
    assert len(targets) == 13


def test_the_demo_notebook_types_commands_that_there_are() -> None:
    code = [cell.source for cell in jupytext.read(ROOT / "binder" / "demo.py").cells if cell.cell_type == "code"]
    typed = re.findall(r"^!python3 -m chexreason (.*)$", "\n".join(code), re.M)
    assert [words.split()[0] for words in typed] == ["setup", "book", "claims"]
    for words in typed:
        commands.parser().parse_args(words.split())
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)
    built = (ROOT / "binder" / "postBuild").read_text()
    assert "python3 -m chexreason setup" in built
    assert "jupytext --to ipynb binder/demo.py" in built


def test_a_wheel_is_found_for_the_systems_that_take_it() -> None:
    """Any interpreter's, one of the stable interface, an older macOS's; and not another machine's."""
    systems = {name: wheels for name, (_, wheels) in platforms.SYSTEMS.items()}
    for file, wanted in {
        "x-1-py3-none-any.whl": set(systems),
        "x-1-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": {"Linux, x86-64"},
        "x-1-cp312-cp312-macosx_11_0_arm64.whl": {"macOS, Apple silicon"},
        "x-1-cp312-cp312-macosx_10_13_universal2.whl": {"macOS, Apple silicon"},
        "x-1-cp312-cp312-macosx_15_0_arm64.whl": set(),
        "x-1-cp312-cp312-manylinux_2_34_aarch64.whl": set(),
        "x-1-cp313-cp313-win_amd64.whl": set(),
    }.items():
        found = {
            name for name, taken in systems.items() if platforms.wheel({"wheels": [{"name": file}]}, "3.12", taken)
        }
        assert found == wanted, file


def test_pip_is_lent_where_an_interpreter_cannot_give_it_to_an_environment(tmp_path, monkeypatch) -> None:
    """As on Debian with python3-pip and without python3-venv. What would be installed then is another test's."""
    asked = []
    monkeypatch.setattr(environment, "choose", lambda: sys.executable)
    monkeypatch.setattr(environment, "_says_yes", lambda python, question: False)
    monkeypatch.setattr(environment, "_must", lambda command: asked.append(command[1:]))
    monkeypatch.setattr(environment, "VENV", str(tmp_path))
    environment.make()
    assert asked[:2] == [
        ["-m", "venv", "--clear", "--without-pip", str(tmp_path)],
        ["-m", "pip", "--python", environment.PY, "install", "--quiet", "pip"],
    ]
    assert [words[1:3] for words in asked[2:]] == [["pip", "install"], ["pip", "install"], ["pip", "check"]]
    assert Path(environment.stamp()).exists()
