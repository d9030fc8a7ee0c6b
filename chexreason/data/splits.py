"""Drawing studies and holding patients apart (paper, section 3.1).

Two films of one patient share a body, and often a disease and a device. So every split is by
patient, and a sample takes a patient at most once unless it is asked not to. A sample may also be
stratified, so that a finding that one study in a hundred shows is not left to luck. Randomness is
passed in; the order in which studies come in does not matter.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, positives

#: The stratum of a study that states no finding at all.
NOTHING = "nothing stated"


def split_by_patient(
    studies: Iterable[Study], fraction: float, rng: np.random.Generator
) -> tuple[list[Study], list[Study]]:
    """(kept, held out): a fraction of the patients, with all their studies, is held out.

    The number of patients held out is `fraction` of them, rounded, and at least one on each side.
    Both lists are ordered by patient and study. Raises UserError unless 0 < fraction < 1 and there
    are two patients.
    """
    by_patient = _by_patient(studies)
    patients = sorted(by_patient)
    if not 0.0 < fraction < 1.0:
        raise UserError("a fraction of patients between 0 and 1", repr(fraction), "change the validation fraction")
    if len(patients) < 2:
        raise UserError("at least two patients to split", f"{len(patients)}", "draw more studies")
    n_held = min(max(round(fraction * len(patients)), 1), len(patients) - 1)
    held = {patients[place] for place in rng.permutation(len(patients))[:n_held]}
    kept = [study for patient in patients if patient not in held for study in by_patient[patient]]
    return kept, [study for patient in patients if patient in held for study in by_patient[patient]]


def draw(studies: Iterable[Study], n: int, rng: np.random.Generator, one_per_patient: bool = True) -> list[Study]:
    """`n` studies in random order; a patient at most once by default.

    Patients are drawn with equal chance, and then one study of each: patients with many films do
    not crowd the sample. With an equally seeded `rng`, a smaller draw is the beginning of a larger
    one, and any cut of the result is a random one.
    `one_per_patient=False` draws studies with equal chance instead (MIMIC's validate split has more
    studies than patients). Raises UserError when there are too few.
    """
    by_patient = _by_patient(studies)
    _available(by_patient, n, one_per_patient)
    patients = sorted(by_patient)
    if one_per_patient:
        order, picks = rng.permutation(len(patients)), rng.random(len(patients))
        groups = [by_patient[patients[place]] for place in order[:n]]
        return [group[int(pick * len(group))] for group, pick in zip(groups, picks[:n], strict=True)]
    every = [study for patient in patients for study in by_patient[patient]]
    return [every[place] for place in rng.permutation(len(every))[:n]]


def draw_strata(
    studies: Iterable[Study], parts: Sequence[int], rng: np.random.Generator, uncertain: str,
    one_per_patient: bool = True,
) -> list[list[Study]]:  # fmt: skip
    """Samples of `parts` studies each, without a common one, each with every stratum's share; in random order.

    One study of each patient is drawn as in `draw`. A study's stratum is its rarest positive finding
    (`strata`). Each part takes from every stratum its share of what is left there (`quotas`), at random
    within it. Every patient therefore has the same chance as in `draw`, to within one place a stratum.
    Raises UserError when there are too few.
    """
    by_patient = _by_patient(studies)
    every = _available(by_patient, sum(parts), one_per_patient)
    left = draw([study for group in by_patient.values() for study in group], every, rng, one_per_patient)
    stratum_of = strata(left, uncertain)
    taken: list[list[Study]] = []
    for n in parts:
        places = dict(quotas(Counter(stratum_of[study.key] for study in left), n))
        part, rest = [], []
        for study in left:  # in random order, so the first of a stratum are a random choice of it
            stratum = stratum_of[study.key]
            (part if places[stratum] else rest).append(study)
            places[stratum] -= places[stratum] > 0
        taken.append(part)
        left = rest
    return taken


def strata(studies: Iterable[Study], uncertain: str) -> dict[str, str]:
    """study key -> its rarest positive finding among these studies, or `NOTHING`.

    Of two that are equally rare, the first in the order of `labels.FINDINGS`. `uncertain` is the
    policy for uncertain labels (`labels.decide`).
    """
    found = {study.key: positives(study.labels, uncertain) for study in studies}
    count = Counter(name for names in found.values() for name in names)
    order = sorted(FINDINGS, key=lambda name: count[name])  # sorting keeps the order of equals
    return {key: next((name for name in order if name in names), NOTHING) for key, names in found.items()}


def quotas(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """How many of `n` places go to each stratum of `sizes`: its share, rounded by largest remainder.

    Of equal remainders the smaller stratum comes first, then the one first in the alphabet.

    >>> quotas({"Edema": 50, "Fracture": 3, "No Finding": 47}, 10)
    {'Edema': 5, 'Fracture': 0, 'No Finding': 5}
    """
    total = sum(sizes.values())
    given = {name: n * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(n * sizes[name] % total), sizes[name], name))
    for name in by_remainder[: n - sum(given.values())]:
        given[name] += 1
    return given


def assert_disjoint(a: Sequence[Study], b: Sequence[Study]) -> None:
    """Raise UserError when the two samples share a patient (of the same source)."""
    shared = {_patient(study) for study in a} & {_patient(study) for study in b}
    if shared:
        raise UserError(
            "two samples without a common patient",
            f"{len(shared)} shared patients",
            "split by patient before drawing",
        )


def _available(by_patient: Mapping[tuple[str, str], list[Study]], n: int, one_per_patient: bool) -> int:
    """How many can be drawn; UserError unless `n` are among them."""
    n_studies = sum(len(group) for group in by_patient.values())
    available = len(by_patient) if one_per_patient else n_studies
    if not 1 <= n <= available:
        came = f"{len(by_patient)} patients with {n_studies} studies"
        wanted = "patients" if one_per_patient else "studies"
        raise UserError(
            f"between 1 and {available} {wanted} to draw", f"a request for {n} out of {came}", "ask for fewer"
        )
    return available


def _patient(study: Study) -> tuple[str, str]:
    return study.source, study.patient_id


def _order(study: Study) -> tuple[str, str, str]:
    return study.source, study.patient_id, study.study_id


def _by_patient(studies: Iterable[Study]) -> dict[tuple[str, str], list[Study]]:
    groups: dict[tuple[str, str], list[Study]] = {}
    for study in sorted(studies, key=_order):
        groups.setdefault(_patient(study), []).append(study)
    return groups
