"""A quantity of a known value and spread, for the tests of what claims do with quantities."""

import numpy as np

from companion.evidence.claims.quantity import Quantity, Studies
from companion.evidence.claims.sides import Side


def quantity(value, scope=("Edema",), tier="published", spread=0.01, n=100, digest="", trainings=None):
    """`value` with 2,000 normal draws around it; the draws follow from the value alone."""
    draws = value + spread * np.random.default_rng(round(1e6 * abs(value)) + 7).standard_normal(2000)
    studies = frozenset({Studies("somewhere", n, digest)})
    return Quantity(value, draws, tuple(scope), tier, studies, trainings=trainings)


class Told(Side):
    """A side that knows nothing by itself: a test gives it the methods that a check asks for."""

    name, tier = "told", "published"
