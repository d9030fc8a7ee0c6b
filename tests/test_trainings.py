"""What the sampled answers say: changes, their parts and intervals, on answers whose truth is known."""

import gzip
import json
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn.metrics import f1_score, roc_auc_score

from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from companion.evidence import instrument, stats, trainings
from companion.evidence.trainings import Trainings
from companion.experiment import patients
from companion.experiment.scores import OWN, Cell, own

SEEN = [FINDINGS.index(name) for name in patients.SEEN]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three trainings of three arms on noisy evidence; `naming` names more than `start`, `seeing` has more evidence."""
    root, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"POOL": 1600, "PLAIN": dict.fromkeys("ABC", 150), "ENOUGH": 12}.items():
            patch.setattr(patients, name, value)
        patch.setattr(trainings, "RESAMPLES", 300)
        for cached in (patients.sample, trainings.draws):
            cached.cache_clear()
        noise = {world: rng.standard_normal((len(patients.sample(world.population)), 14)) for world in patients.WORLDS}
        for seed in range(3):
            for arm, (evidence, cut) in {"start": (1.0, 1.6), "naming": (1.0, 0.8), "seeing": (2.4, 2.2)}.items():
                parts = []
                for world in patients.WORLDS:
                    true_NF = patients.truth(world.population, OWN[world.image])
                    there = evidence if world.image == "A" else min(evidence, 1.5)  # less is seen on others' images
                    chance_NF = 1 / (1 + np.exp(-2 * (there * true_NF + noise[world] - cut)))
                    said_NKF = rng.random((len(true_NF), 6, 14)) < chance_NF[:, None]
                    codes = (said_NKF * (1 << np.arange(14))).sum(axis=2)
                    words = [" ".join(f"{code:x}" for code in row) for row in codes]
                    index = patients.sample(world.population)["index"]
                    parts.append(pd.DataFrame({"population": world.population, "image": world.image, "index": index,
                                               "checkpoint": "last", "answers": words}))  # fmt: skip
                folder = root / f"seed{seed}" / f"{arm}-answers"
                folder.mkdir(parents=True)
                rows = pd.concat(parts).sample(frac=1, random_state=1).to_csv(index=False)
                (folder / "predictions.csv.gz").write_bytes(gzip.compress(rows.encode()))
                (folder / "run.json").write_text(json.dumps({"run_id": f"{arm}-answers", "tier": "miniature"}))
        yield Trainings(root)
    for cached in (patients.sample, trainings.draws):
        cached.cache_clear()


def test_outcomes_are_scikit_learns(made):
    cell = own("B")
    one = made.sampled("start", 1, cell)
    weight, true_NF = patients.sample("B")["weight"].to_numpy(), patients.truth("B", "radiologist")
    share_NF = one.said_NKF.mean(axis=1)
    area = [roc_auc_score(true_NF[:, k], share_NF[:, k], sample_weight=weight) for k in SEEN]
    assert made.value("seeing", "start", 1, cell)[0] == pytest.approx(np.mean(area))
    flat = [np.concatenate([each[:, SEEN].ravel() for each in one.said_NKF.swapaxes(0, 1)])]
    truth, weights = np.tile(true_NF[:, SEEN].ravel(), 6), np.tile(np.repeat(weight, len(SEEN)), 6)
    expected = f1_score(truth, flat[0], sample_weight=weights)
    assert made.value("micro-F1", "start", 1, cell)[0] == pytest.approx(expected)


def test_a_change_of_naming_and_one_of_seeing_are_told_apart(made):
    naming, seeing = made.split("naming", "start", own("A")), made.split("seeing", "start", own("A"))
    for parts in (naming, seeing):
        assert sum(parts[name].estimate for name in parts if name != "all") == pytest.approx(parts["all"].estimate)
        assert parts["all"].seeds == (0, 1, 2)
    assert seeing["seeing"].estimate > 3 * abs(seeing["naming"].estimate)
    assert made.change("named per recorded", "naming", "start", own("A")).low > 0


@pytest.mark.parametrize(
    ("ps", "expected"),
    [((0.01, 0.04), (True, True)), ((0.026, 0.04), (False, False)), ((0.01, 0.06), (True, False)),
     ((0.06, 0.01), (False, True))],
)  # fmt: skip
def test_holms_steps(ps, expected):
    def at(p):
        return trainings.Change(student.isf(p / 2, 9), 0, 0, (0,), (0.1,), 1.0, 9.0)

    changes = {name: at(p) for name, p in zip("ab", ps, strict=True)}
    assert [changes[name].p for name in "ab"] == pytest.approx(ps)
    found = trainings.holm(changes)
    assert (found["a"], found["b"]) == expected


#: Standard errors of a change with eight answers (results/experiment/power.csv): the patients' luck that is shared, a
#: training's own with its answers, and the spread of trainings.
ERRORS = {
    "seeing at A": (0.0, 0.0082, 0.0033), "seeing at A, half shared": (0.0053, 0.0062, 0.0033),
    "the split's seeing at A": (0.0023, 0.0135, 0.0), "micro-F1 at A": (0.0023, 0.0063, 0.0089),
    "micro-F1 at C": (0.0046, 0.0066, 0.0306), "false normals at C": (0.013, 0.0088, 0),
}  # fmt: skip


def simulated(errors, many, rng, resamples=80):
    """Trainings of no change at all, each with its replicates (many, 1 + R)."""
    shared, own, spread = errors
    estimate = shared * rng.standard_normal() + np.hypot(own, spread) * rng.standard_normal(many)
    drawn = shared * rng.standard_normal(resamples) + own * rng.standard_normal((many, resamples))
    return estimate[:, None] + np.c_[np.zeros(many), drawn]


@pytest.mark.parametrize("many", [3, 5, 10])
@pytest.mark.parametrize("errors", ERRORS.values(), ids=list(ERRORS))
def test_intervals_cover_what_they_say(errors, many):
    rng = np.random.default_rng(0)
    found = [trainings.over(range(many), simulated(errors, many, rng)) for _ in range(1500)]
    assert 0.93 < np.mean([one.low <= 0 <= one.high for one in found]) < 0.97
    assert np.mean([one.p <= 0.05 for one in found]) == np.mean([one.excludes_zero for one in found])


def test_weighing_bootstrapped_trainings_counts_their_luck_again():
    rng, old, new = np.random.default_rng(0), [], []
    for _ in range(500):
        values = simulated(ERRORS["seeing at A"], 10, rng, 400)
        for kept, (low, high) in (
            (old, np.quantile(stats.over_seeds(list(values))[1:], [0.0125, 0.9875])),
            (new, astuple(trainings.over(range(10), values).interval(0.975))[1:]),
        ):
            kept.append((low <= 0 <= high, not low <= -0.01 <= high))
    (covers_old, sees_old), (covers_new, sees_new) = np.mean(old, axis=0), np.mean(new, axis=0)
    assert covers_old > 0.99
    assert 0.95 < covers_new < 0.99
    assert sees_old < 0.45
    assert sees_new > 0.7


def test_a_single_training_has_the_patients_variance_alone():
    drawn = np.random.default_rng(0).standard_normal(1000)
    one = trainings.over((0,), [np.r_[3.0, drawn]])
    assert one.patients_only
    assert one.error == pytest.approx(drawn.std(ddof=1))
    assert one.freedom == 999
    same = trainings.over((0, 1, 2), [np.r_[3.0, drawn]] * 3)  # the untouched base beside three trainings
    assert same.patients_only
    assert (same.low, same.high) == pytest.approx((one.low, one.high))
    assert not trainings.over((0, 1), [np.r_[3.0, drawn], np.r_[4.0, drawn]]).patients_only
    assert trainings.over((0, 1), [np.zeros(9)] * 2).p == 1
    assert trainings.over((0, 1), [np.ones(9)] * 2).p == 0
    assert one.interval(0.95) == stats.Interval(one.estimate, one.low, one.high)


def test_a_draw_in_which_a_ratio_bursts_makes_no_interval():
    values = np.random.default_rng(0).standard_normal((3, 1001)) + 3 * np.random.default_rng(1).standard_normal(1001)
    burst = values.copy()
    burst[0, 5] = 1e6
    calm, wild = (trainings.over((0, 1, 2), each) for each in (values, burst))
    assert wild.error == pytest.approx(calm.error, rel=0.05)


def test_all_sides_use_as_many_answers_as_the_one_with_fewest(made, tmp_path):
    for (arm, seed), place in made.places.items():
        if arm not in ("start", "seeing"):
            continue
        rows = pd.read_csv(place / "predictions.csv.gz", dtype={"answers": str})
        for population, image in (("C", "A"), ("A", "C")):  # asked less often away from home, and in start everywhere
            few = (rows["population"] == population) & (rows["image"] == image) if arm == "seeing" else slice(None)
            rows.loc[few, "answers"] = (
                rows.loc[few, "answers"].str.split(" ").str[: 2 if arm == "seeing" else 4].str.join(" ")
            )
        folder = tmp_path / f"seed{seed}" / f"{arm}-answers"
        folder.mkdir(parents=True)
        rows.to_csv(folder / "predictions.csv.gz", index=False)
        (folder / "run.json").write_text("{}")
    cut, home = Trainings(tmp_path), own("A")
    for outcome in ("seeing", "Brier score", "F1 at matched naming"):
        assert cut.level(outcome, "seeing", home).answers == 6
        assert cut.level(outcome, "seeing", home, ["start"]).answers == cut.level(outcome, "start", home).answers == 4
        pair = [cut.level(outcome, arm, home, ["seeing", "start"]).estimate for arm in ("seeing", "start")]
        change = cut.change(outcome, "seeing", "start", home)
        assert (change.answers, change.estimate) == (4, pytest.approx(pair[0] - pair[1]))
    draws_RN = trainings.draws("A")
    parts = [
        instrument.split(cut.sampled("start", s, home), cut.sampled("seeing", s, home, 4), draws_RN) for s in range(3)
    ]
    assert cut.split("seeing", "start", home)["seeing"].estimate == pytest.approx(
        np.mean([one["seeing"][0] for one in parts])
    )
    shares = cut.shares("seeing", "seeing", "start", "C")
    assert {one.answers for one in shares.values()} == {2}
    assert sum(shares[name].estimate for name in trainings.FACTORS) == pytest.approx(shares["all"].estimate)


def test_other_patients_than_the_samples_are_refused(made, tmp_path):
    rows = pd.read_csv(made.places["start", 0] / "predictions.csv.gz", dtype={"answers": str})
    folder = tmp_path / "seed0" / "start-answers"
    folder.mkdir(parents=True)
    rows[rows["index"] != rows["index"].min()].to_csv(folder / "predictions.csv.gz", index=False)
    (folder / "run.json").write_text("{}")
    with pytest.raises(UserError, match="the sample's patients"):
        Trainings(tmp_path).sampled("start", 0, own("A"))


def test_what_differs_between_two_hospitals_is_shared_out(made):
    parts = made.shares("micro-F1", "seeing", "start", "C")
    there, here = (made.change("micro-F1", "seeing", "start", own(hospital)) for hospital in "CA")
    assert parts["all"].estimate == pytest.approx(there.estimate - here.estimate)
    assert sum(parts[name].estimate for name in trainings.FACTORS) == pytest.approx(parts["all"].estimate)


def test_arms_without_a_common_seed_or_world_are_refused(made):
    made.places["late", 7] = made.places["start", 0]
    with pytest.raises(UserError, match="a seed in common"):
        made.change("seeing", "late", "start", own("A"))
    with pytest.raises(UserError, match="answers of start in BC"):
        made.sampled("start", 0, Cell("B", "C", "report"))
