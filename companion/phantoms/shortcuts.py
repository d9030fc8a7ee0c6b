"""What goes with disease on an image without being disease: projection, words, devices (the paper's section 5).

A model may learn these instead of the finding, which is one way to fail at another hospital.

- Projection: the sicker are imaged in bed (AP). Each finding's odds of an AP image are those of CheXpert train, frontal
  images (results/published/label_counts.csv), carried to the hospital's own share of AP images, or the nearest to them
  where findings that go together lean to different projections.
- Words: "PORTABLE" and "AP" are burned into AP images, more often in the sicker. How much more is assumed: `WORDS`.
  The side marker is independent.
- Devices go with disease as in the published pairs, see `copula`.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from companion.phantoms.acquisition import Style
from companion.phantoms.copula import copula
from companion.phantoms.hospitals import Hospital

#: Assumed: correlation of a patient's sickness with the words on an AP image.
WORDS = 0.5


def leaning(place: Hospital, sickness: float) -> Style:
    """The hospital's style with the chances that this patient has of an AP image and of words on it.

    `sickness` is standard normal over patients; the chances average to the style's shares.
    """
    style, strength = place.style, copula(place.name).strength
    return replace(
        style,
        ap=float(_chance(sickness, strength, ndtri(style.ap))),
        portable=float(_chance(sickness, WORDS, _offset(style.ap, style.portable, strength))),
    )


def _chance(sickness: float | np.ndarray, correlation: float, offset: float) -> float | np.ndarray:
    """P(offset + noise > 0) where the noise correlates with sickness and has variance 1."""
    return ndtr((correlation * sickness + offset) / np.sqrt(1 - correlation**2))


@lru_cache(maxsize=64)
def _offset(ap: float, portable: float, strength: float) -> float:
    """The offset at which the share `portable` of AP images has words, given that AP images show the sicker."""
    sickness = np.linspace(-5, 5, 401)
    weight = np.exp(-(sickness**2) / 2) * _chance(sickness, strength, ndtri(ap))

    def excess(offset: float) -> float:
        return float(np.average(_chance(sickness, WORDS, offset), weights=weight)) - portable

    return float(brentq(excess, -6, 6))
