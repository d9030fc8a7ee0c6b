"""A phantom study: a patient, what ails them, and the image; sampled, changed and drawn.

Four independent random streams make a case (anatomy, findings, acquisition, labelling), each from
``SeedSequence(entropy=seed, spawn_key=(index, stream))``, and each finding and each labelling convention has a
substream of its own. So the same patient can be drawn without a finding (`without`), at another hospital
(`at_hospital`), or labelled by another convention (`relabel`), and nothing else changes. The labels are those of
section 3.1 of the paper.
"""

from dataclasses import dataclass, replace

import numpy as np

from chexreason.errors import UserError, unknown
from chexreason.labels import FINDINGS, NO_FINDING
from companion.phantoms.acquisition import Acquisition, expose, sample_acquisition
from companion.phantoms.anatomy import Anatomy, sample_anatomy
from companion.phantoms.conventions import CONVENTIONS, record, truth_of
from companion.phantoms.copula import sample_findings
from companion.phantoms.findings import FINDING_PAINTERS, sample_lesion
from companion.phantoms.hospitals import hospital as hospital_named
from companion.phantoms.lesion import Lesion
from companion.phantoms.radiograph import Radiograph
from companion.phantoms.shortcuts import leaning
from companion.phantoms.tree import ancestors

#: The streams of a case; a number is never used twice.
ANATOMY, FINDINGS_STREAM, ACQUISITION, LABELLING = range(4)


def _stream(seed: int, index: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(index, *key)))


@dataclass(frozen=True)
class Case:
    """One study at one hospital."""

    seed: int
    index: int
    hospital: str
    anatomy: Anatomy
    lesions: tuple[Lesion, ...]
    acquisition: Acquisition
    sickness: float  # standard normal; the sicker are more often imaged in bed

    @property
    def truth(self) -> frozenset[str]:
        """The visible truth: drawn findings and their parents, or No Finding (devices may stand beside it)."""
        return truth_of(self.lesions)

    @property
    def recorded(self) -> dict[str, float]:
        """The labels as this hospital records them: 1.0, 0.0 or -1.0; absent is not mentioned."""
        return relabel(self, hospital_named(self.hospital).convention)


def sample_case(seed: int, index: int, hospital: str, enrichment: float = 1.0) -> Case:
    """Case number `index` of the stream `seed` at a hospital.

    `enrichment` multiplies the odds of the rare findings (1 keeps the hospital's natural rates), so that a training set
    of a given size holds enough of each. Raises UserError for an unknown hospital and a number out of range.
    """
    lesions, sickness = sample_lesions(seed, index, hospital, enrichment)
    acquisition = sample_acquisition(leaning(hospital_named(hospital), sickness), _stream(seed, index, ACQUISITION))
    return Case(seed, index, hospital, sample_anatomy(_stream(seed, index, ANATOMY)), lesions, acquisition, sickness)


def sample_lesions(seed: int, index: int, hospital: str, enrichment: float = 1.0) -> tuple[tuple[Lesion, ...], float]:
    """The lesions of `sample_case` and the patient's sickness, without the patient: for counts of labels."""
    names, sickness = findings_of(seed, index, hospital, enrichment)
    return tuple(lesion_of(seed, index, name) for name in names), sickness


def findings_of(seed: int, index: int, hospital: str, enrichment: float = 1.0) -> tuple[tuple[str, ...], float]:
    """The names of the findings of `sample_case`, and the patient's sickness."""
    if index < 0 or seed < 0:
        raise UserError("a seed and an index of 0 or more", f"seed {seed}, index {index}", "count from 0")
    return sample_findings(hospital_named(hospital), _stream(seed, index, FINDINGS_STREAM), enrichment)


def labelling_stream(seed: int, index: int, convention: str) -> np.random.Generator:
    """The random numbers from which a convention labels study `index`; UserError for an unknown convention.

    Each study has its own for each convention, so that the labels do not depend on the image, on the hospital, or on
    what other conventions wrote.
    """
    if convention not in CONVENTIONS:
        raise unknown("labelling convention", convention, CONVENTIONS, "companion/phantoms/conventions.py")
    return _stream(seed, index, LABELLING, list(CONVENTIONS).index(convention))


def relabel(case: Case, convention: str) -> dict[str, float]:
    """The labels that a convention writes for a case, whichever hospital took it: 1.0, 0.0 or -1.0."""
    return record(case.lesions, convention, labelling_stream(case.seed, case.index, convention))


def lesion_of(seed: int, index: int, finding: str) -> Lesion:
    """The lesion that case `index` has, or would have, of a finding."""
    if finding not in FINDING_PAINTERS:
        raise unknown("finding to draw", finding, FINDING_PAINTERS, "companion/phantoms/findings.py")
    return sample_lesion(finding, _stream(seed, index, FINDINGS_STREAM, FINDINGS.index(finding)))


def without(case: Case, finding: str) -> Case:
    """The same study with a finding, and all that imply it, taken away.

    Taking away Lung Opacity also takes away Edema, say, since an image with Edema shows an opacity.
    """
    if finding not in FINDINGS or finding == NO_FINDING:
        known = [name for name in FINDINGS if name != NO_FINDING]
        raise unknown("finding to take away", finding, known, "chexreason/labels.py")
    kept = tuple(x for x in case.lesions if x.finding != finding and finding not in ancestors(x.finding))
    return replace(case, lesions=kept)


def at_hospital(case: Case, hospital: str) -> Case:
    """The same patient with the same findings, imaged and labelled at another hospital."""
    style = leaning(hospital_named(hospital), case.sickness)
    acquisition = sample_acquisition(style, _stream(case.seed, case.index, ACQUISITION))
    return replace(case, hospital=hospital, acquisition=acquisition)


def draw_with_masks(case: Case, size: int = 224) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The image of a case, uint8 (size, size), and where each finding of the truth is seen, bool (size, size).

    Row 0 is at the top and the patient's right at the left. A parent's mask is the union of its children's; No Finding
    has none.
    """
    if not 32 <= size <= 2048:
        raise UserError("an image size from 32 to 2048 pixels", repr(size), "224 is usual")
    image = Radiograph(case.anatomy, case.acquisition.view, case.acquisition.pose, size)
    lesions = {lesion.finding: lesion for lesion in case.lesions}
    where: dict[str, np.ndarray] = {}
    for name, painter in FINDING_PAINTERS.items():
        if name in lesions:
            mask = np.any(list(painter(image, lesions[name])), axis=0)
            for seen in (name, *ancestors(name)):
                where[seen] = where[seen] | mask if seen in where else mask
    return expose(image.depth(), image.depth_without(), case.acquisition, image.canvas), where


def draw(case: Case, size: int = 224) -> np.ndarray:
    """The image of a case, uint8 (size, size)."""
    return draw_with_masks(case, size)[0]
