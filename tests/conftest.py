"""What several test modules share: the four notebooks run once, on the smallest profile."""

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from chexreason import config


@dataclass(frozen=True)
class Study:
    """The whole study on the profile `smoke`: its folders, and what the terminal showed."""

    profile: config.Profile
    results: Path
    cache: Path
    shown: str

    def command(self, *words: str) -> list[str]:
        """A chexreason command with this study's folders."""
        places = ["--profile", "smoke", "--results", str(self.results), "--cache", str(self.cache)]
        return [sys.executable, "-m", "chexreason", *words, *places]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the whole study come first: it takes longest, and the other process has enough to do."""
    items.sort(key=lambda item: "smoke" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The four notebooks, run in order by `chexreason run all --profile smoke`; once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    shared.mkdir(exist_ok=True)
    results, cache, log = shared / "results", shared / "cache", shared / "log.txt"
    profile = config.load_profile("smoke", results=results, cache=cache)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other process waits here
        if not log.exists():
            study = Study(profile, results, cache, "")
            ended = subprocess.run(
                study.command("run", "all"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            log.write_text(f"{ended.stdout}\nexit status {ended.returncode}\n")
    shown = log.read_text()
    assert shown.endswith("exit status 0\n"), shown[-6000:]
    return Study(profile, results, cache, shown)
