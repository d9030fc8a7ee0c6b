"""How good the reconstructed intervals are: on our own runs, where the bootstrap by patient can be had as well.

The audit has to assume how often a label is said, that findings err independently, and how two models'
errors correlate. Runs with per-study rows know all three. The comparison is over findings with a score above
zero: at zero the bootstrap shows no spread at all, while the reconstruction, rightly, does.
"""

from dataclasses import dataclass

import numpy as np

from chexreason.labels import LABEL_SETS
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims.effects import over
from companion.evidence.claims.ours import Ours
from companion.evidence.claims.quantity import CannotTell
from companion.evidence.stats import percentiles
from companion.evidence.tables import MODELS


@dataclass(frozen=True)
class Calibration:
    """The reconstruction against the bootstrap on one side's runs."""

    widths: tuple[float, ...]  # width of the reconstructed interval over the bootstrap's, a run each
    correlations: tuple[float, ...]  # of SFT's and ChexReason's draws, a test set each


def calibrate(side: Ours) -> Calibration:
    """Compare the two on Tables 5 and 6; runs that are missing or score nothing are left out."""
    widths, correlations = [], []
    for table, label_set in ((5, "chexpert14"), (6, "nih9")):
        for model in MODELS:
            try:
                found = [side.finding(table, model, name) for name in LABEL_SETS[label_set]]
                prevalence, (n,) = side.prevalence(table), {studies.n for studies in found[0].n}
            except CannotTell:
                continue
            scored = [one for one in found if one.value > 0 and prevalence[one.scope[0]] > 0]
            if len(scored) < 3 or n is None:
                continue
            scores = {one.scope[0]: one.value for one in scored}
            rebuilt = sure.macro(scores, {name: prevalence[name] * n for name in scores}, np.random.default_rng(0))
            drawn = percentiles(np.append(rebuilt.estimate, np.mean([one.draws for one in scored], axis=0)))
            widths.append((rebuilt.high - rebuilt.low) / (drawn.high - drawn.low))
        try:
            pair = [over(side, table, model, LABEL_SETS[label_set]).draws for model in ("medgemma_sft", "chexreason")]
        except CannotTell:
            continue
        if min(draws.std() for draws in pair) > 0:
            correlations.append(float(np.mean(np.prod([(d - d.mean()) / d.std() for d in pair], axis=0))))
    return Calibration(tuple(widths), tuple(correlations))
