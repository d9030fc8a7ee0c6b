"""Several sampled answers to each image, at the price of one prompt: what the experiment asks its checkpoints.

The answers are drawn as in training (temperature and nucleus of the GRPO settings). An image and its prompt run once;
their KV cache is copied for each answer. What is kept of an answer is a word (`words`).
"""

from collections.abc import Callable, Sequence
from itertools import islice

import torch
from tqdm import tqdm

from chexreason import evaluate, models
from chexreason.completions import parse_completion
from chexreason.data.image import open_image
from chexreason.data.study import Study
from chexreason.models import Loaded
from chexreason.prompts import Prompt
from chexreason.recipe import GRPO, Decoding
from companion.experiment.words import written
from companion.speed.batch import Batch
from companion.speed.decoding import decode, nucleus, prefill, processors
from companion.speed.embeddings import embed, pixels_of

#: Images whose prompts run together, and answers that are written together.
TOGETHER, ROWS = 4, 96


@torch.inference_mode()
def sample(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, each: int, policy: GRPO, settings: Decoding, label: str
) -> list[list[str]]:
    """`each` answers to each study, as words (see above). The draws are torch's; seed them before."""
    model, waiting = loaded.model.eval(), iter(studies)
    answers: list[list[int]] = []

    def more(free: int, room: int = 0, places: int = 0) -> Batch | None:
        part = list(islice(waiting, max(1, min(TOGETHER, free // each))))
        if not part:
            return None
        inputs = models.encode(loaded, [open_image(study.image) for study in part], prompt.text)
        images = pixels_of(inputs)
        rows = prefill(model, inputs, images, embed(model, images), room or settings.max_new_tokens, places)
        rows.take([k for k in range(len(part)) for _ in range(each)])
        answers.extend(rows.answers)
        bar.update(len(part))
        return rows

    with tqdm(total=len(studies), desc=label, unit="image", mininterval=5.0) as bar:
        first = more(ROWS, settings.max_new_tokens, 0)
        if first is not None:
            decode(
                model, first, most=settings.max_new_tokens, choose=nucleus(policy.temperature, policy.top_p),
                change=processors(model.generation_config), ends=sorted(evaluate.end_tokens(loaded)),
                limit=ROWS, more=more,
            )  # fmt: skip
    words = _words(loaded, prompt, settings.max_new_tokens)
    return [[words(answer) for answer in answers[k * each : (k + 1) * each]] for k in range(len(studies))]


def _words(loaded: Loaded, prompt: Prompt, most: int) -> Callable[[list[int]], str]:
    ends, tokenizer = evaluate.end_tokens(loaded), loaded.processor.tokenizer

    def word(tokens: list[int]) -> str:
        cut = not tokens or tokens[-1] not in ends
        text = tokenizer.decode(tokens if cut else tokens[:-1], skip_special_tokens=True)
        return written(parse_completion(text, prompt.answer, cut))

    return word
