"""The paper's claims as code: a ledger of them, and a judge for the paper's tables and for any of our runs.

Each claim is a `Claim`: in our words, with its place, the effect it rests on (`effects`), and a check that computes
that effect from a side. Sides are the paper (`published`), the runs of a folder (`ours`) and the experiment (`seeds`).
`outcomes` gives an `Outcome` for each: a verdict with effect, interval and n. What the verdicts mean, and what is left
of them under other choices, is in `verdicts`; what refuses to be compared, in `quantity`.
"""

from collections.abc import Mapping

from companion.evidence.claims import ledger
from companion.evidence.claims.ours import open_runs
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
    outcomes,
)

#: The ledger, by name, in the order of the paper.
CLAIMS: Mapping[str, Claim] = ledger.read()
