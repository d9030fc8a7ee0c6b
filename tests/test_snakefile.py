"""The Snakefile and the Makefile: odd folder names, and the plan for the profile `paper` on Slurm, never submitted."""

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

from companion.workflow import stages

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


@pytest.mark.parametrize("name", ["clone", ODD, "a $HOME # {b}"])
def test_the_environments_stamp_knows_its_folder(tmp_path, name) -> None:
    place = tmp_path / name
    place.mkdir()
    stamps = set()
    for folder in (tmp_path, place):
        for file in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / file, folder)
        command = ["make", "--dry-run", "--print-data-base", "help"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        stamps |= set(re.findall(r"^STAMP := (.*)$", ended.stdout, flags=re.MULTILINE))
        assert "error" not in ended.stderr, ended.stderr
    assert len(stamps) == 2
    assert all(re.fullmatch(r"\.venv/whole-[0-9a-f]{16}", stamp) for stamp in stamps)
