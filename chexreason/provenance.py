"""What results were computed by, and whether that is still what is there (the book refuses to show others).

A *record* is written beside a stage's executed notebook when the stage has run to its end. It holds a
digest of every file that the numbers depend on (the notebook's code cells, the modules that a run
imports, the profile, the base checkpoints) and of every file that the run left. Code is digested
after parsing, without comments, docstrings and prose cells, so that mending a typo computes nothing
again. Modules that only show, judge or start have no say in a number and are left out.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jupytext

from chexreason import config
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest, write_atomically
from chexreason.phantom.writers import generator_digest
from chexreason.syntax import bare

NOTEBOOKS = config.ROOT / "notebooks"
#: Modules and packages without a say in what a run computes.
NO_SAY = (
    "__main__",
    "batch",
    "stages",
    "provenance",
    "report",
    "evidence",
    "audit",
    "claims",
    "comparable",
    "contamination",
    "doctor",
    "manifests",
    "prevalence",
    "pretrain",
    "stats",
    "syntax",
    "experiments",
)

#: The experiment's profile, and its pages.
EXPERIMENT, EXPERIMENT_PAGES = "experiment", ("cells", "scaffold", "collapse", "selection", "cures")
#: Pages that show numbers of every stage and of the experiment, too.
SUMMARIES = ("index", "audit", "claims")
#: What has a say in the experiment's numbers and leaves no digest in its runs' run.json. Whatever chooses studies,
#: writes traces or reads settings and models does: another choice shows there.
MEASURES = ("completions.py", "evaluate.py", "examples.py", "experiments/train.py", "experiments/worlds.py", "fast",
            "grpo.py", "labels.py", "metrics.py", "models/lora.py", "objective.py", "phantom", "prompts.py",
            "rewards.py", "sft.py", "training.py")  # fmt: skip
#: Task of a benchmark -> the code whose speed it tells of.
TASKS = {
    "grpo": ("fast", "grpo.py", "training.py"),
    "sft": ("fast", "sft.py", "training.py"),
    "decode": ("evaluate.py", "fast"),
    "bootstrap": ("stats.py",),
    "films": ("data/prepared.py",),
    "vllm": ("vllm_engine.py",),
}
#: Table of results/benchmarks -> its task, where it has a single one; each row names its code in its column `code`.
BENCHMARKS = {"speed.csv": "", "stages.csv": "", "films.csv": "films", "vllm.csv": "vllm"}


@dataclass(frozen=True)
class Stage:
    """One section of the paper: its notebook, its page in the book, and the stages whose results it reads."""

    notebook: str
    page: str
    after: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """The two digits that the notebook's and its runs' names start with."""
        return self.notebook[:2]

    @property
    def source(self) -> Path:
        """The text notebook."""
        return NOTEBOOKS / f"{self.notebook}.py"


STAGES: dict[str, Stage] = {
    "prompting": Stage("01_prompting", "prompting"),
    "sft": Stage("02_sft", "sft"),
    "grpo": Stage("03_grpo", "grpo", after=("sft",)),
    "generalization": Stage("04_generalization", "generalization", after=("sft", "grpo")),
}


def made_by(stage: Stage, profile: str) -> dict[str, str]:
    """file -> SHA-256, for every file that the stage's numbers depend on; paths are relative to the repository."""
    cells = [cell.source for cell in jupytext.read(stage.source).cells if cell.cell_type == "code"]
    files = {f"notebooks/{stage.source.name}": _text(bare("\n".join(cells)))}
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).with_suffix("").parts[0] not in NO_SAY:
            files[f"chexreason/{path.relative_to(package).as_posix()}"] = _module(path, path.stat().st_mtime_ns)
    settings = config.PROFILES / f"{profile}.yml"
    files[f"chexreason/profiles/{settings.name}"] = file_digest(settings)
    for path in sorted((package / "checkpoints").glob("*/model.safetensors")):
        files[f"chexreason/checkpoints/{path.parent.name}"] = _checkpoint(path.parent, path.stat().st_mtime_ns)
    return files


@cache
def _module(path: Path, changed: int) -> str:
    return _text(bare(path.read_text(encoding="utf-8")))


@cache
def _checkpoint(folder: Path, changed: int) -> str:
    return file_digest(folder)


def _text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def left_by(stage: Stage, results: Path) -> dict[str, str]:
    """file -> SHA-256, for every file of the stage's runs and its executed notebook, below `results`."""
    runs = (path for folder in results.glob(f"{stage.number}-*") for path in folder.iterdir())
    files = [results / "notebooks" / f"{stage.notebook}.ipynb", *sorted(runs)]
    return {path.relative_to(results).as_posix(): file_digest(path) for path in files if path.is_file()}


def experiment_made_by() -> dict[str, str]:
    """file -> SHA-256, for every file that the experiment's numbers depend on and its runs do not name themselves."""
    return _code_of(MEASURES)


def _code_of(names: Sequence[str]) -> dict[str, str]:
    """file -> SHA-256 of these modules and packages of ours."""
    package = Path(__file__).parent
    files = {}
    for name in names:
        place = package / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix == ".py":
                files[f"chexreason/{path.relative_to(package).as_posix()}"] = _module(path, path.stat().st_mtime_ns)
            elif path.suffix == ".csv":
                files[f"chexreason/{path.relative_to(package).as_posix()}"] = file_digest(path)
    return files


def experiment_left_by(results: Path) -> dict[str, str]:
    """file -> SHA-256, for every file of the experiment's runs below ``results/experiment``."""
    files = (path for folder in sorted(results.glob("seed*/*")) for path in sorted(folder.iterdir()))
    return {path.relative_to(results).as_posix(): file_digest(path) for path in files if path.is_file()}


def experiment_recorded(results: Path) -> dict[str, str]:
    """What made the experiment's runs by their record; what is there now if there is no record yet."""
    place = results / "record.json"
    if not place.is_file():
        return experiment_made_by()
    return dict(json.loads(place.read_text(encoding="utf-8"))["made_by"])


def write_experiment_record(results: Path, again: Mapping[str, Any] | None = None) -> Path:
    """Write the record of the experiment's runs below ``results/experiment``; returns where it lies.

    `again` says which of them the code as it is now was seen to compute anew (`experiments.again`). Raises UserError
    without it if the code is not that of the last record: runs that other code made must not pass for this one's.
    """
    place, made = results / "record.json", experiment_made_by()
    then = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {"made_by": made}
    if then["made_by"] != made and not again:
        raise UserError(
            "the code that made the experiment's runs", "another", "run `chexreason experiment again`, which compares"
        )
    record = {"profile": EXPERIMENT, "made_by": made, "left": experiment_left_by(results)}
    if seen := again or then.get("again"):
        record["again"] = dict(seen)
    write_atomically(place, (json.dumps(record, indent=1) + "\n").encode())
    return place


def record_file(stage: Stage, results: Path) -> Path:
    """Where a stage's record lies: beside its executed notebook."""
    return results / "notebooks" / f"{stage.notebook}.json"


def write_record(stage: Stage, profile: str, results: Path, made: dict[str, str]) -> None:
    """Write the record of a stage that has just run to its end; `made` is `made_by` from before it ran."""
    record = {"profile": profile, "made_by": made, "left": left_by(stage, results)}
    write_atomically(record_file(stage, results), (json.dumps(record, indent=1) + "\n").encode())


def disagreements(profile: str, results: Path) -> Iterator[tuple[str, str]]:
    """(page, what no longer agrees) for every stage of a profile that has results and shows others' numbers."""
    for stage in STAGES.values():
        if any(results.glob(f"{stage.number}-*/run.json")):
            record = record_file(stage, results)
            yield from _differs(stage.page, record, left_by(stage, results), made_by(stage, profile))
    experiment = results.parent / EXPERIMENT
    if any(experiment.glob("seed*/*/run.json")):
        left, made = experiment_left_by(experiment), experiment_made_by()
        yield from _differs(", ".join(EXPERIMENT_PAGES), experiment / "record.json", left, made)
    yield from _measured_on_others(results.parent / "phantoms")
    yield from _measured_by_others(results.parent / "benchmarks")


#: Table of results/phantoms -> the page that shows it and the script that makes it, where its name does not say so.
MEASURED = {"operating_point.csv": ("audit", "operating_point.py")}


def write_measured(table: Path) -> None:
    """Note beside a table measured on drawn films which generator drew them."""
    place = table.with_name("record.json")
    known = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    known[table.name] = {"generator": generator_digest(), "sha256": file_digest(table)}
    write_atomically(place, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode())


def _measured_on_others(folder: Path) -> Iterator[tuple[str, str]]:
    """Tables about drawn films that were measured on those of another generator, or changed since."""
    place = folder / "record.json"
    for name, then in (json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}).items():
        table = folder / name
        page, script = MEASURED.get(name, ("phantoms", f"phantom_{table.stem}.py"))
        if not table.is_file() or file_digest(table) != then["sha256"]:
            yield page, f"{name} has changed since it was measured: python benchmarks/{script}"
        elif then["generator"] != generator_digest():
            yield page, f"{name} is about films of another generator: python benchmarks/{script}"


def measured_code(table: str, task: str = "") -> str:
    """What a row of a table of results/benchmarks has to say in `code`: twelve digits of a digest of its task's code.

    A task for another model ("sft-qwen") is of the same code.
    """
    return digest_of(_code_of(TASKS[BENCHMARKS[table] or task.partition("-")[0]]))[:12]


def _measured_by_others(folder: Path) -> Iterator[tuple[str, str]]:
    """Benchmarks of other code than there is now."""
    scripts = {"films.csv": "prepared_films.py", "vllm.csv": "vllm_agreement.py --stand-in --family"}
    for name in BENCHMARKS:
        if (folder / name).is_file():
            with (folder / name).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            old = [row for row in rows if row.get("code") != measured_code(name, row.get("task", ""))]
            if old:
                what = " ".join(sorted({row.get("task") or row.get("family") or "" for row in old}))
                again = f"{scripts.get(name, 'speed.py')} {what}".strip()
                yield "costs", f"{name} was measured with other code: python benchmarks/{again}"


def _differs(page: str, path: Path, left: dict[str, str], made: dict[str, str]) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        yield page, f"its runs have no record of what made them ({path.name})"
        return
    record = json.loads(path.read_text(encoding="utf-8"))
    for then, now, what in (
        (record["left"], left, "results"),
        (record["made_by"], made, "code, settings or checkpoints"),
    ):
        changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            yield page, f"{what} have changed since its runs: {', '.join(changed[:3])}{more}"
