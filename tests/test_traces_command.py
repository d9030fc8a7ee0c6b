"""`chexreason traces`: what it will cost, what is missing, what is refused in one line each; and what passes."""

import bad_server
import pytest
from taught import with_teacher, write_profile

from chexreason import config, data, prompts
from chexreason.labels import FINDINGS
from companion.replication.traces import check, command, teacher
from companion.replication.traces.ask import Answer
from companion.replication.traces.teacher import Teacher, teacher_of
from companion.workflow import commands as cli

N = 6
FREE = prompts.get("free_reasoning")


@pytest.fixture
def own(trees, tmp_path, monkeypatch):
    """Runs the command on a profile of a few real images and these settings of the teacher."""
    monkeypatch.delenv(teacher.KEY, raising=False)
    return lambda *words, **settings: cli.main(
        ["traces", *write_profile(tmp_path, trees / "mimic", N, **settings), *words]
    )


def local(server) -> dict:
    return {"model": "llama", "base_url": f"{server.root}/v1"}


def test_a_dry_run_tells_the_price_and_what_is_missing_and_leaves_nothing(own, tmp_path, capsys) -> None:
    assert own("--dry-run") == 0
    shown = capsys.readouterr().out
    rows = [line.split()[:3] for line in shown.splitlines()[1:5]]
    assert rows == [[name, "0" if name == "only_label" else "6", "0"] for name in prompts.SFT_FORMATS]
    assert "teacher: gemini-2.5-pro at https://generativelanguage.googleapis.com" in shown
    assert "before it can start: Expected a teacher of your own, or one your agreement allows" in shown
    assert shown.endswith("dry run: nothing was sent or written\n")
    assert not (tmp_path / "cache" / "traces").exists()


THERE = {"model": "gpt", "base_url": "https://8.8.8.8/v1", "agreement": True}


@pytest.mark.parametrize(
    ("words", "settings", "told"),
    [
        (["--yes"], {}, "generativelanguage.googleapis.com, a third party, and teacher.agreement: false"),
        ([], THERE, "Expected --yes, since this costs money"),
        (["--prompt", "reasoning_z"], {}, "a format for SFT among"),
        (["--limit", "0"], {}, "--limit of 1 or more, got 0"),
        (["--dry-run"], {"base_url": "https://me:SECRET@8.8.8.8/v1"}, "another, not shown since it may hold a key"),
        ([], {"attempts": 0}, "teacher.attempts"),
    ],
)
def test_what_is_refused_is_told_in_one_line_before_anything_is_sent(own, capsys, monkeypatch, words, settings, told):
    monkeypatch.setenv(teacher.KEY, "SECRET")
    assert own(*words, **settings) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.err.count("\n") == 1
    assert len(shown.err.strip().removeprefix("chexreason: ")) <= 200
    assert "SECRET" not in shown.out + shown.err


@pytest.mark.parametrize("words", [["--dry-run"], ["--prompt", "only_label"]])
def test_traces_of_patients_are_not_written_inside_the_repository(own, capsys, words) -> None:
    inside = config.ROOT / ".cache" / "never"
    assert own(*words, "--cache", str(inside)) == 2
    assert "outside the repository" in capsys.readouterr().err
    assert not inside.exists()


def test_a_local_server_writes_all_four_formats_at_no_cost(own, tmp_path, capsys) -> None:
    with bad_server.running(bad_server.right) as server:
        assert own(**local(server)) == 0
    shown = capsys.readouterr().out
    assert "cost: none, the server is on this machine or network" in shown
    for name in prompts.SFT_FORMATS:
        assert f"{name}: 6 traces written, 0 were there" in shown
        assert (tmp_path / "cache" / "traces" / f"{name}.jsonl").read_bytes().count(b"\n") == N
    assert len(server.seen) == 3 * N
    assert not (tmp_path / "results").exists()


def test_studies_without_a_trace_are_a_status_and_no_row_is_shown(own, trees, capsys) -> None:
    with bad_server.running(lambda *_: bad_server.Reply("<think>half")) as server:
        assert own("--prompt", "reasoning_a", "--limit", "2", **local(server), attempts=2) == 1
    shown = capsys.readouterr()
    assert "reasoning_a: 0 traces written, 0 were there, 2 given up" in shown.out
    assert "\n  answers turned down: 4 x not the blocks" in shown.out
    for study in data.load("mimic", trees / "mimic").studies:
        assert study.patient_id not in shown.out + shown.err
        assert study.study_id not in shown.out + shown.err


def test_phantoms_need_no_teacher(capsys, tmp_path) -> None:
    assert cli.main(["traces", "--profile", "smoke", "--cache", str(tmp_path)]) == 2
    assert "got phantoms in profile smoke. Nothing is to be written" in capsys.readouterr().err


def test_the_tokens_are_what_the_assumptions_make_them(tmp_path) -> None:
    profile = with_teacher(config.load_profile("smoke", cache=tmp_path), Teacher(attempts=3))
    assert teacher_of(profile) == Teacher(attempts=3)
    one = command.estimate(profile, prompts.get("reasoning_a"), [str(k) for k in range(2000)])
    text = len(check.instruction(prompts.get("reasoning_a"), FINDINGS[:3])) / 4
    assert (one["to ask"], one["there"]) == (2000, 0)
    assert one["tokens in"] == pytest.approx(2000 * (text + 2 * 258), rel=0.001)
    assert one["tokens out"] == 2000 * (350 + 1024)
    assert (one["at most in"], one["at most out"]) == (3 * one["tokens in"], 3 * 2000 * 2048)
    assert command.estimate(profile, prompts.get("reasoning_a"), ["a", "b", "c"], limit=2)["to ask"] == 2


AWAY = "words that give away that the labels were known"


PASSES = [
    "Given the findings, the heart is the likely cause of this edema.",
    "The nodule is < 1 cm, and > 3 mm, wide.",
    "As known from anatomy, the fissure lies here and is thickened.",
    "No device is labeled; the tube lies well.",
    "Provided the image is adequate, the base is truly opaque here.",
]
GIVES_AWAY = [
    "The ground truth says edema, and so it is.",
    "According to the given labels, there is edema here.",
    "The labels that were provided include edema of the lungs.",
    "As instructed, I find edema in both lungs.",
    "You told me of edema, and I can see it at the base.",
]


def test_a_trace_that_knows_its_labels_is_turned_down_and_how_radiologists_speak_is_not() -> None:
    for thought in (*PASSES, *GIVES_AWAY):
        text = f"<think>{thought}</think><solution>Edema</solution>"
        assert check.fault(Answer(text), FREE, frozenset({"Edema"})) == (AWAY if thought in GIVES_AWAY else ""), thought


def test_what_the_teacher_is_told_has_the_labels_in_order_and_the_whole_task() -> None:
    prompt = prompts.get("reasoning_narrative")
    text = check.instruction(prompt, {"Edema", "Cardiomegaly"})
    assert text.count("Cardiomegaly, Edema.") == 2
    assert prompt.text in text
    assert "turned down" not in text
    assert check.instruction(prompt, {"Edema"}, "an empty answer").endswith("Write a new one that avoids this.")
