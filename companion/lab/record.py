"""What the laboratory keeps of the experiment's seed 0; some minutes of a laptop. Written to ``results/lab``.

Answers to its X-rays, groups of completions as they were rewarded, and answers to validation studies.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from chexreason import cohorts, config, evaluate, models, prompts, runs
from chexreason.config import Profile
from chexreason.data.study import Study
from chexreason.labels import FINDINGS, positives
from chexreason.models import Loaded
from companion.experiment import patients, plan, run
from companion.experiment.variants import GROUPS
from companion.lab import xrays
from companion.phantoms import HOSPITALS, draw
from companion.phantoms.prepare import prepare
from companion.phantoms.writers import save_image

PLACE = config.RESULTS / "lab"
#: The reward whose groups are kept; how many groups, and how many validation studies.
REWARD, KEPT, VALIDATION = "hard", 250, 200


def record(place: Path = PLACE) -> Path:
    """Ask the models and write what they said. Raises UserError where an adapter or its groups are not there."""
    shared = run.shared()
    profile = run.at(shared, xrays.SEED, plan.get("sft"))
    prepare(replace(profile, data={"mimic": profile.data["mimic"]}), teach=False)
    place.mkdir(parents=True, exist_ok=True)
    rows, checked = [], cohorts.choose(profile, "validation").studies[:VALIDATION]
    said = {"truth": [_labels(study, profile) for study in checked]}
    for model in xrays.MODELS:
        loaded = _loaded(model, shared)
        for at in HOSPITALS:
            studies = [_study(index, at, profile.cache / "lab") for index in xrays.chosen()]
            for index, one in zip(xrays.chosen(), _answers(loaded, studies, profile, f"{model} at {at}"), strict=True):
                about = {"index": index, "image": at, "model": model}
                rows.append({**about, "completion": one.text, "truncated": one.truncated})
        answers = _answers(loaded, checked, profile, f"{model}, validation")
        said[model] = [one.text for one in answers]
    _write(pd.DataFrame(rows), place / xrays.ANSWERS.name)
    _write(pd.DataFrame(said), place / "validation.csv.gz")
    _write(groups(shared.results / f"seed{xrays.SEED}" / REWARD / f"{GROUPS}.gz", profile), place / "groups.csv.gz")
    taught = cohorts.choose(profile, "rl").studies
    shares = {name: sum(name in _labels(one, profile).split(";") for one in taught) / len(taught) for name in FINDINGS}
    (place / "shares.json").write_text(json.dumps(shares, indent=1) + "\n", encoding="utf-8")
    return place


def groups(place: Path, profile: Profile) -> pd.DataFrame:
    """Groups from the beginning to the end of a training: step, image, truth, completion, terms, advantage."""
    truth = {study.image.stem: _labels(study, profile) for study in cohorts.choose(profile, "rl").studies}
    with gzip.open(place, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    each = profile.grpo.num_generations
    starts = list(range(0, len(lines), each))
    kept = [line for start in starts[:: max(1, len(starts) // KEPT)][:KEPT] for line in lines[start : start + each]]
    return pd.DataFrame([
        {"step": line["step"], "image": line["image"], "truth": truth[line["image"]],
         "completion": line["completion"], "terms": json.dumps(line["terms"]), "advantage": line["advantage"]}
        for line in kept
    ])  # fmt: skip


def _labels(study: Study, profile: Profile) -> str:
    return ";".join(name for name in FINDINGS if name in positives(study.labels, profile.decoding.uncertain))


def _loaded(model: str, shared: Profile) -> Loaded:
    loaded = models.load("medgemma", shared.models["medgemma"])
    adapter = shared.results / f"seed{xrays.SEED}" / model / "adapter"
    return loaded if model == "base" else models.with_adapter(loaded, runs.need(adapter))


def _answers(loaded: Loaded, studies: Sequence[Study], profile: Profile, label: str) -> list[evaluate.Completion]:
    prompt, engine = prompts.get("free_reasoning"), profile.engine("decode", evaluate.generate)
    return evaluate.decode(loaded, studies, prompt, profile.decoding, label=label, engine=engine)


def _write(table: pd.DataFrame, place: Path) -> None:
    table.to_csv(place, index=False, compression={"method": "gzip", "mtime": 0})


def _study(index: int, at: str, folder: Path) -> Study:
    place = folder / f"{at}-{index:05d}.png"
    if not place.is_file():
        save_image(draw(patients.World(xrays.POPULATION, at).case(index), xrays.SIDE), place)
    return Study("mimic", f"{index:05d}", f"{index:05d}", place, "PA", "test", {}, FINDINGS)
