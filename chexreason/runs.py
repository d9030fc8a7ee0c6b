"""A run's folder: what was done, with what, and what came out (design: one folder a run).

``results/<profile>/<run id>/`` holds metrics.csv, history.csv (training runs), predictions.csv.gz and run.json, which
is written last, so its presence means that the folder is complete. Which runs this machine has computed is noted in the
cache: results that came with the repository are shown by the book, but do not count as done.
"""

import csv
import datetime
import gzip
import importlib.metadata
import json
import platform
import subprocess
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from chexreason.config import ROOT, Profile
from chexreason.data import SOURCES
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest, whole, write_atomically

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "numpy", "pandas", "scikit-learn")
STAGES = ("prompting", "sft", "grpo", "generalization")
#: Required keys of run.json.
NEEDED = {"run_id", "tier"}
#: Stage -> the adapters that its runs leave among their checkpoints.
ADAPTERS = {"sft": ("best",), "grpo": ("best", "last")}


@dataclass(frozen=True)
class Run:
    """One finished run, read from its folder."""

    folder: Path
    info: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The folder's name, such as 02-sft-medgemma-free_reasoning."""
        return str(self.info["run_id"])

    def metrics(self) -> pd.DataFrame:
        """Tidy scores: finding, metric, value (and checkpoint for GRPO runs)."""
        return _table(self.folder / "metrics.csv")

    def history(self) -> pd.DataFrame:
        """Tidy training history: step, epoch, metric, value."""
        return _table(self.folder / "history.csv")

    def predictions(self) -> pd.DataFrame:
        """A row a study: completion, parse result, predicted and recorded labels."""
        said = dict.fromkeys(("study_key", "patient_key", "completion", "failures", "predicted", "truth"), str)
        rows = _table(self.folder / "predictions.csv.gz", keep_default_na=False, dtype=said)
        if len(rows) != self.info.get("n", len(rows)):
            wanted = f"{self.info['n']} rows in predictions.csv.gz of {self.folder}"
            raise UserError(wanted, str(len(rows)), "run that stage again")
        return rows


@dataclass
class Plan:
    """What a run will be, known before it starts; `digest` tells whether a finished one is the same.

    `facts` goes into run.json as it is (stage, model, prompt, reward, dataset, ...); `settings` holds the part of the
    configuration that the result depends on; `inputs` the digests of what it reads.
    """

    profile: Profile
    run_id: str
    facts: dict[str, Any]
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    @property
    def folder(self) -> Path:
        """Where the run's results go."""
        return self.profile.results / self.run_id

    @property
    def checkpoints(self) -> Path:
        """Where the run's checkpoints go: in the cache, never among the results."""
        return self.profile.cache / "checkpoints" / self.run_id

    @property
    def digest(self) -> str:
        """SHA-256 over everything that the result depends on."""
        return digest_of({"run": self.run_id, "seed": self.profile.seed, "facts": self.facts,
                          "settings": self.settings, "inputs": self.inputs})  # fmt: skip

    @property
    def note(self) -> Path:
        """Where this machine notes the digest of a run that it has computed; a file a run, as runs may be parallel."""
        return self.profile.cache / "made-here" / self.run_id

    def finished(self) -> Run | None:
        """The same run, if this machine has already computed it, and its adapters are there."""
        run = read(self.folder)
        made_here = self.note.read_text(encoding="utf-8", errors="replace") if self.note.is_file() else ""
        there = all(whole(self.checkpoints / name) for name in ADAPTERS.get(self.facts.get("stage", ""), ()))
        same = run and set(made_here.split()) == {self.digest, run.info.get("config_digest")}
        return run if same and there else None


def read(folder: Path) -> Run | None:
    """The run in a folder, or None if there is none or it is incomplete. Raises UserError for a damaged run.json."""
    path = folder / "run.json"
    if not path.is_file():
        return None
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # no JSON, or no text
        info = None
    if not isinstance(info, dict) or not info.keys() >= NEEDED:
        got = f"no JSON object with {', '.join(sorted(NEEDED))}"
        raise UserError(f"a run's facts in {path}", got, "remove that folder and run its stage again")
    return Run(folder, info)


def _table(path: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except (OSError, EOFError, ValueError, zlib.error) as error:  # missing, cut off, not compressed, not a table
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"a readable {path.name} in {path.parent}", said, "run that stage again") from error


def read_all(results: Path) -> list[Run]:
    """All complete runs below a profile's results folder, by run id."""
    found = (read(path.parent) for path in sorted(results.glob("*/run.json")))
    return [run for run in found if run]


def need(path: Path) -> Path:
    """The path of an adapter that an earlier stage leaves; a UserError if it is not there, or damaged."""
    if not whole(path):
        got, again = (f"a damaged one at {path}", " again") if path.exists() else (f"nothing at {path}", "")
        raise UserError(f"the checkpoint of {path.parent.name}", got, f"run the stage before this one{again} first")
    return path


def adapter_digest(adapter: Path) -> str:
    """SHA-256 over an adapter's weights and settings, wherever it lies and whenever it was trained."""
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    for name in ("base_model_name_or_path", "revision", "peft_version"):  # where the base lay, and by what it was saved
        settings.pop(name, None)
    ordered = {name: sorted(value) if isinstance(value, list) else value for name, value in settings.items()}
    return digest_of([file_digest(adapter / "adapter_model.safetensors"), ordered])


def finish(
    plan: Plan, *, metrics: pd.DataFrame, predictions: pd.DataFrame, history: pd.DataFrame | None = None, **facts: Any
) -> Run:
    """Write a run's files, run.json last, and note it as computed here; its rows go where the profile says."""
    (plan.folder / "run.json").unlink(missing_ok=True)
    write_atomically(plan.folder / "metrics.csv", metrics.to_csv(index=False).encode())
    if history is not None:
        ordered = history.sort_values(["step", "metric"], kind="stable")
        write_atomically(plan.folder / "history.csv", ordered.to_csv(index=False).encode())
    rows = predictions.to_csv(index=False)
    if "\r" in rows:  # ends a row to a reader, and the writer quotes it only where it quotes all text
        rows = predictions.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    place = plan.folder if plan.profile.rows == "results" else plan.profile.cache / "rows" / plan.run_id
    write_atomically(place / "predictions.csv.gz", gzip.compress(rows.encode(), mtime=0))
    source, public = plan.facts.get("dataset"), plan
    if source in SOURCES and SOURCES[source].credentialed and plan.profile.data[source].draw is None:
        # No digest of rows, nor one over such a digest: anyone could try studies until it fits.
        shown = plan.inputs.keys() & {"model", "prompt", "adapter", "start"}
        public = replace(plan, inputs={name: plan.inputs[name] for name in sorted(shown)})
    info = {
        "run_id": plan.run_id,
        "tier": plan.profile.tier,
        "profile": plan.profile.name,
        "seed": plan.profile.seed,
        "seeds": [plan.profile.seed],
        **plan.facts,
        **facts,
        "config": plan.settings,
        "config_digest": public.digest,
        "inputs": public.inputs,
        "versions": versions(),
        "git": git_state(),
        "started": datetime.datetime.fromtimestamp(plan.started, datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - plan.started, 1),
    }
    write_atomically(plan.folder / "run.json", json.dumps(info, indent=1, default=str).encode())
    write_atomically(plan.note, "\n".join({plan.digest, public.digest}).encode())
    return Run(plan.folder, info)


def history_table(log_history: list[dict[str, Any]]) -> pd.DataFrame:
    """A trainer's log as a tidy table: step, epoch, metric, value.

    What differs each time is left out, and sums that begin anew where a stopped training goes on.
    """
    differ = ("runtime", "per_second", "total_flos", "step_time", "train_loss", "num_tokens")
    rows = [
        {"step": entry["step"], "epoch": entry.get("epoch"), "metric": name, "value": float(value)}
        for entry in log_history
        for name, value in entry.items()
        if name not in ("step", "epoch") and isinstance(value, int | float) and not name.endswith(differ)
    ]
    return pd.DataFrame(rows, columns=["step", "epoch", "metric", "value"])


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def git_state() -> dict[str, Any]:
    """The revision of the code, and whether code had changed since; results do not count."""

    def git(*words: str) -> str | None:
        command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *words]  # another's clone is safe to ask
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:  # no git on this machine: a long run must not end on that
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    changed = git("status", "--porcelain", "--", "chexreason", "companion", "notebooks")
    return {"revision": git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}
