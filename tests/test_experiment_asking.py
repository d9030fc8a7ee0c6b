"""What an arm is asked: how often about which images, by which checkpoint, and what the record says of it."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from chexreason import cohorts, config, files
from chexreason.labels import FINDINGS, positives
from companion.experiment import asking, patients, plan
from companion.experiment.words import read


def test_how_often_each_world_is_asked():
    each = {name: {world.name: arm.answers(world) for world in arm.worlds} for name, arm in plan.ARMS.items()}
    for name in ("base", "sft", "hard", "nuanced"):
        assert each[name] == {"AA": 16, "AB": 2, "AC": 2, "BA": 2, "BB": 8, "CA": 2, "CC": 16}
    assert all(worlds == {"AA": 4, "BB": 4, "CC": 4} for name, worlds in each.items() if plan.get(name).question > 1)


@pytest.fixture
def profile(drawn, held, checkpoints, monkeypatch):
    """Small trees, a random model, answers of a few tokens, and three patients of each hospital."""
    few = pd.DataFrame({"index": [0, 3, 4], "stratum": "none", "weight": 1.0})
    monkeypatch.setattr(patients, "sample", lambda population: few)
    monkeypatch.setattr(plan, "BLACK", 32)
    place = config.DataPlace(drawn / "mimic")
    decoding = dataclasses.replace(held.decoding, max_new_tokens=3)
    return dataclasses.replace(
        held, data={**held.data, "mimic": place}, models={"medgemma": str(checkpoints / "medgemma")}, decoding=decoding
    )


@pytest.mark.parametrize("same", [False, True])
def test_the_answers_of_an_arm(profile, saved_adapter, same):
    arm = dataclasses.replace(plan.get("hard"), worlds=(patients.World("A", "A"), patients.World("A", "B")))
    for name, which, spread in (("sft", "best", 0.02), ("hard", "last", 0.2), ("hard", "best", 0.1)):
        saved_adapter("medgemma", profile.cache / "checkpoints" / name / which, spread)
    if same:
        last = profile.cache / "checkpoints" / "hard" / "last"
        shutil.rmtree(last.with_name("best"))
        shutil.copytree(last, last.with_name("best"))
        assert files.whole(last.with_name("best"))
    run = asking.ask("hard", arm, profile, profile, {"kept_own_labels": 1})
    assert (run.info["best_is_last"], run.info["kept_own_labels"]) == (same, 1)
    place = profile.cache / "rows" / "hard-answers" / "predictions.csv.gz"
    rows = pd.read_csv(place, dtype=dict.fromkeys(("answers", "greedy", "recorded"), str), keep_default_na=False)
    parts = dict(list(rows.groupby(["population", "image", "checkpoint"])))
    shapes = {key: (len(part), *{len(cell.split(" ")) for cell in part["answers"]}) for key, part in parts.items()}
    assert shapes == {("A", "A", "last"): (3, 16), ("A", "B", "last"): (3, 2), ("validation", "A", "last"): (4, 4),
                      ("black", "black", "last"): (1, 32),
                      **({} if same else {("A", "A", "best"): (3, 4)})}  # fmt: skip
    for (population, image, _), part in parts.items():
        assert all((part["greedy"] != "") == (population == image == "A"))
        assert all((part["recorded"] != "") == (population == "validation"))
        read(part["answers"])
    recorded, _ = read(parts["validation", "A", "last"]["recorded"])
    studies = {study.study_id: study for study in cohorts.choose(profile, "validation").studies}
    for index, row in zip(parts["validation", "A", "last"]["index"], recorded, strict=True):
        assert {FINDINGS[k] for k in np.flatnonzero(row[0])} == positives(studies[str(index)].labels, "zeros")
    found = run.metrics().set_index(["metric", "population"], drop=False)["value"]
    apart = run.metrics().query("metric.str.startswith('divergence')").set_index("metric")
    assert apart["population"].isna().all()
    assert apart["image"].isna().all()
    assert 0 < apart.loc["divergence", "value"] != apart.loc["divergence_from_base", "value"] > 0
    assert len(found) == 2 * len(parts) + 2
    assert asking.ask("hard", arm, profile, profile, {"kept_own_labels": 1}).info == run.info  # not asked again


def test_an_arm_that_is_not_reinforced_has_no_divergence_and_the_base_no_best(profile):
    arm = dataclasses.replace(plan.get("base"), worlds=(patients.World("A", "A"),))
    run = asking.ask("base", arm, profile, profile, {})
    assert set(run.metrics()["metric"]) == {"labels", "failure_rate"}
    assert set(run.metrics()["checkpoint"]) == {"last"}
    assert "best_is_last" not in run.info
