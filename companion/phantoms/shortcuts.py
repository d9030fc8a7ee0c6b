"""What goes with disease on an image without being disease: projection, words, devices (the paper's section 5).

A model may learn these instead of the finding, which is one way to fail at another hospital. One parameter, `shortcut`,
sets how strong they are: 0 is none, 1 is as stated here.

- Projection: the sicker are imaged in bed (AP). At 1 each finding's odds of an AP image are those of
  CheXpert train, frontal images (results/published/label_counts.csv), carried to the hospital's own share of
  AP images, or the nearest to them where findings that go together lean to different projections.
- Words: "PORTABLE" and "AP" are burned into AP images, more often in the sicker. How much more is
  assumed: `WORDS`. The side marker is independent.
- Devices go with disease as in the published pairs, see `copula`.

A hospital's share of AP images, of words among them and of devices is the same at any strength.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from companion.phantoms.acquisition import Style
from companion.phantoms.copula import copula
from companion.phantoms.hospitals import Hospital

#: Assumed: correlation, at full strength, of a patient's sickness with the words on an AP image.
WORDS = 0.5


def leaning(place: Hospital, sickness: float, shortcut: float) -> Style:
    """The hospital's style with the chances that this patient has of an AP image and of words on it.

    `sickness` is standard normal over patients; the chances average to the style's shares.
    """
    style = place.style
    if shortcut == 0:
        return style
    strength = copula(place.name, shortcut).strength
    words = shortcut * WORDS
    offset = _offset(style.ap, style.portable, strength, words)
    return replace(
        style,
        ap=float(_chance(sickness, strength, ndtri(style.ap))),
        portable=float(_chance(sickness, words, offset)),
    )


def _chance(sickness: float | np.ndarray, correlation: float, offset: float) -> float | np.ndarray:
    """P(offset + noise > 0) where the noise correlates with sickness and has variance 1."""
    return ndtr((correlation * sickness + offset) / np.sqrt(1 - correlation**2))


@lru_cache(maxsize=64)
def _offset(ap: float, portable: float, strength: float, words: float) -> float:
    """The offset at which the share `portable` of AP images has words, given that AP images show the sicker."""
    sickness = np.linspace(-5, 5, 401)
    weight = np.exp(-(sickness**2) / 2) * _chance(sickness, strength, ndtri(ap))

    def excess(offset: float) -> float:
        return float(np.average(_chance(sickness, words, offset), weights=weight)) - portable

    return float(brentq(excess, -6, 6))
