"""The differences that the paper leans on, each with its interval (sections 4.3 and 4.4; no interval is in the paper).

Two models answer the same studies, so their errors are not independent, and how alike they err is not printed. Each
difference is therefore shown for several correlations: a conclusion that hangs on one of them is none. For NIH, whose
number of studies is not in the text we have, two sizes are tried.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from companion.evidence.audit import facts, matched, operating
from companion.evidence.audit import uncertainty as sure
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS


class Lean(NamedTuple):
    """Two scores that the paper sets side by side; the difference is the second minus the first."""

    name: str
    table: int
    first: str
    second: str
    before: Mapping[str, float]  # F1 by finding
    after: Mapping[str, float]
    named: tuple[float, float]  # labels named per label recorded, before and after


class Difference(NamedTuple):
    """A difference of two macro-F1 on n studies, with its interval at each correlation that is tried."""

    lean: Lean
    n: int
    at: Mapping[float, Interval]

    @property
    def told_apart(self) -> tuple[float, ...]:
        """The correlations at which the interval leaves out zero."""
        return tuple(r for r, one in self.at.items() if one.excludes_zero)


def lean(first: tuple[int, str], second: tuple[int, str], name: str = "") -> Lean:
    """Two rows of Tables 1 to 4, or two models of Table 5 or 6."""
    table = second[0]
    if table < 5:
        one, two = (sure.patterned(facts.value(*cell, "macro")) for cell in (first, second))
    else:
        name = f"{MODELS[first[1]]} to {MODELS[second[1]]} on {'CheXpert' if table == 5 else 'NIH'}"
        one, two = ({n: facts.value(table, n, model) for n in sure.supports_of(table)} for _, model in (first, second))
    return Lean(name, table, first[1], second[1], one, two,
                (operating.for_intervals(*first), operating.for_intervals(*second)))  # fmt: skip


def leans() -> list[Lean]:
    """What is compared: on validation SFT and GRPO and the two rewards; then models on CheXpert and on NIH."""
    return [
        lean((2, "free_reasoning"), (4, "hard_best"), "MedGemma (SFT) to GRPO on validation"),
        lean((4, "nuanced_best"), (4, "hard_best"), "nuanced to hard reward on validation"),
        *(lean((t, one), (t, two)) for t, one, two in (*matched.LEANS_ON, (6, "nv_reason", "medgemma_sft"))),
    ]


def sizes_of(table: int) -> tuple[int, ...]:
    """Numbers of studies that a table may be about: one where known or fitted, two for NIH."""
    return sure.NIH_SIZES if table == 6 else (facts.size("chexpert", "test"),)


def differences(seed: int = 0, named: Mapping[str, float] | None = None) -> list[Difference]:
    """Every difference for each size; each correlation starts from the same draws, so that only it differs.

    `named` gives models of Tables 5 and 6 another number of labels named per label recorded than is assumed.
    """
    found = []
    for k, one in enumerate(leans()):
        ratios = one.named
        if named and one.table >= 5:
            ratios = named.get(one.first, sure.BALANCED), named.get(one.second, sure.BALANCED)
        found += [Difference(one, n, _intervals(k, n, ratios, seed)) for n in sizes_of(one.table)]
    return found


@functools.cache
def _intervals(k: int, n: int, ratios: tuple[float, float], seed: int) -> Mapping[float, Interval]:
    one, supports = leans()[k], sure.supports_of(leans()[k].table, n)
    return {r: sure.difference(one.before, one.after, supports, np.random.default_rng([seed, k]), r, ratios)
            for r in sure.CORRELATIONS}  # fmt: skip


def turned() -> dict[str, list[str]]:
    """What models may name instead -> the differences of Tables 5 and 6 that are then told apart otherwise."""
    seen, usual = operating.on_validation(), differences()
    others = {
        "as few as the least of their rows on validation": {model: one.low for model, one in seen.items()},
        "as many as the most of these rows": {model: one.high for model, one in seen.items()},
        "as few as the scores allow": dict.fromkeys(MODELS, sure.CAUTIOUS),
    }
    return {
        what: [
            f"{one.lean.name}, n = {one.n:,}" if one.lean.table == 6 else one.lean.name
            for one, other in zip(usual, differences(named=named), strict=True)
            if one.told_apart != other.told_apart
        ]
        for what, named in others.items()
    }
