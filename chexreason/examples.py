"""Studies as `datasets.Dataset`s for TRL: chat turns and an image that is opened when it is needed."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from chexreason.data.image import open_image
from chexreason.data.study import Study
from chexreason.models import chat
from chexreason.prompts import Prompt

#: Opened images that are kept, at least the studies of a rollout batch.
CACHED = 16


def examples(
    studies: Sequence[Study], prompt: Prompt, answers: Sequence[str] | None = None, **columns: Sequence[Any]
) -> Dataset:
    """One row a study: path, prompt, images, completion (if answers are given) and further columns.

    The table itself holds paths; an image is decoded when its row is read, so thousands of studies cost no memory. The
    last few are kept: GRPO's trainer reads the rows of a rollout batch again for each completion, pass and slice.
    """
    image = functools.lru_cache(maxsize=CACHED)(lambda path: open_image(path).convert("RGB"))

    def opened(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        rows = {name: values for name, values in batch.items() if name != "answer"}
        rows["images"] = [[image(path)] for path in batch["path"]]
        rows["prompt"] = [chat(prompt.text) for _ in batch["path"]]
        if "answer" in batch:
            rows["completion"] = [chat(prompt.text, answer)[1:] for answer in batch["answer"]]
        return rows

    rows: dict[str, Sequence[Any]] = {"path": [str(study.image) for study in studies], **columns}
    if answers is not None:
        rows["answer"] = list(answers)
    return Dataset.from_dict(rows).with_transform(opened)
