"""The pins, environment.yml and pyproject.toml say the same, and nothing of one machine is in the repository."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from chexreason import __version__
from companion.workflow import environment

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
#: The interpreters that the package takes.
PYTHONS = [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in SpecifierSet(PROJECT["requires-python"])]
#: import name -> distribution, where they differ
IMPORTED_AS = {"PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit-learn", "markdown_it": "markdown-it-py"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    """Canonical name -> version; every line has to be an exact pin."""
    split = [line.split("==") for line in lines]
    assert all(len(pair) == 2 for pair in split), "not an exact pin"
    return {canonical(name): version for name, version in split}


@pytest.fixture(scope="module")
def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return pins([line for line in lines if not line.startswith("#")])


@pytest.fixture(scope="module")
def asked_for() -> set[str]:
    """What pyproject.toml names, by name alone: versions have one home, and that is constraints.txt."""
    listed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    assert all(re.fullmatch(r"[\w.-]+", name) for name in listed)
    return {canonical(name) for name in listed}


def test_everything_asked_for_is_pinned(asked_for, constraints):
    assert asked_for <= set(constraints)


def test_environment_yml_holds_the_same_packages_at_the_same_pins_and_a_python_that_takes_them(asked_for, constraints):
    [pip] = [entry["pip"] for entry in CONDA if isinstance(entry, dict)]
    options = [line for line in pip if line.startswith("--")]
    assert options == ["--constraint constraints.txt", "--editable ."]
    assert pins([line for line in pip if not line.startswith("--")]) == {name: constraints[name] for name in asked_for}
    [python] = [entry for entry in CONDA if isinstance(entry, str) and entry.startswith("python=")]
    assert Version(python.removeprefix("python=")) in SpecifierSet(PROJECT["requires-python"])


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_are_whole(constraints, python):
    """Whatever an installed dependency requires in turn is pinned too, or a later release would slip in."""
    where = {"extra": "", "python_version": python, "python_full_version": f"{python}.0"}
    seen, left = set(), [canonical(name) for name in PROJECT["dependencies"]]
    while left:
        name = left.pop()
        if name in seen or name == "torch":  # a CUDA build of torch brings packages that a CPU build does not have
            continue
        seen.add(name)
        try:
            requirements = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
        except importlib.metadata.PackageNotFoundError:
            continue  # asked for under another Python only, which sees what it requires
        left += [canonical(r.name) for r in requirements if r.marker is None or r.marker.evaluate(where)]
    assert sorted(seen - set(constraints) - {"setuptools", "pip", "wheel"}) == []  # pip freeze leaves its own tools out


def test_every_pin_takes_every_python_that_the_package_takes_and_the_set_up_refuses_the_others(constraints):
    """Or the set-up fails after minutes, when pip comes to this pin.

    Of pins that are not installed (aiohttp, plotly and what they need: another Python asks for them, or another
    package's extra) nothing here says what they want: `make pins` ends by asking pip for all pins under each Python.
    """
    (_, oldest), (_, beyond) = environment.OLDEST, environment.BEYOND
    assert [f"3.{minor}" for minor in range(oldest, beyond)] == PYTHONS
    refused = []
    for name, version in constraints.items():
        try:
            about = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # asked for on other systems or under another Python only
        assert Version(about["Version"]).public == version, f"{name} is installed at another version than its pin"
        if not all(python in SpecifierSet(about.get("Requires-Python") or "") for python in PYTHONS):
            refused.append(f"{name}=={version} wants {about['Requires-Python']}")
    assert refused == []


def test_every_import_is_a_declared_dependency():
    """A package that happens to be there through another one may be gone after the next upgrade."""
    listed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["paper"], "vllm"]  # it brings its own torch
    missing, declared = set(), {canonical(name) for name in listed}
    for path in (*(ROOT / "chexreason").rglob("*.py"), *(ROOT / "companion").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.partition(".")[0] for name in names} - {"chexreason", "companion", "__future__", ""}:
                if top not in sys.stdlib_module_names and canonical(IMPORTED_AS.get(top, top)) not in declared:
                    missing.add(f"{path.relative_to(ROOT)}: {top}")
    assert sorted(missing) == []


def test_versions_agree():
    assert importlib.metadata.version("chexreason") == __version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] in ("Unreleased", __version__)


def test_no_tracked_file_is_a_link_or_another_repository():
    """A link may lead out of the clone, to what another machine lacks."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-s"], capture_output=True, text=True, check=False)
    assert {line.split()[0] for line in listed.stdout.splitlines()} <= {"100644", "100755"}


def test_no_tracked_file_holds_a_path_of_this_machine():
    places = [place for place in (ROOT, Path.home()) if len(place.parts) > 1]
    patterns = [word for place in places for word in ("-e", f"{place}/")]
    command = ["git", "-C", str(ROOT), "grep", "-l", "--fixed-strings", *patterns]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout.splitlines() == []
