"""How good the reconstructed intervals are: on our own runs, where the bootstrap by patient can be had as well.

The audit has to assume how often a label is said, that findings err independently, and how two models'
errors correlate. Runs with per-study rows know all three. The comparison is over findings with a score above
zero: at zero the bootstrap shows no spread at all, while the reconstruction, rightly, does.
"""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from scipy.stats import pearsonr

from chexreason.labels import LABEL_SETS
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
    for table, label_set in ((5, "chexpert14"), (6, "nih9")):
        for model in MODELS:
            with suppress(CannotTell):
                found = [side.finding(table, model, name) for name in LABEL_SETS[label_set]]
                prevalence, (n,) = side.prevalence(table), {studies.n for studies in found[0].n}
                scored = {one.scope[0]: one for one in found if one.value > 0 and prevalence[one.scope[0]] > 0}
                if len(scored) >= 3:
                    values = {name: one.value for name, one in scored.items()}
                    positives = {name: prevalence[name] * n for name in scored}
                    rebuilt = sure.macro(values, positives, np.random.default_rng(0))
                    draws = np.mean([one.draws for one in scored.values()], axis=0)
                    drawn = percentiles(np.append(rebuilt.estimate, draws))
                    widths.append((rebuilt.high - rebuilt.low) / (drawn.high - drawn.low))
        with suppress(CannotTell):
            pair = [over(side, table, model, LABEL_SETS[label_set]).draws for model in ("medgemma_sft", "chexreason")]
            if min(draws.std() for draws in pair) > 0:
                correlations.append(float(pearsonr(*pair).statistic))
    return Calibration(tuple(widths), tuple(correlations))
