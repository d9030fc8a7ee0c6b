"""Several sampled answers to each image, at the price of one prompt: what the experiment asks its checkpoints.

The answers are drawn as in training (temperature and nucleus of the GRPO settings). An image and its prompt run once;
their KV cache is copied for each answer. What is kept of an answer is a word (`words`). From the
tokens of answers comes also how far one policy lies from another (`divergence`).
"""

from collections.abc import Callable, Sequence
from itertools import islice

import torch
from torch.nn.functional import kl_div
from torch.nn.utils.rnn import pad_sequence
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


def sample(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, each: int, policy: GRPO, settings: Decoding, label: str
) -> list[list[str]]:
    """`each` answers to each study, as words (see above). The draws are torch's; seed them before."""
    answers, words = tokens(loaded, studies, prompt, each, policy, settings, label), _words(loaded, prompt)
    return [[words(answer) for answer in answers[k * each : (k + 1) * each]] for k in range(len(studies))]


@torch.inference_mode()
def tokens(
    loaded: Loaded, studies: Sequence[Study], prompt: Prompt, each: int, policy: GRPO, settings: Decoding, label: str
) -> list[list[int]]:
    """The same answers as tokens, each with the token that ends it; those to one study stand together."""
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
    return answers


@torch.inference_mode()
def divergence(
    here: Loaded, there: Loaded, studies: Sequence[Study], answers: Sequence[Sequence[int]], prompt: Prompt,
    temperature: float,
) -> float:  # fmt: skip
    """KL(here || there) per token, over answers that `here` has sampled at the temperature: one to each study.

    Both policies are run over the same answers. At each place the log ratio is averaged over all next tokens by `here`,
    not read off the one that was drawn: the same on average, and less noise. Exact up to rounding, and never negative.
    """
    total = 0.0
    for start in range(0, len(studies), TOGETHER):
        part = slice(start, start + TOGETHER)
        p_BTV, q_BTV = (_log_shares(one, studies[part], answers[part], prompt, temperature) for one in (here, there))
        apart_BT = kl_div(q_BTV, p_BTV, reduction="none", log_target=True).sum(-1)
        total += sum(float(row_T[: len(one)].sum()) for row_T, one in zip(apart_BT, answers[part], strict=True))
    return total / sum(map(len, answers))


def _log_shares(
    loaded: Loaded, studies: Sequence[Study], answers: Sequence[Sequence[int]], prompt: Prompt, temperature: float
) -> torch.Tensor:
    """The log-probability of each next token along given answers (B, T, V); of suppressed ones next to none."""
    model = loaded.model.eval()
    inputs = models.encode(loaded, [open_image(study.image) for study in studies], prompt.text)
    rows = [torch.tensor(answer, device=loaded.device) for answer in answers]
    fill = {"input_ids": pad_sequence(rows, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)}  # fmt: skip
    length = inputs["input_ids"].shape[1]
    for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            more = fill.get(name, torch.zeros_like(fill["input_ids"]))
            inputs[name] = torch.cat([inputs[name], more.to(inputs[name].dtype)], dim=1)
    logits_BTV = model(**inputs).logits[:, length - 1 : -1].double() / temperature
    logits_BTV[..., model.generation_config.suppress_tokens or []] = -1e9
    return logits_BTV.log_softmax(-1)


def _words(loaded: Loaded, prompt: Prompt) -> Callable[[list[int]], str]:
    ends, tokenizer = evaluate.end_tokens(loaded), loaded.processor.tokenizer

    def word(tokens: list[int]) -> str:
        cut = not tokens or tokens[-1] not in ends
        text = tokenizer.decode(tokens if cut else tokens[:-1], skip_special_tokens=True)
        return written(parse_completion(text, prompt.answer, cut))

    return word
