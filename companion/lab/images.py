"""The drawn X-rays behind the page of re-analysis, and every answer to them: loaded when a reader opens a study."""

import re
from typing import Any

from chexreason import prompts
from chexreason.labels import FINDINGS
from chexreason.runs import Run
from companion.evidence import paired, tables
from companion.evidence.drawn import cases
from companion.lab import rows, xrays
from companion.phantoms import draw_with_masks


def name_of(where: str) -> str:
    """What a cohort's script is called, and the value in it."""
    return "images_" + re.sub(r"\W+", "_", where)


def data(profile: str, cohorts: dict[str, Any]) -> dict[str, Any]:
    """Cohort of `rows.data` -> its images, what is drawn on them, and the answers; none of real images."""
    runs, found = tables.read_runs(profile), {}
    for where, held in cohorts.items():
        first = runs[next(iter(held["runs"]))]
        if not (draw := paired.drawing(first)):
            continue
        drawn = {}
        for key, case in cases(draw, str(first.info["split"]), held["keys"]):
            image, masks = draw_with_masks(case, xrays.SIDE)
            drawn[key] = {
                "image": xrays.webp(image), "outlines": {name: xrays.outline(mask) for name, mask in masks.items()},
                "drawn": [name for name in FINDINGS if name in case.truth],
            }  # fmt: skip
        found[where] = {
            "images": [drawn[key] for key in held["keys"]],
            "said": {run_id: said for run_id in held["runs"] if (said := _answers(runs[run_id], held["keys"]))},
        }
    return found


def _answers(run: Run, keys: list[str]) -> list[dict[str, Any]]:
    """The answers in the order of the keys; none where a run keeps labels alone."""
    assert rows.may_be_shown(run)
    table, name = paired.rows_of(run).set_index("study_key").loc[keys], str(run.info["prompt"]).split()[0]
    if "completion" not in table or name not in prompts.PROMPTS:
        return []
    read = prompts.get(name).answer
    cut = table["failures"].fillna("").str.contains("truncated")
    return [xrays.answer(str(text), read, bool(late)) for text, late in zip(table["completion"], cut, strict=True)]
