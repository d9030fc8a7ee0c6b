"""How good the reconstructed intervals are: on our own runs, where the bootstrap by patient can be had as well.

The audit has to assume how often a label is said, that findings err independently, and how two models'
errors correlate. Runs with per-study rows know all three. The comparison is over findings with a score above
zero: at zero the bootstrap shows no spread at all, while the reconstruction, rightly, does.
"""

import itertools
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from scipy.stats import pearsonr

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims.effects import over
from companion.evidence.claims.ours import Ours
from companion.evidence.claims.quantity import CannotTell
from companion.evidence.stats import percentiles
from companion.evidence.tables import MODELS


class Calibration(NamedTuple):
    """The reconstruction against the bootstrap on one side's runs."""

    widths: tuple[float, ...]  # width of the reconstructed interval over the bootstrap's, a run each
    correlations: tuple[float, ...]  # of SFT's and ChexReason's draws, a test set each


def calibrate(side: Ours) -> Calibration:
    """Compare the two on Tables 5 and 6; runs that are missing or score nothing are left out."""
    side.alone, widths, correlations = False, [], []
    for (table, names), model in itertools.product(((5, FINDINGS), (6, NIH_SHARED)), MODELS):
        with suppress(CannotTell):
            found = [side.finding(table, model, name) for name in names]
            prevalence, (n,) = side.prevalence(table), {studies.n for studies in found[0].n}
            scored = {one.scope[0]: one for one in found if one.value > 0 and prevalence[one.scope[0]] > 0}
            if len(scored) >= 3:
                values, supports = {k: q.value for k, q in scored.items()}, {k: prevalence[k] * n for k in scored}
                rebuilt = sure.macro(values, supports, np.random.default_rng(0))
                draws = np.mean([one.draws for one in scored.values()], axis=0)
                drawn = percentiles(np.append(rebuilt.estimate, draws))
                widths.append((rebuilt.high - rebuilt.low) / (drawn.high - drawn.low))
    for table, names in ((5, FINDINGS), (6, NIH_SHARED)):
        with suppress(CannotTell):
            pair = [over(side, table, model, names).draws for model in ("medgemma_sft", "chexreason")]
            if min(draws.std() for draws in pair) > 0:
                correlations.append(float(pearsonr(*pair).statistic))
    return Calibration(tuple(widths), tuple(correlations))
