"""What results were computed by, and whether that is still what is there.

A *record* is written beside a stage's executed notebook when the stage has run to its end. It holds a digest of every
file that the numbers depend on (the notebook's code cells, the modules that the stage imports directly or through
others, the profile, the base checkpoints) and of every file that the run left. Code is digested after parsing, so
that a comment or a docstring changes nothing. A page whose results do not agree with their record is built and bears a
badge; `chexreason fresh` refuses, for releases.
"""

import ast
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import pandas as pd

from chexreason import config, written
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest, write_atomically
from companion.evidence.sections import EXPERIMENT, EXPERIMENT_PAGES, STAGES, Stage
from companion.evidence.tables import OWN
from companion.phantoms.writers import generator_digest
from companion.syntax import bare

#: The pages that show the laboratory's answers, and the profile of the experiment whose models gave them.
LABORATORY = ("xrays", "try_reward")
SECOND = Path(__file__).parents[1] / "experiment" / "experiment.yml"
#: Where the two packages lie.
SOURCES = config.ROOT
PACKAGES = ("chexreason", "companion")
#: What draws a profile's data sets, whose results depend on it.
DRAWS = "companion.phantoms.prepare"
#: Task of a benchmark -> the code whose speed it tells of.
TASKS = {
    "grpo": ("companion/speed", "chexreason/grpo.py", "chexreason/training.py"),
    "sft": ("companion/speed", "chexreason/sft.py", "chexreason/training.py"),
    "decode": ("chexreason/evaluate.py", "companion/speed"),
    "bootstrap": ("companion/evidence/stats.py",),
    "films": ("companion/speed/images.py", "chexreason/data/image.py"),
    "vllm": ("companion/replication/vllm_engine.py",),
}
#: Table of results/benchmarks -> its task, where it has a single one; each row names its code in its column `code`.
BENCHMARKS = {"speed.csv": "", "stages.csv": "", "films.csv": "films", "vllm.csv": "vllm"}
#: ... -> the script that makes it, if not speed.py.
SCRIPTS = {"films.csv": "prepared_images.py", "vllm.csv": "vllm_agreement.py --stand-in --family"}
#: Table of results/phantoms -> the page that shows it and the script that makes it, where its name does not say so.
MEASURED = {
    "operating_point.csv": ("audit", "operating_point.py"),
    "cooccurrence.csv": ("phantom_card", "phantom_cooccurrence.py"),
}


def closure(roots: Iterable[str]) -> list[Path]:
    """The files that modules of ours are made of: their own, and those of all that they import, at any depth.

    Imports within functions count; those under `if TYPE_CHECKING` do not. Raises UserError for a root that is none
    of our modules.
    """
    found: dict[Path, None] = {}
    waiting = list(roots)
    for root in waiting:
        if _file_of(root) is None:
            raise UserError("a module of chexreason or companion", root, "see the profile's engines")
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for end in range(1, len(parts) + 1):  # a module's packages run first
            path = _file_of(".".join(parts[:end]))
            if path is not None and path not in found:
                found[path] = None
                waiting += _imports(path, path.stat().st_mtime_ns)
    return sorted(found)


def _file_of(module: str) -> Path | None:
    place = SOURCES / module.replace(".", "/")
    files = (place.with_suffix(".py"), place / "__init__.py") if module.partition(".")[0] in PACKAGES else ()
    return next(filter(Path.is_file, files), None)


@cache
def _imports(path: Path, changed: int) -> tuple[str, ...]:
    """The names of ours that a file imports; of `from a import b` both a and a.b, whichever is a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = (n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    unseen = {id(node) for test in for_types for node in ast.walk(test)}
    names: list[str] = []
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in dict.fromkeys(names) if name.partition(".")[0] in PACKAGES)


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    """file -> SHA-256: of code as parsed, of anything else as it is. Tables beside a module count with it."""
    paths = list(paths)
    files = sorted({*paths, *(table for path in paths for table in path.parent.glob("*.csv"))})
    return {path.relative_to(SOURCES).as_posix(): _digest(path, path.stat().st_mtime_ns) for path in files}


@cache
def _digest(path: Path, changed: int) -> str:
    """SHA-256 of a module as parsed, of another file, or of a folder, which changed at that time."""
    return _text(bare(path.read_text(encoding="utf-8"))) if path.suffix == ".py" else file_digest(path)


def _text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def made_by(stage: Stage, profile: str) -> dict[str, str]:
    """file -> SHA-256, for every file that the stage's numbers depend on; paths are relative to the repository."""
    cells = [cell.source for cell in jupytext.read(stage.source).cells if cell.cell_type == "code"]
    files = {f"notebooks/{stage.source.name}": _text(bare("\n".join(cells)))}
    return files | _code_and_settings([stage.module], profile, ("images", "decode", stage.page))


def experiment_made_by() -> dict[str, str]:
    """file -> SHA-256, for every file that the experiment's numbers depend on."""
    return _code_and_settings(["companion.experiment.train"], EXPERIMENT, config.ENGINES)


def _code_and_settings(modules: Sequence[str], profile: str, engines: Collection[str]) -> dict[str, str]:
    """The import closure of modules under a profile, the profile itself, and the weights that it names in here.

    The engines in use count where they are ours; those of other packages are left to the environment's versions.
    """
    text = written.raw(profile)
    draws = [DRAWS] if any("draw" in entry for entry in text["data"].values()) else []
    named = [entry for what, entry in text.get("engines", {}).items() if what in engines]
    used = [(entry if isinstance(entry, str) else str(entry["name"])).rpartition(".")[0] for entry in named]
    ours = [name for name in used if name.partition(".")[0] in PACKAGES]
    files = _digests(closure([*modules, *draws, *ours]))
    files |= {f"chexreason/profiles/{path.name}": file_digest(path) for path in written.files_of(profile)}
    for name, where in text["models"].items():
        if folder := next(filter(Path.is_dir, (SOURCES / where, written.folder(where))), None):
            changed = max((path.stat().st_mtime_ns for path in folder.glob("*.safetensors")), default=0)
            key = folder.relative_to(SOURCES).as_posix() if folder.is_relative_to(SOURCES) else f"model {name}"
            files[key] = _digest(folder, changed)
    return files


def left_by(stage: Stage | None, results: Path) -> dict[str, str]:
    """file -> SHA-256 below `results`: of the stage's executed notebook and runs; without one, the experiment's.

    Runs of one's own predictions are no stage's.
    """
    patterns = [f"notebooks/{stage.notebook}.ipynb", f"{stage.number}-*/*"] if stage else ["seed*/*/*"]
    said = f'"stage": "{OWN}"'.encode()  # in a record that may be damaged
    own = {path.parent for path in results.glob("*/run.json") if said in path.read_bytes()}
    found = [path for pattern in patterns for path in sorted(results.glob(pattern)) if path.is_file()]
    files = [path for path in found if path.parent not in own]
    return {path.relative_to(results).as_posix(): file_digest(path) for path in files}


def record_file(stage: Stage, results: Path) -> Path:
    """Where a stage's record lies: beside its executed notebook."""
    return results / "notebooks" / f"{stage.notebook}.json"


def write_record(stage: Stage, profile: str, results: Path, made: Mapping[str, str]) -> None:
    """Write the record of a stage that has just run to its end; `made` is `made_by` from before it ran."""
    _write(record_file(stage, results), {"profile": profile, "made_by": made, "left": left_by(stage, results)})


def experiment_recorded(results: Path) -> dict[str, Any]:
    """The record of the experiment's runs; what is there now made them if there is none yet."""
    return _read(results / "record.json") or {"made_by": experiment_made_by()}


def write_experiment_record(results: Path, again: Mapping[str, Any] | None = None) -> Path:
    """Write the record of the experiment's runs below ``results/experiment``; returns where it lies.

    `again` says which of them the code as it is now was seen to compute anew (`experiments.again`). Raises UserError
    without it if the code is not that of the last record: runs that other code made must not pass for this one's.
    """
    place, made, then = results / "record.json", experiment_made_by(), experiment_recorded(results)
    if then["made_by"] != made and not again:
        do = "run `chexreason experiment again`, which compares"
        raise UserError("the code that made the experiment's runs", "another", do)
    record = {"profile": EXPERIMENT, "made_by": made, "left": left_by(None, results)}
    seen = again or then.get("again")
    _write(place, record | ({"again": dict(seen)} if seen else {}))
    return place


def _read(path: Path) -> dict[str, Any]:
    """A record; empty where there is none, or a damaged one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and all(isinstance(x, dict | str) for x in record.values()) else {}


def _write(path: Path, record: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())


def disagreements(profile: str, results: Path) -> Iterator[tuple[str, str]]:
    """(page, what no longer agrees) for every stage of a profile that has results and shows others' numbers."""
    for stage in STAGES.values():
        if any(results.glob(f"{stage.number}-*/run.json")):
            record = record_file(stage, results)
            yield from _differs(stage.page, record, left_by(stage, results), made_by(stage, profile))
    experiment = results.parent / EXPERIMENT
    if any(experiment.glob("seed*/*/run.json")):
        left, made = left_by(None, experiment), experiment_made_by()
        yield from _differs(", ".join(EXPERIMENT_PAGES), experiment / "record.json", left, made)
    laboratory = results.parent / "lab"
    if any(laboratory.glob("*.csv.gz")):
        left = laboratory_left(laboratory)
        yield from _differs(", ".join(LABORATORY), laboratory / "record.json", left, laboratory_made_by(results.parent))
    yield from _measured_on_others(results.parent / "phantoms")
    yield from _measured_by_others(results.parent / "benchmarks")


def laboratory_made_by(results: Path) -> dict[str, str]:
    """file -> SHA-256, for the code, the weights and the adapters that the laboratory's answers depend on."""
    adapters = sorted((results / EXPERIMENT / "runs").glob("seed0/*/adapter/*.safetensors"))
    held = {path.relative_to(results).as_posix(): file_digest(path) for path in adapters}
    return held | _code_and_settings(["companion.lab.record"], str(SECOND), config.ENGINES)


def laboratory_left(folder: Path) -> dict[str, str]:
    """file -> SHA-256 of what the laboratory keeps."""
    return {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != "record.json"}


def write_laboratory_record(results: Path) -> None:
    """Note what has just made the laboratory's answers."""
    folder = results / "lab"
    _write(folder / "record.json", {"made_by": laboratory_made_by(results), "left": laboratory_left(folder)})


def _differs(page: str, path: Path, left: dict[str, str], made: dict[str, str]) -> Iterator[tuple[str, str]]:
    record = _read(path)
    if not record:
        yield page, f"its runs have no record of what made them ({path.name})"
        return
    whats = {"left": (left, "results"), "made_by": (made, "code, settings or checkpoints")}
    for key, (now, what) in whats.items():
        then = record.get(key, {})
        changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            yield page, f"{what} have changed since its runs: {', '.join(changed[:3])}{more}"


def write_measured(table: Path) -> None:
    """Note beside a table measured on drawn images which generator drew them."""
    place = table.with_name("record.json")
    known = _read(place) | {table.name: {"generator": generator_digest(), "sha256": file_digest(table)}}
    _write(place, {name: dict(sorted(known[name].items())) for name in sorted(known)})


def _measured_on_others(folder: Path) -> Iterator[tuple[str, str]]:
    """Tables about drawn images that were measured on those of another generator, or changed since."""
    for name, then in _read(folder / "record.json").items():
        table = folder / name
        page, script = MEASURED.get(name, ("phantoms", f"phantom_{table.stem}.py"))
        if not table.is_file() or file_digest(table) != then["sha256"]:
            yield page, f"{name} has changed since it was measured: python benchmarks/{script}"
        elif then["generator"] != generator_digest():
            yield page, f"{name} is about images of another generator: python benchmarks/{script}"


def measured_code(table: str, task: str = "") -> str:
    """What a row of a table of results/benchmarks has to say in `code`: twelve digits of a digest of its task's code.

    A task for another model ("sft-qwen") is of the same code.
    """
    places = [SOURCES / name for name in TASKS[BENCHMARKS[table] or task.partition("-")[0]]]
    files = _digests(path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place]))
    return digest_of(files)[:12]


def _measured_by_others(folder: Path) -> Iterator[tuple[str, str]]:
    """Benchmarks of other code than there is now."""
    for name in BENCHMARKS:
        if not (folder / name).is_file():
            continue
        rows = pd.read_csv(folder / name, dtype=str, keep_default_na=False).to_dict("records")
        old = [row for row in rows if row.get("code") != measured_code(name, row.get("task", ""))]
        if old:
            what = " ".join(sorted({row.get("task") or row.get("family") or "" for row in old}))
            again = f"{SCRIPTS.get(name, 'speed.py')} {what}".strip()
            yield "costs", f"{name} was measured with other code: python benchmarks/{again}"
