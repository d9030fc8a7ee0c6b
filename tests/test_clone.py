"""The clone as others have it: not to be written, or beside a copy of the package that is installed."""

import os
import shutil
import subprocess
import sys

import pytest

from chexreason import config

#: What takes root's rights from a command: root may write what is read-only.
AS_A_USER = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
#: A notebook that leaves what the stage's runs leave, and says which package it has.
NOTEBOOK = """# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% tags=["parameters"]
profile = seed = results = cache = given = None

# %%
import json
from pathlib import Path
import chexreason
from chexreason import config
for prompt in config.load_profile(profile).study["prompting"]["prompts"]:
    run = Path(results) / "smoke" / f"01-prompting-{prompt}"
    for path, text in ((run / "run.json", json.dumps({"run_id": run.name, "tier": "", "config_digest": "d"})),
                       (Path(cache) / "made-here" / run.name, "d"), (Path(cache) / "said", chexreason.__file__)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
"""


@pytest.fixture
def clone(tmp_path):
    """The packages and the notebooks, the first of which is `NOTEBOOK`."""
    for name in ("chexreason", "companion", "notebooks"):
        shutil.copytree(config.ROOT / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "clone" / "notebooks" / "01_prompting.py").write_text(NOTEBOOK)
    return tmp_path / "clone"


def run(clone, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A stage of the clone, with results and cache elsewhere."""
    places = ["--results", str(clone.parent / "results"), "--cache", str(clone.parent / "cache")]
    words = [*command, "run", "prompting", "--profile", "smoke", *places]
    ours = ("PYTHONPATH", "CHEXREASON_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        words, cwd=clone, env={**variables, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(bool(AS_A_USER) and not shutil.which("setpriv"), reason="root writes what is read-only")
def test_a_stage_runs_in_a_clone_that_may_not_be_written(clone) -> None:
    for path in (*clone.rglob("*"), clone):
        path.chmod(0o555 if path.is_dir() else 0o444)
    may = subprocess.run([*AS_A_USER, "touch", str(clone / "x")], capture_output=True, check=False)
    ended = run(clone, *AS_A_USER, sys.executable, "-m", "companion")
    for path in (clone, *clone.rglob("*")):
        path.chmod(0o755)
    assert (may.returncode != 0, ended.returncode) == (True, 0), ended.stderr
    assert (clone.parent / "cache" / "said").read_text() == str(clone / "chexreason" / "__init__.py")
    assert not list(clone.rglob("__pycache__"))


def test_a_copy_of_the_package_does_not_compute_in_the_clones_place(clone) -> None:
    """As `pip install '.[paper]'` leaves one; the clone's own command runs, that of the copy says what to do."""
    site = clone.parent / "site-packages"
    for name in ("chexreason", "companion"):
        shutil.copytree(clone / name, site / name)
    ended = run(clone, sys.executable, "-m", "companion", PYTHONPATH=str(site))
    assert ended.returncode == 0, ended.stderr
    assert (clone.parent / "cache" / "said").read_text() == str(clone / "chexreason" / "__init__.py")
    copys = "from companion.workflow.commands import entry; entry()"
    ended = run(clone, sys.executable, "-P", "-c", copys, PYTHONPATH=str(site))
    assert ended.returncode == 2
    assert "which is not there. Run from a whole clone, installed with pip's --editable" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
