"""The X-rays of the laboratory: patients at three hospitals, what each hospital records, and what each model says.

The patients are a few of each stratum of the experiment's test patients (`experiment.patients`), so that every finding
is there: they are no sample, and nothing is to be estimated from them. The models are those of the experiment's seed 0:
the base, and its adapters that are kept beside the results. Their greedy answers lie in ``results/lab/answers.csv.gz``,
which `record` writes; images and outlines are drawn when the book is built.
"""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
import pandas as pd
from PIL import Image

from chexreason import config
from chexreason.completions import THINK_SOLUTION, AnswerFormat, parse_completion
from chexreason.labels import FINDINGS, NEGATIVE, NO_FINDING, POSITIVE, UNCERTAIN
from companion.experiment import patients
from companion.lab.mentions import mentions
from companion.phantoms import HOSPITALS, draw_with_masks
from companion.phantoms.case import relabel
from companion.phantoms.hospitals import hospital

ANSWERS = config.RESULTS / "lab" / "answers.csv.gz"
#: Whose adapters they are.
SEED = 0
#: Patients of each stratum, and of those who have none of the findings.
EACH, NORMAL = 4, 8
#: Whose patients they are; all are imaged at each hospital.
POPULATION = "A"
#: Arm of the experiment -> what the page calls it.
MODELS = {
    "base": "untouched base",
    "sft": "after SFT",
    "hard": "after GRPO, equation 3",
    "nuanced": "after GRPO, equation 4",
}
#: What the hospitals imitate.
ABOUT = {"A": "like MIMIC", "B": "like CheXpert", "C": "like NIH"}
#: X-rays of "read ten yourself".
TEN = 10
#: Pixels of an image, and of the grid that outlines follow.
SIDE, GRID = 224, 112
_STATES = {POSITIVE: "yes", NEGATIVE: "no", UNCERTAIN: "perhaps"}


def chosen() -> list[int]:
    """The patients' numbers: the first of each stratum, and two with each finding that none of those has."""
    table = patients.sample(POPULATION)
    take = {name: NORMAL if name == "none" else EACH for name in table["stratum"]}
    kept = [group.head(take[str(name)]) for name, group in table.groupby("stratum")]
    found = pd.concat(kept)
    for name in FINDINGS:
        has = table["visible"].str.split(";").map({name}.issubset)
        if not has[found.index].any():
            found = pd.concat([found, table[has].head(2)])
    return sorted(found["index"])


def answers(place: Path = ANSWERS) -> pd.DataFrame:
    """Their greedy answers: index, image (the hospital), model, completion, truncated."""
    return pd.read_csv(place, keep_default_na=False)


def data(given: pd.DataFrame, pictures: bool = True) -> dict[str, Any]:
    """What the page is given of each patient of `answers`, which the parser reads; without `pictures` only words."""
    said = {key: rows.iloc[0] for key, rows in given.groupby(["index", "image", "model"])}
    found = list[dict[str, Any]]()
    for index in sorted(set(given["index"])):
        worlds = {at: patients.World(POPULATION, at) for at in HOSPITALS}
        drawn = {at: draw_with_masks(world.case(index), SIDE) for at, world in worlds.items() if pictures}
        case = worlds[POPULATION].case(index)
        found.append({
            "index": index,
            "drawn": [name for name in FINDINGS if name in case.truth],
            "recorded": {at: {name: _STATES[value] for name, value in relabel(case, hospital(at).convention).items()}
                         for at in HOSPITALS},
            "images": {at: webp(image) for at, (image, _) in drawn.items()},
            "outlines": {at: {name: outline(mask) for name, mask in where.items()} for at, (_, where) in drawn.items()},
            "said": {model: {at: _said(said[index, at, model]) for at in HOSPITALS} for model in MODELS},
        })  # fmt: skip
    found.sort(key=lambda one: NO_FINDING in one["drawn"])  # those with something to see come first
    return {
        "patients": found, "models": MODELS, "hospitals": list(HOSPITALS), "about": ABOUT, "filters": FILTERS,
        "ten": [one["index"] for one in found[:: len(found) // TEN]][:TEN],
    }  # fmt: skip


def _said(row: Any) -> dict[str, Any]:
    return answer(str(row["completion"]), THINK_SOLUTION, bool(row["truncated"]))


def answer(text: str, answer_format: AnswerFormat, truncated: bool) -> dict[str, Any]:
    """An answer as the parser reads it, and where its reasoning names a finding."""
    parsed = parse_completion(text, answer_format, truncated)
    return {
        "text": text, "labels": list(parsed.labels), "failed": parsed.failed, "failures": sorted(parsed.failures),
        "mentions": [list(one) for one in mentions(text)],
    }  # fmt: skip


def webp(image: np.ndarray) -> str:
    """A picture in grey as base64 of a WebP, some 3 KB."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=72, method=4)
    return base64.b64encode(buffer.getvalue()).decode()


def outline(mask: np.ndarray) -> str:
    """The edge of a mask (SIDE, SIDE) as the path of an SVG of GRID by GRID; pixels are unit squares."""
    small = mask[:: SIDE // GRID, :: SIDE // GRID].astype(float)
    around = np.pad(small, 1)  # so that no line is open
    lines: Any = contourpy.contour_generator(z=around).lines(0.5)
    # A line runs half a pixel from the pixels' middles; `around` is one pixel larger on each side.
    return "".join("M" + "L".join(f"{x - 0.5:g} {y - 0.5:g}" for x, y in line[:-1]) + "Z" for line in lines)


#: Filter of the page -> what it asks of a patient's answers at a hospital, by what that hospital records.
FILTERS: Mapping[str, str] = {
    "all": "all patients",
    "failed": "an answer that cannot be read",
    "changed": "another answer after GRPO (equation 3) than before",
    "invented": "a finding named that was not drawn",
    "differs": "reasoning and list name different findings",
}


def matches(name: str, patient: Mapping[str, Any], at: str) -> bool:
    """Whether a patient of `data` passes a filter at a hospital; the page's script has the same rules."""
    said = {model: one[at] for model, one in patient["said"].items()}
    if name == "failed":
        return any(one["failed"] for one in said.values())
    if name == "changed":
        return set(said["sft"]["labels"]) != set(said["hard"]["labels"])
    if name == "invented":
        return any(set(one["labels"]) - {NO_FINDING} - set(patient["drawn"]) for one in said.values())
    if name == "differs":
        return any(_argued(one) != set(one["labels"]) - {NO_FINDING} for one in said.values() if not one["failed"])
    return True


def _argued(said: Mapping[str, Any]) -> set[str]:
    named = [findings for _, _, findings, denied in said["mentions"] if not denied]
    return {name for findings in named for name in findings} - {NO_FINDING}
