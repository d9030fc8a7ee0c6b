"""The doctor: every state of every check, on trees without a phantom's marker, made-up machines and a local hub."""

import dataclasses
import gzip
import importlib.metadata
import json
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import bad_server
import pytest
from taught import with_teacher

from chexreason import cohorts, config, data, prompts
from chexreason.config import DataPlace
from chexreason.labels import positives
from companion.evidence import sealed
from companion.phantoms.teacher.completion import write_completion
from companion.replication.doctor import DIFFERS, MISSING, READY, Row, datasets, machine
from companion.replication.traces.teacher import KEY, Teacher
from companion.workflow import commands as cli

VARIABLES = ("CHEXREASON_MIMIC", "CHEXREASON_CHEXPERT", "CHEXREASON_NIH")
MEDGEMMA = ("medgemma", "google/medgemma-4b-it")


@pytest.fixture
def profile(held, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    return held


def rows(profile) -> dict[str, Row]:
    return {row.what: row for row in datasets.check(profile)}


def test_the_miniatures_are_all_ready(tmp_path, capsys) -> None:
    assert cli.main(["doctor", "--profile", "smoke", "--cache", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("The profile smoke can run\n")
    assert not [word for word in (" missing ", " differs ") if word in shown.replace("and what is missing for", "")]
    assert "Table 6             ready    nv_reason, medgemma, qwen, medgemma_sft, chexreason\n" in shown


def test_without_anything_each_thing_is_named_with_where_to_get_it(tmp_path, capsys, monkeypatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert cli.main(["doctor", "--profile", "paper"]) == 1
    shown = capsys.readouterr().out
    for name in VARIABLES:
        assert f"{name} is not set" in shown
        assert f"export {name}=/where/it/lies" in shown
    for link in ("https://physionet.org/content/mimic-cxr-jpg/", "https://nihcc.app.box.com/v/ChestXray-NIHCC"):
        assert link in shown
    assert "The profile paper cannot run yet; missing: MIMIC-CXR-JPG" in shown
    assert "Table 1             missing  missing: MIMIC-CXR-JPG, weights: medgemma" in shown
    assert max(map(len, shown.splitlines())) <= 80


#: What the tables of the trees list, and what is published of the whole releases.
COUNTS = {
    "mimic": {"studies": ("33", "227,835"),
              "training, validation and test studies": ("24, 6, 3", "222,758, 1,808, 3,269")},
    "chexpert": {"training studies": ("4", "187,641"), "validation studies": ("3", "200"),
                 "test studies": ("5", "500")},
    "nih": {"images for training and validation": ("4", "86,524"), "test images": ("5", "25,596")},
}  # fmt: skip


@pytest.mark.parametrize("source", COUNTS)
def test_tables_are_held_against_the_published_counts(profile, monkeypatch, source) -> None:
    title, facts = data.SOURCES[source].title, sealed.published(source)
    here = datasets.counts(source, profile.data[source].root)
    assert {what: (n, facts[what][0]) for what, n in here.items() if what != "images"} == COUNTS[source]
    row = datasets._source(source, profile.data[source])
    what, (ours, theirs) = next(iter(COUNTS[source].items()))
    assert (row.what, row.state) == (title, DIFFERS)
    assert f"{what}: {ours} here, {theirs} published ({facts[what][1]})" in row.got
    monkeypatch.setattr(datasets, "counts", lambda *_: {what: facts[what][0] for what in here})
    row = datasets._source(source, profile.data[source])
    assert (row.state, f"{theirs} {what}" in row.got) == (READY, True)


def test_another_release_does_not_keep_the_profile_from_running_and_no_row_of_it_is_shown(profile) -> None:
    found = rows(profile)
    assert found["cohort sft"] == Row("cohort sft", READY, "10 studies, all images are there")
    assert [found[f"cohort {name}"].state for name in cohorts.COHORTS] == [READY] * 5
    shown = "\n".join(row.text(120) for row in found.values())
    for source in ("mimic", "chexpert"):
        for study in data.load(source, profile.data[source].root).studies:
            for secret in (study.patient_id, study.study_id, study.image.stem):
                assert secret not in shown


def test_a_missing_folder_table_or_column_is_named_and_no_cell_is_shown(profile) -> None:
    root = profile.data["mimic"].root
    (root / "mimic-cxr-2.0.0-metadata.csv.gz").rename(root / "metadata")
    row = rows(profile)["MIMIC-CXR-JPG"]
    assert (row.state, "metadata table" in row.got, "Wanted: files/" in row.how) == (MISSING, True, True)
    (root / "metadata").rename(root / "mimic-cxr-2.0.0-metadata.csv.gz")
    labels = root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    text = gzip.decompress(labels.read_bytes()).decode()
    labels.write_bytes(gzip.compress(text.replace(",1.0", ",PLANTED", 1).encode()))
    table = profile.data["nih"].root / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("Finding Labels", "Findings"))
    places = dict(profile.data) | {"chexpert": DataPlace(root / "nowhere")}
    found = rows(dataclasses.replace(profile, data=places))
    for name, got in (
        ("MIMIC-CXR-JPG", "not shown"), ("NIH ChestX-ray14", "one column 'Finding Labels'"),
        ("CheXpert", "the folder of CheXpert at"),
    ):  # fmt: skip
        assert (found[name].state, got in found[name].got) == (MISSING, True), found[name]
        assert "PLANTED" not in found[name].text(80)


def loop(image: Path) -> None:
    image.unlink()
    image.symlink_to(image.name)


@pytest.mark.parametrize(
    ("sizes", "spoil", "which", "state", "got"),
    [
        ({"sft": 1000}, Path.unlink, 0, MISSING, "got a request for 1006 out of"),
        ({}, Path.unlink, 1, MISSING, "of the listed studies of cohort sft, got 15 of 16"),
        ({"images_there": 0.9}, Path.unlink, 1, DIFFERS, "10 studies, after 1 whose image is not there were left out"),
        ({}, Path.unlink, 16, MISSING, "of the listed studies of cohort sft, got 0 of 16"),
        ({}, lambda image: image.write_bytes(b"no image"), 1, DIFFERS, "10 studies; the first image cannot be read"),
        ({}, loop, 1, MISSING, "of the listed studies of cohort sft, got 15 of 16"),
    ],
)
def test_images_that_are_not_there_or_may_not_be_read(profile, sizes, spoil, which, state, got) -> None:
    drawn = [study for name in ("sft", "rl") for study in cohorts.drawn(profile, name).studies]
    for study in drawn[:which]:
        spoil(study.image)
    row = datasets._cohort(dataclasses.replace(profile, sizes=dataclasses.replace(profile.sizes, **sizes)), "sft")
    assert (row.state, got in row.got) == (state, True), row
    assert not [study for study in drawn if study.patient_id in row.text(120)]


def test_credentialed_rows_need_a_writable_cache_outside_the_repository(profile, tmp_path) -> None:
    def cache(**changes):
        return machine._cache(dataclasses.replace(profile, **changes))

    assert cache().state == READY
    inside = cache(cache=config.ROOT / ".cache" / "paper")
    assert (inside.state, "a folder outside the repository" in inside.got) == (MISSING, True)
    (tmp_path / "link").symlink_to(config.ROOT)
    assert cache(cache=tmp_path / "link" / "x").state == MISSING, "a link into the repository is the repository"
    assert cache(rows="results").got == "rows: results with credentialed data"
    assert cache(cache=Path("/proc/nowhere")).state == MISSING
    assert cache(cache=Path("/dev/null/demo")).got == "/dev/null/demo: Not a directory"
    assert not profile.cache.exists(), "the doctor makes no folder"
    assert machine._cache(config.load_profile("smoke")).state == READY


def test_a_cache_that_may_not_be_looked_into_ends_no_check(profile) -> None:
    profile.cache.mkdir()
    found = {row.what: row for row in machine.check(dataclasses.replace(profile, cache=profile.cache / ("9" * 300)))}
    assert (found["cache folder"].state, found["teacher's traces"].state) == (MISSING, MISSING)
    assert "9" * 300 not in found["cache folder"].got
    assert len(found) == 9, found


@pytest.mark.parametrize(("fetch", "free", "state"), [(0, 41e9, READY), (0, 39e9, MISSING), (24e9, 41e9, MISSING)])
def test_the_disk_must_hold_images_checkpoints_and_weights(profile, monkeypatch, fetch, free, state) -> None:
    usage = namedtuple("Usage", "total used free")(0, 0, free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage)
    assert machine._disk(profile.cache, machine.room(config.load_profile("paper", unset=True)) + fetch).state == state


def torch_with(memory: float = 0, bf16: bool = True) -> SimpleNamespace:
    def about(_):
        if not memory:
            raise AssertionError("Torch not compiled with CUDA enabled")
        return SimpleNamespace(name="A card", total_memory=memory)

    cuda = SimpleNamespace(get_device_properties=about, is_bf16_supported=lambda including_emulation: bf16)
    return SimpleNamespace(cuda=cuda)


@pytest.mark.parametrize(
    ("torch", "states", "got"),
    [
        (torch_with(), [MISSING], "torch sees none: Torch not compiled with CUDA enabled"),
        (torch_with(84_987_740_160), [READY, READY], "A card, 85 GB"),
        (torch_with(42_405_855_232), [DIFFERS, READY], "A card, 42 GB"),
        (
            torch_with(34_079_637_504, bf16=False),
            [DIFFERS, MISSING],
            "A card, 34 GB; computed, not measured: evaluation",
        ),
        (None, [MISSING], "torch sees none: import of torch halted"),
    ],
)
def test_the_gpu_its_memory_and_bf16(monkeypatch, torch, states, got) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    paper = config.load_profile("paper", unset=True)
    found = list(machine._gpu(paper, True))
    assert [row.state for row in found] == states
    assert found[0].got.startswith(got)
    assert [row.state for row in machine._gpu(paper, False)] == [READY]


def test_a_small_gpu_is_told_what_fits_and_which_line_makes_the_rest_fit(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_with(16_900_000_000))
    row = next(machine._gpu(config.load_profile("paper", unset=True), True))
    assert row.state == DIFFERS
    assert "17 GB; computed, not measured: SFT (" in row.got
    assert row.got.endswith("GB) fits")
    assert "{setting: decoding.batch_size, value: 8, why: a card of 17 GB}" in row.how


@pytest.mark.parametrize(
    ("changes", "state", "got"),
    [
        ({}, READY, "as pinned"),
        ({"trl": "2.0"}, DIFFERS, "trl 2.0 (1.0 pinned)"),
        ({"trl": "2.0", "peft": None}, MISSING, "not installed: peft"),
    ],
)
def test_library_versions_are_held_against_the_pins(monkeypatch, changes, state, got) -> None:
    versions = dict.fromkeys(machine.PACKAGES, "1.0+cu130") | changes  # the build is the machine's affair

    def version(name: str) -> str:
        if versions[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    assert set(machine.PACKAGES) <= set(machine._pins())
    monkeypatch.setattr(machine, "_pins", lambda: dict.fromkeys(versions, "1.0"))
    monkeypatch.setattr(machine.importlib.metadata, "version", version)
    row = machine._versions()
    assert (row.state, got in row.got) == (state, True)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The folder of a hub's cache, on a machine without a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path


@pytest.mark.parametrize(
    ("status", "code", "state", "got", "how"),
    [
        (200, "", READY, "not here yet; the hub gives access, 8.6 GB to fetch", ""),
        (403, "GatedRepo", MISSING, "the hub gives it to those who accepted its terms", "accept the terms"),
        (401, "RepoNotFound", MISSING, "the hub has no such model for this token", "accept the terms"),
        (None, "", MISSING, "the hub could not be asked", "hf download google/medgemma-4b-it --revision 290cda5e"),
    ],
)
def test_the_hub_is_asked_for_gated_weights(offline, monkeypatch, status, code, state, got, how) -> None:
    headers = {"X-Repo-Commit": "a" * 40, "ETag": '"x"', "X-Error-Code": code}
    with bad_server.running(lambda *_: bad_server.Reply(status=status, headers=headers, raw=b"")) as hub:
        if status:
            monkeypatch.setenv("HF_ENDPOINT", hub.root)
            monkeypatch.setenv("NO_PROXY", "*")
        row = machine.weights(*MEDGEMMA)
    assert (row.state, got in row.got, how in row.how) == (state, True, True)


def test_weights_in_the_hubs_cache_are_ready_only_when_whole(offline) -> None:
    commit = machine.revision_of(*MEDGEMMA)
    assert len(commit) == 40, "pinned"
    folder = offline / "models--google--medgemma-4b-it" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1], "c": names[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / names[0]).touch()
    assert machine.lacking(folder) == names[1]
    assert not machine._is_here(*MEDGEMMA)
    (folder / names[1]).touch()
    assert machine.weights(*MEDGEMMA).state == READY
    (folder / names[0]).unlink()
    assert machine.weights("medgemma", str(folder)).got == f"no {names[0]} in {folder}"


def test_traces_or_a_teacher_to_write_them(profile) -> None:
    found = list(machine._teacher(profile))
    assert [row.state for row in found] == [MISSING, MISSING]
    assert "a third party" in found[1].got
    local = with_teacher(profile, Teacher(model="a-model", base_url="http://127.0.0.1:8000/v1"))
    assert list(machine._teacher(local))[1] == Row("teacher", READY, "a-model at http://127.0.0.1:8000/v1")
    assert found[0].how == "run chexreason traces --profile smoke --prompt only_label"
    folder, studies = profile.cache / "traces", cohorts.drawn(profile, "sft").studies
    folder.mkdir(parents=True)
    for name in prompts.SFT_FORMATS:
        answer = prompts.get(name).answer
        written = {s.key: write_completion("Seen.", positives(s.labels, "zeros"), answer) for s in studies}
        lines = [json.dumps({"study": key, "trace": trace}) for key, trace in written.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    assert list(machine._teacher(profile)) == [Row("teacher's traces", READY, "10 studies in 4 formats")]
    (folder / f"{prompts.SFT_FORMATS[0]}.jsonl").write_text("\n".join(lines[2:]) + "\n")
    assert next(row.state for row in machine._teacher(profile)) == MISSING
