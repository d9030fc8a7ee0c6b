"""What the traces will cost, before anything is sent.

Tokens are estimated, not counted: four characters of text a token (ai.google.dev/gemini-api/docs/tokens), and 258
tokens for each tile of 768 x 768 pixels of a film (geminibyexample.com/027-calculate-input-tokens, said of Gemini
2.0); a film is taken to be 5:4. How long answers get is an assumption of ours, below. The upper bound supposes
that every answer is turned down as often as the profile allows, and is as long as it allows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chexreason.config import Profile
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.prompts import Prompt
from chexreason.traces import place, read
from companion.replication.traces import backends, instructions
from companion.replication.traces.settings import teacher_of

CHARACTERS, TILE, TILE_TOKENS, FILM_SHAPE = 4, 768, 258, 5 / 4
#: Tokens of an answer, thinking aside: assumed from the lengths that each prompt asks for.
ANSWER_TOKENS = {"free_reasoning": 150, "reasoning_narrative": 350, "reasoning_a": 350}
OTHER_ANSWER, LABELS_GIVEN = 350, 3
#: Tokens of thinking where the profile sets no budget for it.
THINKING = 1024


@dataclass(frozen=True)
class Estimate:
    """What one prompt's traces need: studies to ask about, tokens for all of them, USD."""

    prompt: str
    asked: bool  # whether a teacher is asked at all, or the labels are the answer
    ask: int
    there: int
    free: int  # written from the labels, nothing asked
    tokens_in: int
    tokens_out: int
    usd: float
    usd_most: float


def estimate(profile: Profile, prompt: Prompt, keys: Sequence[str], limit: int | None = None) -> Estimate:
    """The estimate for the studies of `keys` without a trace, at most `limit`; one's own server costs nothing."""
    path, teacher = place(profile, prompt), teacher_of(profile)
    found = read(path) if path.is_file() else {}
    missing = len([key for key in keys if key not in found][:limit])
    there = sum(key in found for key in keys)
    if not instructions.needs_teacher(prompt):
        return Estimate(prompt.name, False, 0, there, missing, 0, 0, 0.0, 0.0)
    text = instructions.told(prompt, FINDINGS[:LABELS_GIVEN])
    per_in = math.ceil(len(text) / CHARACTERS) + film_tokens(teacher.film_pixels)
    thinking = (THINKING if teacher.thinking_tokens is None else teacher.thinking_tokens) * (
        teacher.backend == "gemini"
    )
    per_out = ANSWER_TOKENS.get(prompt.name, OTHER_ANSWER) + thinking
    rate_in, rate_out = (0.0, 0.0) if is_free(profile) else (teacher.price_in / 1e6, teacher.price_out / 1e6)
    most = teacher.attempts * (per_in * rate_in + (teacher.max_tokens + thinking) * rate_out)
    usd = per_in * rate_in + per_out * rate_out
    return Estimate(
        prompt.name, True, missing, there, 0, missing * per_in, missing * per_out, missing * usd, missing * most
    )


def is_free(profile: Profile) -> bool:
    """Whether nobody sends a bill: the server is on this machine or network."""
    return backends.is_own(backends.address(teacher_of(profile)))


def check_price(profile: Profile) -> None:
    """Raise UserError if the profile names another model or server that costs money, and not its price."""
    changed = {one.name for one in profile.overrides if one.group == "teacher"}
    prices = {"price_in", "price_out"}
    if changed & {"model", "backend", "base_url"} and not prices <= changed and not is_free(profile):
        raise UserError(
            f"the price of {teacher_of(profile).model} in the profile", "only that of the paper's teacher",
            "set teacher.price_in and teacher.price_out, in USD a million tokens",
        )  # fmt: skip


def spent(profile: Profile, tokens_in: int, tokens_out: int) -> str:
    """What answers have cost, by the tokens that the server counted."""
    teacher = teacher_of(profile)
    usd = 0.0 if is_free(profile) else (tokens_in * teacher.price_in + tokens_out * teacher.price_out) / 1e6
    return f"  spent: {tokens_in:,} tokens in, {tokens_out:,} out, about {usd:,.2f} USD"


def film_tokens(pixels: int) -> int:
    """Tokens for a film of so many pixels in the shape of `FILM_SHAPE`.

    >>> film_tokens(100 * 100), film_tokens(768 * 768)
    (258, 516)
    """
    width, height = math.sqrt(pixels * FILM_SHAPE), math.sqrt(pixels / FILM_SHAPE)
    return TILE_TOKENS * math.ceil(width / TILE) * math.ceil(height / TILE)


def told(profile: Profile, estimates: Sequence[Estimate]) -> str:
    """The estimate as a table, with the assumptions that it rests on."""
    teacher = teacher_of(profile)
    rows = [f"{'prompt':<20} {'to ask':>7} {'there':>6} {'tokens in':>11} {'tokens out':>11} {'USD':>8}"]
    for one in estimates:
        name = f"{one.prompt:<20} {one.ask:>7,} {one.there:>6,}"
        rows.append(
            f"{name} {one.tokens_in:>11,} {one.tokens_out:>11,} {one.usd:>8,.2f}"
            if one.asked
            else f"{name}   {one.free:,} written from the labels, nothing to ask"
        )
    ask, usd, most = (sum(getattr(one, name) for one in estimates) for name in ("ask", "usd", "usd_most"))
    minutes = math.ceil(ask / teacher.requests_per_minute)
    where = backends.address(teacher)
    rows.append(f"teacher: {teacher.model} at {where}, at least {minutes:,} minutes for {ask:,} requests")
    if is_free(profile):
        rows.append("cost: none, the server is on this machine or network")
    else:
        rows.append(
            f"cost: about {usd:,.2f} USD, at most {most:,.2f} if all {teacher.attempts} answers to each study are "
            "turned down and as long as allowed"
        )
        rows.append(
            f"assumed: {teacher.price_in:g} USD a million tokens in and {teacher.price_out:g} out (teacher.price_in, "
            "teacher.price_out); see chexreason settings for their source, and check the price list"
        )
    return "\n".join(rows)
