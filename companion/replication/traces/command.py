"""The command `chexreason traces`: say how much is to be asked, then write what is missing.

Tokens are estimated, not counted: four characters of text a token (ai.google.dev/gemini-api/docs/tokens), and 258
tokens for each tile of 768 x 768 pixels of an image (geminibyexample.com/027-calculate-input-tokens, said of Gemini
2.0); an image is taken to be 5:4. How long answers get is an assumption of ours. *At most* supposes that every answer
is turned down as often as the profile allows, and is as long as it allows. Prices change; the server's list has them.
"""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from chexreason import cohorts, prompts
from chexreason.config import Profile
from chexreason.errors import UserError, unknown
from chexreason.labels import FINDINGS
from chexreason.prompts import SFT_FORMATS, Prompt
from chexreason.traces import place, read
from companion.replication import credentialed, keep_outside
from companion.replication.traces import check, write
from companion.replication.traces.ask import asker
from companion.replication.traces.teacher import check_address, permit, teacher_of

COHORT = "sft"
CHARACTERS, TILE, TILE_TOKENS, SHAPE = 4, 768, 258, 5 / 4
#: Tokens of an answer: assumed from the length that the longest prompt asks for, and what "low" means to Gemini 2.5.
ANSWER, THINKING, LABELS_GIVEN = 350, 1024, 3


def run(profile: Profile, name: str, dry_run: bool, yes: bool, limit: int | None, tell: Callable[[str], object]) -> int:
    """Estimate and, unless `dry_run`, write the traces of one format or all; returns 1 if some could not be had.

    Raises UserError for an unknown format, phantoms, a cache inside the repository, a third party without the user's
    word, a missing key, and, where it costs money, without `yes`.
    """
    if name not in (*SFT_FORMATS, "all"):
        raise unknown("format for SFT", name, (*SFT_FORMATS, "all"), "chexreason/prompts.py")
    if limit is not None and limit < 1:
        raise UserError("--limit of 1 or more", str(limit), "leave it out for all studies")
    (source, _), teacher = cohorts.COHORTS[COHORT], teacher_of(profile)
    check_address(teacher)  # before it is shown: it could hold a key
    keep_outside(profile, source, profile.cache)
    if profile.data[source].draw is not None:
        do = "nothing is to be written: phantoms bring their traces"
        raise UserError("real images", f"phantoms in profile {profile.name}", do)
    asked = [prompts.get(one) for one in (SFT_FORMATS if name == "all" else [name])]
    chosen = cohorts.drawn(profile, COHORT)
    costs = pd.DataFrame([estimate(profile, prompt, [s.key for s in chosen.studies], limit) for prompt in asked])
    bill = "none, the server is on this machine or network" if teacher.local else "tokens at the server's price"
    rows = costs.map(lambda cell: cell if isinstance(cell, str) else f"{cell:,}").to_string(index=False)
    tell(f"{rows}\nteacher: {teacher.model} at {teacher.base_url}\ncost: {bill}")
    asks, key = bool(costs["to ask"].any()), ""
    try:
        key = permit(teacher, credentialed(profile, source)) if asks else ""
    except UserError as error:
        if not dry_run:
            raise
        tell(f"before it can start: {error}")
    if dry_run:
        tell("dry run: nothing was sent or written")
        return 0
    if asks and not (yes or teacher.local):
        raise UserError("--yes, since this costs money", "none", "read the estimate, then run it again with --yes")
    incomplete = 0
    for prompt in asked:
        tally = write.write(chosen, prompt, profile, asker(teacher, key), limit)
        tell(f"{prompt.name}: {tally}")
        incomplete += tally["given up"] + tally["without an answer"]
    if incomplete:
        tell("some traces are missing; the same command asks again")
    return int(bool(incomplete))


def estimate(profile: Profile, prompt: Prompt, keys: Sequence[str], limit: int | None = None) -> dict[str, object]:
    """A row of the estimate: the studies to be asked about among `keys`, at most `limit`, and their tokens."""
    path, teacher = place(profile, prompt), teacher_of(profile)
    found = read(path) if path.is_file() else {}
    missing = [key for key in keys if key not in found]
    ask = len(missing[:limit]) if prompt.answer.think else 0
    tiles = [math.ceil(math.sqrt(teacher.image_pixels * shape) / TILE) for shape in (SHAPE, 1 / SHAPE)]
    text = math.ceil(len(check.instruction(prompt, FINDINGS[:LABELS_GIVEN])) / CHARACTERS)
    sent, answer = ask * (text + TILE_TOKENS * math.prod(tiles)), ANSWER + (THINKING if teacher.reasoning_effort else 0)
    return {
        "prompt": prompt.name, "to ask": ask, "there": len(keys) - len(missing), "tokens in": sent,
        "tokens out": ask * answer, "at most in": teacher.attempts * sent,
        "at most out": teacher.attempts * ask * teacher.max_tokens,
    }  # fmt: skip
