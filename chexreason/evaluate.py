"""Decode, parse and score: the prompting study (section 4.1) and the generalization study (4.4).

Every completion is kept with its parse result. A completion without a readable answer counts as a
failure and as a prediction of nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from peft import PeftModel
from tqdm import tqdm

from chexreason import cohorts, metrics, models, prompts, runs
from chexreason.cohorts import Chosen
from chexreason.completions import Parsed, parse_completion
from chexreason.config import Decoding, Profile, label_set_of
from chexreason.data.film import open_film
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.files import digest_of, file_digest
from chexreason.labels import LABEL_SETS, decide
from chexreason.models import FAMILIES, Loaded
from chexreason.prompts import Prompt


@dataclass(frozen=True)
class Completion:
    """A decoded answer: text, its length in tokens, and whether it was cut at the limit."""

    text: str
    tokens: int
    truncated: bool


def decode(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, *, label: str = ""
) -> list[Completion]:
    """One answer a study, in batches; greedy unless the settings say otherwise. Shows progress."""
    loaded.model.eval()
    tokenizer = loaded.processor.tokenizer
    ends = set(np.atleast_1d(loaded.model.generation_config.eos_token_id).tolist())
    done: list[Completion] = []
    with tqdm(total=len(studies), desc=label or prompt.name, unit="film", mininterval=2.0) as bar:
        for start in range(0, len(studies), settings.batch):
            batch_B = studies[start : start + settings.batch]
            inputs = models.encode(loaded, [open_film(study.image) for study in batch_B], prompt.text)
            with torch.inference_mode():
                tokens_BT = loaded.model.generate(
                    **inputs, max_new_tokens=settings.max_tokens, do_sample=not settings.greedy
                )
            for answer_T in tokens_BT[:, inputs["input_ids"].shape[1] :].tolist():
                length = next((i for i, token in enumerate(answer_T) if token in ends), None)
                kept = answer_T if length is None else answer_T[:length]
                text = tokenizer.decode(kept, skip_special_tokens=True)
                done.append(Completion(text, len(kept), truncated=length is None))
            bar.update(len(batch_B))
    return done


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
    names = LABEL_SETS[label_set]

    def matrix(column: str) -> np.ndarray:
        named = [set(str(cell).split(";")) for cell in rows[column]]
        return np.array([[name in cell for name in names] for cell in named], dtype=bool)  # (B, F)

    failure_rate = float(rows["failed"].astype(bool).mean())
    return metrics.scores(
        matrix("truth"), matrix("predicted"), label_set, mask=~matrix("ignored"), failure_rate=failure_rate
    )


def evaluate(
    loaded: Loaded, chosen: Chosen, prompt: Prompt, settings: Decoding, *, label: str = ""
) -> tuple[metrics.Scores, pd.DataFrame]:
    """Decode a cohort and score it: (scores, predictions table)."""
    completions = decode(loaded, chosen.studies, prompt, settings, label=label)
    rows, _ = predictions_table(chosen, completions, prompt, settings.uncertain)
    return score(rows, label_set_of(chosen.dataset)), rows


def with_adapter(loaded: Loaded, adapter: Path) -> Loaded:
    """The model with a trained adapter merged in.

    Raises UserError for a folder without an adapter, and for an adapter of another family: the two
    families' layers have the same names, so it might load and spoil every answer.
    """
    trained_on, wanted = _base_of(adapter), loaded.model.config.model_type
    if trained_on not in (None, wanted):
        raise UserError(
            f"an adapter for {loaded.family.title} ({wanted})", f"one for {trained_on} at {adapter}",
            "train it again from this base model",
        )  # fmt: skip
    model = PeftModel.from_pretrained(loaded.model, str(adapter)).merge_and_unload()
    model.generation_config = loaded.model.generation_config
    return Loaded(model.eval(), loaded.processor, loaded.family, f"{loaded.source} + {adapter.parent.name}")


def _base_of(adapter: Path) -> str | None:
    """The model type that an adapter was trained on; None if its base model cannot be found any more."""
    path = adapter / "adapter_config.json"
    if not path.is_file():
        raise UserError(f"an adapter at {adapter}", f"no {path.name} there", "run the stage that trains it again")
    base = str(json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path"))
    config = Path(base) / "config.json"
    if config.is_file():
        return str(json.loads(config.read_text(encoding="utf-8"))["model_type"])
    return {family.hub_id: family.model_type for family in FAMILIES.values()}.get(base)


def facts_of(chosen: Chosen, profile: Profile) -> dict[str, Any]:
    """What run.json says of a cohort; names of unreadable films only where rows may be shown."""
    named = [path.name for path in chosen.unreadable] if profile.rows == "results" else []
    return {
        "n": len(chosen.studies),
        "unreadable": {"count": len(chosen.unreadable), "names": named},
        "left_out": dict(chosen.left_out),
    }


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
    source = Path(profile.models[base])
    inputs = {
        "model": file_digest(source) if source.is_dir() else profile.models[base],
        "studies": chosen.digest,
        "prompt": digest_of(prompt.text),
        **more.pop("inputs", {}),
    }
    settings = {"decoding": asdict(profile.decoding), **more}
    return runs.Plan(profile, run_id, facts, settings, inputs)


def prompting(profile: Profile) -> list[runs.Run]:
    """Table 1: each of the nine prompts on the untouched MedGemma, on the validation studies."""
    cohorts.prepare(profile)
    chosen = cohorts.choose(profile, "validation")
    loaded: Loaded | None = None
    finished = []
    for k, name in enumerate(prompts.TABLE1_PROMPTS, start=1):
        prompt = prompts.get(name)
        this = plan(profile, f"01-prompting-{name}", "prompting", "medgemma", "medgemma", prompt, chosen)
        run = this.finished()
        if run is None:
            loaded = loaded or models.load("medgemma", profile.models["medgemma"])
            label = f"prompt {k} of {len(prompts.TABLE1_PROMPTS)}, {name}"
            scores, rows = evaluate(loaded, chosen, prompt, profile.decoding, label=label)
            run = finish(this, chosen, scores.to_frame(), rows)
        finished.append(run)
    return finished


def finish(this: runs.Plan, chosen: Chosen, scores: pd.DataFrame, rows: pd.DataFrame, **more: Any) -> runs.Run:
    """Write a scored run."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return runs.finish(
        this, metrics=scores, predictions=rows, sources=[(chosen.dataset, chosen.root)], device=device,
        **facts_of(chosen, this.profile), **more,
    )  # fmt: skip


#: Tables 5 and 6: model -> (base model, prompt, run whose adapter it carries).
FIVE_MODELS: dict[str, tuple[str, str, str | None]] = {
    "nv_reason": ("nv_reason", "nv_reason", None),
    "medgemma": ("medgemma", "free_reasoning", None),
    "qwen": ("qwen", "free_reasoning", None),
    "medgemma_sft": ("medgemma", "free_reasoning", "02-sft-medgemma-free_reasoning"),
    "chexreason": ("medgemma", "free_reasoning", "03-grpo-hard"),
}


def generalization(profile: Profile) -> list[runs.Run]:
    """Tables 5 and 6: five models on the CheXpert and the NIH test studies."""
    cohorts.prepare(profile)
    chosen = {name: cohorts.choose(profile, name) for name in ("chexpert", "nih")}
    return [
        run
        for k, model in enumerate(FIVE_MODELS, start=1)
        for run in _generalize(profile, model, chosen.values(), f"model {k} of {len(FIVE_MODELS)}, {model}")
    ]


def _generalize(profile: Profile, model: str, sets: Iterable[Chosen], label: str) -> list[runs.Run]:
    base, prompt_name, trained = FIVE_MODELS[model]
    prompt = prompts.get(prompt_name)
    adapter = profile.cache / "checkpoints" / trained / "best" if trained else None
    inputs = {"adapter": file_digest(runs.need(adapter))} if adapter else {}
    loaded: Loaded | None = None
    finished = []
    for chosen in sets:
        run_id = f"04-generalization-{model}-{chosen.dataset}"
        this = plan(profile, run_id, "generalization", model, base, prompt, chosen, inputs=inputs)
        run = this.finished()
        if run is None:
            if loaded is None:
                loaded = models.load(base, profile.models[base])
                loaded = with_adapter(loaded, adapter) if adapter else loaded
            scores, rows = evaluate(loaded, chosen, prompt, profile.decoding, label=f"{label} on {chosen.dataset}")
            run = finish(this, chosen, scores.to_frame(), rows)
        finished.append(run)
    return finished
