"""The Snakefile and the Makefile in folders whose names a shell would read otherwise."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from companion.workflow import stages

ROOT = Path(__file__).resolve().parents[1]
ODD = "it's my [first] clone"


def test_commands_name_the_python_wherever_it_lies(tmp_path) -> None:
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / ".venv").symlink_to(sys.prefix)
    python = tmp_path / ODD / ".venv" / "bin" / Path(sys.executable).name
    command = [str(python), "-m", "snakemake", "--cores", "1", "--resources", "gpu=1", "--config", "profile=smoke"]
    command += ["--dry-run", "--forceall", "--nolock", "--printshellcmds", "results", ".cache/experiment/done/base-0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    shown = ended.stdout + ended.stderr
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
