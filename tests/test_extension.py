"""The four things that people add, from files of their own: a reward, a prompt, a base model and a data set.

The reward is README's, made and trained with as README has it typed.
"""

import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from PIL import Image

from chexreason import config, written
from companion import report
from companion.evidence import tables

MINE = """
import csv
from chexreason.completions import THINK_SOLUTION
from chexreason.data import SOURCES, Source
from chexreason.data.study import Listed, Study
from chexreason.labels import FINDINGS
from chexreason.prompts import PROMPTS, Prompt, compose


def load(root, split):
    with (root / "labels.csv").open() as table:
        rows = list(csv.DictReader(table))
    return Listed(tuple(Study("mine", row["patient"], row["image"], root / row["image"], "PA", "test",
                              {row["label"]: 1.0}, FINDINGS) for row in rows), {})


SOURCES["mine"] = Source("mine", "My hospital", FINDINGS, False, load)
PROMPTS["upwards"] = Prompt(
    "upwards", 1, "Upwards", "from below", compose("Go from below to above.", THINK_SOLUTION), THINK_SOLUTION
)
"""
#: The other stages in one process: importing the libraries takes most of the time.
STAGES = """
import sys
from chexreason import config, sft, study, written
from companion.phantoms.prepare import prepare

place = sys.argv[1]
profile = config.load_profile(f"{place}/own.yml", results=f"{place}/results", cache=f"{place}/cache")
prepare(profile)
for run in (study.prompting, sft.train_all, study.generalization):
    run(profile)
"""
README = (config.ROOT / "README.md").read_text(encoding="utf-8")
#: As little of everything as still has every row.
SMALL = {
    "sizes.sft": 8, "sizes.validation": 2, "decoding.max_new_tokens": 8, "grpo.max_completion_length": 8,
    "grpo.checkpoints": 1,
}  # fmt: skip
MODEL = """
from dataclasses import replace
from chexreason.models import FAMILIES

FAMILIES["twin"] = replace(FAMILIES["qwen"], name="twin", title="Twin")
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The results of a study of one's own, that of the reward with its notebook."""
    place = tmp_path_factory.mktemp("own")
    (place / "mine.py").write_text(MINE)
    (place / "model.py").write_text(MODEL)
    (place / "hospital").mkdir()
    rows = [{"image": f"{k}.png", "patient": f"p{k}", "label": label} for k, label in enumerate(["Edema", "Fracture"])]
    for row in rows:
        Image.new("L", (224, 224), 90).save(place / "hospital" / row["image"])
    pd.DataFrame(rows).to_csv(place / "hospital" / "labels.csv", index=False)
    text = yaml.safe_load((written.PROFILES / "smoke.yml").read_text())
    kept = [entry for entry in text["overrides"] if entry["setting"] not in SMALL]
    text["overrides"] = kept + [{"setting": name, "value": n, "why": "for a test"} for name, n in SMALL.items()]
    for name, sizes in {"mimic": {"train": 24, "validate": 4}, "chexpert": {"test": 2}, "nih": {"test": 2}}.items():
        text["data"][name]["draw"]["sizes"] = sizes
    text["data"]["mine"] = {"root": str(place / "hospital")}
    text["models"]["twin"] = text["models"]["qwen"]
    text["modules"] = [str(place / "mine.py"), str(place / "model.py")]
    text["study"] = {
        "prompting": {"prompts": ["reasoning_a", "upwards"]},
        "sft": {"models": ["medgemma"], "prompts": ["free_reasoning"]},
        "generalization": {
            "test_sets": ["nih", "mine"], "models": {
                "medgemma": {"base": "medgemma", "prompt": "free_reasoning"},
                "twin": {"base": "twin", "prompt": "free_reasoning"},
                "mine": {"base": "medgemma", "prompt": "free_reasoning", "adapter": "02-sft-medgemma-free_reasoning"},
            },
        },
    }  # fmt: skip
    (place / "own.yml").write_text(yaml.safe_dump(text))
    [block] = re.findall(r"```bash\n(cat .*?)\n```", README, flags=re.DOTALL)
    block += f" --profile {place / 'own.yml'} --results {place / 'results'} --cache {place / 'cache'}"
    block = block.replace(".cache/my_reward", f"{place}/my_reward")
    block = block.replace(".venv/bin/chexreason", f"{shlex.quote(sys.executable)} -m companion")
    for command in ([sys.executable, "-c", STAGES, str(place)], ["bash", "-ec", block]):
        ended = subprocess.run(command, capture_output=True, text=True, cwd=config.ROOT, check=False)
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return place / "results"


def test_a_prompt_of_ones_own_has_its_row(study) -> None:
    shown = report.table(1, "own", study).text
    assert "Upwards" in shown
    assert tables.gather(1, "own", study).others == ("upwards",)


def test_a_reward_of_ones_own_is_trained_with_and_has_its_rows(study) -> None:
    shown = report.table(4, "own", study).text
    assert "Sample f1, best F1-score" in shown
    assert "Sample f1, maximum steps" in shown
    assert "Sample f1, best F1-score" in (study / "own" / "notebooks" / "03_grpo.ipynb").read_text()
    history = tables.read_runs("own", study)["03-grpo-sample_f1"].history()
    assert "terms/f1" in set(history["metric"])


def test_a_base_model_of_ones_own_has_its_column(study) -> None:
    shown = report.table(6, "own", study).text
    assert "twin" in shown


def test_a_data_set_of_ones_own_has_its_table(study) -> None:
    shown = report.other_test_sets("own", study).text
    assert "n = 2 studies" in shown
    assert all(model in shown for model in ("medgemma", "twin", "mine"))


def test_the_clone_stays_as_it_was(study) -> None:
    assert not (config.RESULTS / "own").exists()
