"""Whether every pin of constraints.txt can be installed on each system and Python: python benchmarks/platforms.py

Asks the package index through uv (`pip install uv`, which the environment lacks) and installs nothing: which files each
pin has, once for all systems, and whether the pins resolve on each, under the conditions that hold there and not here.
Takes two minutes. Prints the table and writes it to results/benchmarks/platforms.csv, from which the book shows it.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "results" / "benchmarks" / "platforms.csv"
PYTHONS = ("3.11", "3.12", "3.13")
#: Torch's wheels ask for as new a system.
GLIBC, MACOS = 28, (14, 0)


def _linux(machine: str) -> list[str]:
    return [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)] + [
        f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")
    ]


#: System -> what uv calls it, and the wheels it takes.
SYSTEMS: dict[str, tuple[str, list[str]]] = {
    "Linux, x86-64": (f"x86_64-manylinux_2_{GLIBC}", _linux("x86_64")),
    "Linux, ARM": (f"aarch64-manylinux_2_{GLIBC}", _linux("aarch64")),
    "macOS, Apple silicon": ("aarch64-apple-darwin", list(mac_platforms(MACOS, "arm64"))),
    "Windows, x86-64": ("x86_64-pc-windows-msvc", ["win_amd64"]),
}
#: What a build of torch for CUDA brings; which of them is the machine's affair, and none is pinned.
CUDA = ("nvidia-", "cuda-", "triton")


def wheel(package: Mapping[str, Any], python: str, platforms: list[str]) -> str | None:
    """The name of a wheel of a locked package that such an interpreter takes.

    >>> torch = {"wheels": [{"name": "torch-2.13.0-cp312-cp312-win_amd64.whl"}]}
    >>> wheel(torch, "3.12", ["win_amd64"])
    'torch-2.13.0-cp312-cp312-win_amd64.whl'
    >>> wheel(torch, "3.13", ["win_amd64"])
    """
    version = tuple(map(int, python.split(".")))
    short = "cp" + python.replace(".", "")
    taken: set[Tag] = {*cpython_tags(version, platforms=platforms), *compatible_tags(version, short, platforms)}
    names = (file.get("name") or file["url"].rpartition("/")[2] for file in package.get("wheels", ()))
    return next((name for name in names if parse_wheel_filename(name)[3] & taken), None)


def uv(*words: str) -> str:
    """What `uv pip compile` prints; its refusal ends this."""
    program = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        sys.exit("platforms: Expected uv, got none. Install it: pip install uv.")
    told = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, MACOS))}
    command = [program, "pip", "compile", *words, "--no-header", "--no-annotate", "--quiet"]
    ended = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"platforms: {' '.join(words)}\n{ended.stderr}")
    return ended.stdout


def locked() -> list[dict[str, Any]]:
    """Each pin, with the files that the index has of it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pylock.toml"
        uv("constraints.txt", "--no-deps", "--universal", "--python-version", PYTHONS[0], "--output-file", str(out))
        return list(tomllib.loads(out.read_text(encoding="utf-8"))["packages"])


def names(lines: Iterable[str]) -> set[str]:
    """The packages of lines of pins, by canonical names."""
    return {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines if re.match(r"\w", line)}


def main() -> None:
    """Ask, print and write."""
    pins, rows = locked(), []
    pinned = names((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    assert pinned == {package["name"] for package in pins}
    for system, (called, platforms) in SYSTEMS.items():
        for python in PYTHONS:
            found = {package["name"]: wheel(package, python, platforms) for package in pins}
            lacking = {package["name"]: bool(package.get("sdist")) for package in pins if not found[package["name"]]}
            solved = uv(
                "pyproject.toml", "--extra", "dev", "--constraint", "constraints.txt", "--python-platform", called,
                "--python-version", python,
            )  # fmt: skip
            more = sorted(names(solved.splitlines()) - pinned)
            cuda = [name for name in more if name.startswith(CUDA)]
            rows.append({
                "system": system, "Python": python, "pins": len(pins),
                "no wheel, but source": " ".join(name for name, source in lacking.items() if source) or "none",
                "neither": " ".join(name for name, source in lacking.items() if not source) or "none",
                "torch's wheel": (found["torch"] or "none").rpartition("-")[2].removesuffix(".whl"),
                "comes without a pin": " ".join(
                    [name for name in more if name not in cuda] + [f"{len(cuda)} for CUDA"] * bool(cuda)
                ) or "nothing",
            })  # fmt: skip
            print(*rows[-1].values(), sep=" | ", flush=True)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
