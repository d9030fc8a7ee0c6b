"""`chexreason traces`: what it will cost, what is missing, and what is refused, in one line each."""

import dataclasses

import bad_server
import pytest
import yaml
from taught import with_teacher

from chexreason import config, prompts, traces
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from companion.replication.traces import check, instructions, price
from companion.replication.traces.answer import Answer
from companion.replication.traces.settings import Teacher, teacher_of
from companion.report.settings import settings_table
from companion.workflow import commands as cli

N = 6


@pytest.fixture
def own(real_tree, tmp_path, monkeypatch):
    """Runs the command on a profile `own`: a few real films, and these settings of the teacher."""
    text = yaml.safe_load((config.PROFILES / "smoke.yml").read_text())
    monkeypatch.setattr(config, "PROFILES", tmp_path)
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "CHEXREASON_TEACHER_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)

    def act(*words: str, root=real_tree, **teacher) -> int:
        given = {"sizes.sft": N, "sizes.rl": 2} | {f"teacher.{name}": value for name, value in teacher.items()}
        overrides = [{"setting": name, "value": value, "why": "for a test"} for name, value in given.items()]
        data = {**text["data"], "mimic": {"root": str(root)}}
        (tmp_path / "own.yml").write_text(yaml.safe_dump({**text, "data": data, "overrides": overrides}))
        places = ["--profile", "own", "--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results")]
        return cli.main(["traces", *places, *words])

    return act


def local(server) -> dict:
    return {"backend": "openai", "model": "llama", "base_url": f"{server.root}/v1", "requests_per_minute": 60_000}


def test_a_dry_run_tells_the_price_and_what_is_missing_and_leaves_nothing(own, tmp_path, capsys) -> None:
    assert own("--dry-run") == 0
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines()[1:5]]
    assert [row[0] for row in rows] == list(prompts.SFT_FORMATS)
    assert rows[0][1:] == ["0", "0", "6", "written", "from", "the", "labels,", "nothing", "to", "ask"]
    assert [row[1] for row in rows[1:]] == ["6", "6", "6"]
    assert "teacher: gemini-2.5-pro at https://generativelanguage.googleapis.com, at least 1 minutes for 18" in shown
    assert "before it can start: Expected a teacher on this machine or network, or your word" in shown
    assert shown.endswith("dry run: nothing was sent or written\n")
    assert not (tmp_path / "cache" / "traces").exists()


def test_a_third_party_is_refused_before_anything_is_sent(own, capsys, monkeypatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "SECRET")
    assert own("--yes") == 2
    told = capsys.readouterr()
    assert "generativelanguage.googleapis.com, a third party, and teacher.agreement: false" in told.err
    assert told.err.count("\n") == 1
    assert "SECRET" not in told.out + told.err


def test_no_word_no_key_no_start(own, capsys) -> None:
    there = {"backend": "openai", "model": "gpt", "base_url": "https://8.8.8.8/v1", "agreement": True}
    assert own("--prompt", "free_reasoning", **there) == 2
    assert "the price of gpt in the profile, got only that of the paper's teacher" in capsys.readouterr().err
    assert own("--prompt", "free_reasoning", **there, price_in=2, price_out=8) == 2
    assert "export CHEXREASON_TEACHER_KEY=" in capsys.readouterr().err


def test_what_costs_money_starts_with_yes_only(own, capsys, monkeypatch) -> None:
    monkeypatch.setenv("CHEXREASON_TEACHER_KEY", "SECRET")
    monkeypatch.setattr("companion.replication.traces.backends.is_own", lambda url: False)
    with bad_server.running(bad_server.right) as server:
        monkeypatch.setattr("companion.replication.traces.backends.address", lambda teacher: server.root)
        there = {**local(server), "agreement": True, "price_in": 2, "price_out": 8}
        assert own("--prompt", "free_reasoning", **there) == 2
        assert "expected --yes, since this costs money" in capsys.readouterr().err
        assert server.seen == []
        assert own("--prompt", "free_reasoning", "--yes", **there) == 0
        assert len(server.seen) == N
    shown = capsys.readouterr()
    assert "spent: 4,200 tokens in, 600 out, about 0.01 USD" in shown.out  # 6 x (700 x 2 + 100 x 8) / 1e6
    assert "SECRET" not in shown.out + shown.err


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
    with bad_server.running(bad_server.right) as server:
        assert own("--dry-run", **local(server)) == 0
    assert "at least 0 minutes for 0 requests" in capsys.readouterr().out


def test_studies_without_a_trace_are_a_status_and_no_row_is_shown(own, real_tree, capsys) -> None:
    from chexreason import data

    with bad_server.running(lambda *_: bad_server.Reply("<think>half")) as server:
        assert own("--prompt", "reasoning_a", "--limit", "2", **local(server), attempts=2) == 1
    shown = capsys.readouterr()
    assert (
        "reasoning_a: 0 traces written, 0 were there, 2 given up\n  answers turned down: 4 x not the blocks"
        in shown.out
    )
    for study in data.load("mimic", real_tree).studies:
        assert study.patient_id not in shown.out + shown.err
        assert study.study_id not in shown.out + shown.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--prompt", "reasoning_z"], "a format for SFT among"),
        (["--limit", "0"], "--limit of 1 or more, got 0"),
    ],
)
def test_mistakes_are_told_in_one_line(own, capsys, words, told) -> None:
    assert own(*words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_phantoms_need_no_teacher(capsys, tmp_path) -> None:
    assert cli.main(["traces", "--profile", "smoke", "--cache", str(tmp_path)]) == 2
    assert "got phantoms in profile smoke. Nothing is to be written" in capsys.readouterr().err


def test_the_price_is_what_its_assumptions_make_it(own, tmp_path, monkeypatch) -> None:
    own("--dry-run")
    profile = with_teacher(
        config.load_profile("own", cache=tmp_path / "cache"), Teacher(price_in=1.0, price_out=10.0, attempts=3)
    )
    one = price.estimate(profile, prompts.get("reasoning_a"), [str(k) for k in range(2000)])
    text = len(instructions.told(prompts.get("reasoning_a"), FINDINGS[:3])) / 4
    assert one.ask == 2000
    assert one.tokens_in == pytest.approx(2000 * (text + 2 * 258), rel=0.001)
    assert one.tokens_out == 2000 * (350 + 1024)
    assert one.usd == pytest.approx((one.tokens_in * 1.0 + one.tokens_out * 10.0) / 1e6)
    assert one.usd_most == pytest.approx(3 * (one.tokens_in * 1.0 + 2000 * (1024 + 1024) * 10.0) / 1e6)
    assert price.estimate(profile, prompts.get("reasoning_a"), ["a", "b", "c"], limit=2).ask == 2


def test_the_teachers_settings_are_listed_and_stay_out_of_runs(capsys) -> None:
    assert cli.main(["settings"]) == 0
    assert "teacher.agreement = False   [assumed: only you can know]" in capsys.readouterr().out
    profile = config.load_profile("smoke")
    assert teacher_of(profile) == Teacher()
    other = with_teacher(profile, Teacher(model="another"))
    assert teacher_of(other).model == "another"
    assert "teacher" not in set(settings_table()["group"])


@pytest.mark.parametrize("name", prompts.SFT_FORMATS)
def test_the_scripted_teachers_traces_would_pass_as_a_teachers(name, real_tree, tmp_path) -> None:
    from companion.phantoms.prepare import write_traces
    from companion.phantoms.writers import write_tree

    write_tree(tmp_path / "films", "A", {"train": 12}, 7, 64, progress=False)
    from chexreason import cohorts
    from chexreason.config import DataPlace
    from chexreason.labels import positives
    from chexreason.recipe import Sizes

    made = config.load_profile("smoke", cache=tmp_path)
    profile = dataclasses.replace(made, data={"mimic": DataPlace(tmp_path / "films")}, sizes=Sizes(sft=5, rl=2))
    chosen, prompt = cohorts.choose(profile, "sft"), prompts.get(name)
    write_traces(profile, chosen)
    for study, trace in zip(chosen.studies, traces.of(chosen, prompt, profile), strict=True):
        assert check.fault(Answer(trace), prompt, positives(study.labels, "zeros")) == ""


@pytest.mark.parametrize(
    "thought",
    [
        "Given the findings, the heart is the likely cause of this edema.", "The nodule is < 1 cm, and > 3 mm, wide.",
        "As known from anatomy, the fissure lies here and is thickened.", "No device is labeled; the tube lies well.",
        "Provided the film is adequate, the base is truly opaque here.",
    ],
)  # fmt: skip
def test_how_radiologists_speak_gives_nothing_away(thought) -> None:
    text = f"<think>{thought}</think><solution>Edema</solution>"
    assert check.fault(Answer(text), prompts.get("free_reasoning"), frozenset({"Edema"})) == ""


@pytest.mark.parametrize(
    "thought",
    [
        "The ground truth says edema, and so it is.", "According to the given labels, there is edema here.",
        "The labels that were provided include edema of the lungs.", "As instructed, I find edema in both lungs.",
        "You told me of edema, and I can see it at the base.",
    ],
)  # fmt: skip
def test_a_trace_that_knows_its_labels_is_turned_down(thought) -> None:
    text = f"<think>{thought}</think><solution>Edema</solution>"
    fault = check.fault(Answer(text), prompts.get("free_reasoning"), frozenset({"Edema"}))
    assert fault == "words that give away that the labels were known"


def test_a_judgement_takes_linear_time_on_hostile_text() -> None:
    import time

    for piece in ("<", "</", "<a", "label ", "labels a b c ", "<think>", "as ", "<|"):
        text = f"<think>{piece * 50_000}</think><solution>Edema</solution>"
        start = time.process_time()
        check.fault(Answer(text), prompts.get("free_reasoning"), frozenset({"Edema"}))
        assert time.process_time() - start < 5, piece


def test_what_the_teacher_is_told_has_the_labels_in_order_and_the_whole_task() -> None:
    prompt = prompts.get("reasoning_narrative")
    text = instructions.told(prompt, {"Edema", "Cardiomegaly"})
    assert text.count("Cardiomegaly, Edema.") == 2
    assert prompt.text in text
    assert "turned down" not in text
    assert instructions.told(prompt, {"Edema"}, "an empty answer").endswith("Write a new one that avoids this.")
    assert [instructions.needs_teacher(prompts.get(name)) for name in prompts.SFT_FORMATS] == [False, True, True, True]


def test_no_setting_of_the_teacher_claims_to_be_the_papers() -> None:
    from chexreason.settings import origins

    for name, _, origin in origins(Teacher):
        assert not origin.stated, name
        assert origin.why, name
        assert origin.what, name


def test_a_value_out_of_range_in_a_profile_is_told(own, capsys) -> None:
    assert own(attempts=0) == 2
    assert "1 or more for teacher.attempts, got 0" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"a value of type float or null for teacher\.temperature"):
        config.overridden([config.Override("teacher", "temperature", True, "x")], "teacher", Teacher, "own")
