"""Snakemake's whole graph for the profile `paper`, rehearsed with the Slurm profile; nothing is submitted."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from companion.workflow import stages

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "profiles" / "slurm" / "config.yaml"
PLUGIN = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory) -> str:
    """What a dry run says, with empty folders in place of the data: a rehearsal reads none of it."""
    folder = tmp_path_factory.mktemp("slurm")
    settings = yaml.safe_load(PROFILE.read_text())
    if not PLUGIN:
        del settings["executor"]  # Snakemake knows no executor whose plugin is missing
        settings["cores"] = settings.pop("jobs") * 8
    (folder / "profile").mkdir()
    (folder / "profile" / "config.yaml").write_text(yaml.safe_dump(settings))
    places = {f"CHEXREASON_{name}": str(folder / name) for name in ("MIMIC", "CHEXPERT", "NIH", "CACHE")}
    for place in places.values():
        Path(place).mkdir()
    command = [sys.executable, "-m", "snakemake", "--profile", str(folder / "profile"), "--config", "profile=paper"]
    command += ["--dry-run", "--nolock", "--resources", "gpu=1"]
    environment = {**os.environ, **places, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout + ended.stderr


def test_every_stage_and_the_book_are_planned_once(rehearsal) -> None:
    counted = dict(re.findall(r"^(\w+) +(\d+)$", rehearsal, flags=re.MULTILINE))
    wanted = {"all": "1", "book": "1", "total": "6", **dict.fromkeys(stages.STAGES, "1")}
    assert {name: counted.get(name) for name in wanted} == wanted


def test_each_stage_asks_for_a_gpu_and_for_what_the_profile_says(rehearsal) -> None:
    asked = yaml.safe_load(PROFILE.read_text())["set-resources"]
    assert set(asked) == set(stages.STAGES)
    for stage, wanted in asked.items():
        [job] = re.findall(rf"rule {stage}:\n(?:    .*\n)+", rehearsal)
        assert "gpu=1" in job
        assert f"runtime={wanted['runtime']}" in job
        assert f"mem_mb={wanted['mem_mb']}" in job


def test_no_stage_comes_before_one_that_it_needs(rehearsal) -> None:
    order = [name for name in re.findall(r"rule (\w+):", rehearsal) if name in stages.STAGES]
    after = {name: [earlier for earlier in stage.after if earlier in order] for name, stage in stages.STAGES.items()}
    assert all(order.index(earlier) < order.index(name) for name in after for earlier in after[name])
