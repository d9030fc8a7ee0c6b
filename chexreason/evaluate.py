"""Decode, parse and score one model with one prompt on one cohort.

Every completion is kept with its parse result. A completion without a readable answer counts as a
failure and as a prediction of nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from chexreason import cohorts, metrics, models, runs
from chexreason.cohorts import Chosen
from chexreason.completions import Parsed, parse_completion
from chexreason.config import Profile
from chexreason.data import label_set_of
from chexreason.data.film import open_film
from chexreason.data.study import Study
from chexreason.files import digest_of, file_digest
from chexreason.labels import LABEL_SETS, decide
from chexreason.models import Loaded
from chexreason.prompts import Prompt
from chexreason.recipe import Decoding, plain


@dataclass(frozen=True)
class Completion:
    """A decoded answer: text, its length in tokens, and whether it was cut at the limit."""

    text: str
    tokens: int
    truncated: bool


#: (model, studies, prompt, settings, what is told of each study begun) -> the tokens of each answer. A profile may
#: name another than `generate` (`engines`).
Decode = Callable[[Loaded, Sequence[Study], Prompt, Decoding, Callable[[int], Any]], list[list[int]]]


def decode(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, *, label: str = "",
    engine: Decode | None = None,
) -> list[Completion]:  # fmt: skip
    """One answer a study, in batches; greedy unless the settings say otherwise. Shows progress."""
    loaded.model.eval()
    tokenizer, ends = loaded.processor.tokenizer, end_tokens(loaded)
    with (
        tqdm(total=len(studies), desc=label or prompt.name, unit="image", mininterval=2.0) as bar,
        torch.inference_mode(),
    ):
        answers = (engine or generate)(loaded, studies, prompt, settings, bar.update)
    done: list[Completion] = []
    for answer_T in answers:
        length = next((i for i, token in enumerate(answer_T) if token in ends), None)
        kept = answer_T if length is None else answer_T[:length]
        text = tokenizer.decode(kept, skip_special_tokens=True)
        done.append(Completion(text, len(kept), truncated=length is None))
    return done


def generate(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any]
) -> list[list[int]]:
    """The answers' tokens by transformers' `generate`, padded to one length a batch."""
    answers: list[list[int]] = []
    for start in range(0, len(studies), settings.batch_size):
        inputs = models.encode(loaded, open_films(studies[start : start + settings.batch_size]), prompt.text)
        tokens_BT = loaded.model.generate(
            **inputs, max_new_tokens=settings.max_new_tokens, do_sample=settings.do_sample
        )
        answers += tokens_BT[:, inputs["input_ids"].shape[1] :].tolist()
        tell(len(tokens_BT))
    return answers


def end_tokens(loaded: Loaded) -> set[int]:
    """The tokens that end an answer."""
    return set(np.atleast_1d(loaded.model.generation_config.eos_token_id).tolist())


def open_films(studies: Sequence[Study]) -> list[Image.Image]:
    """The image of each study."""
    return [open_film(study.image) for study in studies]


def predictions_table(
    chosen: Chosen, completions: Sequence[Completion], prompt: Prompt, uncertain: str
) -> tuple[pd.DataFrame, list[Parsed]]:
    """The rows of predictions.csv.gz, and the parse of each completion, in the order of the studies."""
    names = LABEL_SETS[label_set_of(chosen.dataset)]
    visible = cohorts.visible_truth(chosen)
    parses = [parse_completion(c.text, prompt.answer, c.truncated) for c in completions]
    rows = []
    for study, completion, parsed in zip(chosen.studies, completions, parses, strict=True):
        decided = decide(study.labels, uncertain, names)
        rows.append(
            {
                "study_key": study.key,
                "patient_key": f"{study.source}/{study.patient_id}",
                "completion": completion.text,
                "tokens": completion.tokens,
                "failures": ";".join(sorted(parsed.failures)),
                "valid": parsed.valid,
                "failed": parsed.failed,
                "predicted": ";".join(() if parsed.failed else parsed.labels),
                "truth": ";".join(name for name, value in decided.items() if value),
                "ignored": ";".join(name for name, value in decided.items() if value is None),
                "visible": ";".join(sorted(visible.get(study.key, ()))),
            }
        )
    return pd.DataFrame(rows), parses


def score(rows: pd.DataFrame, label_set: str) -> metrics.Scores:
    """Micro, macro and per-finding scores of a predictions table over a label set."""
    columns = ("truth", "predicted", "ignored")
    true_BF, pred_BF, ignored_BF = (metrics.label_cells(rows[name], label_set) for name in columns)
    failure_rate = float(rows["failed"].astype(bool).mean())
    return metrics.scores(true_BF, pred_BF, label_set, mask=~ignored_BF, failure_rate=failure_rate)


def evaluate(
    loaded: Loaded, chosen: Chosen, prompt: Prompt, settings: Decoding, *, label: str = "",
    engine: Decode | None = None,
) -> tuple[metrics.Scores, pd.DataFrame]:  # fmt: skip
    """Decode a cohort and score it: (scores, predictions table)."""
    completions = decode(loaded, chosen.studies, prompt, settings, label=label, engine=engine)
    rows, _ = predictions_table(chosen, completions, prompt, settings.uncertain)
    return score(rows, label_set_of(chosen.dataset)), rows


def facts_of(chosen: Chosen, profile: Profile) -> dict[str, Any]:
    """What run.json says of a cohort; names of unreadable films only where rows may be shown."""
    named = [path.name for path in chosen.unreadable] if profile.rows == "results" else []
    return {
        "n": len(chosen.studies),
        "unreadable": {"count": len(chosen.unreadable), "names": named},
        "left_out": dict(chosen.left_out),
    }


def _weights(base: str, source: str) -> str:
    """What tells a checkpoint from another: a folder's digest, or the hub id with its pinned revision."""
    if Path(source).is_dir():
        return file_digest(Path(source))
    revision = models.FAMILIES[base].revision_of(source)
    return f"{source}@{revision}" if revision else source


def plan(
    profile: Profile, run_id: str, stage: str, model: str, base: str, prompt: Prompt, chosen: Chosen, **more: Any
) -> runs.Plan:
    """A run's plan with the facts that every stage states."""
    facts = {
        "stage": stage,
        "model": model,
        "base_model": base,
        "prompt": f"{prompt.name} v{prompt.version}",
        "dataset": chosen.dataset,
        "split": cohorts.place_of(chosen.name)[1],
        "label_set": label_set_of(chosen.dataset),
        **more.pop("facts", {}),
    }
    inputs = {
        "model": _weights(base, profile.models[base]),
        "studies": chosen.digest,
        "prompt": digest_of(prompt.text),
        **more.pop("inputs", {}),
    }
    settings = {"decoding": plain(profile.decoding), "engines": dict(profile.engines), **more}
    return runs.Plan(profile, run_id, facts, settings, inputs)


def finish(this: runs.Plan, chosen: Chosen, scores: pd.DataFrame, rows: pd.DataFrame, **more: Any) -> runs.Run:
    """Write a scored run."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return runs.finish(
        this, metrics=scores, predictions=rows, sources=[(chosen.dataset, chosen.root)], device=device,
        **facts_of(chosen, this.profile), **more,
    )  # fmt: skip
