"""How many answers a study writes, and how long a GPU needs for it: computed from shapes, nothing here is measured.

A token of every answer of a batch costs one pass over the language model. On a large card that takes whichever is
longest: starting the kernels of each layer, reading weights and KV cache once, or multiplying. With the batches of the
profile `paper` it is the first, so all hours rest on `STARTING`. `benchmarks/gpu_proof.py` measures the same on a card.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from chexreason.config import Profile, load_profile
from companion.evidence.sealed import listed
from companion.replication.memory import kv_cache, prompt_tokens
from companion.replication.shapes import Shape, shape

#: The paper's card: an A100 with 80 GB, bytes and bf16 operations a second (NVIDIA's data sheet, SXM).
BANDWIDTH, OPERATIONS = 2.039e12, 312e12
#: The share of the operations that training and reading prompts reach: an assumption of ours.
REACHED = 0.4
#: Seconds to start one layer's kernels in transformers: 30.53 tokens a second with 32 layers on that card, one answer
#: at a time, of which reading the 15 GB of weights takes less than a quarter (README of Qwen/Qwen-7B-Chat, 05d0727).
STARTING = 1 / 30.53 / 32
#: Dollars an hour of such a card in May 2026, from the cheapest offers to the large clouds
#: (https://www.mercatus-ai.com/blog/cloud-gpu-pricing).
PRICE = (0.80, 3.00)
#: Tokens of an answer: a guess of ours for answers that reason, and the longest that the profile `paper` allows.
LENGTHS = (300, 2048)
#: The models that whoever has accepted MedGemma's terms may ask beside the two open ones.
_THREE = {"medgemma": {"base": "medgemma", "prompt": "free_reasoning"},
          "nv_reason": {"base": "nv_reason", "prompt": "nv_reason"},
          "qwen": {"base": "qwen", "prompt": "free_reasoning"}}  # fmt: skip
_NIH = "chexreason run all --profile open"


class Held(NamedTuple):
    """What one has, what one gets for it and how: by which profile, and what differs from it; none needs no GPU."""

    have: str
    get: str
    by: str
    profile: str = ""
    given: Mapping[str, Any] = {}


HELD = (
    Held("this repository", "the paper's numbers re-analysed, and the whole study in miniature", "make book"),
    Held("predictions of any model, and the label file", "their scores beside the paper's tables", "chexreason score"),
    Held("NIH's images (free), and a GPU", "Table 6 for NV-Reason-CXR and Qwen2.5-VL", _NIH, "open"),
    Held("the same, but one evening only", "the same of 1,000 images", f"{_NIH} --n 1000", "open",
         {"settings": {"sizes.nih": 1000}}),
    Held("also access to MedGemma (its terms accepted)", "its column of Table 6, too", "profile 1 below", "open",
         {"study": {"generalization": {"models": _THREE}}}),
    Held("CheXpert's test set (registration), MedGemma, a GPU", "these columns of Table 5", "profile 2 below", "open",
         {"study": {"generalization": {"models": _THREE, "test_sets": ["chexpert"]}}}),
    Held("MIMIC-CXR-JPG (credentials), MedGemma, a GPU", "Table 1", "profile 3 below", "paper",
         {"study": {"sft": {"models": []}, "grpo": {"rewards": []}, "generalization": {"test_sets": []}}}),
    Held("all of these, and a teacher for the traces", "all of it", "make book PROFILE=paper", "paper"),
)  # fmt: skip


def work(profile: Profile) -> pd.DataFrame:
    """stage, family, part (sft, grpo, decode) and how many studies pass: trained on, rolled out, or answered."""
    study, sizes, rows = profile.study, profile.sizes, list[tuple[str, str, str, int]]()
    scored = sizes.validation or 0
    if "prompting" in profile.stages:
        rows.append(("prompting", study["prompting"]["model"], "decode", len(study["prompting"]["prompts"]) * scored))
    for base in study["sft"]["models"] if "sft" in profile.stages else ():
        formats = len(study["sft"]["prompts"])
        rows.append(("sft", base, "sft", formats * profile.sft.num_train_epochs * sizes.sft))
        rows.append(("sft", base, "decode", formats * scored))
    if "grpo" in profile.stages:
        rewards, base = len(study["grpo"]["rewards"]), study["grpo"]["model"]
        rows.append(("grpo", base, "grpo", rewards * profile.grpo.num_train_epochs * sizes.rl))
        rows.append(("grpo", base, "decode", rewards * profile.grpo.checkpoints * scored))
    if "generalization" in profile.stages:
        tested = sum(getattr(sizes, name) or listed(name) for name in study["generalization"]["test_sets"])
        for about in study["generalization"]["models"].values():
            family = "qwen" if about["base"] == "nv_reason" else about["base"]  # of the same architecture
            rows.append(("generalization", family, "decode", tested))
    table = pd.DataFrame(rows, columns=["stage", "family", "part", "studies"])
    return table.groupby(["stage", "family", "part"], sort=False)["studies"].sum().reset_index()


def token(s: Shape, rows: int, length: int) -> float:
    """max(L STARTING, (2 N + KV cache) / BANDWIDTH, 2 N rows / OPERATIONS) seconds for a token of each of the rows.

    N are the language model's weights.
    """
    read = 2 * language(s) + kv_cache(s, rows * length)
    return max(s.L * STARTING, read / BANDWIDTH, 2 * language(s) * rows / (REACHED * OPERATIONS))


def language(s: Shape) -> int:
    """Weights of the language model, L H (2 Q + 2 K + 3 I) + V H."""
    return s.L * s.H * (2 * s.Q + 2 * s.K + 3 * s.I) + s.V * s.H


def encoding(s: Shape) -> float:
    """Seconds to encode an image: 2 multiplications a patch for each weight of the vision encoder's linear layers."""
    weights = s.linear - s.L * s.H * (2 * s.Q + 2 * s.K + 3 * s.I)
    return 2 * weights * s.patches / (REACHED * OPERATIONS)


def _passes(s: Shape, n: int, tokens: int) -> float:
    """Seconds of `n` passes over so many tokens; a backward pass is one, since the frozen weights need no gradient."""
    return n * max(s.L * STARTING, 2 * language(s) * tokens / (REACHED * OPERATIONS))


def seconds(profile: Profile, base: str, part: str, tokens: int) -> float:
    """Of one study: answered (decode), trained on once (sft), or sampled and trained on (grpo)."""
    s, prompt, grpo = shape(base), prompt_tokens(base), profile.grpo
    if part == "decode":
        rows = profile.decoding.batch_size
        return tokens * token(s, rows, prompt + tokens) / rows + _passes(s, 1, rows * prompt) / rows + encoding(s)
    again = profile.sft.gradient_checkpointing if part == "sft" else grpo.gradient_checkpointing
    if part == "sft":
        rows = profile.sft.per_device_train_batch_size
        held = profile.sft.validation_share  # looked at after each epoch, in one pass
        looks = (1 - held) * (2 + again) + held
        return _passes(s, 1, rows * (prompt + tokens)) * looks / rows + encoding(s) / profile.sft.num_train_epochs
    tokens, rows = min(tokens, grpo.max_completion_length), grpo.studies_per_step * grpo.num_generations
    sampled = tokens * token(s, rows, prompt + tokens) / grpo.studies_per_step + _passes(s, 1, prompt) + encoding(s)
    looks = grpo.num_iterations * (2 + again) + (grpo.beta > 0)  # the reference looks once
    return sampled + _passes(s, looks, prompt + grpo.num_generations * tokens)


def hours(profile: Profile, tokens: int) -> float:
    """Of the whole study of a profile with answers of so many tokens; loading and the teacher are not counted."""
    table = work(profile)
    each = [seconds(profile, base, part, tokens) for base, part in zip(table["family"], table["part"], strict=True)]
    return float((table["studies"] * each).sum() / 3600)


def table() -> pd.DataFrame:
    """A row for each of `HELD`: what one gets, the answers that are scored, hours and dollars of an A100."""
    rows = []
    for held in HELD:
        row = {"you have": held.have, "you get": held.get, "by": held.by, "answers": "none", "hours": "", "dollars": ""}
        if held.profile:
            made = load_profile(held.profile, unset=True, given=held.given)
            done, took = work(made), [hours(made, tokens) for tokens in LENGTHS]
            row["answers"] = f"{done.loc[done['part'] == 'decode', 'studies'].sum():,}"
            row["hours"] = " to ".join(map(_short, took))
            row["dollars"] = " to ".join(_short(one * price) for one, price in zip(took, PRICE, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def together(rows: int) -> str:
    """Hours of NIH's images with so many answers written at once."""
    made = load_profile("open", unset=True, given={"settings": {"decoding.batch_size": rows}})
    return " to ".join(_short(hours(made, tokens)) for tokens in LENGTHS)


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
