"""The paper's claims as code: a ledger of them, and a judge for the paper's tables and for any of our runs.

Each claim is a `Claim`: in our words, with its place, the quantity it rests on, and a check that computes
that quantity from a side. Sides are the paper (`published`), the runs of a folder (`ours`) and the experiment
(`seeds`). `outcomes` gives an `Outcome` for each: a verdict with effect, interval and n.
What the verdicts mean is in `verdicts`; what is left of them under other choices, in `robustness`; what refuses to be
compared, in `quantity`.
"""

from collections.abc import Mapping

from companion.evidence.claims import conventions, generalization, grpo, hospitals, prompting, setting, sft
from companion.evidence.claims.ours import open_runs
from companion.evidence.claims.robustness import judge_published, outcomes
from companion.evidence.claims.seeds import open_side
from companion.evidence.claims.verdicts import (
    CHANCE,
    CHOICES,
    FAILS,
    HOLDS,
    NOT_RUN,
    OTHERWISE,
    REFUSED,
    RESTS,
    STANDINGS,
    VERDICTS,
    Claim,
    Outcome,
    judge,
)

#: The ledger, by name, in the order of the paper.
CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for module in (setting, prompting, sft, grpo, hospitals, conventions, generalization)
    for claim in module.CLAIMS
}

__all__ = [
    "CHANCE",
    "CHOICES",
    "CLAIMS",
    "FAILS",
    "HOLDS",
    "NOT_RUN",
    "OTHERWISE",
    "REFUSED",
    "RESTS",
    "STANDINGS",
    "VERDICTS",
    "Claim",
    "Outcome",
    "judge",
    "judge_published",
    "open_runs",
    "open_side",
    "outcomes",
]
