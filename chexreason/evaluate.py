"""Decode, parse and score one model with one prompt on one cohort.

Every completion is kept with its parse result. A completion without a readable answer counts as a failure and as a
prediction of nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from chexreason import metrics, models, records
from chexreason.cohorts import Cohort
from chexreason.completions import Completion
from chexreason.config import Profile
from chexreason.data import SOURCES
from chexreason.data.image import open_image
from chexreason.data.study import Study
from chexreason.models import Loaded
from chexreason.prompts import Prompt
from chexreason.recipe import Decoding

#: (model, studies, prompt, settings, called with the number of studies begun) -> the tokens of each answer. A profile
#: may name another than `generate` in its `engines`.
Decode = Callable[[Loaded, Sequence[Study], Prompt, Decoding, Callable[[int], Any]], list[list[int]]]


def generate(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, tell: Callable[[int], Any]
) -> list[list[int]]:
    """The answers' tokens by transformers' `generate`, padded to one length a batch."""
    answers: list[list[int]] = []
    for start in range(0, len(studies), settings.batch_size):
        batch = studies[start : start + settings.batch_size]
        inputs = models.encode(loaded, [open_image(study.image) for study in batch], prompt.text)
        tokens_BT = loaded.model.generate(
            **inputs, max_new_tokens=settings.max_new_tokens, do_sample=settings.do_sample
        )
        answers += tokens_BT[:, inputs["input_ids"].shape[1] :].tolist()
        tell(len(tokens_BT))
    return answers


def decode(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, settings: Decoding, *, label: str = "",
    engine: Decode = generate,
) -> list[Completion]:  # fmt: skip
    """One answer a study, in batches; greedy unless the settings say otherwise. Shows progress."""
    loaded.model.eval()
    ends = end_tokens(loaded)
    with (
        tqdm(total=len(studies), desc=label or prompt.name, unit="image", mininterval=2.0) as bar,
        torch.inference_mode(),
    ):
        answers = engine(loaded, studies, prompt, settings, bar.update)
    done = []
    for answer_T in answers:
        length = next((i for i, token in enumerate(answer_T) if token in ends), len(answer_T))
        text = loaded.processor.tokenizer.decode(answer_T[:length], skip_special_tokens=True)
        done.append(Completion(text, length, truncated=length == len(answer_T)))
    return done


def end_tokens(loaded: Loaded) -> set[int]:
    """The tokens that end an answer."""
    return set(np.atleast_1d(loaded.model.generation_config.eos_token_id).tolist())


def score(rows: pd.DataFrame, label_set: str) -> metrics.Scores:
    """Micro, macro and per-finding scores of a predictions table over a label set."""
    columns = ("truth", "predicted", "ignored")
    true_BF, pred_BF, ignored_BF = (metrics.label_cells(rows[name], label_set) for name in columns)
    failure_rate = float(rows["failed"].astype(bool).mean())
    return metrics.scores(true_BF, pred_BF, label_set, mask=~ignored_BF, failure_rate=failure_rate)


def evaluate(
    loaded: Loaded, chosen: Cohort, prompt: Prompt, profile: Profile, label: str = ""
) -> tuple[metrics.Scores, pd.DataFrame]:
    """Decode a cohort as the profile says and score it: (scores, predictions table)."""
    engine, settings = profile.engine("decode", generate), profile.decoding
    completions = decode(loaded, chosen.studies, prompt, settings, label=label, engine=engine)
    rows = records.predictions(chosen, completions, prompt, settings.uncertain)
    return score(rows, SOURCES[chosen.dataset].scored_on), rows
