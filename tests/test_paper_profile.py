"""The profile `paper` from end to end on a fake machine of a user's, and no patient in what it writes.

The trees are phantoms without the marks of phantoms, so everything treats them as MIMIC-CXR-JPG, CheXpert and NIH.
The miniatures stand for the models, and a few studies and tokens for all; the rest of the profile is as it is. All is
done by the commands that a user types, whose whole output counts as the log. Identifiers and sentences are planted in
the trees, and looked for in the results and the logs. It is the one whole study of the tests, so the four notebooks
are looked at here, too.
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from chexreason import config, data, prompts, runs
from chexreason.labels import positives
from chexreason.written import PROFILES
from companion import report
from companion.evidence import claims
from companion.phantoms import prepare, teacher
from companion.phantoms.writers import write_tree
from companion.report import beside, conclusions
from companion.report.figures import FIGURES
from companion.workflow import commands as cli
from companion.workflow import stages

HOSPITALS = {"mimic": ("A", {"train": 24, "validate": 4}), "chexpert": ("B", {"test": 2}), "nih": ("C", {"test": 2})}
SMALL = {
    "sizes.sft": 8, "sizes.rl": 4, "sizes.validation": 2, "sft.num_train_epochs": 1,
    "sft.per_device_train_batch_size": 4, "grpo.per_device_train_batch_size": 16, "grpo.studies_per_step": 4,
    "grpo.checkpoints": 1, "grpo.max_completion_length": 8, "decoding.max_new_tokens": 8, "decoding.batch_size": 40,
}  # fmt: skip
#: What a report or a trace could say, told apart from everything that the package itself writes.
SENTENCE = "Zebra-striped opacity number {} beneath the violet pacemaker"
#: The runs of the paper: nine prompts, eight fine-tunings, two rewards, five models on two test sets.
RUNS = {"01": 9, "02": 8, "03": 2, "04": 10}


@dataclass(frozen=True)
class Held:
    """A user's machine: a folder with data sets, profiles, a cache and results, and all that a terminal showed."""

    base: Path
    secrets: frozenset[str]
    log: list[str]

    @property
    def results(self) -> Path:
        return self.base / "results" / "paper"

    @property
    def cache(self) -> Path:
        return self.base / "cache" / "paper"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The environment that the user has set."""
        places = {f"CHEXREASON_{name.upper()}": str(self.base / name) for name in (*HOSPITALS, "cache", "profiles")}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                **places,
                "COLUMNS": "80",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(config.ROOT),
                "CHEXREASON_MANIFEST_KEY": "shared by those who hold the data",
            }.items():
                patch.setenv(name, value)
            patch.setattr("chexreason.written.PROFILES", self.base / "profiles")
            yield

    def command(self, *words: str) -> int:
        """A chexreason command on the profile; what it shows goes into the log."""
        shown = io.StringIO()
        with self.entered(), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            status = cli.main([*words, "--profile", "paper", "--results", str(self.base / "results")])
        self.log.append(f"{words}\n{shown.getvalue()}")
        return status


def studies(base: Path, *sources: str) -> Iterator[data.Study]:
    for source in sources:
        yield from data.load(source, base / source).studies


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Held:
    """The machine after doctor, cohorts and the whole study."""
    base = tmp_path_factory.mktemp("held")
    for source, (hospital, sizes) in HOSPITALS.items():
        write_tree(base / source, hospital, sizes, 5, 96, progress=False)
    lesions = prepare.lesions(base / "mimic")
    for source in HOSPITALS:
        for name in (data.PHANTOM_MARKER, data.TRUTH):
            (base / source / name).unlink()
    secrets = plant(base, lesions)
    profile, small = (yaml.safe_load((PROFILES / f"{name}.yml").read_text()) for name in ("paper", "smoke"))
    profile["models"] = small["models"]
    profile["engines"]["images"]["pixels"] = 8000
    kept = [entry for entry in profile["overrides"] if entry["setting"] not in SMALL]
    profile["overrides"] = kept + [{"setting": name, "value": n, "why": "for a test"} for name, n in SMALL.items()]
    shutil.copytree(PROFILES, base / "profiles")  # the tables look for the others too
    (base / "profiles" / "paper.yml").write_text(yaml.safe_dump(profile))
    machine = Held(base, secrets, [])
    for words in ("doctor", "cohort write", "cohort verify", "cohort show", "run all"):
        assert machine.command(*words.split()) == 0, machine.log[-1]
    return machine


def plant(base: Path, lesions: dict[str, list[dict[str, object]]]) -> frozenset[str]:
    """Reports beside MIMIC's images, a column of text in its table, and traces; returns all that must not come out."""
    secrets, rng = set(), np.random.default_rng(0)
    lines: dict[str, list[str]] = {name: [] for name in prompts.SFT_FORMATS}
    for number, study in enumerate(studies(base, *HOSPITALS)):
        secrets |= {study.patient_id, study.study_id, study.image.stem, SENTENCE.format(number)}
        secrets -= {"view1_frontal"}
        if study.source != "mimic":
            continue
        study.image.parent.with_suffix(".txt").write_text(f"FINDINGS: {SENTENCE.format(number)}.")
        recorded = positives(study.labels, "zeros")
        for name in prompts.SFT_FORMATS if recorded else ():
            trace = teacher.trace(lesions[study.key], recorded, prompts.get(name), rng)
            trace = trace.replace("</think>", f" {SENTENCE.format(number)}.</think>")
            lines[name].append(json.dumps({"study": study.key, "trace": trace}))
    table = base / "mimic" / "mimic-cxr-2.0.0-metadata.csv.gz"
    frame = pd.read_csv(table, dtype=str).assign(Impression=SENTENCE.format("in the table"))
    table.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    for name, texts in lines.items():
        place = base / "cache" / "paper" / "traces" / f"{name}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(texts) + "\n")
    return frozenset(secrets | {SENTENCE.format("in the table"), "Zebra-striped"})


def told(texts: Iterator[tuple[str, str]], secrets: frozenset[str]) -> set[tuple[str, str]]:
    """(where, secret) for every secret that stands in a text, not as a part of a longer number or digest."""
    pattern = re.compile("(?<![0-9A-Za-z])(?:" + "|".join(map(re.escape, sorted(secrets))) + ")(?![0-9A-Za-z])")
    return {(where, found) for where, text in texts for found in pattern.findall(text)}


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of every file below a folder; the path itself counts as text."""
    for path in filter(Path.is_file, sorted(folder.rglob("*"))):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        yield str(path), f"{path}\n{content.decode('utf-8', errors='replace')}"


def outside(held: Held) -> Iterator[tuple[str, str]]:
    yield from written(held.results)
    yield from ((f"log {number}", text) for number, text in enumerate(held.log))


def test_the_whole_study_runs_and_what_it_writes_outside_the_cache_tells_of_no_patient(held) -> None:
    found = runs.read_all(held.results)
    assert Counter(run.run_id[:2] for run in found) == RUNS
    assert all(run.info["tier"] == "replication" and len(run.metrics()) for run in found)
    assert told(written(held.cache / "cohorts"), held.secrets) == set()
    assert len(list((held.cache / "cohorts").glob("*.json"))) == 5
    assert told(outside(held), held.secrets) == set()
    assert not list(held.results.rglob("predictions*"))
    assert not [path for path in held.results.rglob("*") if path.name.endswith((".partial", ".failed.ipynb"))]
    assert not (config.RESULTS / "paper").exists()


def test_what_the_book_shows_of_it_tells_of_no_patient(held) -> None:
    """Tables, what may be concluded from them, figures and the verdicts; the pages hold nothing else of a run."""
    root = held.base / "results"
    with held.entered():
        made = [f(number, "paper", root) for number in range(1, 7) for f in (report.table, conclusions.ours)]
        made += [report.figure(which, "paper", root) for which in FIGURES]
        made += [report.other_test_sets("paper", root), beside.recorded_and_visible("paper", root)]
        judged = claims.outcomes(claims.CLAIMS, claims.open_side("paper", root))
    texts = [*((f"display {number}", one.text) for number, one in enumerate(made)), ("verdicts", repr(judged))]
    assert told(iter(texts), held.secrets) == set()
    assert sum(len(text) for _, text in texts) > 20_000, "there is something to look through"


def test_the_search_finds_what_the_cache_holds(held) -> None:
    places = [held.cache / name for name in ("rows", "traces")]
    inside = told(itertools.chain.from_iterable(map(written, places)), held.secrets)
    scored = {study.patient_id for study in studies(held.base, "chexpert", "nih")}
    assert scored <= {secret for _, secret in inside}, "the rows of the scored studies"
    assert any(secret.startswith("Zebra") for _, secret in inside), "the traces"
    assert any("predictions.csv.gz" in where for where, _ in inside)


def test_whoever_has_nihs_images_alone_gets_their_columns_of_table_6(held, capsys) -> None:
    words = ("--results", str(held.base / "results"))
    with held.entered(), pytest.MonkeyPatch.context() as patch:
        for name in ("MIMIC", "CHEXPERT"):
            patch.delenv(f"CHEXREASON_{name}")
        assert cli.main(["doctor", "--profile", "open", *words]) == 0
        assert "Table 6             ready    nv_reason, qwen\n" in capsys.readouterr().out
        assert cli.main(["doctor", "--profile", "paper", *words]) == 0
        assert "The profile paper can run in part" in capsys.readouterr().out
        assert cli.main(["run", "sft", "--profile", "open", *words]) == 2
        assert "a stage of the study of profile open among generalization, got 'sft'" in capsys.readouterr().err
        assert cli.main(["run", "all", "--profile", "open", *words]) == 0
        open_ones = held.base / "results" / "open"
        assert [run.parent.name for run in sorted(open_ones.glob("*/run.json"))] == [
            "04-generalization-nv_reason-nih", "04-generalization-qwen-nih",
        ]  # fmt: skip
        shown = report.table(6, "open", held.base / "results").text
        assert "Not run: 04-generalization-medgemma-nih" in shown
        assert "profile open" in shown
        assert cli.main(["claims", "--run", "open", *words]) == 0
    assert not told(written(open_ones), held.secrets)


MODEL = {"base": "medgemma", "prompt": "free_reasoning"}
NOTHING = {"prompting": {"prompts": []}, "sft": {"models": []}, "grpo": {"rewards": []}}


@pytest.mark.parametrize(
    ("like", "study", "more", "lacks", "made"),
    [
        ("open", {"generalization": {"models": {"medgemma": MODEL}}}, ["--n", "1"], ("MIMIC", "CHEXPERT"),
         ["04-generalization-medgemma-nih"]),
        ("open", {"generalization": {"test_sets": ["chexpert"], "models": {"medgemma": MODEL}}}, [], ("MIMIC", "NIH"),
         ["04-generalization-medgemma-chexpert"]),
        ("paper", NOTHING | {"prompting": {"prompts": ["reasoning_a"]}, "generalization": {"test_sets": []}}, [],
         ("CHEXPERT", "NIH"), ["01-prompting-reasoning_a"]),
    ],
)  # fmt: skip
def test_what_one_has_is_what_one_gets(held, tmp_path, like, study, more, lacks, made) -> None:
    """The rows of the table in the chapter Run it for real that no other test runs."""
    (tmp_path / "mine.yml").write_text(yaml.safe_dump({"like": like, "what": "a part of it", "study": study}))
    words = ("--profile", str(tmp_path / "mine.yml"), "--results", str(tmp_path / "results"))
    with held.entered(), pytest.MonkeyPatch.context() as patch:
        for name in lacks:
            patch.delenv(f"CHEXREASON_{name}")
        assert cli.main(["doctor", *words]) == 0
        assert cli.main(["run", "all", *more, *words]) == 0
    found = runs.read_all(tmp_path / "results" / "mine")
    assert [run.run_id for run in found] == made
    assert found[0].info["n"] == 1 or not more


@pytest.mark.parametrize("stage", stages.STAGES)
def test_every_stage_leaves_its_executed_notebook(held, stage) -> None:
    text = (held.results / "notebooks" / f"{stages.STAGES[stage].notebook}.ipynb").read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not [
        out for cell in cells for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"
    ]
    assert f"{config.ROOT}/" not in text


def test_the_same_command_again_repeats_nothing(held) -> None:
    before = {path: path.read_bytes() for path in held.results.glob("*/run.json")}
    assert held.command("sft") == held.command("grpo") == 0
    assert {path: path.read_bytes() for path in held.results.glob("*/run.json")} == before


def damage_table(base: Path, study: data.Study) -> None:
    table = base / "mimic" / "mimic-cxr-2.0.0-chexpert.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    row = next(line for line in text.splitlines() if f",{study.study_id}," in line)
    bad = row.replace(f",{study.study_id},", f",{study.study_id},{SENTENCE.format(1)},", 1)
    table.write_bytes(gzip.compress(text.replace(row, bad).encode()))


def damage_trace(base: Path, study: data.Study) -> None:
    place = base / "cache" / "paper" / "traces" / "only_label.jsonl"
    place.write_text(place.read_text() + json.dumps({"study": study.key, "text": SENTENCE.format(1)}) + "\n")


def damage_split(base: Path, study: data.Study) -> None:
    table = base / "mimic" / "mimic-cxr-2.0.0-split.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    table.write_bytes(gzip.compress(text.split("\n", 1)[1].encode()))


@pytest.mark.parametrize(
    ("damage", "words", "got"),
    [
        (damage_table, "run prompting", "mimic-cxr-2.0.0-chexpert.csv.gz, line"),
        (damage_trace, "doctor", "study and trace in line"),
        (damage_split, "doctor", "a first line that is no header"),
        (damage_split, "cohort write", "a first line that is no header"),
    ],
)
def test_what_goes_wrong_tells_of_no_patient_either(held, tmp_path, damage, words, got) -> None:
    """On a copy of the machine as it was before the study."""
    copied = shutil.copytree(held.base, tmp_path / "held", ignore=shutil.ignore_patterns("results", "checkpoints"))
    damaged = dataclasses.replace(held, base=copied, log=[])
    damage(copied, next(studies(copied, "mimic")))
    assert (damaged.command(*words.split()) == 0) == (words == "doctor"), "NIH's columns can be computed all the same"
    assert got in " ".join(damaged.log[-1].split())
    assert told(outside(damaged), held.secrets) == set()
    assert not list(copied.glob("results/**/*.failed.ipynb")), "a traceback may quote a row, so it stays in the cache"


def test_predictions_of_ones_own_and_comparisons_tell_of_no_patient(held, tmp_path) -> None:
    """Right files and wrong ones, of each data set; what was scored is compared with a run of the study."""
    copied = shutil.copytree(held.base, tmp_path / "held", ignore=shutil.ignore_patterns("checkpoints"))
    mine, own, statuses = dataclasses.replace(held, base=copied, log=[]), tmp_path / "mine.csv", []
    for source, split in (("mimic", "validate"), ("chexpert", "test"), ("nih", "test")):
        words = ["score", str(own), "--dataset", source, "--split", split]
        found = data.load(source, copied / source, split).studies
        ids = {"paths": [study.image for study in found], "keys": [study.key for study in found]}
        for name, lines in {
            "right": [f"{one},1" for one in ids["keys"]],
            "paths": [f"{one},0.7" for one in ids["paths"]],
            "missing": [f"{one},1" for one in ids["keys"][1:]],
            "twice": [f"{one},1" for one in [*ids["keys"], ids["keys"][0]]],
            "unknown": [f"{one},1" for one in [*ids["keys"], SENTENCE.format(0)]],
            "swapped": [f"1,{one}" for one in ids["keys"]],
            "in a cell": [f"{one},{found[0].patient_id}" for one in ids["keys"]],
            "no header": None,
        }.items():
            head = "image,Edema" if lines else f"{ids['paths'][0]},{found[0].patient_id}"
            own.write_text("\n".join([head, *(lines or [f"{one},1" for one in ids["keys"]])]) + "\n")
            statuses.append((name, mine.command(*words, "--name", name.replace(" ", "-"))))
        if source != "mimic":
            rows = copied / "cache" / "paper" / "rows" / f"04-generalization-qwen-{source}" / "predictions.csv.gz"
            assert mine.command("score", str(rows), "--dataset", source, "--name", "again") == 0
            end = f"04-generalization-%s-{source}"
            for policy in ("zeros", "ones", "ignore"):
                assert mine.command("compare", end % "qwen", end % "again", "--uncertain", policy) == 0, mine.log[-1]
            same = mine.log[-1].split("\n\n")[1]
            assert "+0.000" in same
            assert not re.search(r"[+−]0\.\d*[1-9]", same), "the study's run and its own completions"
    assert {name for name, status in statuses if status == 0} == {"right", "paths"}
    assert Counter(status for _, status in statuses) == {0: 6, 2: 18}
    public = {name for one in studies(copied, "nih") for name in (one.patient_id, one.study_id, one.image.stem)}
    assert told(outside(mine), mine.secrets - public) == set()
    assert told(written(mine.results), mine.secrets) == set()
    assert not list(mine.results.rglob("predictions*"))
    kept = {secret for _, secret in told(written(mine.cache / "score"), mine.secrets)}
    assert kept, "the studies without a prediction are listed in the cache, and the search finds them"
