"""Why answers cannot be read, by kind (`completions.Failure`); such an answer counts as naming nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd

from chexreason.completions import Failure

KINDS: Mapping[str, str] = {
    Failure.REPEATED_BLOCK: "a block twice",
    Failure.MISSING_BLOCK: "a block missing",
    Failure.WRONG_ORDER: "blocks in the wrong order",
    Failure.TRUNCATED: "cut off",
    Failure.UNKNOWN_LABEL: "unknown labels only",
    Failure.EMPTY: "names nothing",
}


def by_kind(failures: Iterable[Iterable[str]]) -> pd.Series:
    """How many failed answers show each kind, by its name; one may be of several kinds."""
    counts = Counter(kind for one in failures for kind in one)
    return pd.Series({name: counts[kind] for kind, name in KINDS.items()})
