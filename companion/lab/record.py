"""The greedy answers of the experiment's models to the laboratory's X-rays; a minute of a laptop."""

from pathlib import Path

import pandas as pd

from chexreason import evaluate, models, prompts, runs
from chexreason.data.study import Study
from chexreason.labels import FINDINGS
from companion.experiment import patients, run
from companion.lab import xrays
from companion.phantoms import HOSPITALS, draw
from companion.phantoms.writers import save_image

#: Whose adapters they are.
SEED = 0


def record(place: Path = xrays.ANSWERS, cache: Path | None = None) -> Path:
    """Ask the models and write their answers. Raises UserError where an adapter is not there."""
    profile, rows = run.shared(cache=cache), []
    prompt, folder = prompts.get("free_reasoning"), profile.cache / "lab"
    for model in xrays.MODELS:
        loaded = models.load("medgemma", profile.models["medgemma"])
        if model != "base":
            adapter = runs.need(profile.results / f"seed{SEED}" / model / "adapter")
            loaded = models.with_adapter(loaded, adapter)
        for at in HOSPITALS:
            studies = [_study(index, at, folder) for index in xrays.chosen()]
            engine = profile.engine("decode", evaluate.generate)
            said = evaluate.decode(loaded, studies, prompt, profile.decoding, label=f"{model} at {at}", engine=engine)
            rows += [
                {"index": index, "image": at, "model": model, "completion": one.text, "truncated": one.truncated}
                for index, one in zip(xrays.chosen(), said, strict=True)
            ]
    place.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(place, index=False, compression={"method": "gzip", "mtime": 0})
    return place


def _study(index: int, at: str, folder: Path) -> Study:
    place = folder / f"{at}-{index:05d}.png"
    if not place.is_file():
        save_image(draw(patients.World(xrays.POPULATION, at).case(index), xrays.SIDE), place)
    return Study("mimic", f"{index:05d}", f"{index:05d}", place, "PA", "test", {}, FINDINGS)
