"""How many studies would it take to tell two macro-F1 apart: a power calculator (not in the paper).

For one finding of prevalence p, scored on n studies by a model that names the label q times for each time it is
recorded, F1 has the variance F (1 - F) (2 - F) / ((1 + q) p n) (`uncertainty`); q is 1 unless said. The average over K
findings has the mean of these variances divided by K, if the findings' errors are independent. Two models scored on
the same studies err together: with a correlation r the variance of the difference is v1 + v2 - 2 r sqrt(v1 v2). All
variances fall as 1 / n, so the number of studies at which a difference is found with a given power follows in one
step. They fall with the prevalences in the same way, so rarer findings ask for more studies in proportion.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from chexreason.labels import FINDINGS
from companion.evidence.audit import facts, operating
from companion.evidence.audit.conventions import PARTS
from companion.evidence.audit.lines import prevalence_of
from companion.evidence.audit.uncertainty import BALANCED, LEVEL, PAIRED, possible

POWER = 0.8
#: Prevalences that are tried: from one study in a hundred to every second.
PREVALENCES: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
#: The standard normal quantile of a two-sided test.
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


def variance(scores: Mapping[str, float], prevalence: Mapping[str, float], named: float = BALANCED) -> float:
    """Variance of a macro-F1 times the number of studies.

    >>> round(variance({"a": 0.5}, {"a": 0.1}), 4), round(variance({"a": 0.5}, {"a": 0.1}, 2.0), 4)
    (1.875, 1.25)
    """
    terms = [f * (1 - f) * (2 - f) / ((1 + possible(f, named)) * prevalence[name]) for name, f in scores.items()]
    return sum(terms) / len(terms) ** 2


def patterned(macro: float) -> dict[str, float]:
    """Findings' scores that average to a macro-F1 in the pattern of the SFT checkpoint on CheXpert (none above 1)."""
    pattern = facts.column(5, "medgemma_sft")
    mean = float(np.mean([pattern[name] for name in FINDINGS]))
    return {name: min(1.0, pattern[name] * macro / mean) for name in FINDINGS}


@dataclass(frozen=True)
class Question:
    """Two models' scores by finding, with what is needed to ask how many studies tell their macro-F1 apart."""

    first: Mapping[str, float]
    second: Mapping[str, float]
    prevalence: Mapping[str, float]
    named: tuple[float, float] = (BALANCED, BALANCED)  # labels named per label recorded, of first and second
    name: str = ""
    place: str = ""
    used: int | None = None  # studies that the paper had, where known
    assumed: str = ""

    @property
    def macros(self) -> tuple[float, float]:
        """The two averages."""
        return float(np.mean(list(self.first.values()))), float(np.mean(list(self.second.values())))

    def spread(self, correlation: float = PAIRED) -> float:
        """Standard deviation of the difference for one study; divide by the root of n."""
        if not -1 <= correlation < 1:
            raise ValueError(f"expected a correlation from -1 up to below 1, got {correlation}")
        one = variance(self.first, self.prevalence, self.named[0])
        two = variance(self.second, self.prevalence, self.named[1])
        return math.sqrt(one + two - 2 * correlation * math.sqrt(one * two))

    def power(self, n: int, correlation: float = PAIRED) -> float:
        """The chance that n studies show the difference (two-sided test)."""
        shift = abs(self.macros[1] - self.macros[0]) * math.sqrt(n) / self.spread(correlation)
        return NormalDist().cdf(shift - Z) + NormalDist().cdf(-shift - Z)

    def needed(self, correlation: float = PAIRED, wanted: float = POWER) -> int:
        """Studies for the wanted power. Raises ValueError for scores without a difference, which none can show."""
        gap = abs(self.macros[1] - self.macros[0])
        if gap == 0:
            raise ValueError("expected two macro-F1 that differ, got the same")
        return math.ceil(((Z + NormalDist().inv_cdf(wanted)) * self.spread(correlation) / gap) ** 2)

    def at_prevalence(self, prevalence: float) -> int:
        """Studies needed if every finding had the same prevalence. Raises ValueError unless 0 < prevalence <= 1."""
        if not 0 < prevalence <= 1:
            raise ValueError(f"expected a prevalence above 0 and up to 1, got {prevalence}")
        return replace(self, prevalence=dict.fromkeys(self.prevalence, prevalence)).needed()

    def at_hospitals(self) -> dict[str, int]:
        """Studies needed with the prevalences of each public part of a data set that has all the findings."""
        return {
            name: replace(self, prevalence=facts.prevalence(dataset, split, tuple(self.prevalence))).needed()
            for name, (dataset, split, _) in PARTS.items()
            if set(self.prevalence) <= set(facts.counts(dataset, split))
        }


def questions() -> list[Question]:
    """The differences that the paper leans on: GRPO on validation, GRPO on CheXpert, GRPO on NIH."""
    near, far = ([facts.column(t, model) for model in ("medgemma_sft", "chexreason")] for t in (5, 6))
    rows = ((2, "free_reasoning"), (4, "nuanced_best"), (4, "hard_best"))
    sft, nuanced, hard = (patterned(facts.value(*row, "macro")) for row in rows)
    tuned, rich, plain = (operating.for_intervals(*row) for row in rows)
    like = (
        "each finding scores as SFT does on CheXpert, scaled to the average, and is named as often as P and R say; "
        "prevalences of MIMIC-CXR-JPG"
    )
    return [
        Question(sft, hard, prevalence_of(4), (tuned, plain), "SFT and GRPO on validation", "Tables 2 and 4",
                 assumed=like),
        Question(nuanced, hard, prevalence_of(4), (rich, plain), "the two rewards on validation", "Table 4",
                 assumed=like),
        Question(near[0], near[1], prevalence_of(5), name="SFT and GRPO on CheXpert", place="Table 5",
                 used=facts.size("chexpert", "test"),
                 assumed="scores of Table 5; prevalences of the CheXpert test set"),
        Question(far[0], far[1], prevalence_of(6), name="SFT and GRPO on NIH", place="Table 6",
                 assumed="scores of Table 6; prevalences of the official NIH test list"),
    ]  # fmt: skip
