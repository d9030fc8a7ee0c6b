"""Manifests: they name nobody, take a key where the data are credentialed, and verification tells what differs."""

import dataclasses
import hashlib
import json

import pytest
import yaml

from chexreason import cohorts, config
from chexreason.errors import UserError
from chexreason.written import PROFILES
from companion.replication import manifests
from companion.workflow import commands as cli

SECRET = "a key of mine that nobody guesses"
FACTS = {name: 1 if name in ("n", "seed") else "sft" for name in ("cohort", *manifests.FACTS)}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv(manifests.KEY, SECRET)


def written(held, name="sft"):
    return manifests.read(manifests.write(held, name, held.cache / "cohorts"))


@pytest.mark.parametrize("name", cohorts.COHORTS)
def test_a_manifest_names_no_study_and_holds_no_path_and_no_key(held, name) -> None:
    text = json.dumps(written(held, name))
    for study in cohorts.choose(held, name).studies:
        for secret in (study.patient_id, study.study_id, study.image.name, str(study.image.parent), SECRET):
            assert secret not in text


def test_without_the_key_no_studies_can_be_tried_until_the_digest_fits(held, monkeypatch) -> None:
    found, chosen = written(held), cohorts.choose(held, "sft")
    tried = {chosen.digest, hashlib.sha256(chosen.digest.encode()).hexdigest()}
    assert not [digest for digest in tried if digest in json.dumps(found)]
    assert written(held, "nih")["studies"] == cohorts.choose(held, "nih").digest, "public data need no key"
    monkeypatch.setenv(manifests.KEY, SECRET[::-1])
    [differs] = manifests.differences(held, found)
    assert differs.startswith("key: ")


@pytest.mark.parametrize(("value", "got"), [("", "got none"), ("too short", "got one of 9")])
def test_credentialed_data_need_a_key_and_public_and_drawn_ones_none(held, monkeypatch, value, got) -> None:
    monkeypatch.setenv(manifests.KEY, value)
    for name in ("sft", "chexpert"):
        with pytest.raises(UserError, match=f"a key of at least 16 bytes in CHEXREASON_MANIFEST_KEY .*{got}"):
            written(held, name)
    assert not (held.cache / "cohorts").exists()
    drawn = {name: dataclasses.replace(place, draw={"hospital": "A"}) for name, place in held.data.items()}
    assert written(held, "nih")["key"] == written(dataclasses.replace(held, data=drawn))["key"] == ""


@pytest.mark.parametrize(
    ("share", "count", "got"), [(0.95, 1, "got 9 of 10"), (0, 10, "got 0 of 10")], ids=["too few", "none"]
)
def test_without_images_no_manifest_is_written(held, share, count, got) -> None:
    less = dataclasses.replace(held, sizes=dataclasses.replace(held.sizes, images_there=share))
    for study in cohorts.drawn(held, "sft").studies[:count]:
        study.image.write_bytes(b"")
    with pytest.raises(UserError, match=got):
        written(less)
    assert not (held.cache / "cohorts").exists()


def test_prevalence_stands_under_each_policy(held) -> None:
    found, studies = written(held, "validation"), cohorts.choose(held, "validation").studies
    for finding, unsure in found["prevalence"]["uncertain"].items():
        values = [study.labels.get(finding) for study in studies]
        assert unsure == values.count(-1.0)
        assert found["prevalence"]["zeros"][finding] == found["prevalence"]["ignore"][finding] == values.count(1.0)
        assert found["prevalence"]["ones"][finding] == values.count(1.0) + values.count(-1.0)


def test_verification_tells_what_differs(held, monkeypatch) -> None:
    found, chosen = written(held), cohorts.choose(held, "sft")
    assert (found["source"], found["split"], found["n"], found["patients"]) == ("mimic", "train", 10, 10)
    assert manifests.differences(held, found) == []
    assert manifests.differences(dataclasses.replace(held, seed=4), found) == ["seed: 0 there, 4 here"]
    for change, differs in (({"sft": 8}, "n: 10 there, 8 here"), ({"stratified": True}, "rule: ")):
        sizes = dataclasses.replace(held.sizes, **change)
        [got] = manifests.differences(dataclasses.replace(held, sizes=sizes), found)
        assert got.startswith(differs)
    first, *rest = chosen.studies
    relabelled = dataclasses.replace(first, labels={**first.labels, "Fracture": -1.0})
    for studies in ((relabelled, *rest), (*rest, first)):
        changed = dataclasses.replace(chosen, studies=studies)
        monkeypatch.setattr(manifests.cohorts, "choose", lambda *_, changed=changed: changed)
        assert manifests.differences(held, found) == ["other studies, another order or other labels"]


def test_unreadable_images_are_counted_in_the_manifest_and_named_in_the_cache_only(held) -> None:
    image = cohorts.choose(held, "sft").studies[2].image
    image.write_bytes(b"")
    less = dataclasses.replace(held, sizes=dataclasses.replace(held.sizes, images_there=0.9))
    found = written(less)
    assert (found["n"], found["unreadable"]) == (9, 1)
    assert image.name not in json.dumps(found)
    assert (held.cache / "unreadable" / "sft.txt").read_text() == f"{image}\n"
    for inside, place in ((less, config.ROOT / "out"), (dataclasses.replace(less, cache=config.ROOT), held.cache)):
        with pytest.raises(UserError, match="a folder outside the repository for what is made of MIMIC-CXR-JPG"):
            manifests.write(inside, "sft", place)


@pytest.mark.parametrize(
    ("text", "got"),
    [(None, "no such file. Write one first"), ("{", "another kind of file"), ("[]", "another kind of file"),
     ('{"n": 1}', "another kind of file"),
     (json.dumps(FACTS | {"cohort": "x"}), "a cohort among"), ("[" * 200_000, "another kind of file"),
     *((json.dumps(FACTS | wrong), "another kind of file") for wrong in (
         {"n": "8"}, {"n": True}, {"seed": None}, {"rule": "x" * 100_000}, {"policy": "\x1b[2J"}))],
)  # fmt: skip
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text, got) -> None:
    path = tmp_path / "p10000032" / "sft.json"
    path.parent.mkdir()
    if text:
        path.write_text(text)
    with pytest.raises(UserError, match=got) as caught:
        manifests.read(path)
    assert "10000032" not in str(caught.value)


@pytest.fixture
def command(held, tmp_path):
    """Runs `chexreason cohort` on a profile like `held`, written to a file."""
    text = yaml.safe_load((PROFILES / "smoke.yml").read_text())
    sizes = {"sizes.sft": 10, "sizes.rl": 6, "sizes.validation": 4}
    text["overrides"] = [{"setting": name, "value": size, "why": "for a test"} for name, size in sizes.items()]
    text["data"] = {name: {"root": str(place.root)} for name, place in held.data.items()}
    (tmp_path / "smoke.yml").write_text(yaml.safe_dump(text | {"rows": "cache"}))
    places = f"--profile {tmp_path}/smoke.yml --results {tmp_path}/results --cache {held.cache}".split()
    return lambda *words: cli.main(["cohort", *words, *places])


def test_the_command_writes_verifies_and_shows(command, held, capsys) -> None:
    assert command("write") == 0
    out = capsys.readouterr().out
    assert out.count("written: ") == len(cohorts.COHORTS)
    assert "patients in both sft and rl: 0 of 10" in out
    assert "images both trained and scored on: 0 of 16" in out
    assert command("verify") == 0
    assert capsys.readouterr().out.count(": verified, ") == len(cohorts.COHORTS)
    assert command("verify", "--cohort", "rl", "--seed", "1") == 1
    assert "rl: differs; " in capsys.readouterr().out
    assert command("verify", "--manifest", str(held.cache / "cohorts" / "nih.json")) == 0
    assert "nih: verified, 5 studies are the same" in capsys.readouterr().out
    assert command("show", "--cohort", "sft") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("sft: 10 studies of MIMIC-CXR-JPG, train split, seed 0\n")
    assert max(map(len, shown.splitlines())) <= 80
    assert command("show", "--cohort", "sfft") == 2
    assert "a cohort among chexpert, mimic, nih, rl, sft, validation" in capsys.readouterr().err
    cohorts.drawn(held, "sft").studies[0].image.unlink()
    assert command("show", "--cohort", "sft") == 2
    assert capsys.readouterr().err.endswith("cohort sft, got 15 of 16. Download the rest, or set sizes.images_there.\n")
