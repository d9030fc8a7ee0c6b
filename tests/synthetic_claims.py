"""A quantity of a known value and spread, and a claim that rests on one, for the tests of claims."""

import numpy as np

from companion.evidence.claims.quantity import Quantity, Studies
from companion.evidence.claims.verdicts import Claim


def quantity(value, scope=("Edema",), tier="published", spread=0.01, n=100, digest="", trainings=None):
    """`value` with 2,000 normal draws around it; the draws follow from the value alone."""
    draws = value + spread * np.random.default_rng(round(1e6 * abs(value)) + 7).standard_normal(2000)
    studies = frozenset({Studies("somewhere", n, digest)})
    return Quantity(value, draws, tuple(scope), tier, studies, trainings=trainings)


def made_up(value, spread=0.05, trainings=None, **more):
    """A claim about that value."""
    found = quantity(value, spread=spread, trainings=trainings)
    return Claim("x", "section 1", "x.", "x", lambda side: found, "x", "noise", **more)
