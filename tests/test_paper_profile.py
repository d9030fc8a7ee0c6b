"""The profile `paper` from end to end on a fake machine of a user's, and no patient in what it writes.

The trees are phantoms without the marks of phantoms, so everything treats them as MIMIC-CXR-JPG, CheXpert and NIH.
The miniatures stand for the models and the sizes are those of `smoke`; the rest of the profile is as it is. All is
done by the commands that a user types, whose whole output counts as the log. Identifiers and sentences are planted
in the trees, and looked for in the results, the logs and the book.
"""

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from chexreason import config, data, prompts
from chexreason.labels import positives
from companion.phantoms import prepare, teacher
from companion.phantoms.writers import write_tree
from companion.workflow import commands as cli

HOSPITALS = {"mimic": ("A", {"train": 40, "validate": 9}), "chexpert": ("B", {"test": 8}), "nih": ("C", {"test": 8})}
#: What a report or a trace could say, told apart from everything that the package itself writes.
SENTENCE = "Zebra-striped opacity number {} beneath the violet pacemaker"
#: The runs of the paper: nine prompts, eight fine-tunings, two rewards, five models on two test sets.
RUNS = {"01": 9, "02": 8, "03": 2, "04": 10}


@dataclass(frozen=True)
class Held:
    """A user's machine: data sets, a cache outside the repository, results, a book, and all that a terminal showed."""

    roots: dict[str, Path]
    cache: Path
    results: Path
    book: Path
    environment: dict[str, str]
    secrets: frozenset[str]
    log: list[str]

    def process(self, *words: str) -> int:
        """Run a program of ours; what it shows goes into the log."""
        ended = subprocess.run(
            [sys.executable, *words], env=self.environment, cwd=config.ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        self.log.append(f"{words}\n{ended.stdout}")
        return ended.returncode

    def command(self, *words: str) -> int:
        """A chexreason command on the profile, in this process."""
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            status = cli.main([*words, *self.places])
        self.log.append(f"{words}\n{shown.getvalue()}")
        return status

    @property
    def places(self) -> tuple[str, ...]:
        return "--profile", "paper", "--results", str(self.results)


def studies(roots: dict[str, Path]) -> Iterator[data.Study]:
    for source, root in roots.items():
        yield from data.load(source, root).studies


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Iterator[Held]:
    base = tmp_path_factory.mktemp("held")
    roots = {source: base / source for source in HOSPITALS}
    cache = base / "cache"
    for source, (hospital, sizes) in HOSPITALS.items():
        write_tree(roots[source], hospital, sizes, 5, 96, progress=False)
    lesions = prepare.lesions(roots["mimic"])
    for root in roots.values():
        for name in (data.PHANTOM_MARKER, data.TRUTH):
            (root / name).unlink()
    secrets = plant(roots, cache, lesions)
    profile, small = (yaml.safe_load((config.PROFILES / f"{name}.yml").read_text()) for name in ("paper", "smoke"))
    profile["models"] = small["models"]
    own = {"sizes.validation": 4, "decoding.max_new_tokens": 24}
    profile["overrides"] += small["overrides"]
    profile["engines"]["images"]["pixels"] = 8000
    for entry in profile["overrides"]:
        entry["value"] = own.get(entry["setting"], entry["value"])
    shutil.copytree(config.PROFILES, base / "profiles")  # the book's tables look for the others too
    (base / "profiles" / "paper.yml").write_text(yaml.safe_dump(profile))
    shutil.copytree(config.RESULTS, base / "results")  # the book shows the miniature and the experiment beside
    places = {f"CHEXREASON_{source.upper()}": str(root) for source, root in roots.items()}
    own = {"CHEXREASON_PROFILES": str(base / "profiles"), "CHEXREASON_CACHE": str(cache), "COLUMNS": "80",
           "CHEXREASON_RESULTS": str(base / "results")}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**places, **own, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(config.ROOT)}.items():
            patch.setenv(name, value)
        patch.setattr(config, "PROFILES", base / "profiles")
        yield Held(roots, cache / "paper", base / "results", base / "book", dict(os.environ), secrets, [])


def plant(roots: dict[str, Path], cache: Path, lesions: dict[str, list[dict[str, object]]]) -> frozenset[str]:
    """Reports beside MIMIC's images, a column of text in its table, and traces; returns all that must not come out."""
    secrets, rng = set(), np.random.default_rng(0)
    lines: dict[str, list[str]] = {name: [] for name in prompts.SFT_FORMATS}
    for number, study in enumerate(studies(roots)):
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
    table = roots["mimic"] / "mimic-cxr-2.0.0-metadata.csv.gz"
    frame = pd.read_csv(table, dtype=str).assign(Impression=SENTENCE.format("in the table"))
    table.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    for name, texts in lines.items():
        place = cache / "paper" / "traces" / f"{name}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(texts) + "\n")
    return frozenset(secrets | {SENTENCE.format("in the table"), "Zebra-striped"})


def told(texts: Iterator[tuple[str, str]], secrets: frozenset[str]) -> set[tuple[str, str]]:
    """(where, secret) for every secret that stands in a text, not as a part of a longer number or digest."""
    pattern = re.compile("(?<![0-9A-Za-z])(?:" + "|".join(map(re.escape, sorted(secrets))) + ")(?![0-9A-Za-z])")
    return {(where, found) for where, text in texts for found in pattern.findall(text)}


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of every file below a folder; the path itself counts as text."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            yield str(path), f"{path}\n{content.decode('utf-8', errors='replace')}"


def outside(held: Held) -> Iterator[tuple[str, str]]:
    yield from written(held.results / "paper")
    yield from written(held.book)
    yield from ((f"log {number}", text) for number, text in enumerate(held.log))


def test_the_whole_study_runs_and_what_it_writes_outside_the_cache_tells_of_no_patient(held) -> None:
    assert held.command("doctor") == 0, held.log[-1]
    for what in ("write", "verify", "show"):
        assert held.command("cohort", what) == 0, held.log[-1]
    assert held.process("-m", "companion", "run", "all", *held.places) == 0, held.log[-1]
    book = ("book", "--profile", "paper", "--out", str(held.book))
    assert held.process("-m", "companion", *book) == 0, held.log[-1]

    results = held.results / "paper"
    assert Counter(path.parent.name[:2] for path in results.rglob("run.json")) == RUNS
    assert len(list((results / "notebooks").glob("0?_*.ipynb"))) == 4
    assert len(list((results / "cohorts").glob("*.json"))) == 5
    assert told(outside(held), held.secrets) == set()
    assert not list(results.rglob("predictions*"))
    assert not (config.RESULTS / "paper").exists()


def test_the_book_then_shows_three_tiers_side_by_side(held) -> None:
    pages = held.book / "_build" / "html"
    for page in ("prompting", "sft", "grpo", "generalization", "claims"):
        tiers = set(re.findall('class="cxr-tier cxr-([a-z]+)"', (pages / f"{page}.html").read_text()))
        assert tiers >= {"replication", "miniature"}, page
    judged = (pages / "claims.html").read_text()
    for runs in ("paper, replication", "demo, miniature"):
        assert f"on our runs ({runs})" in judged


def test_the_search_finds_what_the_cache_holds(held) -> None:
    inside = told(written(held.cache), held.secrets)
    found = {secret for _, secret in inside}
    keys = {study.patient_id for study in studies(held.roots)}
    assert len(found & keys) >= 20, "the rows of the scored studies"
    assert any(secret.startswith("Zebra") for secret in found), "the traces"
    assert any("predictions.csv.gz" in where for where, _ in inside)


def damage_table(held: Held, study: data.Study) -> None:
    table = held.roots["mimic"] / "mimic-cxr-2.0.0-chexpert.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    row = next(line for line in text.splitlines() if f",{study.study_id}," in line)
    bad = row.replace(f",{study.study_id},", f",{study.study_id},{SENTENCE.format(1)},", 1)
    table.write_bytes(gzip.compress(text.replace(row, bad).encode()))


def damage_trace(held: Held, study: data.Study) -> None:
    place = held.cache / "traces" / "only_label.jsonl"
    place.write_text(place.read_text() + json.dumps({"study": study.key, "text": SENTENCE.format(1)}) + "\n")


def damage_split(held: Held, study: data.Study) -> None:
    table = held.roots["mimic"] / "mimic-cxr-2.0.0-split.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    table.write_bytes(gzip.compress(text.split("\n", 1)[1].encode()))


@pytest.mark.parametrize(
    ("damage", "words", "got"),
    [
        (damage_table, "run prompting", "a label of 1.0"),
        (damage_trace, "doctor", "study and trace in line"),
        (damage_split, "doctor", "a first line that is no header"),
        (damage_split, "cohort write", "a first line that is no header"),
    ],
)
def test_what_goes_wrong_tells_of_no_patient_either(held, damage, words, got) -> None:
    study = next(iter(studies({"mimic": held.roots["mimic"]})))
    kept = {path: path.read_bytes() for path in (*held.roots["mimic"].glob("*.gz"), *held.cache.glob("traces/*"))}
    try:
        damage(held, study)
        assert held.command(*words.split()) != 0
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert got in " ".join(held.log[-1].split())
    assert told(outside(held), held.secrets) == set()
    assert not list(held.results.rglob("*.failed.ipynb")), "a traceback may quote a row, so it stays in the cache"
