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
from dataclasses import dataclass
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


#: Labels named per label recorded, of the first model and of the second.
Both = tuple[float, float]
AS_RECORDED: Both = (BALANCED, BALANCED)


def variance(scores: Mapping[str, float], prevalence: Mapping[str, float], named: float = BALANCED) -> float:
    """Variance of a macro-F1 times the number of studies.

    >>> round(variance({"a": 0.5}, {"a": 0.1}), 4), round(variance({"a": 0.5}, {"a": 0.1}, 2.0), 4)
    (1.875, 1.25)
    """
    terms = [f * (1 - f) * (2 - f) / ((1 + possible(f, named)) * prevalence[name]) for name, f in scores.items()]
    return sum(terms) / len(terms) ** 2


def spread(
    first: Mapping[str, float], second: Mapping[str, float], prevalence: Mapping[str, float], correlation: float,
    named: Both = AS_RECORDED,
) -> float:  # fmt: skip
    """Standard deviation of the difference of two macro-F1, for one study; divide by the root of n."""
    if not -1 <= correlation < 1:
        raise ValueError(f"expected a correlation from -1 up to below 1, got {correlation}")
    one, two = variance(first, prevalence, named[0]), variance(second, prevalence, named[1])
    return math.sqrt(one + two - 2 * correlation * math.sqrt(one * two))


def _gap(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    return abs(float(np.mean(list(second.values())) - np.mean(list(first.values()))))


def power(
    n: int,
    first: Mapping[str, float],
    second: Mapping[str, float],
    prevalence: Mapping[str, float],
    correlation: float = PAIRED,
    level: float = LEVEL,
    named: Both = AS_RECORDED,
) -> float:
    """The chance that n studies show the difference of two macro-F1, given per finding (two-sided test)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    shift = _gap(first, second) * math.sqrt(n) / spread(first, second, prevalence, correlation, named)
    return NormalDist().cdf(shift - z) + NormalDist().cdf(-shift - z)


def studies_needed(
    first: Mapping[str, float],
    second: Mapping[str, float],
    prevalence: Mapping[str, float],
    correlation: float = PAIRED,
    wanted: float = POWER,
    level: float = LEVEL,
    named: Both = AS_RECORDED,
) -> int:
    """The number of studies at which the difference is found with the wanted power.

    Raises ValueError for scores without a difference, which no number of studies can show.
    """
    gap = _gap(first, second)
    if gap == 0:
        raise ValueError("expected two macro-F1 that differ, got the same")
    z = NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(wanted)
    return math.ceil((z * spread(first, second, prevalence, correlation, named) / gap) ** 2)


def scaled(shape: Mapping[str, float], macro: float) -> dict[str, float]:
    """Findings' scores of a known pattern, raised or lowered together to a macro-F1 (none above 1).

    >>> scaled({"a": 0.25, "b": 0.75}, 0.25)
    {'a': 0.125, 'b': 0.375}
    """
    mean = float(np.mean(list(shape.values())))
    return {name: min(1.0, score * macro / mean) for name, score in shape.items()}


def patterned(macro: float) -> dict[str, float]:
    """Findings' scores that average to a macro-F1 in the pattern of the SFT checkpoint on CheXpert."""
    pattern = facts.column(5, "medgemma_sft")
    return scaled({name: pattern[name] for name in FINDINGS}, macro)


@dataclass(frozen=True)
class Question:
    """Two macro-F1 that the paper sets side by side, with what is needed to ask for the number of studies."""

    name: str
    place: str
    first: Mapping[str, float]
    second: Mapping[str, float]
    prevalence: Mapping[str, float]
    used: int | None  # studies that the paper had, where known
    assumed: str
    named: Both = AS_RECORDED

    @property
    def macros(self) -> tuple[float, float]:
        """The two averages."""
        return float(np.mean(list(self.first.values()))), float(np.mean(list(self.second.values())))

    def power(self, n: int, correlation: float = PAIRED) -> float:
        """The chance that n studies show the difference."""
        return power(n, self.first, self.second, self.prevalence, correlation, named=self.named)

    def needed(self, correlation: float = PAIRED, wanted: float = POWER) -> int:
        """Studies for the wanted power."""
        return studies_needed(self.first, self.second, self.prevalence, correlation, wanted, named=self.named)


def at_prevalence(question: Question, prevalence: float, correlation: float = PAIRED) -> int:
    """Studies needed if every finding had the same prevalence. Raises ValueError unless 0 < prevalence <= 1."""
    if not 0 < prevalence <= 1:
        raise ValueError(f"expected a prevalence above 0 and up to 1, got {prevalence}")
    same = dict.fromkeys(question.prevalence, prevalence)
    return studies_needed(question.first, question.second, same, correlation, named=question.named)


def at_hospitals(question: Question, correlation: float = PAIRED) -> dict[str, int]:
    """Studies needed with the prevalences of each public part of a data set that has all the findings."""
    found = {}
    for name, (dataset, split, _) in PARTS.items():
        if set(question.prevalence) <= set(facts.counts(dataset, split)):
            there = facts.prevalence(dataset, split, tuple(question.prevalence))
            found[name] = studies_needed(question.first, question.second, there, correlation, named=question.named)
    return found


def questions() -> list[Question]:
    """The differences that the paper leans on: GRPO on validation, GRPO on CheXpert, GRPO on NIH."""
    near = {model: facts.column(5, model) for model in ("medgemma_sft", "chexreason")}
    far = {model: facts.column(6, model) for model in ("medgemma_sft", "chexreason")}
    rows = ((2, "free_reasoning"), (4, "nuanced_best"), (4, "hard_best"))
    sft, nuanced, hard = (patterned(facts.value(*row, "macro")) for row in rows)
    tuned, rich, plain = (operating.for_intervals(*row) for row in rows)
    like = (
        "each finding scores as SFT does on CheXpert, scaled to the average, and is named as often as P and R say; "
        "prevalences of MIMIC-CXR-JPG"
    )
    test = facts.size("chexpert", "test")
    return [
        Question("SFT and GRPO on validation", "Tables 2 and 4", sft, hard, prevalence_of(4), None, like,
                 (tuned, plain)),
        Question("the two rewards on validation", "Table 4", nuanced, hard, prevalence_of(4), None, like,
                 (rich, plain)),
        Question("SFT and GRPO on CheXpert", "Table 5", near["medgemma_sft"], near["chexreason"],
                 prevalence_of(5), test, "scores of Table 5; prevalences of the CheXpert test set"),
        Question("SFT and GRPO on NIH", "Table 6", far["medgemma_sft"], far["chexreason"], prevalence_of(6), None,
                 "scores of Table 6; prevalences of the official NIH test list"),
    ]  # fmt: skip
