"""The teacher's traces: read from a file, which the scripted teacher writes for phantoms."""

import dataclasses
import json

import pytest

from chexreason import cohorts, config, prompts, traces
from chexreason.cohorts import Cohort
from chexreason.config import DataPlace
from chexreason.errors import UserError
from chexreason.labels import positives
from chexreason.recipe import Sizes
from companion.phantoms.prepare import write_traces
from companion.replication.traces import check
from companion.replication.traces.ask import Answer


@pytest.fixture
def profile(drawn, tmp_path):
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    return dataclasses.replace(made, data={"mimic": DataPlace(drawn / "mimic")}, sizes=Sizes(sft=6, rl=2))


@pytest.mark.parametrize("name", prompts.SFT_FORMATS)
def test_the_scripted_teachers_traces_would_pass_as_a_teachers(profile, name) -> None:
    chosen, prompt = cohorts.choose(profile, "sft"), prompts.get(name)
    write_traces(profile, chosen)
    for study, trace in zip(chosen.studies, traces.of(chosen, prompt, profile), strict=True):
        assert check.fault(Answer(trace), prompt, positives(study.labels, "zeros")) == ""


@pytest.fixture
def real(studies, tmp_path):
    """A cohort of two real images, without the marker of a phantom tree."""
    return Cohort("sft", "mimic", tmp_path, tuple(studies[:2]), (), {})


def write(profile, text: str) -> None:
    (profile.cache / "traces").mkdir(parents=True, exist_ok=True)
    (profile.cache / "traces" / "only_label.jsonl").write_text(text)


def line(study, trace: str) -> str:
    return json.dumps({"study": study.key, "trace": trace}) + "\n"


def lesson(study) -> str:
    return f"<solution>{', '.join(positives(study.labels, 'zeros'))}</solution>"


def test_traces_of_real_images_are_matched_by_study_and_not_by_order(profile, real) -> None:
    first, second = real.studies
    write(profile, line(second, lesson(second)) + "\n" + line(first, lesson(first)))
    assert lesson(first) != lesson(second)
    assert traces.of(real, prompts.get("only_label"), profile) == [lesson(first), lesson(second)]


def test_a_missing_file_and_a_missing_trace_are_said(profile, real) -> None:
    for count in (2, 1):
        with pytest.raises(
            UserError, match=rf"a trace for each of 2 studies in .*only_label\.jsonl, got {count} without"
        ):
            traces.of(real, prompts.get("only_label"), profile)
        write(profile, line(real.studies[0], "one"))


@pytest.mark.parametrize("bad", ['{"study": "x", ', '{"study": "x"}', '["x", "y"]', '{"study": "x", "trace": 3}'])
def test_a_malformed_line_is_named(profile, real, bad) -> None:
    write(profile, line(real.studies[0], "one") + bad + "\n")
    with pytest.raises(UserError, match=r"study and trace in line 2 of only_label\.jsonl") as caught:
        traces.of(real, prompts.get("only_label"), profile)
    assert bad not in str(caught.value)


@pytest.mark.parametrize("bad", ["<solution>Fracture, Edema</solution>", "Cardiomegaly", "<solution></solution>"])
def test_a_trace_that_ends_in_other_labels_is_no_lesson(profile, real, bad) -> None:
    first, second = real.studies
    write(profile, line(first, lesson(first)) + line(second, bad))
    with pytest.raises(UserError, match=r"end in the labels recorded, got 1 of 2 that do not\. Move that file away"):
        traces.of(real, prompts.get("only_label"), profile)


def test_what_a_killed_process_left_of_the_last_line_does_not_count(profile, real) -> None:
    first, second = real.studies
    whole = line(second, lesson(second)).strip()
    for length in range(1, len(whole)):
        write(profile, line(first, lesson(first)) + whole[:length])
        assert list(traces.read(traces.place(profile, prompts.get("only_label")))) == [first.key]
    write(profile, line(first, lesson(first)) + whole)
    assert len(traces.of(real, prompts.get("only_label"), profile)) == 2
