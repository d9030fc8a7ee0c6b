"""Which findings a patient has: a Gaussian copula whose correlations are fitted to published pairs of labels.

Findings come together in the paper's data sets (section 3.1), and not in the same way in each, so that each hospital
has a correlation matrix of its own in `correlations.csv`. It was fitted by `benchmarks/phantom_prevalence.py`, so that
the *recorded* labels come together as often as published; a row's `basis` says by which table, or that nothing fixes
the pair and it is assumed.

Two things in the table are shortcuts rather than disease: devices travel with disease, and the sicker are imaged in
bed, from the front (AP).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

import numpy as np

from chexreason.errors import UserError
from chexreason.labels import FINDINGS, SUPPORT_DEVICES
from companion.phantoms.findings import FINDING_PAINTERS
from companion.phantoms.hospitals import Hospital

CORRELATIONS = Path(__file__).with_name("correlations.csv")

#: The findings of the matrix, in the order of the labels.
DRAWN: tuple[str, ...] = tuple(name for name in FINDINGS if name in FINDING_PAINTERS)
#: The name under which the table holds each finding's correlation with an AP image.
AP_FILM = "AP film"

#: Findings drawn in fewer studies than this count as rare and are what `enrichment` raises.
RARE = 0.10

#: The largest share of the choice of projection that findings may explain (assumed).
MOST_EXPLAINED = 0.7

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Copula:
    """How the findings of a hospital's patients hang together."""

    factor: np.ndarray  # (F, F) lower Cholesky factor of the correlations, F = 13 in the order of `DRAWN`
    leaning: np.ndarray  # (F,) weights of the latent findings in a patient's sickness; that has variance 1
    strength: float  # correlation of sickness with an AP image, 0 to 1


@lru_cache(maxsize=64)
def correlations(hospital: str, kind: str) -> dict[tuple[str, str], float]:
    """Rows of correlations.csv, both ways round; `kind` is "findings" or "errors" (see `conventions`)."""
    found: dict[tuple[str, str], float] = {}
    with CORRELATIONS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["hospital"], row["kind"]) == (hospital, kind):
                found[row["a"], row["b"]] = found[row["b"], row["a"]] = float(row["correlation"])
    return found


def matrix(hospital: str, kind: str = "findings", names: Sequence[str] = DRAWN) -> np.ndarray:
    """A hospital's correlation matrix (F, F) over `names`; pairs that are not in the table are independent."""
    known = correlations(hospital, kind)
    return np.array([[1.0 if a == b else known.get((a, b), 0.0) for b in names] for a in names])


@lru_cache(maxsize=64)
def copula(hospital: str) -> Copula:
    """The copula of a hospital."""
    together, known = matrix(hospital), correlations(hospital, "findings")
    image = np.array([known.get((name, AP_FILM), 0.0) for name in DRAWN])
    # The sum of latent findings that goes with AP images as each finding is said to. Findings that go together
    # but lean to different projections have no such sum: the ridge takes the nearest with a variance that can be.
    ridge = 0.0
    while True:
        weights = np.linalg.solve(together + ridge * np.eye(len(DRAWN)), image)
        variance = float(weights @ together @ weights)
        if variance <= MOST_EXPLAINED:
            return Copula(np.linalg.cholesky(together), weights / variance**0.5, variance**0.5)
        ridge += 0.002


def sample_findings(
    place: Hospital, rng: np.random.Generator, enrichment: float = 1.0
) -> tuple[tuple[str, ...], float]:
    """The findings to draw for one patient, and the patient's sickness, which is N(0, 1).

    `enrichment` multiplies the odds of each rare finding (copula's rate under `RARE`); 1 keeps the natural rates. Pairs
    of findings do not fix how many patients have none, so `place.well` does: above 0 it is the share of patients who
    have nothing but perhaps devices, whatever the copula says; below 0, a patient with nothing at all is drawn anew
    with the chance ``-well``. Raises UserError for an enrichment that is not a finite positive number.
    """
    if not 0 < enrichment < float("inf"):
        raise UserError("an enrichment above 0", repr(enrichment), "pass 1.0 for the natural rates")
    made = copula(place.name)
    over = thresholds(tuple(place.rates[name].copula for name in DRAWN), enrichment)
    while True:
        latent = made.factor @ rng.standard_normal(len(DRAWN))
        luck = rng.random()
        drawn = {name for name, x, t in zip(DRAWN, latent, over, strict=True) if x > t}
        if luck < place.well:
            drawn &= {SUPPORT_DEVICES}
        elif not drawn and luck < -place.well:
            continue
        return tuple(name for name in FINDING_PAINTERS if name in drawn), float(made.leaning @ latent)


@lru_cache(maxsize=64)
def thresholds(rates: tuple[float, ...], enrichment: float) -> tuple[float, ...]:
    """What a latent finding has to exceed to be drawn.

    >>> [round(t, 2) for t in thresholds((0.4, 0.05), 2.0)]
    [0.25, 1.31]
    """
    raised = (enrichment * r / (1 - r + enrichment * r) if r < RARE else r for r in rates)
    return tuple(-_NORMAL.inv_cdf(r) for r in raised)
