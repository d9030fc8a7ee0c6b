"""Which scores are possible at all: F1 from whole counts, failure rates from whole studies (not in the paper).

F1 = 2 TP / (support + predicted), and all three are whole numbers. The 500-study CheXpert test set has
known supports, some of them tiny, so a printed F1 either belongs to some count or it does not. In the
same way a printed failure rate must be k / n for a whole k, which says something about n: the size of
the validation set, which is not in the text we have. A fit is no proof: several sizes fit.
"""

import functools
import itertools
from collections.abc import Iterable, Mapping

import numpy as np

from chexreason import recipe
from chexreason.labels import FINDINGS
from companion.evidence.audit import facts
from companion.evidence.audit.arithmetic import printed
from companion.evidence.stats import Counts
from companion.evidence.tables import MODELS


@functools.cache
def candidates() -> Mapping[str, int]:
    """Sizes that the validation set might have had, by what would then have been used."""
    return {
        "CheXpert's own validation set, studies": facts.size("chexpert", "valid"),
        "CheXpert's own validation set, images": facts.size("chexpert", "valid images"),
        "10 % of the SFT studies, reserved": round(recipe.Sizes.sft * recipe.SFT.validation_share),
        "as many as the CheXpert test set, studies": facts.size("chexpert", "test"),
        "MIMIC-CXR-JPG's validation split, studies": facts.mimic_splits()["validate"],
    }


def candidates_that_fit() -> dict[str, int]:
    """Those of the candidates that can give every printed failure rate."""
    return {name: n for name, n in candidates().items() if not fits(failure_rates(), n)}


def _possible(support: int, n: int) -> tuple[Counts, Counts]:
    """Hits and labels named, of all answers to n studies of which `support` have a finding; no hit counts once."""
    hits, named = np.mgrid[: support + 1, : n + 1]
    kept = (hits <= named) & (named - hits <= n - support) & ((hits > 0) | (named == 0))
    return hits[kept], named[kept]


def attainable(text: str, support: int, n: int) -> list[tuple[int, int]]:
    """All whole counts (hits, predicted) that give the printed F1 for a finding that `support` of n studies have."""
    hits, named = _possible(support, n)
    (low, high), f1 = printed(text), 2 * hits / (support + named)
    fit = (low - 1e-9 <= f1) & (f1 <= high + 1e-9)
    return list(zip(hits[fit].tolist(), named[fit].tolist(), strict=True))


def values_near(support: int, n: int, least_precision: float) -> list[float]:
    """Every F1 that a finding of this support can have, for a model no worse than `least_precision`."""
    hits, named = _possible(support, n)
    kept = hits >= np.where(hits > 0, named, 0) * least_precision - 1e-9
    return sorted(set((2 * hits[kept] / (support + named[kept])).tolist()))


@functools.cache
def chexpert_cells() -> dict[tuple[str, str], int]:
    """(finding, model) -> in how many ways whole counts give the F1 of Table 5; 0 would be an error."""
    n, support, cells = facts.size("chexpert", "test"), facts.supports("chexpert", "test", FINDINGS), facts.cells(5)
    keys = itertools.product(FINDINGS, MODELS)
    return {key: len(attainable(cells[*key, "f1"], round(support[key[0]]), n)) for key in keys}


def failure_rates() -> list[str]:
    """Every failure rate of Tables 1 to 4, as printed."""
    return [text for number in (1, 2, 3, 4) for (_, _, metric), text in facts.cells(number).items()
            if metric == "failure_rate"]  # fmt: skip


def fits(rates: Iterable[str], n: int) -> list[str]:
    """The printed rates that are no k / n for a whole k; empty if all of them can be.

    Half of the way up may be rounded either way, so both ends of what is printed count.
    """
    found = {text: round(printed(text).middle * n) / n for text in rates}
    return [text for text, nearest in found.items() if not printed(text).meets(nearest, nearest)]


@functools.cache
def sizes_that_fit() -> list[int]:
    """All n for which every printed failure rate can be k / n, up to 1,000: with three decimals all are from there."""
    return [n for n in range(1, 1001) if not fits(failure_rates(), n)]


def all_fit_from() -> int:
    """The size from which on every size fits."""
    return max(set(range(1, 1001)) - set(sizes_that_fit())) + 1


def even_chance() -> tuple[int, float]:
    """How many distinct failure rates above 0 are multiples of 0.002, and how likely all were if n were large.

    With a large n the third decimal is as often odd as even.
    """
    rates = {text for text in failure_rates() if float(text) > 0}
    even = sum(round(float(text) * 1000) % 2 == 0 for text in rates)
    return even, 0.5 ** len(rates) if even == len(rates) else 1.0
