"""Decode, parse and score one model with one prompt on one cohort.

Every completion is kept with its parse result. A completion without a readable answer counts as a
failure and as a prediction of nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from chexreason import cohorts, metrics, models, runs, vllm_engine
from chexreason.cohorts import Chosen
from chexreason.completions import Parsed, parse_completion
from chexreason.config import Profile
from chexreason.data.film import open_film
from chexreason.data.study import Study
from chexreason.fast import decoding
from chexreason.fast.drafts import GUESSED, Drafts
from chexreason.fast.films import films_of, tokens_of
from chexreason.fast.packed import packed
from chexreason.fast.side_by_side import processes, side_by_side
from chexreason.files import digest_of, file_digest
from chexreason.hyperparameters import Decoding, Speed, plain
from chexreason.labels import LABEL_SETS, decide, label_set_of
from chexreason.models import Loaded
from chexreason.prompts import Prompt

#: Prompts that run through the model at once on a processor. More take more memory there and are no faster.
TOGETHER = 4


@dataclass(frozen=True)
class Completion:
    """A decoded answer: text, its length in tokens, and whether it was cut at the limit."""

    text: str
    tokens: int
    truncated: bool


def decode(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, *, label: str = "",
    speed: Speed = Speed(),  # noqa: B008  (frozen)
) -> list[Completion]:  # fmt: skip
    """One answer a study, in batches; greedy unless the settings say otherwise. Shows progress."""
    loaded.model.eval()
    tokenizer = loaded.processor.tokenizer
    ends = _ends(loaded)
    with (
        tqdm(total=len(studies), desc=label or prompt.name, unit="film", mininterval=2.0) as bar,
        torch.inference_mode(),
    ):
        if settings.vllm:
            answers = _vllm(loaded, studies, prompt, settings, bar.update)
        elif settings.greedy:
            answers = _greedy(loaded, studies, prompt, settings, bar.update, speed)
        else:
            answers = _generate(loaded, studies, prompt, settings, bar.update)
    done: list[Completion] = []
    for answer_T in answers:
        length = next((i for i, token in enumerate(answer_T) if token in ends), None)
        kept = answer_T if length is None else answer_T[:length]
        text = tokenizer.decode(kept, skip_special_tokens=True)
        done.append(Completion(text, len(kept), truncated=length is None))
    return done


def _ends(loaded: Loaded) -> set[int]:
    return set(np.atleast_1d(loaded.model.generation_config.eos_token_id).tolist())


def _greedy(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any],
    speed: Speed,
) -> list[list[int]]:  # fmt: skip
    """The most likely tokens, by as many processes as there are threads; the rows of a batch are shared out, too."""
    many = processes(loaded.device, len(studies), settings.batch) if speed.side_by_side else 1
    each = replace(settings, batch=-(-settings.batch // many))

    def work(part: Sequence[Study], tell: Callable[[int], Any]) -> list[list[int]]:
        if speed.rows_leave and decoding.can_follow(loaded.model):
            return _by_rows(loaded, part, prompt, each, tell, speed)
        return _generate(loaded, part, prompt, each, tell)

    with packed(loaded.model) if speed.packed_weights else nullcontext():
        if many == 1:
            return work(studies, tell)
        parts = side_by_side(work, [studies[number::many] for number in range(many)], tell)
    return [parts[number % many][number // many] for number in range(len(studies))]


def _generate(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any]
) -> list[list[int]]:
    """The answers' tokens, padded to one length a batch, by transformers' own loop."""
    answers: list[list[int]] = []
    for start in range(0, len(studies), settings.batch):
        inputs = models.encode(loaded, _films(studies[start : start + settings.batch]), prompt.text)
        tokens_BT = loaded.model.generate(**inputs, max_new_tokens=settings.max_tokens, do_sample=not settings.greedy)
        answers += tokens_BT[:, inputs["input_ids"].shape[1] :].tolist()
        tell(len(tokens_BT))
    return answers


def _by_rows(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any],
    speed: Speed,
) -> list[list[int]]:  # fmt: skip
    """The same tokens, by `fast.decoding`."""
    model, waiting = loaded.model, iter(studies)
    answers: list[list[int]] = []
    guess = speed.drafts and model.dtype == torch.float32
    together = TOGETHER if loaded.device.type == "cpu" else settings.batch

    def more(free: int, room: int = 0, places: int = 0) -> decoding.Rows | None:
        next_B = list(islice(waiting, min(free, together)))
        if not next_B:
            return None
        inputs = models.encode(loaded, _films(next_B), prompt.text)
        films = films_of(inputs)
        rows = decoding.prefill(model, inputs, films, tokens_of(model, films), room, places)
        answers.extend(rows.answers)
        tell(len(next_B))
        return rows

    if first := more(settings.batch, settings.max_tokens + (GUESSED if guess else 0), settings.batch):
        decoding.decode(
            model, first, most=settings.max_tokens, choose=decoding.greedy, ends=sorted(_ends(loaded)),
            change=decoding.processors(model.generation_config), limit=settings.batch, more=more,
            drafts=Drafts() if guess else None,
        )  # fmt: skip
    return answers


def _vllm(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any]
) -> list[list[int]]:
    """The answers' tokens, by vLLM; it makes its batches itself."""
    answers = vllm_engine.answers(loaded, _films(studies), prompt.text, settings)
    tell(len(answers))
    return answers


def _films(studies: Sequence[Study]) -> list[Image.Image]:
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
    speed: Speed = Speed(),  # noqa: B008  (frozen)
) -> tuple[metrics.Scores, pd.DataFrame]:  # fmt: skip
    """Decode a cohort and score it: (scores, predictions table)."""
    completions = decode(loaded, chosen.studies, prompt, settings, label=label, speed=speed)
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
        "split": cohorts.COHORTS[chosen.name][1],
        "label_set": label_set_of(chosen.dataset),
        **more.pop("facts", {}),
    }
    inputs = {
        "model": _weights(base, profile.models[base]),
        "studies": chosen.digest,
        "prompt": digest_of(prompt.text),
        **more.pop("inputs", {}),
    }
    settings = {"decoding": plain(profile.decoding), **more}
    return runs.Plan(profile, run_id, facts, settings, inputs)


def finish(this: runs.Plan, chosen: Chosen, scores: pd.DataFrame, rows: pd.DataFrame, **more: Any) -> runs.Run:
    """Write a scored run."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return runs.finish(
        this, metrics=scores, predictions=rows, sources=[(chosen.dataset, chosen.root)], device=device,
        **facts_of(chosen, this.profile), **more,
    )  # fmt: skip
