"""What the record of a run of the study says: its plan before it starts, its rows and scores when it has ended."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from chexreason import cohorts, data, models, runs
from chexreason.cohorts import Cohort
from chexreason.completions import Completion, parse_completion
from chexreason.config import Profile
from chexreason.data import SOURCES
from chexreason.files import digest_of, file_digest
from chexreason.labels import LABEL_SETS
from chexreason.prompts import Prompt
from chexreason.rows import row


def plan(
    profile: Profile, run_id: str, stage: str, model: str, base: str, prompt: Prompt, chosen: Cohort, *,
    facts: Mapping[str, Any] | None = None, inputs: Mapping[str, str] | None = None,
    trained_left_out: Mapping[str, int] | None = None, **settings: Any,
) -> runs.Plan:  # fmt: skip
    """A run's plan with the facts that every stage states; what training lacked is one only where it lacked any."""
    source = profile.models[base]
    pinned = f"{source}@{models.FAMILIES[base].revision_of(source)}"
    about = {
        "stage": stage,
        "model": model,
        "base_model": base,
        "prompt": f"{prompt.name} v{prompt.version}",
        "dataset": chosen.dataset,
        "split": cohorts.place_of(chosen.name)[1],
        "label_set": SOURCES[chosen.dataset].scored_on,
        **(facts or {}),
        **({"trained_left_out": dict(trained_left_out)} if trained_left_out else {}),
    }
    made_from = {
        "model": file_digest(Path(source)) if Path(source).is_dir() else pinned,
        "studies": chosen.digest,
        "prompt": digest_of(prompt.text),
        **(inputs or {}),
    }
    used = {"decoding": asdict(profile.decoding), "engines": dict(profile.engines), **settings}
    return runs.Plan(profile, run_id, about, used, made_from)


def lacking(chosen: Cohort) -> dict[str, int]:
    """Why studies are missing from a cohort for want of an image -> how many; empty where all images are there."""
    counts = {cohorts.NOT_THERE: chosen.left_out.get(cohorts.NOT_THERE, 0), "unreadable images": len(chosen.unreadable)}
    return {reason: count for reason, count in counts.items() if count}


def predictions(chosen: Cohort, completions: Sequence[Completion], prompt: Prompt, uncertain: str) -> pd.DataFrame:
    """The rows of predictions.csv.gz, in the order of the studies."""
    names, visible = LABEL_SETS[SOURCES[chosen.dataset].scored_on], cohorts.visible_truth(chosen)
    real = not data.is_phantom(chosen.root)
    rows = []
    for study, completion in zip(chosen.studies, completions, strict=True):
        parsed = parse_completion(completion.text, prompt.answer, completion.truncated)
        said = {
            "completion": completion.text,
            "tokens": completion.tokens,
            "failures": ";".join(sorted(parsed.failures)),
            "valid": parsed.valid,
            "failed": parsed.failed,
            "predicted": ";".join(parsed.labels),
        }
        rows.append(row(study, said, names, uncertain, visible=visible.get(study.key, ()), real=real))
    return pd.DataFrame(rows)


def finish(
    this: runs.Plan, chosen: Cohort, scores: pd.DataFrame, rows: pd.DataFrame, history: pd.DataFrame | None
) -> runs.Run:
    """Write a scored run; names of unreadable images only where rows may be shown."""
    names = [path.name for path in chosen.unreadable] if this.profile.rows == "results" else []
    return runs.finish(
        this, metrics=scores, predictions=rows,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu", n=len(chosen.studies),
        unreadable={"count": len(chosen.unreadable), "names": names}, left_out=dict(chosen.left_out), history=history,
    )  # fmt: skip
