"""What several sampled answers to each image tell apart: seeing, naming, form and sharpness.

It belongs to no section: the paper scores one answer to an image. Here a policy is asked K times about each of N
patients. *Seeing* is how its votes rank the patients by a finding, *naming* how many labels it names, *form* how many
answers can be read, and *sharpness* how near one answer comes to the vote. Every measure is a function of sums over
patients, so that a bootstrap is a product of matrices: `draws` says what each patient weighs in each resample, and a
measure has a value for each, the estimate first. A ratio with nothing below the line is NaN, but an F1 is 0.
Suffixes: `_N` patients, `_K` answers, `_F` findings, `_R` draws of patients, `_L` levels of the share that names one.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from chexreason.metrics import Bools
from companion.evidence import stats
from companion.evidence.stats import Counts, Floats

#: The columns that make a patient abnormal (14,), and what `split` divides a change into.
ABNORMAL = np.array([name not in (NO_FINDING, SUPPORT_DEVICES) for name in FINDINGS])
PARTS = ("seeing", "naming", "form", "sharpness")


def draws(stratum_N: Counts, weight_N: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """What each patient weighs: as sampled, then in each resample (1 + R, N).

    Patients are drawn with replacement within each stratum, as Rao and Wu (1988) do: of n patients n - 1, which then
    weigh n / (n - 1) times as much, because totals of n of n vary too little by that factor. A stratum whose patients
    weigh the same weighs the same in every draw; one of a single patient does not vary.
    """
    often_RN = np.ones((1 + resamples, len(weight_N)))
    for stratum in np.unique(stratum_N):
        rows = np.flatnonzero(stratum_N == stratum)
        if (n := len(rows)) > 1:
            often_RN[1:, rows] = rng.multinomial(n - 1, np.full(n, 1 / n), size=resamples) * (n / (n - 1))
    return often_RN * weight_N


class Sampled:
    """K answers of one policy about each of N patients, beside what the reference records."""

    def __init__(self, said_NKF: Bools, failed_NK: Bools, true_NF: Bools, findings: Sequence[str]) -> None:
        """What answers name (N, K, 14), which cannot be read, what is recorded (N, 14), and the findings that count."""
        shapes, (n, k, columns) = [each.shape for each in (said_NKF, failed_NK, true_NF)], said_NKF.shape
        if shapes[1:] != [(n, k), (n, columns)] or columns != len(FINDINGS):
            raise ValueError(f"expected shapes (N, K, {len(FINDINGS)}), (N, K), (N, {len(FINDINGS)}), got {shapes}")
        if not findings or not set(findings) <= {*FINDINGS} - {NO_FINDING}:
            raise ValueError(f"expected findings other than {NO_FINDING}, got {findings}")
        if (said_NKF & failed_NK[:, :, None]).any():
            raise ValueError("expected unreadable answers to name nothing, got labels in some")
        counting = [FINDINGS.index(name) for name in findings]
        self.said_NKF, self.failed_NK, self.true_NF = said_NKF, failed_NK, true_NF
        self.named_NKF, self.recorded_NF = said_NKF[:, :, counting], true_NF[:, counting]  # of the findings that count
        self.answers, self.readable_N = k, (~failed_NK).sum(axis=1)
        self.count_NF = self.named_NKF.sum(axis=1)  # how many answers name each finding
        self.share_NF = self.count_NF / k  # an unreadable answer is one that does not


def _over(above: Floats, below: Floats) -> Floats:
    """A ratio, NaN where there is nothing below the line."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below != 0)


def _mean(value_N: Floats, draws_RN: Floats) -> Floats:
    """The weighted mean of one number of each patient in each draw (R,)."""
    return _over(draws_RN @ value_N, draws_RN.sum(axis=1))


def _histograms(one: Sampled, draws_RN: Floats, asked_N: Counts | int, size_N: Counts | int) -> tuple[Floats, Floats]:
    """The weight of the patients with a finding, and of all, at each share of a vote in each draw (R, F, L).

    The vote is of `size` of the answers `asked` for, without replacement; a patient is at each share as likely as a
    choice of them has it. A patient with a vote of none is nowhere. Levels go from low to high.
    """
    asked_N, size_N = (np.broadcast_to(each, len(one.count_NF)) for each in (asked_N, size_N))
    sizes, numbers = [int(size) for size in np.unique(size_N) if size], range(one.answers + 1)
    ways = np.array([[math.comb(n, k) for k in numbers] for n in numbers], dtype=float)
    shares = np.unique([0.0] + [named / size for size in sizes for named in range(size + 1)])
    level_NFL = np.zeros((*one.count_NF.shape, len(shares)))
    for size in sizes:
        rows, named = np.flatnonzero(size_N == size), np.arange(size + 1)
        count, asked = one.count_NF[rows], asked_N[rows, None]
        chance = ways[count][..., named] * ways[asked - count][..., size - named] / ways[asked, size, None]
        level_NFL[np.ix_(rows, np.arange(count.shape[1]), np.searchsorted(shares, named / size))] = chance
    sides = (level_NFL * one.recorded_NF[:, :, None], level_NFL)
    with_RFL, all_RFL = ((draws_RN @ side.reshape(len(side), -1)).reshape(-1, *side.shape[1:]) for side in sides)
    return with_RFL, all_RFL


def _named(all_L: Floats, quota: Floats) -> Floats:
    """Which part of each level (..., L) is named if the highest shares are, until they are as many as a quota (...).

    In the level where the cut falls all have the same part: what drawing among equals would give on average.
    """
    above_L = all_L[..., ::-1].cumsum(axis=-1)[..., ::-1] - all_L
    return np.divide(quota[..., None] - above_L, all_L, out=np.zeros(all_L.shape), where=all_L > 0).clip(0, 1)


def auroc_by_finding(one: Sampled, draws_RN: Floats, votes: int | None = None) -> Floats:
    """The AUROC of the share of the answers that name each finding, ties counting half (R, F).

    NaN where a draw has nobody with the finding, or nobody without. It rises with the answers that vote, more so for a
    policy that is less sharp; `votes` (up to K) asks for the expected AUROC of a vote of fewer.
    """
    with_RFL, all_RFL = _histograms(one, draws_RN, one.answers, votes or one.answers)
    without_RFL = all_RFL - with_RFL
    won_RF = (with_RFL * (without_RFL.cumsum(axis=2) - without_RFL / 2)).sum(axis=2)
    return _over(won_RF, with_RFL.sum(axis=2) * without_RFL.sum(axis=2))


def auroc(one: Sampled, draws_RN: Floats, votes: int | None = None) -> Floats:
    """The mean AUROC of those findings that have one in the draw (R,)."""
    each_RF = auroc_by_finding(one, draws_RN, votes)
    return _over(np.nansum(each_RF, axis=1), (~np.isnan(each_RF)).sum(axis=1))


def _counts(one: Sampled, draws_RN: Floats) -> Floats:
    """True positives, false positives and false negatives of one answer, averaged over the K (3, R, F)."""
    share_NF, true_NF = one.share_NF, one.recorded_NF
    return np.stack([draws_RN @ each for each in (true_NF * share_NF, ~true_NF * share_NF, true_NF * (1 - share_NF))])


def micro_f1(one: Sampled, draws_RN: Floats) -> Floats:
    """The micro-F1 of one answer, from counts averaged over the K (R,)."""
    return stats.f1(_counts(one, draws_RN).sum(axis=2))


def macro_f1(one: Sampled, draws_RN: Floats) -> Floats:
    """The macro-F1 of one answer, from counts averaged over the K (R,)."""
    return stats.f1(_counts(one, draws_RN)).mean(axis=1)


def jaccards(one: Sampled) -> Floats:
    """The Jaccard index of each answer (N, K): 1 if nothing is recorded or named, 0 if the answer cannot be read."""
    said, true = one.named_NKF, one.recorded_NF[:, None]
    both, either = (said & true).sum(axis=2), (said | true).sum(axis=2)
    return np.divide(both, either, out=np.ones(both.shape), where=either > 0) * ~one.failed_NK


def jaccard(one: Sampled, draws_RN: Floats) -> Floats:
    """The mean Jaccard index of one answer (R,)."""
    return _mean(jaccards(one).mean(axis=1), draws_RN)


def nearness(one: Sampled, other: Sampled, draws_RN: Floats) -> Floats:
    """The mean Jaccard index of all 14 labels between the answers of two policies to the same image (R,).

    Over all pairs of an answer of one with an answer of the other, so that it does not depend on how many there are; a
    pair with an answer that cannot be read counts 0.
    """
    ours, theirs = one.said_NKF.astype(float), other.said_NKF.astype(float)
    both_NKL = ours @ theirs.swapaxes(1, 2)
    either_NKL = ours.sum(axis=2)[:, :, None] + theirs.sum(axis=2)[:, None] - both_NKL
    near_NKL = np.divide(both_NKL, either_NKL, out=np.zeros(both_NKL.shape), where=either_NKL > 0)
    return _mean(near_NKL.mean(axis=(1, 2)), draws_RN)


def vote_f1(one: Sampled, draws_RN: Floats, ratio: float | None = None) -> Floats:
    """The micro-F1 of a vote that names `ratio` labels for each that is recorded, or as many as one answer does (R,).

    It makes one cut on the share for all findings. At one ratio policies differ in which labels they name only.
    """
    with_RL, all_RL = (side.sum(axis=1) for side in _histograms(one, draws_RN, one.answers, one.answers))
    recorded_R = with_RL.sum(axis=1)
    part_RL = _named(all_RL, draws_RN @ one.share_NF.sum(axis=1) if ratio is None else ratio * recorded_R)
    hits_R, named_R = (part_RL * with_RL).sum(axis=1), (part_RL * all_RL).sum(axis=1)
    return stats.f1(np.stack([hits_R, named_R - hits_R, recorded_R - hits_R]))


def named_per_recorded(one: Sampled, draws_RN: Floats) -> Floats:
    """How many labels one answer names for each that is recorded (R,)."""
    return _over(draws_RN @ one.share_NF.sum(axis=1), draws_RN @ one.recorded_NF.sum(axis=1))


def false_normal(one: Sampled, draws_RN: Floats) -> Floats:
    """Of the answers about abnormal patients, the share that names No Finding and nothing abnormal (R,).

    All columns but No Finding and Support Devices are abnormal, whether they count or not. Silence is not normal.
    """
    called_NK = one.said_NKF[:, :, FINDINGS.index(NO_FINDING)] & ~one.said_NKF[:, :, ABNORMAL].any(axis=2)
    abnormal_N = one.true_NF[:, ABNORMAL].any(axis=1)
    return _over(draws_RN @ (called_NK.mean(axis=1) * abnormal_N), draws_RN @ abnormal_N)


def failed(one: Sampled, draws_RN: Floats) -> Floats:
    """The share of the answers that cannot be read (R,)."""
    return _mean(one.failed_NK.mean(axis=1), draws_RN)


def pass_at(one: Sampled, draws_RN: Floats, k: int) -> tuple[Floats, Floats]:
    """The best Jaccard index among k of the K answers, and the share of patients with an exact match (R,) each.

    Both are expected over all choices of k, as by Chen et al. 2021 (arXiv:2107.03374), from the rank of the best.
    """
    if not 1 <= k <= one.answers:
        raise ValueError(f"expected 1 to {one.answers} answers, got {k}")
    chance_K = np.array([math.comb(rank, k - 1) / math.comb(one.answers, k) for rank in range(one.answers)])
    sorted_NK = np.sort(jaccards(one), axis=1)
    return _mean(sorted_NK @ chance_K, draws_RN), _mean((sorted_NK == 1) @ chance_K, draws_RN)


def brier(one: Sampled, draws_RN: Floats) -> Floats:
    """The Brier score of the share as a probability, over findings (R,); chance in K answers adds p (1 - p) / K."""
    return _mean(((one.share_NF - one.recorded_NF) ** 2).mean(axis=1), draws_RN)


def calibration(one: Sampled, draws_RN: Floats, bins: int = 10) -> Floats:
    """Of each bin of the share: the mean share, how often the label is recorded, and the weight (R, bins, 3)."""
    inside = np.minimum(one.count_NF * bins // one.answers, bins - 1)[:, None] == np.arange(bins)[:, None]
    each = (one.share_NF[:, None] * inside, one.recorded_NF[:, None] & inside, inside)
    share, recorded, weight = (draws_RN @ one_of.sum(axis=2) for one_of in each)
    return np.stack([_over(share, weight), _over(recorded, weight), weight], axis=2)


def _hits(one: Sampled, size_N: Counts, draws_RN: Floats, named: Sequence[Floats]) -> Floats:
    """The recorded labels per patient that an endless vote names, for each of Q numbers named per finding (Q, R).

    A vote of K falls short of it by something like 1 / K, so about as much as half the vote falls short of the vote.
    """
    found, ranked_R = [], draws_RN @ (size_N > 0)
    for size in (size_N, (size_N + 1) // 2):
        sides = _histograms(one, draws_RN, one.readable_N, size)
        with_RFL, all_RFL = (_over(side, ranked_R[:, None, None]) for side in sides)
        found.append([(_named(all_RFL, quota_RF) * with_RFL).sum(axis=(1, 2)) for quota_RF in named])
    return 2 * np.array(found[0]) - np.array(found[1])


def _rates(one: Sampled, draws_RN: Floats) -> tuple[Floats, Floats, Floats]:
    """Labels that a readable answer names (R, F), those of them recorded (R,), and the share of readable ones (R,)."""
    readable_R = draws_RN @ one.readable_N
    right_R = _over(draws_RN @ (one.count_NF * one.recorded_NF).sum(axis=1), readable_R)
    return _over(draws_RN @ one.count_NF, readable_R[:, None]), right_R, _mean(one.readable_N / one.answers, draws_RN)


def _shapley(score: Callable[..., Floats]) -> dict[str, Floats]:
    """What each of the four `PARTS` adds to a score when it is turned from 0 to 1, averaged over all orders."""
    found = dict.fromkeys(PARTS, np.zeros(()))
    for order in itertools.permutations(PARTS):
        steps = [score(*(int(part in order[:done]) for part in PARTS)) for done in range(len(PARTS) + 1)]
        for done, part in enumerate(order):
            found[part] = found[part] + (steps[done + 1] - steps[done]) / math.factorial(len(PARTS))
    return found


def split(a: Sampled, b: Sampled, draws_RN: Floats) -> dict[str, Floats]:
    """The change of one answer's micro-F1 from policy a to policy b ("all"), and the four parts that add up to it (R,).

    An answer, readable as often as `form` says, names as many labels of each finding as `naming` does. A vote of
    `seeing` that names as many has so many hits; of those above chance one answer has the fraction that it has in
    `sharpness`. With one policy for all four this is its own micro-F1, and a part is its Shapley value.

    A fraction, because what is left over would change with form and naming. Both policies vote with as many answers as
    both have readable, and the vote is extrapolated to endless answers: failures and chance would look like worse
    seeing. Limits: the vote reads the same answers and is no other model; it does not rank patients about whom all
    answers agree, so that naming far more or less moves seeing a little; failures are taken to be independent of the
    finding; and where the vote sees next to nothing (`auroc`), sharpness is a ratio of noise.
    """
    named, right, form = zip(*(_rates(one, draws_RN) for one in (a, b)), strict=True)
    recorded_RF = _over(draws_RN @ a.recorded_NF, draws_RN.sum(axis=1)[:, None])
    chance = np.array([(each * recorded_RF).sum(axis=1) for each in named])
    size_N = np.minimum(a.readable_N, b.readable_N)
    gain = np.array([_hits(one, size_N, draws_RN, named) - chance for one in (a, b)])  # (seeing, naming, R)
    sharp = [np.where(gain[i, i] == 0, 1, _over(right[i] - chance[i], gain[i, i])) for i in (0, 1)]

    def score(seeing: int, naming: int, read: int, sharpness: int) -> Floats:
        hits_R = chance[naming] + sharp[sharpness] * gain[seeing, naming]
        return _over(2 * form[read] * hits_R, form[read] * named[naming].sum(axis=1) + recorded_RF.sum(axis=1))

    return {**_shapley(score), "all": micro_f1(b, draws_RN) - micro_f1(a, draws_RN)}
