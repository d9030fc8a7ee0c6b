"""The ledger's verdicts on the paper's own tables, and the claims that cannot be tested."""

import functools
from collections.abc import Mapping

import pandas as pd

from companion.evidence.claims import CLAIMS, REFUSED, outcomes
from companion.evidence.claims.verdicts import Outcome


class Change(float):
    """A difference, shown with its sign."""


@functools.cache
def on_paper() -> Mapping[str, Outcome]:
    """The ledger's verdicts on the paper's own tables."""
    return outcomes(CLAIMS)


def untold() -> pd.DataFrame:
    """The claims that no number at hand can judge, with the reason."""
    return pd.DataFrame(
        {"claim": CLAIMS[name].says, "why it cannot be tested": one.reason}
        for name, one in on_paper().items()
        if CLAIMS[name].stated and one.standing == REFUSED
    )
