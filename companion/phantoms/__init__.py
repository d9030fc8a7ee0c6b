"""Phantoms: procedurally drawn chest images from three simulated hospitals, with the truth known.

They stand in for the credentialed data of the paper's section 3.1 wherever that cannot be had. Read in this order:
`canvas` (drawing), `anatomy` (a patient), `radiograph` (optical depth), `airspace`, `chestwall` and `devices` (painters
of findings), `findings` (their table), `acquisition` (how an image looks), `hospitals`, `copula` (which findings come
together), `shortcuts` (what goes with disease and is none), `conventions` (how it is labelled), `case` (all together),
`writers` (files).
"""

from companion.phantoms.case import Case, at_hospital, draw, draw_with_masks, lesion_of, relabel, sample_case, without
from companion.phantoms.conventions import CONVENTIONS
from companion.phantoms.findings import FINDING_PAINTERS
from companion.phantoms.hospitals import HOSPITALS, Hospital
from companion.phantoms.lesion import Lesion

__all__ = [
    "CONVENTIONS", "FINDING_PAINTERS", "HOSPITALS", "Case", "Hospital", "Lesion", "at_hospital", "draw",
    "draw_with_masks", "lesion_of", "relabel", "sample_case", "without",
]  # fmt: skip
