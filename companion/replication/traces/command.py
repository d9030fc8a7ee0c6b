"""The command `chexreason traces`: say what it costs, then write what is missing."""

from collections.abc import Callable

from chexreason import cohorts, data, prompts
from chexreason.config import Profile
from chexreason.errors import UserError, unknown
from chexreason.prompts import SFT_FORMATS
from companion.replication.traces import backends, price, write
from companion.replication.traces.answer import Ask
from companion.replication.traces.settings import teacher_of

COHORT = "sft"


def run(profile: Profile, name: str, dry_run: bool, yes: bool, limit: int | None, tell: Callable[[str], object]) -> int:
    """Estimate and, unless `dry_run`, write the traces of one format or all; returns 1 if some could not be had.

    Raises UserError for an unknown format, phantoms, a third party without the user's word, a missing key or
    library, and, where it costs money, without `yes`.
    """
    if name not in (*SFT_FORMATS, "all"):
        raise unknown("format for SFT", name, (*SFT_FORMATS, "all"), "chexreason/prompts.py")
    if limit is not None and limit < 1:
        raise UserError("--limit of 1 or more", str(limit), "leave it out for all studies")
    asked = [prompts.get(one) for one in (SFT_FORMATS if name == "all" else [name])]
    source, _ = cohorts.COHORTS[COHORT]
    root = profile.data[source].root
    if profile.data[source].draw is not None or data.is_phantom(root):
        raise UserError(
            "real films", f"phantoms in profile {profile.name}", "nothing is to be written: phantoms bring their traces"
        )
    chosen = cohorts.drawn(profile, COHORT)
    estimates = [price.estimate(profile, prompt, [s.key for s in chosen.studies], limit) for prompt in asked]
    tell(price.told(profile, estimates))
    paid = sum(one.usd for one in estimates) > 0
    ask: Ask | None = None
    try:
        if any(one.ask for one in estimates):
            backends.permit(teacher_of(profile), data.SOURCES[source].credentialed)
            price.check_price(profile)
            ask = backends.ready(teacher_of(profile))
    except UserError as error:
        if not dry_run:
            raise
        tell(f"before it can start: {error}")
    if dry_run:
        tell("dry run: nothing was sent or written")
        return 0
    if paid and not yes:
        raise UserError(
            "--yes, since this costs money", "no such word", "read the estimate, then run it again with --yes"
        )
    incomplete = 0
    for prompt in asked:
        tally = write.write(chosen, prompt, profile, ask, limit)
        tell(f"{prompt.name}: {tally}")
        if tally.tokens_in:
            tell(price.spent(profile, tally.tokens_in, tally.tokens_out))
        incomplete += tally.given_up + tally.unanswered
    if incomplete:
        tell("what is missing is listed beside the traces (*.given_up.json); the same command asks again")
    return int(bool(incomplete))
