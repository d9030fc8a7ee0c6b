"""The Snakefile and the Makefile: odd folder names, and the plan for the profile `paper` on Slurm, never submitted."""

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chexreason import files
from companion.workflow import commands, stages, targets

ROOT = Path(__file__).resolve().parents[1]
ODD = "it's my [first] clone"
PROFILE = ROOT / "profiles" / "slurm" / "config.yaml"
PLUGIN = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None


def planned(python: str, *words: str, **environment: str) -> str:
    """What a dry run of Snakemake says."""
    command = [python, "-m", "snakemake", "--dry-run", "--nolock", "--resources", "gpu=1", *words]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment, **paths}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout + ended.stderr


def test_the_study_is_planned_in_order_and_each_stage_asks_for_what_the_profile_says(tmp_path) -> None:
    """With empty folders in place of the data: a rehearsal reads none of it."""
    settings = yaml.safe_load(PROFILE.read_text())
    if not PLUGIN:
        del settings["executor"]  # Snakemake knows no executor whose plugin is missing
        settings["cores"] = settings.pop("jobs") * 8
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(yaml.safe_dump(settings))
    places = {f"CHEXREASON_{name}": str(tmp_path / name) for name in ("MIMIC", "CHEXPERT", "NIH", "CACHE")}
    for place in places.values():
        Path(place).mkdir()
    words = ("--profile", str(tmp_path / "profile"), "--config", "profile=paper")
    rehearsal = planned(sys.executable, *words, **places)
    counted = dict(re.findall(r"^(\w+) +(\d+)$", rehearsal, flags=re.MULTILINE))
    wanted = {"all": "1", "book": "1", "total": "6", **dict.fromkeys(stages.STAGES, "1")}
    assert {name: counted.get(name) for name in wanted} == wanted
    asked = yaml.safe_load(PROFILE.read_text())["set-resources"]
    assert set(asked) == set(stages.STAGES)
    for stage, wanted in asked.items():
        [job] = re.findall(rf"rule {stage}:\n(?:    .*\n)+", rehearsal)
        assert "gpu=1" in job
        assert f"runtime={wanted['runtime']}" in job
        assert f"mem_mb={wanted['mem_mb']}" in job
    order = [name for name in re.findall(r"rule (\w+):", rehearsal) if name in stages.STAGES]
    after = {name: [earlier for earlier in stage.after if earlier in order] for name, stage in stages.STAGES.items()}
    assert all(order.index(earlier) < order.index(name) for name in after for earlier in after[name])


def test_commands_name_the_python_wherever_it_lies(tmp_path) -> None:
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / ".venv").symlink_to(sys.prefix)
    python = tmp_path / ODD / ".venv" / "bin" / Path(sys.executable).name
    shown = planned(
        str(python), "--cores", "1", "--config", "profile=smoke", "--forceall", "--printshellcmds", "results",
        ".cache/experiment/done/base-0",
    )  # fmt: skip
    typed = [shlex.split(line) for line in re.findall(r"^.*-m companion .*$", shown, flags=re.MULTILINE)]
    found = [words[words.index("-m") - 1 :] for words in typed]
    assert all(words[:3] == [str(python), "-m", "companion"] for words in found)
    asked = {tuple(words[3:5]) for words in found}
    assert {*(("run", stage) for stage in stages.STAGES), ("experiment", "base")} <= asked


def copied(folder: Path) -> Path:
    """What make and the commands need of a clone, in a folder."""
    folder.mkdir(exist_ok=True)
    for file in ("Makefile", "Snakefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, folder)
    for name in ("chexreason", "companion"):
        ignored = shutil.ignore_patterns("__pycache__", "checkpoints")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a copy."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # `make test` runs this
    variables = {**outer, "PYTHONPATH": str(folder), **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


#: In an interpreter's place: whether its version is one that we take, whether it makes environments, how it is called.
FAKE = """#!/bin/sh
case "$*" in
    "-m chexreason"*) exec '{real}' "$@" ;;
    *sys.exit*) exit {wrong} ;;
    *ensurepip* | *"import pip"*) exit {bare} ;;
    *-venv*) echo python3.99-venv ;;
    --version) echo Python 3.99 ;;
    -m*) echo "$0 $*" >&2; exit 7 ;;
esac
"""
WRONG, BARE, WHOLE = {"wrong": 1, "bare": 1}, {"wrong": 0, "bare": 1}, {"wrong": 0, "bare": 0}


@pytest.mark.parametrize(
    ("three", "twelve", "asked", "told"),
    [
        (WRONG, WRONG, "python3 python3.12", r"chexreason: Expected .*, got none among python3 python3\.12\. Install"),
        (BARE, WRONG, "python3 python3.12", r"chexreason: .* got python3 without .*\. Install python3\.99-venv, or"),
        (WRONG, BARE, "python3 python3.12", r"chexreason: .* got python3\.12 without .*\. Install python3\.99-venv"),
        (BARE, WHOLE, "python3 python3.12", r"/my py/python3\.12 -m venv --clear .*/clone/\.venv"),
        (WHOLE, WRONG, "{}/python3", r"/my py/python3 -m venv --clear .*/clone/\.venv"),
    ],
)
def test_an_interpreter_that_cannot_do_is_passed_over_or_refused_before_anything_is_made(
    tmp_path, three, twelve, asked, told
) -> None:
    (fakes := tmp_path / "my py").mkdir()
    for name, how in (("python3", three), ("python3.12", twelve)):
        (fakes / name).write_text(FAKE.format(real=sys.executable, **how))
        (fakes / name).chmod(0o755)
    path = f"{fakes}{os.pathsep}{os.environ['PATH']}"
    clone = copied(tmp_path / "clone")
    ended = run(clone, "make", "setup", f"PYTHON={asked.format(fakes)}", PATH=path)
    first = ended.stderr.splitlines()[0]
    assert re.search(told, first), ended.stderr
    assert ended.returncode == 2
    assert "installing" not in ended.stdout
    assert not (clone / ".venv").exists()
    if first.startswith("chexreason"):
        assert len(first) <= 200
        assert ended.stdout == ""


def test_book_and_html_take_the_same_lock(monkeypatch) -> None:
    """Unless whoever calls `html` holds it, as `book` does by way of the Snakefile."""
    asked, held = [], []
    monkeypatch.setattr(targets, "_run", lambda command: asked.append(command) or 0)
    monkeypatch.setattr(files, "alone", lambda lock: held.append(lock) or contextlib.nullcontext())
    monkeypatch.setattr(stages, "build_book", lambda profile, out: out)
    assert [commands.main([*words.split(), "--profile", "smoke"]) for words in ("book", "html", "html --locked")] == [
        0
    ] * 3
    ready, whole = asked
    assert ready[1:] == ["-m", "companion", "ready", "--profile", "smoke"]
    assert whole[:4] == [sys.executable, "-m", "companion.workflow.locked", targets.BOOK_LOCK]
    assert held == [ROOT / targets.BOOK_LOCK]
    assert "html --locked --profile" in (ROOT / "Snakefile").read_text()


def test_pins_are_those_of_here_and_of_elsewhere_and_are_asked_for_under_every_python(tmp_path, monkeypatch) -> None:
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    monkeypatch.setattr(targets, "ROOT", tmp_path)
    asked = []
    monkeypatch.setattr(targets, "_run", lambda command: asked.append(command[command.index("--python-version") + 1]))
    assert commands.main(["pins"]) == 0
    before, after = ((place / "constraints.txt").read_text().splitlines() for place in (ROOT, tmp_path))
    assert [line for line in after if line in before] == before
    assert not [line for line in after if "+" in line]
    assert asked == ["3.11", "3.12", "3.13"]


def test_snakemake_typed_directly_where_the_home_cannot_be_written(tmp_path) -> None:
    for text in (PROFILE.read_text(), (ROOT / "README.md").read_text()):
        assert "`export XDG_CACHE_HOME=$PWD/.cache/home`" in text
    words = ("--cores", "1", "--config", "profile=smoke", "--quiet", "rules")
    assert "total" in planned(sys.executable, *words, HOME="/proc/none", XDG_CACHE_HOME=str(tmp_path / ".cache/home"))


STAMP = """
import os
from companion.workflow import environment
environment.cache_here()
print(environment.stamp(), *map(os.environ.get, ("XDG_CACHE_HOME", "MPLCONFIGDIR")), sep=os.linesep)
"""


@pytest.mark.parametrize("name", ["clone", ODD, "a $HOME # {b}"])
def test_the_environments_stamp_knows_its_folder(tmp_path, name) -> None:
    """And what libraries cache goes there if the home cannot be written."""
    stamps = set()
    for folder in (tmp_path, tmp_path / name):
        ended = run(copied(folder), sys.executable, "-c", STAMP, HOME="/nonexistent", XDG_CACHE_HOME=os.devnull)
        stamp, *caches = ended.stdout.splitlines()
        assert caches == [os.devnull, str(folder / ".cache" / "home")], "what is set stays"
        stamps.add(Path(stamp).name)
        assert Path(stamp).parent == folder / ".venv"
    assert len(stamps) == 2
    assert all(re.fullmatch(r"whole-[0-9a-f]{16}", stamp) for stamp in stamps)


@pytest.mark.parametrize("target", ["help", "html", "book"])
def test_a_profiles_name_is_never_executed(tmp_path, target) -> None:
    copied(tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (python := tmp_path / ".venv" / "bin" / "python").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    Path(run(tmp_path, sys.executable, "-c", STAMP).stdout.splitlines()[0]).touch()
    name = "`touch X`$(touch Y)$(shell touch Z)'; touch U\"; touch V; touch W #"
    ended = run(tmp_path, "make", target, f"PROFILE={name}")
    assert (ended.returncode, name in ended.stdout) == (0 if target == "help" else 2, True), ended.stderr
    assert ("got" in ended.stderr and "Traceback" not in ended.stderr) != (target == "help")
    assert not [path for path in tmp_path.iterdir() if len(path.name) == 1]


def test_a_cache_whose_path_snakemake_would_misread_is_refused() -> None:
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--config", "profile=smoke"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CHEXREASON_CACHE": "/nonexistent/{x}"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "Expected a cache folder without braces in its path" in ended.stderr
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
