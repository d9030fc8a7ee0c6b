"""The new experiment's patients: strata that are weighted back, the same patient in each world; and its studies."""

import numpy as np
import pytest
from PIL import Image

from chexreason.labels import FINDINGS, positives
from companion.experiment import patients, plan, run, worlds
from companion.phantoms.case import labelling_stream, sample_lesions
from companion.phantoms.conventions import record
from companion.phantoms.hospitals import hospital
from companion.phantoms.writers import first_index


@pytest.fixture(autouse=True, scope="module")
def small():
    """A pool of a tenth, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"POOL": 1600, "PLAIN": dict.fromkeys("ABC", 60), "ENOUGH": 6}.items():
            patch.setattr(patients, name, value)
        patients.sample.cache_clear()
        yield
    patients.sample.cache_clear()


@pytest.mark.parametrize("population", "ABC")
def test_each_finding_has_enough_patients_and_its_natural_share(population):
    table, own = patients.sample(population), hospital(population).convention
    assert table["weight"].mean() == pytest.approx(1)
    said = [patients._recorded(population, index) for index in range(patients.POOL)]
    for name in patients.SEEN:
        for reference in (own, "visible"):
            has = patients.truth(population, reference)[:, FINDINGS.index(name)]
            pool = [name in one[reference] for one in said]
            assert has.sum() >= min(patients.ENOUGH, sum(pool)), (name, reference)
            weighted, share = np.average(has, weights=table["weight"]), np.mean(pool)
            assert abs(weighted - share) < 4 * np.sqrt(share / len(table)), (name, reference)
    rarest = table[table["stratum"] == min(patients.SEEN, key=lambda n: sum(n in one[own] for one in said))]
    assert rarest["weight"].max() < 1, "patients of the rarest finding stand for fewer than themselves"


def test_a_patient_is_the_same_in_each_world():
    here, there = (patients.World("A", image).case(7) for image in "AB")
    assert here.anatomy == there.anatomy
    assert here.lesions == there.lesions
    assert here.acquisition != there.acquisition
    row = patients.sample("A").iloc[3]
    case = patients.World("A", "A").case(int(row["index"]))
    assert set(filter(None, row["visible"].split(";"))) == case.truth


def test_images_are_drawn_once(tmp_path):
    world = patients.World("C", "A")
    patch = pytest.MonkeyPatch()
    patch.setattr(patients, "sample", lambda population, real=patients.sample: real(population).head(3))
    studies = patients.images(world, tmp_path)
    times = [study.image.stat().st_mtime_ns for study in studies]
    assert times == [study.image.stat().st_mtime_ns for study in patients.images(world, tmp_path)]
    for images in (lambda: patients.images(world, tmp_path), lambda: worlds.images(worlds.WORLDS[0], 3, tmp_path)):
        places = [study.image for study in images()]
        whole = [place.read_bytes() for place in places]
        for place, content in zip(places, (b"", whole[1][:-1], bytes(len(whole[2]))), strict=True):
            place.write_bytes(content)
        images()
        assert [place.read_bytes() for place in places] == whole, "an image that is cut is drawn anew"
    assert len({study.image.read_bytes() for study in studies}) == 3
    patch.undo()


def test_no_training_shares_a_study_with_another_and_each_has_enough(tmp_path):
    profile, roots = run.shared(results=tmp_path, cache=tmp_path), set()
    seeds = {place.draw["seed"] for place in profile.data.values() if place.draw}
    for seed in range(plan.MANY):
        own = run.at(profile, seed, plan.get("hard"))
        seeds |= {place.draw["seed"] for place in own.data.values() if place.draw}
        roots |= {place.root for place in own.data.values()}
        assert own.data == run.at(profile, seed, plan.get("sft")).data
    assert patients.SEED not in seeds
    assert len(seeds) == len(roots) + 3 == 3 * plan.MANY + 3
    assert {root.parent for root in roots} == {profile.cache / "images"}
    most = max(arm.sizes.get("sft", 2000) + arm.sizes.get("rl", 1000) for arm in plan.ARMS.values())
    for seed in range(3):
        draw = run.at(profile, seed, plan.get("hard")).data["mimic"].draw
        usable = 0
        for index in range(first_index("A", "train"), first_index("A", "train") + draw["sizes"]["train"]):
            lesions, _ = sample_lesions(draw["seed"], index, "A")
            labels = record(lesions, "report", labelling_stream(draw["seed"], index, "report"))
            usable += bool(positives(labels, profile.decoding.uncertain))
        assert usable >= most + 100, seed
    assert draw["sizes"]["validate"] > profile.sizes.validation >= plan.DIVERGENCE


def test_a_black_image_is_black(tmp_path):
    studies = patients.black(tmp_path, 3)
    assert len(studies) == 3
    assert np.asarray(Image.open(studies[0].image)).max() == 0
