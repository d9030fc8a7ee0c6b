"""A run's folder: whole or not there, the same or not, and rows that may not be shown."""

import dataclasses
import json
import os
import re
import subprocess

import pandas as pd
import pytest

from chexreason import config, runs
from chexreason.errors import UserError
from chexreason.files import write_atomically
from chexreason.runs import Plan

METRICS = pd.DataFrame({"finding": ["micro"], "metric": ["f1"], "value": [0.5]})
HISTORY = pd.DataFrame({"step": [1, 2], "epoch": [0.1, 0.2], "metric": ["loss", "a"], "value": [2.0, 1.0]})
ROWS = pd.DataFrame({"study_key": ["mimic/1/2", "mimic/1/3"], "completion": ["None, NA", "a\rb"],
                     "failed": [True, False], "predicted": ["", "Edema"]})  # fmt: skip


@pytest.fixture
def profile(tmp_path):
    return config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")


@pytest.fixture
def plan(profile):
    facts = {"stage": "prompting", "model": "medgemma"}
    return Plan(profile, "01-prompting-x", facts, {"decoding": {"batch": 2}}, {"studies": "abc"})


def finish(plan: Plan, **changes):
    return runs.finish(plan, **({"metrics": METRICS, "predictions": ROWS, "history": HISTORY[::-1]} | changes))


def test_a_finished_run_is_read_back_as_it_was_written(plan, profile) -> None:
    run = finish(plan, n=2, device="cpu")
    again = runs.read(plan.folder)
    assert again.info == json.loads(json.dumps(dict(run.info)))
    assert again.run_id == "01-prompting-x"
    pd.testing.assert_frame_equal(again.metrics(), METRICS)
    pd.testing.assert_frame_equal(again.history(), HISTORY)
    pd.testing.assert_frame_equal(again.predictions(), ROWS)  # "NA" stays text, nothing stays empty, a CR no new row
    expected = {"tier": "miniature", "profile": "smoke", "seed": 0, "n": 2, "device": "cpu", "model": "medgemma"}
    assert {name: again.info[name] for name in expected} == expected
    assert [found.run_id for found in runs.read_all(profile.results)] == ["01-prompting-x"]
    untrained = dataclasses.replace(plan, run_id="01-prompting-y")
    finish(untrained, history=None)
    assert sorted(os.listdir(untrained.folder)) == ["metrics.csv", "predictions.csv.gz", "run.json"]


@pytest.mark.parametrize("at", ["metrics.csv", "history.csv", "predictions.csv.gz", "run.json"])
def test_run_json_is_written_last_so_a_killed_run_is_none_even_over_an_older_one(plan, monkeypatch, at) -> None:
    finish(plan)
    assert plan.finished()
    write = runs.write_atomically

    def killed(path, data) -> None:
        if path.name == at:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(runs, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        finish(plan)
    assert runs.read(plan.folder) is None
    assert plan.finished() is None
    assert runs.read_all(plan.profile.results) == []


def test_the_digest_changes_with_all_that_the_result_depends_on_and_nothing_else(plan, profile, tmp_path) -> None:
    changes = [
        {"settings": {"decoding": {"batch": 3}}}, {"inputs": {"studies": "abd"}}, {"run_id": "01-prompting-y"},
        {"facts": {"stage": "prompting", "model": "qwen"}}, {"profile": dataclasses.replace(profile, seed=1)},
    ]  # fmt: skip
    for change in changes:
        assert dataclasses.replace(plan, **change).digest != plan.digest, change
    moved = dataclasses.replace(profile, results=tmp_path / "other", cache=tmp_path / "another")
    assert dataclasses.replace(plan, profile=moved, started=0.0).digest == plan.digest


def test_only_a_run_of_this_machine_and_of_this_plan_counts_as_finished(plan, profile) -> None:
    finish(plan)
    assert plan.finished().run_id == plan.run_id
    assert dataclasses.replace(plan, inputs={"studies": "new"}).finished() is None
    other = dataclasses.replace(plan, run_id="02-sft-x")
    finish(other)
    assert plan.finished(), "another run's note must not displace this one's"
    assert other.finished()
    plan.note.unlink()  # a fresh clone has the results, not the cache
    assert plan.finished() is None
    assert runs.read(plan.folder), "it is still shown"


@pytest.mark.parametrize(
    ("dataset", "drawn", "shown"), [("mimic", None, False), ("nih", None, True), ("mimic", {}, True)]
)
def test_run_json_of_credentialed_data_has_no_digest_to_try_studies_on(plan, dataset, drawn, shown) -> None:
    data = {name: dataclasses.replace(place, draw=drawn) for name, place in plan.profile.data.items()}
    inputs = {"studies": "abc", "sft_studies": "d", "traces": "e", "prompt": "f"}
    facts, profile = plan.facts | {"dataset": dataset}, dataclasses.replace(plan.profile, data=data)
    held = dataclasses.replace(plan, profile=profile, inputs=inputs, facts=facts)
    info = finish(held).info
    assert info["inputs"] == (inputs if shown else {"prompt": "f"})
    assert (info["config_digest"] == held.digest) == shown
    other = dataclasses.replace(held, inputs=inputs | {"studies": "others"})
    assert (held.finished() is None, other.finished()) == (False, None)
    finish(other)
    assert (runs.read(held.folder).info["config_digest"] == info["config_digest"]) != shown
    assert held.finished() is None


def test_rows_go_where_the_profile_says_and_the_scores_to_the_results(plan, tmp_path) -> None:
    elsewhere = dataclasses.replace(plan.profile, results=tmp_path / "results", rows="cache", cache=tmp_path / "cache")
    apart = dataclasses.replace(plan, profile=elsewhere)
    finish(apart)
    assert list(tmp_path.rglob("predictions.csv.gz")) == [tmp_path / "cache/rows/01-prompting-x/predictions.csv.gz"]
    assert (apart.folder / "metrics.csv").is_file()


def test_an_earlier_stage_that_has_not_run_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"the checkpoint of 02-sft-x, got nothing at .*\. Run the stage before"):
        runs.need(tmp_path / "02-sft-x" / "best")


def adapter(folder, weights: bytes = b"w", **settings) -> str:
    given = {"base_model_name_or_path": str(folder), "target_modules": ["q", "v"], "r": 16} | settings
    write_atomically(folder / "adapter_config.json", json.dumps(given).encode())
    write_atomically(folder / "adapter_model.safetensors", weights)
    write_atomically(folder / "README.md", str(folder).encode())
    return runs.adapter_digest(folder)


def test_an_adapter_is_the_same_in_another_clone_and_on_another_day(tmp_path) -> None:
    first = adapter(tmp_path / "one")
    assert adapter(tmp_path / "two", target_modules=["v", "q"], peft_version="1") == first
    assert first not in (adapter(tmp_path / "three", b"x"), adapter(tmp_path / "four", r=8))


def test_rows_that_are_more_or_fewer_than_the_studies_are_refused(plan) -> None:
    with pytest.raises(UserError, match=r"7 rows in predictions\.csv\.gz of .*, got 2\. Run that stage again"):
        finish(plan, n=7).predictions()


def git(root, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", "-C", root, *who, *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_state_of_the_code_is_told_and_results_do_not_count(tmp_path, monkeypatch) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.setattr(runs, "ROOT", repository)
    assert runs.git_state() == {"revision": None, "dirty": None}, "a copy without git"
    git(repository, "init", "--quiet")
    (repository / "chexreason").mkdir()
    (repository / "chexreason" / "a.py").write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "x")
    clean = {"revision": git(repository, "rev-parse", "HEAD"), "dirty": False}
    assert runs.git_state() == clean
    with monkeypatch.context() as another:
        another.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git takes the clone for another user's
        another.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        assert runs.git_state() == clean
    (repository / "results").mkdir()
    (repository / "results" / "run.json").write_text("{}")
    assert runs.git_state() == clean
    (repository / "chexreason" / "a.py").write_text("2")
    assert runs.git_state() == clean | {"dirty": True}
    monkeypatch.setenv("PATH", "")  # no git is installed
    assert runs.git_state() == {"revision": None, "dirty": None}


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"run_id": "x"}', "\x00"])
def test_a_damaged_run_json_is_named(tmp_path, text) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json, got no JSON object with run_id, tier\. Remove"):
        runs.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08\x00cut"])
def test_damaged_predictions_are_named(tmp_path, content) -> None:
    run = runs.Run(tmp_path, {})
    for name, read in {"predictions.csv.gz": run.predictions, "metrics.csv": run.metrics}.items():
        (tmp_path / name).write_bytes(content if name.endswith("gz") else b"")
        with pytest.raises(UserError, match=re.escape(f"a readable {name}")):
            read()
    with pytest.raises(UserError, match=r"a readable history\.csv"):
        run.history()
