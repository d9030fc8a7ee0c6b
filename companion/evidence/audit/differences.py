"""The differences that the paper leans on, each with its interval (sections 4.3 and 4.4; no interval is in the paper).

Two models answer the same studies, so their errors are not independent, and how alike they err is not printed. Each
difference is therefore shown for several correlations: a conclusion that hangs on one of them is none. For NIH, whose
number of studies is not in the text we have, two sizes are tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from companion.evidence.audit import facts, matched, operating, validation
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit.power import patterned
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS

SEED = 0


@dataclass(frozen=True)
class Lean:
    """Two scores that the paper sets side by side; the difference is the second minus the first."""

    name: str
    table: int
    first: str
    second: str
    before: Mapping[str, float]  # F1 by finding
    after: Mapping[str, float]
    named: tuple[float, float]  # labels named per label recorded, before and after


@dataclass(frozen=True)
class Difference:
    """A difference of two macro-F1 on n studies, with its interval at each correlation that is tried."""

    lean: Lean
    n: int
    at: Mapping[float, Interval]

    @property
    def told_apart(self) -> tuple[float, ...]:
        """The correlations at which the interval leaves out zero."""
        return tuple(r for r, one in self.at.items() if one.excludes_zero)


def _on_validation(name: str, first: tuple[int, str], second: tuple[int, str]) -> Lean:
    one, two = (patterned(facts.value(*cell, "macro")) for cell in (first, second))
    ratios = operating.for_intervals(*first), operating.for_intervals(*second)
    return Lean(name, second[0], first[1], second[1], one, two, ratios)


def _models(table: int, first: str, second: str) -> Lean:
    name = f"{MODELS[first]} to {MODELS[second]} on {'CheXpert' if table == 5 else 'NIH'}"
    names = sure.supports_of(table)
    one, two = ({n: facts.column(table, model)[n] for n in names} for model in (first, second))
    return Lean(name, table, first, second, one, two, (sure.BALANCED, sure.BALANCED))


def leans() -> list[Lean]:
    """What is compared: on validation SFT and GRPO and the two rewards; then models on CheXpert and on NIH."""
    return [
        _on_validation("MedGemma (SFT) to GRPO on validation", (2, "free_reasoning"), (4, "hard_best")),
        _on_validation("nuanced to hard reward on validation", (4, "nuanced_best"), (4, "hard_best")),
        *(_models(*one) for one in (*matched.LEANS_ON, (6, "nv_reason", "medgemma_sft"))),
    ]


def sizes_of(table: int) -> tuple[int, ...]:
    """Numbers of studies that a table may be about: one where known or fitted, two for NIH."""
    return sure.NIH_SIZES if table == 6 else (facts.size("chexpert", "test"),)


def differences(seed: int = SEED, named: Mapping[str, float] | None = None) -> list[Difference]:
    """Every difference for each size; each correlation starts from the same draws, so that only it differs.

    `named` gives models of Tables 5 and 6 another number of labels named per label recorded than is assumed.
    """
    found = []
    for k, lean in enumerate(leans()):
        ratios = lean.named
        if named and lean.table >= 5:
            ratios = named.get(lean.first, sure.BALANCED), named.get(lean.second, sure.BALANCED)
        for n in sizes_of(lean.table):
            supports = validation.supports() if lean.table < 5 else sure.supports_of(lean.table, n)
            at = {
                r: sure.difference(lean.before, lean.after, supports, np.random.default_rng([seed, k]), r, ratios)
                for r in sure.CORRELATIONS
            }
            found.append(Difference(lean, n, at))
    return found


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
