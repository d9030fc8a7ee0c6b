"""How often findings are recorded, and recorded together: published, and at the simulated hospitals.

``python benchmarks/phantom_cooccurrence.py`` samples `CASES` studies of each hospital, without drawing an image, and
writes results/phantoms/cooccurrence.csv, which the book's data card shows.

The published counts (results/published/label_counts.csv and label_pairs.csv) are those of the sets that the
paper names. What is compared is P(b recorded | a recorded), for each ordered pair.

- A (MIMIC train). Nobody has published MIMIC's pairs; those of CheXpert train, whose labels come from the
  same labeler, stand for them. A child and its parent, where the convention itself speaks, are taken as they are.
  Any other pair keeps its odds ratio and is carried to MIMIC's prevalences (`carried`): both of P(b | a) and
  P(a | b) as counted in one set cannot hold where the prevalences are those of another.
- B (CheXpert test). Pairs as counted, and 1 for the parents of a child.
- C (NIH test). Pairs as counted among the names that NIH has, its Infiltration standing for Lung Opacity.

Pairs are compared under two rules, so that five points say something of the simulation and not of chance: the
condition a has at least `MIN_PUBLISHED` published positives, and at least `MIN_SIMULATED` expected in `CASES` studies.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from chexreason import config
from chexreason.labels import FINDINGS, NO_FINDING, POSITIVE
from companion.evidence import sealed
from companion.phantoms.case import findings_of, labelling_stream, sample_lesions
from companion.phantoms.conventions import NAMED_PARENT, mined, record
from companion.phantoms.hospitals import HOSPITALS
from companion.phantoms.lesion import Lesion
from companion.phantoms.tree import ancestors
from companion.workflow import provenance

RESULT = config.RESULTS / "phantoms" / "cooccurrence.csv"

#: Studies sampled for a comparison, and how far a rate may be off.
CASES, SEED = 10_000, 21
BAND = 0.05
#: A condition counts from this many published positives on (a standard error of 7 points at most) ...
MIN_PUBLISHED = 50
#: ... and from this many expected ones among the sampled studies (2.5 points at most).
MIN_SIMULATED = 400

#: hospital -> (data set, split) of its prevalences and of its pairs
PREVALENCES = {
    "A": ("mimic", "train"),
    "B": ("chexpert", "test"),
    "C": ("nih", "test"),
}
PAIRS = {**PREVALENCES, "A": ("chexpert", "train")}


@dataclass(frozen=True)
class Counts:
    """Joint counts of positive labels: `both` (14, 14) in the order of `FINDINGS`, NaN where not published."""

    both: np.ndarray
    n: int

    @property
    def prevalence(self) -> np.ndarray:
        """(14,), shares of studies."""
        return np.diag(self.both) / self.n

    @property
    def conditional(self) -> np.ndarray:
        """P(column | row), (14, 14); NaN in the row of a finding that has no positives."""
        ones = np.diag(self.both)[:, None]
        return np.divide(self.both, ones, out=np.full_like(self.both, np.nan), where=ones > 0)


#: NIH's name in the published counts -> the finding that it stands for.
STANDS_FOR = {"Lung Opacity (Infiltration)": "Lung Opacity"}


@lru_cache(maxsize=1)
def _tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    counts = sealed.frame("label_counts.csv")
    pairs = sealed.frame("label_pairs.csv")
    return counts.replace(STANDS_FOR), pairs.replace(STANDS_FOR)


@lru_cache(maxsize=8)
def published_pairs(dataset: str, split: str) -> Counts:
    """The joint counts of a published set."""
    rows = _tables()[1].query("dataset == @dataset and split == @split")
    both = np.full((len(FINDINGS), len(FINDINGS)), np.nan)
    for a, b, count in zip(rows["label_a"], rows["label_b"], rows["both"], strict=True):
        i, j = FINDINGS.index(a), FINDINGS.index(b)
        both[i, j] = both[j, i] = count
    return Counts(both, int(rows["n"].iloc[0]))


def prevalence_rows(dataset: str, split: str) -> pd.DataFrame:
    """Published counts of each label of a set: positives, uncertain, negatives, n, source; indexed by label."""
    return _tables()[0].query("dataset == @dataset and split == @split").set_index("label")


def odds_ratio(both: float, a: float, b: float, n: float) -> float:
    """Of a two-by-two table given by its counts, half a study added to each cell (Haldane).

    >>> round(odds_ratio(20, 40, 50, 100), 3)
    1.0
    """
    cells = np.array([both, n - a - b + both, a - both, b - both]) + 0.5
    return float(cells[0] * cells[1] / (cells[2] * cells[3]))


def joint(ratio: float, a: float, b: float) -> float:
    """P(a and b) at prevalences a and b with this odds ratio (Plackett 1965).

    >>> round(joint(1.0, 0.2, 0.5), 6)
    0.1
    """
    if abs(ratio - 1) < 1e-9:
        return a * b
    s = 1 + (a + b) * (ratio - 1)
    return float((s - np.sqrt(s * s - 4 * ratio * (ratio - 1) * a * b)) / (2 * (ratio - 1)))


def carried(counts: Counts, prevalence: np.ndarray) -> np.ndarray:
    """P(a and b) (14, 14) at other prevalences (14,), the odds ratios being those of `counts`; they on the diagonal."""
    known = np.diag(counts.both)
    out = np.diag(prevalence)
    for i in range(len(FINDINGS)):
        for j in range(i):
            ratio = odds_ratio(counts.both[i, j], known[i], known[j], counts.n)
            never = counts.both[i, j] == 0 and NO_FINDING in (FINDINGS[i], FINDINGS[j])
            out[i, j] = out[j, i] = 0.0 if never else joint(ratio, prevalence[i], prevalence[j])
    return out


@lru_cache(maxsize=3)
def aimed(hospital: str) -> Counts:
    """The joint rates that a hospital's recorded labels are to meet, as counts of its published studies."""
    rows = prevalence_rows(*PREVALENCES[hospital]).reindex(FINDINGS)
    n = int(rows["n"].max())
    pairs = published_pairs(*PAIRS[hospital])
    if hospital == "A":
        both = carried(pairs, (rows["positives"] / n).to_numpy()) * n
        for child, parent in NAMED_PARENT:
            i, j = FINDINGS.index(child), FINDINGS.index(parent)
            both[i, j] = both[j, i] = pairs.conditional[i, j] * both[i, i]
    else:
        both = pairs.both.copy()
    if hospital == "B":
        for child in FINDINGS:
            for parent in ancestors(child):
                i, j = FINDINGS.index(child), FINDINGS.index(parent)
                both[i, j] = both[j, i] = both[i, i]
    return Counts(both, n)


@lru_cache(maxsize=8)
def simulated(hospital: str, cases: int, seed: int, /) -> Counts:
    """Joint counts of the positive labels of sampled studies of a hospital; no image is drawn.

    At C what is mined counts, Infiltration as Lung Opacity, though that leaves no label. Only a report looks at
    more of a lesion than its name, so that the other conventions need not have it sampled.
    """
    convention = HOSPITALS[hospital].convention
    positive = np.zeros((cases, len(FINDINGS)), dtype=np.float32)
    for index in range(cases):
        lesions = sample_lesions(seed, index, hospital)[0] if convention == "report" else _named(seed, index, hospital)
        stream = labelling_stream(seed, index, convention)
        if convention == "text-mined":
            found = mined(lesions, stream) or {NO_FINDING}
        else:
            found = {name for name, value in record(lesions, convention, stream).items() if value == POSITIVE}
        positive[index, [FINDINGS.index(name) for name in found]] = 1
    return Counts((positive.T @ positive).astype(float), cases)


def _named(seed: int, index: int, hospital: str) -> tuple[Lesion, ...]:
    """The lesions of a study with nothing but their names."""
    return tuple(Lesion(name, severity=1.0, side="") for name in findings_of(seed, index, hospital)[0])


def projection(hospital: str) -> dict[str, float]:
    """P(AP | finding) that a hospital aims at: CheXpert train's odds ratio at the hospital's own shares."""
    place = HOSPITALS[hospital]
    ap, pa = (prevalence_rows("chexpert", f"train images, {view}") for view in ("AP", "PA"))
    aims = {}
    for name, rate in place.rates.items():
        with_it, images = ap["positives"][name], ap["n"][name]
        ratio = odds_ratio(with_it, with_it + pa["positives"][name], images, images + pa["n"][name])
        aims[name] = joint(ratio, rate.drawn, place.style.ap) / rate.drawn
    return aims


def compared(hospital: str, cases: int = CASES, seed: int = SEED) -> pd.DataFrame:
    """A row a label ("given" is empty: its prevalence) and a row an ordered pair: hospital, given, finding, published,
    simulated, counts (whether the rules compare it)."""
    aim, got = aimed(hospital), simulated(hospital, cases, seed)
    support = np.diag(published_pairs(*PAIRS[hospital]).both)
    counts = (support >= MIN_PUBLISHED) & (aim.prevalence * CASES >= MIN_SIMULATED)
    size, known = len(FINDINGS), ~np.isnan(aim.both)
    known[np.diag_indices(size)] = False
    each = np.flatnonzero(~np.isnan(aim.prevalence))
    rows, columns = np.nonzero(known)
    names = np.array(FINDINGS)
    return pd.DataFrame(
        {
            "hospital": hospital,
            "given": [*[""] * len(each), *names[rows]],
            "finding": [*names[each], *names[columns]],
            "published": [*aim.prevalence[each], *aim.conditional[rows, columns]],
            "simulated": [*got.prevalence[each], *got.conditional[rows, columns]],
            "counts": [*[True] * len(each), *counts[rows]],
        }
    )


def main() -> None:
    """Write the comparison, and print what lies farther apart than the band."""
    found = pd.concat(map(compared, HOSPITALS), ignore_index=True).assign(studies=CASES, seed=SEED)
    found.to_csv(RESULT, index=False, float_format="%.5f")
    provenance.write_measured(RESULT)
    print(found[found["counts"] & ((found["simulated"] - found["published"]).abs() > BAND)].to_string(index=False))


if __name__ == "__main__":
    main()
