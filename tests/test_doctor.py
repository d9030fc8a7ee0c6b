"""The doctor: every state of every check, on trees without a phantom's marker, made-up machines and a local hub."""

import dataclasses
import gzip
import http.server
import importlib.metadata
import json
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from companion.replication.traces.backends import BACKENDS
from companion.replication.traces.settings import teacher_of
from taught import with_teacher

from chexreason import cohorts, config, data, prompts
from chexreason.config import DataPlace
from chexreason.hyperparameters import Sizes
from chexreason.labels import positives
from companion.phantoms import teacher
from companion.phantoms.writers import write_tree
from companion.replication import doctor
from companion.replication.doctor import DIFFERS, MISSING, READY, datasets, machine, weights
from companion.workflow import commands as cli

VARIABLES = ("CHEXREASON_MIMIC", "CHEXREASON_CHEXPERT", "CHEXREASON_NIH")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Trees in the real layouts that pass for real ones: nothing marks them as phantoms."""
    root = tmp_path_factory.mktemp("films")
    write_tree(root / "mimic", "A", {"train": 24, "validate": 6, "test": 3}, 1, 64, progress=False)
    write_tree(root / "chexpert", "B", {"train": 4, "validate": 3, "test": 5}, 3, 64, progress=False)
    write_tree(root / "nih", "C", {"train": 4, "test": 5}, 2, 64, progress=False)
    for source in ("mimic", "chexpert", "nih"):
        for name in (data.PHANTOM_MARKER, data.TRUTH):
            (root / source / name).unlink()
    return root


@pytest.fixture
def profile(drawn, tmp_path, monkeypatch):
    for name in (key for backend in BACKENDS.values() for key in backend.keys):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(drawn, tmp_path / "films")
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    places = {name: DataPlace(tmp_path / "films" / name) for name in ("mimic", "chexpert", "nih")}
    sizes = Sizes(sft=10, rl=6, validation=4)
    return dataclasses.replace(made, data=places, sizes=sizes, rows="cache")


def rows(profile) -> dict[str, doctor.Row]:
    return {row.what: row for row in doctor.examine(profile)}


def stated(profile) -> dict[str, str]:
    return {name: row.state for name, row in rows(profile).items()}


# The whole table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smoke", "demo", "experiment", "miniature"])
def test_the_miniatures_are_all_ready(name, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["doctor", "--profile", name, "--cache", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith(f"The profile {name} can run\n")
    assert "missing" not in shown
    assert "differs" not in shown
    assert max(map(len, shown.splitlines())) <= 80


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
    assert max(map(len, shown.splitlines())) <= 80


def test_a_table_adapts_to_the_terminal() -> None:
    row = doctor.Row("disk", MISSING, "nothing free " * 8, "buy one " * 12)
    for width in (60, 80, 100, 120):
        longest = max(map(len, doctor.lines(row, width).splitlines()))
        assert width - 15 < longest <= width
    assert max(map(len, doctor.lines(row, 300).splitlines())) <= 120
    assert doctor.lines(doctor.Row("disk", READY, "80 GB free", "buy one"), 80).endswith("80 GB free")


def test_a_wrong_profile_is_one_line_and_status_2(capsys) -> None:
    assert cli.main(["doctor", "--profile", "pappe"]) == 2
    assert "expected a profile among" in capsys.readouterr().err


def test_torch_is_left_alone_where_no_gpu_is_needed(tmp_path) -> None:
    code = (
        f"import sys\nfrom companion.workflow.commands import main\n"
        f"assert main(['doctor', '--profile', 'smoke', '--cache', {str(tmp_path)!r}]) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# Data sets ----------------------------------------------------------------------------------------


def test_the_published_counts_are_read_from_the_facts_with_their_sources() -> None:
    mimic = {name: number for name, (number, _) in datasets.official("mimic").items()}
    assert mimic["images"] == 377_110
    assert (mimic["training studies"], mimic["validation studies"], mimic["test studies"]) == (222_758, 1_808, 3_269)
    assert mimic["studies"] == 222_758 + 1_808 + 3_269 == 227_835
    assert mimic["studies without any label"] == 2_414
    chexpert, nih = datasets.official("chexpert"), datasets.official("nih")
    assert [chexpert[f"training {what}"][0] for what in ("images", "studies", "patients")] == [223_414, 187_641, 64_540]
    assert (chexpert["validation studies"][0], chexpert["test studies"][0]) == (200, 500)
    assert (nih["images for training and validation"][0], nih["test images"][0]) == (86_524, 25_596)
    assert nih["test images with none of the nine shared labels"][0] == 4_689
    assert "Irvin et al. 2019" in chexpert["training images"][1]


@pytest.mark.parametrize("source", ["mimic", "chexpert", "nih"])
def test_every_count_that_is_taken_has_a_published_one(profile, source) -> None:
    counted = data.SOURCES[source].counts(profile.data[source].root)
    assert set(counted) <= set(datasets.official(source))


def test_counts_are_those_of_the_trees(profile) -> None:
    places = {source: place.root for source, place in profile.data.items()}
    mimic = data.SOURCES["mimic"].counts(places["mimic"])
    assert mimic["images"] == len(list((places["mimic"] / "files").rglob("*.jpg"))) > 33
    assert (mimic["studies"], mimic["training studies"], mimic["validation studies"]) == (33, 24, 6)
    assert mimic["studies without any label"] + len(data.load("mimic", places["mimic"]).studies) == 33
    chexpert = data.SOURCES["chexpert"].counts(places["chexpert"])
    assert chexpert["training images"] == len(list((places["chexpert"]).rglob("train/*/*/*.jpg")))
    assert [chexpert[name] for name in ("training studies", "training patients", "validation studies")] == [4, 4, 3]
    assert chexpert["test studies"] == 5
    nih = data.SOURCES["nih"].counts(places["nih"])
    assert (nih["images for training and validation"], nih["test images"]) == (4, 5)


def test_another_release_differs_in_named_counts_and_the_profile_may_still_run(profile) -> None:
    found = rows(profile)
    row = found["MIMIC-CXR-JPG"]
    assert row.state == DIFFERS
    assert "training studies: 24 here, 222,758 published" in row.got
    assert "physionet.org" in row.how
    assert found["cohort sft"] == doctor.Row("cohort sft", READY, "10 studies, all films are there")
    assert [found[f"cohort {name}"].state for name in cohorts.COHORTS] == [READY] * 5
    told, can_run = doctor.verdict(profile, [row], 80)
    assert can_run
    assert "can run; differs: MIMIC-CXR-JPG" in told


def test_the_published_release_is_ready(profile, monkeypatch) -> None:
    counted = {name: number for name, (number, _) in datasets.official("nih").items()}
    source = dataclasses.replace(data.SOURCES["nih"], counts=lambda root: counted)
    monkeypatch.setitem(data.SOURCES, "nih", source)
    row = rows(profile)["NIH ChestX-ray14"]
    assert row.state == READY
    assert row.got.startswith("as published: 86,524 images for training and validation")


def test_a_missing_folder_table_or_column_is_named(profile) -> None:
    root = profile.data["mimic"].root
    (root / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    row = rows(profile)["MIMIC-CXR-JPG"]
    assert (row.state, "metadata table" in row.got, "Wanted: files/" in row.how) == (MISSING, True, True)
    table = profile.data["nih"].root / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("Finding Labels", "Findings"))
    row = rows(profile)["NIH ChestX-ray14"]
    assert (row.state, "one column 'Finding Labels'" in row.got) == (MISSING, True)
    places = dict(profile.data) | {"chexpert": DataPlace(root / "nowhere")}
    row = rows(dataclasses.replace(profile, data=places))["CheXpert"]
    assert (row.state, row.got) == (MISSING, f"no folder {root / 'nowhere'}")
    assert rows(profile)["cohorts"].state == MISSING


def test_a_row_of_a_damaged_table_is_not_shown(profile) -> None:
    table = profile.data["mimic"].root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    table.write_bytes(gzip.compress(text.replace(",1.0", ",PLANTED", 1).encode()))
    row = rows(profile)["MIMIC-CXR-JPG"]
    assert row.state == MISSING
    assert "a label of 1.0" in row.got
    assert "PLANTED" not in doctor.lines(row, 80)


def test_too_few_patients_and_films_that_are_not_there(profile) -> None:
    sizes = dataclasses.replace(profile.sizes, sft=1000)
    row = rows(dataclasses.replace(profile, sizes=sizes))["cohort sft"]
    assert (row.state, row.how) == (MISSING, "ask for fewer")
    studies = cohorts.drawn(profile, "validation").studies
    studies[1].image.unlink()
    row = rows(profile)["cohort validation"]
    assert (row.state, row.got) == (DIFFERS, "1 of 4 films are not there and would be left out")
    for study in studies:
        study.image.unlink(missing_ok=True)
    assert rows(profile)["cohort validation"].state == MISSING
    cohorts.drawn(profile, "rl").studies[0].image.write_bytes(b"no film")
    assert rows(profile)["cohort rl"].got == "6 studies; the first film cannot be read"


def test_the_table_names_no_patient(profile) -> None:
    shown = "\n".join(doctor.lines(row, 120) for row in doctor.examine(profile))
    for source, place in profile.data.items():
        for study in data.load(source, place.root).studies:
            for secret in (study.patient_id, study.study_id, study.image.stem):
                assert source == "nih" or secret not in shown


# The machine --------------------------------------------------------------------------------------


def test_credentialed_rows_need_a_writable_cache_outside_the_repository(profile, tmp_path) -> None:
    def cache(**changes):
        return machine._cache(dataclasses.replace(profile, **changes))

    assert cache().state == READY
    inside = cache(cache=config.ROOT / ".cache" / "paper")
    assert (inside.state, "lies in the repository" in inside.got) == (MISSING, True)
    (tmp_path / "link").symlink_to(config.ROOT)
    assert cache(cache=tmp_path / "link" / "x").state == MISSING, "a link into the repository is the repository"
    assert cache(rows="results").got == "rows: results with credentialed data"
    assert cache(cache=machine.Path("/proc/nowhere")).state == MISSING
    assert not profile.cache.exists(), "the doctor makes no folder"
    phantoms = config.load_profile("smoke")
    assert machine._cache(phantoms).state == READY


def test_the_disk_must_hold_films_checkpoints_and_weights(profile, monkeypatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "/data")
    paper = config.load_profile("paper", cache="/somewhere")
    monkeypatch.setattr("companion.replication.doctor.weights.cached", lambda base, repo: False)
    need = machine.room(paper)
    films = (2000 + 1000 + 500 + 500 + 25_596) * 896 * 896
    assert need > films + 2 * 7.5e9 + 8.6e9
    monkeypatch.setattr("companion.replication.doctor.weights.cached", lambda base, repo: True)
    assert machine.room(paper) == need - sum(weights.PUBLISHED.values())
    assert machine.room(config.load_profile("smoke")) < 1e9
    Usage = namedtuple("Usage", "total used free")
    for free, state in ((need, READY), (need // 4, MISSING)):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda place, free=free: Usage(0, 0, free))
        assert machine._disk(paper).state == state


def torch_with(memory: float = 0, bf16: bool = True, built: str | None = "13.0") -> SimpleNamespace:
    cuda = SimpleNamespace(
        is_available=lambda: memory > 0,
        get_device_properties=lambda k: SimpleNamespace(name="A card", total_memory=memory),
        is_bf16_supported=lambda including_emulation: bf16,
    )
    return SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda=built))


@pytest.mark.parametrize(
    ("torch", "states", "got"),
    [
        (torch_with(), [MISSING], "torch sees none"),
        (torch_with(built=None), [MISSING], "torch is a build without CUDA"),
        (torch_with(84_987_740_160), [READY, READY], "A card, 85 GB"),
        (torch_with(42_405_855_232), [DIFFERS, READY], "A card, 42 GB"),
        (torch_with(34_079_637_504, bf16=False), [DIFFERS, MISSING], "A card, 34 GB"),
        (None, [MISSING], "torch is not installed"),
    ],
)
def test_the_gpu_its_memory_and_bf16(monkeypatch, torch, states, got) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = list(machine._gpu(True))
    assert [row.state for row in found] == states
    assert found[0].got == got
    assert [row.state for row in machine._gpu(False)] == [READY]


def test_library_versions_are_held_against_the_pins(monkeypatch, tmp_path) -> None:
    versions = dict.fromkeys(machine.PACKAGES, "1.0")
    (tmp_path / "constraints.txt").write_text("# pins\n" + "".join(f"{name}==1.0\n" for name in versions))
    monkeypatch.setattr(machine.config, "ROOT", tmp_path)

    def version(name: str) -> str:
        if versions[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(machine.importlib.metadata, "version", version)
    assert machine._versions().state == READY
    versions["torch"] = "1.0+cu130"
    assert machine._versions().state == READY, "the build is the machine's affair"
    versions["trl"] = "2.0"
    assert (machine._versions().state, machine._versions().got) == (DIFFERS, "trl 2.0 (1.0 pinned)")
    versions["peft"] = None
    assert (machine._versions().state, machine._versions().got) == (MISSING, "not installed: peft")
    versions |= {"peft": "1.0", "trl": "1.0"}
    (tmp_path / "constraints.txt").unlink()
    assert machine._versions().state == DIFFERS


# Weights and the teacher --------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine whose one answer can be set: a status, and the code that the real one sends with it."""
    answer = {"status": 200, "code": ""}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(answer["status"])
            for name, value in {"X-Repo-Commit": "a" * 40, "ETag": '"x"', "X-Error-Code": answer["code"]}.items():
                if value:
                    self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield answer
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "code", "state", "got"),
    [
        (200, "", READY, "not here yet; the hub gives access, 8.6 GB to fetch"),
        (401, "GatedRepo", MISSING, "the hub gives it to those who accepted its terms"),
        (403, "GatedRepo", MISSING, "the hub gives it to those who accepted its terms"),
        (401, "RepoNotFound", MISSING, "the hub has no such model for this token"),
        (500, "", MISSING, "the hub could not be asked (HfHubHTTPError)"),
    ],
)
def test_the_hub_is_asked_for_gated_weights(hub, status, code, state, got) -> None:
    hub |= {"status": status, "code": code}
    row = weights._weights("medgemma", "google/medgemma-4b-it")
    assert row.state == state
    assert got in row.got
    if code == "GatedRepo":
        assert "accept the terms" in row.how


def test_offline_is_said_to_be_offline(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    row = weights._weights("qwen", "Qwen/Qwen2.5-VL-3B-Instruct")
    assert row.state == MISSING
    assert "the hub could not be asked" in row.got
    assert "hf download Qwen/Qwen2.5-VL-3B-Instruct --revision 66285546" in row.how


def test_weights_in_the_hubs_cache_are_ready_only_when_whole(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    repo = tmp_path / "models--google--medgemma-4b-it"
    commit = weights.revision_of("medgemma", "google/medgemma-4b-it")
    assert len(commit) == 40, "pinned"
    folder = repo / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1], "c": names[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / names[0]).touch()
    assert weights.lacking(folder) == names[1]
    assert not weights.cached("medgemma", "google/medgemma-4b-it")
    (folder / names[1]).touch()
    assert weights._weights("medgemma", "google/medgemma-4b-it").state == READY
    assert weights.to_fetch("medgemma", "google/medgemma-4b-it") == 0


def test_a_folder_of_weights_must_be_whole(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    row = weights._weights("qwen", str(tmp_path))
    assert (row.state, row.got) == (MISSING, f"no model.safetensors in {tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"12")
    assert weights._weights("qwen", str(tmp_path)).state == READY
    assert weights.size_of("qwen", str(tmp_path)) == 2
    assert not weights.cached("qwen", str(tmp_path / "nowhere"))


def write_traces(profile) -> None:
    folder = profile.cache / "traces"
    folder.mkdir(parents=True, exist_ok=True)
    for name in prompts.SFT_FORMATS:
        lines = [
            {
                "study": s.key,
                "trace": teacher.trace([], positives(s.labels, "zeros"), prompts.get(name), np.random.default_rng(0)),
            }
            for s in cohorts.drawn(profile, "sft").studies
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_traces_or_a_teacher_to_write_them(profile) -> None:
    found = rows(profile)
    assert found["teacher's traces"].state == found["teacher"].state == MISSING
    assert found["teacher's traces"].how == "chexreason traces --profile smoke"
    assert found["teacher's traces"].got.count("got no file") == len(prompts.SFT_FORMATS)
    write_traces(profile)
    found = rows(profile)
    assert found["teacher's traces"].got == "10 studies in 4 formats"
    assert found["teacher"].state == READY
    whole = profile.cache / "traces" / f"{prompts.SFT_FORMATS[0]}.jsonl"
    whole.write_text(whole.read_text().split("\n", 2)[2])
    row = rows(profile)["teacher's traces"]
    assert row.state == MISSING
    assert row.got.endswith(f"got 2 without one in {whole.name}")


def test_the_teacher_is_a_third_party_a_server_without_a_key_or_ready(profile, monkeypatch) -> None:
    def row(**changes) -> doctor.Row:
        teacher = dataclasses.replace(teacher_of(profile), **changes)
        return rows(with_teacher(profile, teacher))["teacher"]

    assert "a third party" in row(base_url="https://192.0.2.1/v1", backend="openai").got
    agreed = {"base_url": "https://192.0.2.1/v1", "backend": "openai", "agreement": True}
    assert row(**agreed).got == "Expected a key for 192.0.2.1, got none in the environment"
    monkeypatch.setenv("CHEXREASON_TEACHER_KEY", "a secret of mine")
    ready = row(**agreed, model="a-model")
    assert (ready.state, ready.got) == (READY, "a-model at https://192.0.2.1/v1")
    monkeypatch.delenv("CHEXREASON_TEACHER_KEY")
    assert row(base_url="http://127.0.0.1:8000/v1", backend="openai").state == READY
