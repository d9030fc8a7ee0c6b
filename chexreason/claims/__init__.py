"""The paper's claims as code: a ledger of them, and a judge for the paper's tables and for any of our runs.

Each claim is a `Claim`: in our words, with its place, the quantity it rests on, and a check that computes
that quantity from a side. Sides are the paper (`published`), the runs of a folder (`ours`) and the experiment
(`seeds`). `judge` gives an `Outcome` for each: *holds*, *fails* or *cannot be told*, with effect, interval and n.
What the verdicts mean is in `verdicts`; what refuses to be compared is in `quantity`.
"""

from collections.abc import Mapping

from chexreason.claims import choices, generalization, grpo, prompting, setting, sft
from chexreason.claims.choices import STANDINGS, standing, tally
from chexreason.claims.ours import open_runs
from chexreason.claims.seeds import open_side
from chexreason.claims.sides import Side
from chexreason.claims.verdicts import (
    CANNOT,
    FAILS,
    HOLDS,
    VERDICTS,
    Claim,
    Outcome,
    judge,
    judge_published,
)
from chexreason.claims.verdicts import outcomes as judge_all

#: The ledger, by name, in the order of the paper.
CLAIMS: Mapping[str, Claim] = {
    claim.name: claim for module in (setting, prompting, sft, grpo, generalization) for claim in module.CLAIMS
}


def outcomes(claims: Mapping[str, Claim], side: Side | None = None) -> dict[str, Outcome]:
    """Every claim judged on a side (default: the paper), alone and together, with the choices its verdict turns on."""
    return choices.turning(judge_all(claims, side))


__all__ = [
    "CANNOT",
    "CLAIMS",
    "FAILS",
    "HOLDS",
    "STANDINGS",
    "VERDICTS",
    "Claim",
    "Outcome",
    "judge",
    "judge_published",
    "open_runs",
    "open_side",
    "outcomes",
    "standing",
    "tally",
]
