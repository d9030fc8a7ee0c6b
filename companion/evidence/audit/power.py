"""How many studies would it take to tell two macro-F1 apart: a power calculator (not in the paper).

For one finding of prevalence p, scored on n studies by a model that names the label q times for each time it is
recorded, F1 has the variance F (1 - F) (2 - F) / ((1 + q) p n) (`uncertainty`). The average over K findings has the
mean of these variances divided by K, if the findings' errors are independent. Two models scored on the same studies
err together: with a correlation r the variance of the difference is v1 + v2 - 2 r sqrt(v1 v2). All variances fall as
1 / n and with the prevalences, so the number of studies for a given power follows in one step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from companion.evidence.audit import facts
from companion.evidence.audit.conventions import PARTS
from companion.evidence.audit.differences import lean
from companion.evidence.audit.lines import prevalence_of
from companion.evidence.audit.uncertainty import BALANCED, PAIRED, Z, possible

POWER = 0.8


def variance(scores: Mapping[str, float], prevalence: Mapping[str, float], named: float = BALANCED) -> float:
    """Variance of a macro-F1 times the number of studies."""
    terms = [f * (1 - f) * (2 - f) / ((1 + possible(f, named)) * prevalence[name]) for name, f in scores.items()]
    return sum(terms) / len(terms) ** 2


@dataclass(frozen=True)
class Question:
    """Two models' scores by finding, with what is needed to ask how many studies tell their macro-F1 apart."""

    first: Mapping[str, float]
    second: Mapping[str, float]
    prevalence: Mapping[str, float]
    named: tuple[float, float] = (BALANCED, BALANCED)  # labels named per label recorded, of first and second
    name: str = ""
    place: str = ""
    assumed: str = ""
    used: int | None = None  # studies that the paper had, where known

    @property
    def macros(self) -> tuple[float, float]:
        return float(np.mean(list(self.first.values()))), float(np.mean(list(self.second.values())))

    def spread(self, correlation: float = PAIRED) -> float:
        """Standard deviation of the difference for one study; divide by the root of n."""
        one = variance(self.first, self.prevalence, self.named[0])
        two = variance(self.second, self.prevalence, self.named[1])
        return math.sqrt(one + two - 2 * correlation * math.sqrt(one * two))

    def power(self, n: int, correlation: float = PAIRED) -> float:
        """The chance that n studies show the difference (two-sided test)."""
        shift = abs(self.macros[1] - self.macros[0]) * math.sqrt(n) / self.spread(correlation)
        return NormalDist().cdf(shift - Z) + NormalDist().cdf(-shift - Z)

    def needed(self, correlation: float = PAIRED) -> int:
        """Studies for a power of `POWER`; scores without a difference have none."""
        gap = abs(self.macros[1] - self.macros[0])
        return math.ceil(((Z + NormalDist().inv_cdf(POWER)) * self.spread(correlation) / gap) ** 2)

    def at_prevalence(self, prevalence: float) -> int:
        """Studies needed if every finding had the same prevalence."""
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
    like = (
        "each finding scores as SFT does on CheXpert, scaled to the average, and is named as often as P and R say; "
        "prevalences of MIMIC-CXR-JPG"
    )
    sft, grpo, hard = "medgemma_sft", "chexreason", (4, "hard_best")
    asked = [
        (lean((2, "free_reasoning"), hard), "SFT and GRPO on validation", "Tables 2 and 4", like),
        (lean((4, "nuanced_best"), hard), "the two rewards on validation", "Table 4", like),
        (lean((5, sft), (5, grpo)), "SFT and GRPO on CheXpert", "Table 5",
         "scores of Table 5; prevalences of the CheXpert test set"),
        (lean((6, sft), (6, grpo)), "SFT and GRPO on NIH", "Table 6",
         "scores of Table 6; prevalences of the official NIH test list"),
    ]  # fmt: skip
    return [
        Question(one.before, one.after, prevalence_of(one.table), one.named, name, place, assumed,
                 used=facts.size("chexpert", "test") if one.table == 5 else None)
        for one, name, place, assumed in asked
    ]  # fmt: skip
