"""The four things that people add, from files of their own: a reward, a prompt, a base model and a data set."""

import subprocess
import sys

import pandas as pd
import yaml
from PIL import Image

from chexreason import config
from companion import report
from companion.evidence import tables

MINE = """
import csv
from chexreason.completions import THINK_SOLUTION
from chexreason.data import SOURCES, Source
from chexreason.data.study import Cohort, Study
from chexreason.labels import FINDINGS
from chexreason.prompts import PROMPTS, Prompt, compose
from chexreason.rewards import reward


@reward("sample_f1")
def sample_f1(answer, truth, text):
    named = frozenset(answer.labels) if answer.valid else frozenset()
    return {"f1": 2 * len(truth & named) / (len(truth) + len(named))}


def load(root, split):
    with (root / "labels.csv").open() as table:
        rows = list(csv.DictReader(table))
    return Cohort(tuple(Study("mine", row["patient"], row["image"], root / row["image"], "PA", "test",
                              {row["label"]: 1.0}, FINDINGS) for row in rows), {})


SOURCES["mine"] = Source("mine", "My hospital", FINDINGS, False, load)
PROMPTS["upwards"] = Prompt(
    "upwards", 1, "Upwards", "from below", compose("Go from below to above.", THINK_SOLUTION), THINK_SOLUTION
)
"""
MODEL = """
from dataclasses import replace
from chexreason.models import FAMILIES

FAMILIES["twin"] = replace(FAMILIES["qwen"], name="twin", title="Twin")
"""

#: All four stages in one process, without the notebooks.
RUN = """
import sys
from pathlib import Path
from chexreason import config, grpo, sft, study
from companion.phantoms.prepare import prepare

place = Path(sys.argv[1])
profile = config.load_profile(str(place / "own.yml"), results=place / "results", cache=place / "cache")
prepare(profile)
for stage in (study.prompting, sft.train_all, grpo.train_all, study.generalization):
    stage(profile)
"""


def test_a_prompt_a_reward_a_base_model_and_a_data_set_of_ones_own_run_and_are_shown(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "hospital").mkdir()
    rows = [{"image": f"{k}.png", "patient": f"p{k}", "label": label} for k, label in enumerate(["Edema", "Fracture"])]
    for row in rows:
        Image.new("L", (224, 224), 90).save(tmp_path / "hospital" / row["image"])
    pd.DataFrame(rows).to_csv(tmp_path / "hospital" / "labels.csv", index=False)
    text = yaml.safe_load((config.PROFILES / "smoke.yml").read_text())
    text["data"]["mine"] = {"root": str(tmp_path / "hospital")}
    text["models"]["twin"] = text["models"]["qwen"]
    text["modules"] = [str(tmp_path / "mine.py"), str(tmp_path / "model.py")]
    few = {"sizes.validation": 2, "sizes.nih": 2, "decoding.max_new_tokens": 8}
    for entry in text["overrides"]:
        entry["value"] = few.pop(entry["setting"], entry["value"])
    text["overrides"] += [{"setting": name, "value": value, "why": "for a test"} for name, value in few.items()]
    text["study"] = {
        "prompting": {"prompts": ["reasoning_a", "upwards"]},
        "sft": {"models": ["medgemma"], "prompts": ["free_reasoning"]},
        "grpo": {"rewards": ["sample_f1"]},
        "generalization": {
            "test_sets": ["nih", "mine"], "models": {
                "medgemma": {"base": "medgemma", "prompt": "free_reasoning"},
                "twin": {"base": "twin", "prompt": "free_reasoning"},
                "mine": {"base": "medgemma", "prompt": "free_reasoning", "adapter": "03-grpo-sample_f1"},
            },
        },
    }  # fmt: skip
    (tmp_path / "own.yml").write_text(yaml.safe_dump(text))
    command = [sys.executable, "-c", RUN, tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=config.ROOT, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]

    results = tmp_path / "results"
    shown = {number: report.table(number, "own", results).text for number in (1, 4, 6)}
    shown |= {0: report.other_test_sets("own", results).text}
    told = {
        1: ["Upwards"],
        4: ["Sample f1, best F1-score"],
        6: ["twin"],
        0: ["n = 2 studies", "medgemma", "twin", "mine"],
    }
    for number, words in told.items():
        assert not [word for word in words if word not in shown[number]], number
    assert tables.gather(1, "own", results).others == ("upwards",)
    found = tables.read_runs("own", results)
    assert "terms/f1" in set(found["03-grpo-sample_f1"].history()["metric"])
    assert len(found["04-generalization-mine-nih"].predictions()) == 2, "drawn images may be shown row by row"
    assert not (config.RESULTS / "own").exists()
