"""What the sampled answers say: changes, their parts and intervals, on answers whose truth is known."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from companion.evidence import trainings
from companion.evidence.trainings import Cell, Trainings, own
from companion.experiment import patients

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
                    true_NF = patients.truth(world.population, trainings.OWN[world.image])
                    there = evidence if world.image == "A" else min(evidence, 1.5)  # less is seen on others' images
                    chance_NF = 1 / (1 + np.exp(-2 * (there * true_NF + noise[world] - cut)))
                    said_NKF = rng.random((len(true_NF), 6, 14)) < chance_NF[:, None]
                    codes = (said_NKF * (1 << np.arange(14))).sum(axis=2)
                    words = [" ".join(f"{code:x}" for code in row) for row in codes]
                    index = patients.sample(world.population)["index"]
                    parts.append(pd.DataFrame({"population": world.population, "image": world.image, "index": index,
                                               "answers": words}))  # fmt: skip
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
    ("shares", "expected"),  # of 1,000 replicates below zero: p is twice that
    [((5, 20), (True, True)), ((13, 20), (False, False)), ((5, 30), (True, False)), ((30, 5), (False, True))],
)
def test_holms_steps(shares, expected):
    def beyond(below):
        return trainings.Change(0.1, 0, 0, (0,), (0.1,), np.r_[0.1, np.repeat([-1.0, 1.0], [below, 1000 - below])])

    found = trainings.holm({name: beyond(below) for name, below in zip("ab", shares, strict=True)})
    assert (found["a"], found["b"]) == expected


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
