"""Manifests: they name nobody, and verification tells what differs."""

import dataclasses
import json

import pytest
import yaml

from chexreason import cohorts, config
from chexreason.errors import UserError
from companion.replication import manifests
from companion.workflow import commands as cli


def written(held, name="sft"):
    return manifests.read(manifests.write(held, name, held.results / "cohorts"))


@pytest.mark.parametrize("name", cohorts.COHORTS)
def test_a_manifest_names_no_study_and_holds_no_path(held, name) -> None:
    text = json.dumps(written(held, name))
    for study in cohorts.choose(held, name).studies:
        for secret in (study.patient_id, study.study_id, study.image.name, str(study.image.parent)):
            assert secret not in text


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
    for change, told in (({"sft": 8}, "n: 10 there, 8 here"), ({"stratified": True}, "rule: ")):
        sizes = dataclasses.replace(held.sizes, **change)
        [differs] = manifests.differences(dataclasses.replace(held, sizes=sizes), found)
        assert differs.startswith(told)
    first, *rest = chosen.studies
    relabelled = dataclasses.replace(first, labels={**first.labels, "Fracture": -1.0})
    for studies in ((relabelled, *rest), (*rest, first)):
        changed = dataclasses.replace(chosen, studies=studies)
        monkeypatch.setattr(manifests.cohorts, "choose", lambda *_, changed=changed: changed)
        assert manifests.differences(held, found) == ["other studies, another order or other labels"]


def test_unreadable_images_are_counted_in_the_manifest_and_named_in_the_cache_only(held) -> None:
    image = cohorts.choose(held, "sft").studies[2].image
    image.write_bytes(b"")
    found = written(held)
    assert (found["n"], found["unreadable"]) == (9, 1)
    assert image.name not in json.dumps(found)
    assert (held.cache / "unreadable" / "sft.txt").read_text() == f"{image}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "another kind of file"), ("[]", "another kind of file"), ('{"n": 1}', "another kind of file"),
     (json.dumps({"cohort": "x", **dict.fromkeys(manifests.FACTS, 1)}), "a cohort among")],
)  # fmt: skip
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text, told) -> None:
    (tmp_path / "sft.json").write_text(text)
    with pytest.raises(UserError, match=told):
        manifests.read(tmp_path / "sft.json")
    with pytest.raises(UserError, match=r"no such file\. Write one first"):
        manifests.read(tmp_path / "rl.json")


@pytest.fixture
def command(held, tmp_path):
    """Runs `chexreason cohort` on a profile like `held`, written to a file."""
    text = yaml.safe_load((config.PROFILES / "smoke.yml").read_text())
    sizes = {"sizes.sft": 10, "sizes.rl": 6, "sizes.validation": 4}
    text["overrides"] = [{"setting": name, "value": size, "why": "for a test"} for name, size in sizes.items()]
    text["data"] = {name: {"root": str(place.root)} for name, place in held.data.items()}
    (tmp_path / "smoke.yml").write_text(yaml.safe_dump(text | {"rows": "cache"}))
    places = [
        "--profile",
        str(tmp_path / "smoke.yml"),
        "--results",
        str(tmp_path / "results"),
        "--cache",
        str(held.cache),
    ]
    return lambda *words: cli.main(["cohort", *words, *places])


def test_the_command_writes_verifies_and_shows(command, tmp_path, capsys) -> None:
    assert command("write") == 0
    out = capsys.readouterr().out
    assert out.count("written: ") == len(cohorts.COHORTS)
    assert "patients in both sft and rl: 0 of 10" in out
    assert "images both trained and scored on: 0 of 16" in out
    assert command("verify") == 0
    assert capsys.readouterr().out.count(": verified, ") == len(cohorts.COHORTS)
    assert command("verify", "--cohort", "rl", "--seed", "1") == 1
    assert "rl: differs; " in capsys.readouterr().out
    one = tmp_path / "results" / "smoke" / "cohorts" / "nih.json"
    assert command("verify", "--manifest", str(one)) == 0
    assert "nih: verified, 5 studies are the same" in capsys.readouterr().out
    assert command("show", "--cohort", "sft") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("sft: 10 studies of MIMIC-CXR-JPG, train split, seed 0\n")
    assert max(map(len, shown.splitlines())) <= 80
    assert command("show", "--cohort", "sfft") == 2
    assert "a cohort among chexpert, nih, rl, sft, validation" in capsys.readouterr().err
