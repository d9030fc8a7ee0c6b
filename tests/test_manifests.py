"""Manifests: hashes that anybody can make again, what they give away, and what verification tells apart."""

import dataclasses
import hashlib
import hmac
import json
import shutil

import pytest

from chexreason import cohorts, config
from chexreason.config import DataPlace
from chexreason.errors import UserError
from chexreason.recipe import Sizes
from companion.phantoms.writers import write_tree
from companion.replication import manifests
from companion.workflow import commands as cli

KEY = "a long and secret key of ours"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    write_tree(root / "mimic", "A", {"train": 24, "validate": 6}, 1, 64, progress=False)
    write_tree(root / "chexpert", "B", {"test": 5}, 3, 64, progress=False)
    write_tree(root / "nih", "C", {"test": 5}, 2, 64, progress=False)
    return root


@pytest.fixture
def profile(drawn, tmp_path):
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    places = {name: DataPlace(drawn / name) for name in ("mimic", "chexpert", "nih")}
    return dataclasses.replace(made, data=places, sizes=Sizes(sft=10, rl=6, validation=4))


def written(profile, name="sft", key=""):
    [path] = manifests.write(profile, [name], profile.results / "cohorts", key)
    return manifests.read(path)


def test_a_hash_is_sha256_of_salt_and_key_in_the_cohorts_order(profile) -> None:
    found, studies = written(profile), cohorts.choose(profile, "sft").studies
    salt = bytes.fromhex(found["salt"])
    assert len(salt) == 16
    assert found["studies"] == [hashlib.sha256(salt + study.key.encode()).hexdigest() for study in studies]
    assert (found["source"], found["split"], found["n"], found["patients"]) == ("mimic", "train", 10, 10)
    assert (found["seed"], found["policy"], found["keyed"]) == (0, "zeros", False)


def test_with_a_key_a_study_cannot_be_tested_without_it(profile) -> None:
    found, studies = written(profile, key=KEY), cohorts.choose(profile, "sft").studies
    salted = [bytes.fromhex(found["salt"]) + study.key.encode() for study in studies]
    assert found["studies"] == [hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest() for text in salted]
    assert not {hashlib.sha256(text).hexdigest() for text in salted} & set(found["studies"])
    assert KEY not in json.dumps(found)
    assert manifests.verify(profile, found, KEY).holds
    for wrong in ("", "another long and secret key"):
        with pytest.raises(UserError, match="the key that the manifest was made with"):
            manifests.verify(profile, found, wrong)
    with pytest.raises(UserError, match="a key of 24 characters or more, got one of 5"):
        written(profile, key="short")


@pytest.mark.parametrize("name", cohorts.COHORTS)
def test_a_manifest_names_no_study_and_holds_no_path(profile, name) -> None:
    text = json.dumps(written(profile, name))
    for study in cohorts.choose(profile, name).studies:
        for secret in (study.patient_id, study.study_id, study.image.name, str(study.image.parent)):
            assert secret not in text


def test_two_manifests_cannot_be_laid_beside_each_other_and_one_keeps_its_salt(profile, tmp_path) -> None:
    first = written(profile)
    assert written(profile) == first
    [elsewhere] = manifests.write(profile, ["sft"], tmp_path / "other", "")
    assert not set(first["studies"]) & set(manifests.read(elsewhere)["studies"])


def test_prevalence_stands_under_each_policy(profile) -> None:
    found, studies = written(profile, "validation"), cohorts.choose(profile, "validation").studies
    for finding, unsure in found["prevalence"]["uncertain"].items():
        values = [study.labels.get(finding) for study in studies]
        assert unsure == values.count(-1.0)
        assert found["prevalence"]["zeros"][finding] == found["prevalence"]["ignore"][finding] == values.count(1.0)
        assert found["prevalence"]["ones"][finding] == values.count(1.0) + values.count(-1.0)


def test_verification_tells_what_differs(profile) -> None:
    found = written(profile)
    assert str(manifests.verify(profile, found)) == "sft: verified, 10 studies are the same"
    other = manifests.verify(dataclasses.replace(profile, seed=4), found)
    assert not other.holds
    assert other.same + other.missing == other.same + other.others == 10
    assert other.differs == ("seed: 0 there, 4 here",)
    assert str(other).startswith(f"sft: differs; {other.same} studies in both, {other.missing} in the manifest only")
    fewer = dataclasses.replace(profile, sizes=dataclasses.replace(profile.sizes, sft=8))
    assert manifests.verify(fewer, found).differs == ("n: 10 there, 8 here",)
    strata = dataclasses.replace(profile, sizes=dataclasses.replace(profile.sizes, stratified=True))
    assert any(line.startswith("rule: ") for line in manifests.verify(strata, found).differs)
    turned = found | {"studies": found["studies"][::-1]}
    assert manifests.verify(profile, turned).differs == ("the same studies in another order",)


def test_other_labels_on_the_same_studies_are_noticed(profile, monkeypatch) -> None:
    found, chosen = written(profile), cohorts.choose(profile, "sft")
    first, *rest = chosen.studies
    relabelled = dataclasses.replace(first, labels={**first.labels, "Fracture": -1.0})
    changed = dataclasses.replace(chosen, studies=(relabelled, *rest))
    monkeypatch.setattr(manifests.cohorts, "choose", lambda *_: changed)
    assert manifests.verify(profile, found).differs == ("the same studies with other labels",)


def test_unreadable_films_are_counted_in_the_manifest_and_named_in_the_cache_only(profile, drawn, tmp_path) -> None:
    shutil.copytree(drawn / "mimic", tmp_path / "mimic")
    moved = dataclasses.replace(profile, data=dict(profile.data) | {"mimic": DataPlace(tmp_path / "mimic")})
    film = cohorts.choose(moved, "sft").studies[2].image
    film.write_bytes(b"")
    found = written(moved)
    assert (found["n"], found["unreadable"]) == (9, 1)
    assert film.name not in json.dumps(found)
    assert manifests.unreadable_list(moved, "sft").read_text() == f"{film}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "another kind of file"), ("[]", "another kind of file"), ('{"format": 1}', "another kind of file")],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text, told) -> None:
    (tmp_path / "sft.json").write_text(text)
    with pytest.raises(UserError, match=told):
        manifests.read(tmp_path / "sft.json")
    with pytest.raises(UserError, match=r"no such file\. Write one first"):
        manifests.read(tmp_path / "rl.json")


def test_another_format_or_cohort_is_refused(profile, tmp_path) -> None:
    found = written(profile)
    for change, told in (({"format": 2}, "a manifest of format 1, got format 2"), ({"cohort": "x"}, "a cohort among")):
        (tmp_path / "changed.json").write_text(json.dumps(found | change))
        with pytest.raises(UserError, match=told):
            manifests.read(tmp_path / "changed.json")


def command(tmp_path, *words: str) -> int:
    places = ["--profile", "smoke", "--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    return cli.main(["cohort", *words, *places])


def test_the_command_writes_verifies_and_shows(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.delenv(manifests.KEY, raising=False)
    assert command(tmp_path, "write") == 0
    out = capsys.readouterr().out
    assert out.count("written: ") == len(cohorts.COHORTS)
    assert "patients in both sft and rl: 0 of 16" in out
    assert "films both trained and scored on: 0 of 20" in out
    assert command(tmp_path, "verify") == 0
    assert capsys.readouterr().out.count(": verified, ") == len(cohorts.COHORTS)
    assert command(tmp_path, "verify", "--cohort", "rl", "--seed", "1") == 1
    assert "rl: differs; " in capsys.readouterr().out
    one = tmp_path / "results" / "smoke" / "cohorts" / "nih.json"
    assert command(tmp_path, "verify", "--manifest", str(one)) == 0
    assert "nih: verified, 8 studies are the same" in capsys.readouterr().out
    assert command(tmp_path, "show", "--cohort", "sft") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("sft: 16 studies of MIMIC-CXR-JPG, train split, seed 0\n")
    assert max(map(len, shown.splitlines())) <= 80
    for cohort in ("sfft", "x"):
        assert command(tmp_path, "show", "--cohort", cohort) == 2
        assert "a cohort among chexpert, nih, rl, sft, validation" in capsys.readouterr().err
