"""Who trains, who validates, who is left out: on small phantom trees of two hospitals."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from chexreason import cohorts, config, data, runs
from chexreason.config import DataPlace
from chexreason.data.image import open_image
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, POSITIVE
from chexreason.recipe import Sizes
from companion.report.behind import runs_behind


@pytest.fixture
def profile(drawn, tmp_path):
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    places = {name: DataPlace(drawn / name) for name in ("mimic", "nih")}
    return dataclasses.replace(made, data=places, sizes=Sizes(sft=10, rl=6, validation=4))


def patients(chosen) -> set[str]:
    return {study.patient_id for study in chosen.studies}


def sized(profile, **sizes):
    return dataclasses.replace(profile, sizes=dataclasses.replace(profile.sizes, **sizes))


def test_sft_rl_and_validation_share_no_patient(profile) -> None:
    sft, rl, validation = (cohorts.choose(profile, name) for name in ("sft", "rl", "validation"))
    assert [len(chosen.studies) for chosen in (sft, rl, validation)] == [10, 6, 4]
    assert [len(patients(chosen)) for chosen in (sft, rl)] == [10, 6], "one study a patient"
    assert not patients(sft) & patients(rl)
    assert not (patients(sft) | patients(rl)) & patients(validation)
    assert {study.split for study in (*sft.studies, *rl.studies)} == {"train"}
    assert {study.split for study in validation.studies} == {"validate"}


@pytest.mark.parametrize("name", ["sft", "rl", "validation", "nih"])
def test_the_same_seed_gives_the_same_studies_another_others(profile, name) -> None:
    once, again = cohorts.choose(profile, name), cohorts.choose(profile, name)
    assert once == again
    assert once.digest == again.digest
    if name != "nih":  # of which all are taken
        other = dataclasses.replace(profile, seed=profile.seed + 1)
        assert cohorts.choose(other, name).digest != once.digest


def test_with_strata_other_studies_of_as_many_patients_are_drawn(profile) -> None:
    for name, n in (("sft", 10), ("rl", 6), ("validation", 4)):
        chosen = cohorts.choose(sized(profile, stratified=True), name)
        assert len(chosen.studies) == n
        assert name == "validation" or chosen.digest != cohorts.choose(profile, name).digest


def test_drawing_opens_no_image_and_no_number_means_all(profile, monkeypatch) -> None:
    assert len(cohorts.choose(sized(profile, nih=2), "nih").studies) == 2
    chosen = cohorts.choose(profile, "nih")
    assert len(chosen.studies) == 5
    monkeypatch.setattr(cohorts, "readable", None)
    assert cohorts.drawn(profile, "nih") == chosen


def test_the_digest_sees_labels_order_and_what_the_images_were_drawn_from(profile, monkeypatch) -> None:
    chosen = cohorts.choose(profile, "sft")
    first, *rest = chosen.studies
    relabelled = dataclasses.replace(first, labels={"Fracture": 1.0, "Pneumonia": -1.0})
    assert dataclasses.replace(chosen, studies=(relabelled, *rest)).digest != chosen.digest
    assert dataclasses.replace(chosen, studies=(*rest, first)).digest != chosen.digest
    before, request = chosen.digest, data.phantom_request(chosen.root)
    monkeypatch.setattr(cohorts.data, "phantom_request", lambda _: request | {"generator": "another"})
    assert chosen.digest != before


def test_too_few_patients_or_an_unknown_cohort_are_said_so(profile) -> None:
    for name, n in (("sft", 20), ("rl", 100), ("validation", 7)):
        with pytest.raises(UserError, match=r"to draw, got a request for \d+ out of \d+ patients"):
            cohorts.choose(sized(profile, **{name: n}), name)
    with pytest.raises(UserError, match="a cohort among chexpert, mimic, nih, rl, sft, validation, got 'test'"):
        cohorts.choose(profile, "test")


def test_a_split_without_studies_is_said_so(profile, monkeypatch) -> None:
    monkeypatch.setattr(cohorts.data, "load", lambda *_: data.Listed((), {}))
    with pytest.raises(UserError, match=r"studies of split test for cohort nih, got none at .*leave nih out"):
        cohorts.drawn(profile, "nih")


def test_validation_may_take_several_studies_of_a_patient(profile, monkeypatch) -> None:
    # MIMIC's validate split has 500 patients, a few of them without a frontal image, and the paper scores 500 studies.
    cohort = data.load("mimic", profile.data["mimic"].root, "validate")
    one = [dataclasses.replace(study, patient_id="p1") for study in cohort.studies]
    monkeypatch.setattr(cohorts.data, "load", lambda *_: data.Listed(tuple(one), {}))
    assert len(cohorts.choose(profile, "validation").studies) == 4


def without_images(held, gone, **sizes):
    """The profile on its own trees, with the images of these studies deleted."""
    for study in gone:
        study.image.unlink()
    return sized(held, **sizes)


def test_images_that_are_not_there_are_counted_and_others_drawn_in_their_place(held) -> None:
    before = {name: cohorts.drawn(held, name) for name in cohorts.COHORTS}
    gone = [before["sft"].studies[0], before["rl"].studies[1], before["validation"].studies[2]]
    less = without_images(held, [*gone, *before["chexpert"].studies[:1]], images_there=0.7)
    chosen = {name: cohorts.choose(less, name) for name in cohorts.COHORTS}
    assert {name: len(one.studies) for name, one in chosen.items()} == {
        "sft": 10, "rl": 6, "validation": 4, "chexpert": 4, "nih": 5,
    }  # fmt: skip
    absent = {name: one.left_out.get(cohorts.NOT_THERE) for name, one in chosen.items()}
    assert absent == {"sft": 2, "rl": 2, "validation": 1, "chexpert": 1, "nih": None}
    assert not patients(chosen["sft"]) & patients(chosen["rl"])
    assert not {study.key for one in chosen.values() for study in one.studies} & {study.key for study in gone}
    assert cohorts.drawn(less, "sft") == chosen["sft"], "traces are written for the studies that are trained on"


def test_a_page_says_how_many_images_were_not_there() -> None:
    plain = dict.fromkeys(("run_id", "stage", "tier", "profile", "seed", "config_digest", "started", "n"), "")
    info = plain | {"dataset": "nih", "split": "test", "git": {"revision": "", "dirty": False}}
    note = "their image was not there or not readable: {}."
    for left_out, unreadable, trained, said in (
        ({}, 0, {}, None),
        ({cohorts.NOT_THERE: 1}, 2, {}, "3 of NIH ChestX-ray14, test split"),
        ({}, 0, {cohorts.NOT_THERE: 4, "unreadable images": 1}, "5 of MIMIC-CXR-JPG, train split"),
        ({cohorts.NOT_THERE: 1}, 0, {cohorts.NOT_THERE: 4},
         "1 of NIH ChestX-ray14, test split; 4 of MIMIC-CXR-JPG, train split"),
    ):  # fmt: skip
        told = {"left_out": left_out, "unreadable": {"count": unreadable}, "trained_left_out": trained}
        shown = runs_behind([run := runs.Run(Path(), info | told), run])
        assert shown.count(note.format(said)) == (said is not None)
        assert ("cxr-note" in shown) == (said is not None)


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_training_says_which_images_it_lacked_and_one_that_lacked_none_is_what_it_was(
    held, monkeypatch, stage
) -> None:
    from chexreason import grpo, sft

    trains, made = {"sft": sft, "grpo": grpo}[stage], []
    monkeypatch.setattr(trains.resume, "run", lambda plan, *_: made.append(plan))
    monkeypatch.setattr(sft.traces, "of", lambda *_: [])
    for name in ("need", "adapter_digest"):
        monkeypatch.setattr(grpo.runs, name, lambda _: "")
    trains.train_all(sized(held))
    whole, made[:] = list(made), []
    assert not any("trained_left_out" in plan.facts for plan in whole)
    less = without_images(held, cohorts.drawn(held, "sft").studies[:1], images_there=0.7)
    cohorts.drawn(less, "rl").studies[0].image.write_bytes(b"no image")
    trains.train_all(less)
    lacked = {cohorts.NOT_THERE: 1} | ({"unreadable images": 1} if stage == "grpo" else {})
    assert [plan.facts["trained_left_out"] for plan in made] == [lacked] * len(whole)
    for plan in made:
        del plan.facts["trained_left_out"]
    assert {tuple(plan.facts) for plan in made} == {tuple(plan.facts) for plan in whole}


@pytest.mark.parametrize(
    ("count", "share", "got"), [(1, 0.95, "got 3 of 4"), (3, 0.5, "got 1 of 4"), (4, 0.95, "0 of 4"), (4, 0, "0 of 4")]
)
def test_too_few_images_are_refused_in_one_line(held, count, share, got) -> None:
    gone = cohorts.drawn(held, "validation").studies[:count]
    with pytest.raises(UserError, match=got) as caught:
        cohorts.choose(without_images(held, gone, images_there=share), "validation")
    assert f"images of at least {100 * share:g} % of the listed studies of cohort validation" in str(caught.value)
    assert len(str(caught.value)) <= 200


def test_what_the_system_refuses_is_one_line_that_names_no_patient(held) -> None:
    image = cohorts.drawn(held, "sft").studies[0].image
    image.unlink()
    image.symlink_to("x" * 300)  # unlike a right that is missing, this stops the superuser, too
    with pytest.raises(UserError) as caught:
        cohorts.drawn(held, "sft")
    got = "got file name too long. Ask the owner of the folder for the right."
    assert str(caught.value) == f"Expected tables and images that may be read, {got}"


def test_images_that_may_not_be_read_are_counted_and_the_right_is_named(held, monkeypatch) -> None:
    denied = [study.image for study in cohorts.drawn(held, "validation").studies[1:3]]
    monkeypatch.setattr(cohorts.os, "access", lambda path, how: path not in denied)  # the superuser may read all
    for stage in (cohorts.drawn, cohorts.choose):
        with pytest.raises(UserError) as caught:
            stage(held, "validation")
        wanted = "Expected images of cohort validation that may be read, got 2 that may not"
        assert str(caught.value) == f"{wanted}. Give yourself the right to read them, or ask their owner for it."


def shrinking(profile, pixels):
    return dataclasses.replace(profile, engines={"images": {"name": "companion.speed.images.once", "pixels": pixels}})


@pytest.mark.parametrize("pixels", [None, 1000])
def test_an_unreadable_image_is_counted_and_named_and_others_may_be_shrunk(profile, drawn, tmp_path, pixels) -> None:
    shutil.copytree(drawn / "nih", tmp_path / "nih")
    broken = dataclasses.replace(profile, data=dict(profile.data) | {"nih": DataPlace(tmp_path / "nih")})
    broken = sized(broken, images_there=0.8)
    whole = cohorts.choose(broken, "nih")
    image = whole.studies[2].image
    image.write_bytes(image.read_bytes()[:200])
    chosen = cohorts.choose(shrinking(broken, pixels) if pixels else broken, "nih")
    assert chosen.unreadable == (image,)
    assert [study.key for study in chosen.studies] == [study.key for study in whole.studies if study.image != image]
    with pytest.raises(
        UserError, match="readable images of at least 81 % of the listed studies of cohort nih, got 4 of"
    ):
        cohorts.choose(sized(broken, images_there=0.81), "nih")
    for study in chosen.studies if pixels else ():
        image = open_image(study.image)
        assert 900 < image.width * image.height <= 1000
        assert profile.cache / "ready" in study.image.parents


def test_a_study_without_a_positive_label_is_not_trained_on(profile, monkeypatch) -> None:
    load, silent = data.load, cohorts.choose(profile, "sft").studies[0]
    quiet = dataclasses.replace(silent, labels=dict.fromkeys(FINDINGS, 0.0) | {"Edema": -1.0})

    def changed(*place):
        cohort = load(*place)
        return data.Listed(tuple(quiet if study == silent else study for study in cohort.studies), cohort.left_out)

    before = cohorts.choose(profile, "sft").left_out["no positive label"]
    monkeypatch.setattr(cohorts.data, "load", changed)
    for name in ("sft", "rl"):
        chosen = cohorts.choose(profile, name)
        assert chosen.left_out["no positive label"] == before + 1
        assert all(POSITIVE in study.labels.values() for study in chosen.studies)
    # Under `ones` the uncertain label is a positive one, and the study may be used again.
    ones = dataclasses.replace(profile, decoding=dataclasses.replace(profile.decoding, uncertain="ones"))
    assert cohorts.choose(ones, "sft").left_out["no positive label"] <= before
