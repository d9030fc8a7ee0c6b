"""Made-up answers of the experiment's arms, for tests of its chapters only; never shown to a reader.

They go through `chexreason.runs.finish`, so they have the format of real ones. An arm's answers are the truth of a
reference with some labels flipped; how many decides how good it is.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chexreason import config, metrics, recipe, runs
from chexreason.labels import FINDINGS, NIH_SHARED
from chexreason.metrics import label_cells
from companion.evidence import analysis
from companion.experiment import arms, worlds
from companion.report.experiments import answers, cures, scaffold, selection

PATIENTS = 160
LABELS = analysis._labels  # drawing the cases takes longest
#: What the chapters read or compute once.
READ_ONCE = (answers.answers, answers._all_runs, answers._compared, selection.ways, selection.advantages,
             scaffold.drawn, cures._blind)  # fmt: skip
FORMATS = ("only_label", "free_reasoning", "reasoning_narrative", "reasoning_a")


@contextmanager
def shown(root: Path) -> Iterator[None]:
    """The chapters read the results below `root`, and nothing that was read before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHEXREASON_RESULTS", str(root))
        for read in READ_ONCE:
            read.cache_clear()
        yield
    for read in READ_ONCE:
        read.cache_clear()


def write(
    root: Path, wrong: Mapping[str, float], one_answer: frozenset[str] = frozenset(), only: Collection[str] = arms.ARMS
) -> None:
    """Arms below ``root/experiment``; `wrong` is the share of flipped labels by model ("" for the others).

    What is in `one_answer` (models, or arms of fine-tuning) says the same of every image; `only` are the arms written.
    """
    profile = config.load_profile("experiment", results=root, cache=root / "cache")
    labels = LABELS(PATIENTS)
    for name, arm in arms.ARMS.items():
        seeds = arms.seeds_of(name) if arm.stage or arm.samples else (0,)
        for seed in seeds if name in only else ():
            place = replace(profile, seed=seed, results=profile.results / f"seed{seed}")
            if arm.stage:
                _training(place, name, arm, name in one_answer)
            for checkpoint in arm.checkpoints if worlds.ASKED[arm.question] else ():
                model = f"{name}-{checkpoint}"
                rng = np.random.default_rng([seed, *model.encode()])
                rows = _answers(arm, labels, wrong.get(model, wrong[""]), rng)
                if model in one_answer:
                    rows = rows.assign(predicted="Edema")
                facts = {"stage": "worlds", "model": name, "checkpoint": checkpoint}
                plan = runs.Plan(place, f"{model}-answers", facts, {})
                scores = pd.DataFrame(columns=["finding", "metric", "value"])  # the chapters compute their own
                runs.finish(plan, metrics=scores, predictions=rows, n=len(rows), device="cpu")


def _answers(arm: arms.Arm, labels: pd.DataFrame, wrong: float, rng: np.random.Generator) -> pd.DataFrame:
    parts = []
    for world in worlds.ASKED[arm.question]:
        own = labels.query(f"population == '{world.population}' and reference == '{analysis.OWN[world.image]}'")
        truth = label_cells(own["positive"], "nih9")
        said = truth ^ (rng.random(truth.shape) < wrong)
        predicted = [";".join(np.array(NIH_SHARED)[row]) for row in said]
        parts.append(
            pd.DataFrame({"population": world.population, "image": world.image, "index": own["index"].to_numpy(),
                          "completion": "made up", "failed": False, "predicted": predicted})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def validation(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is recorded of the validation studies, and what the best and the last checkpoint say of them (N, 14).

    The earlier a format stands in `FORMATS`, the better the medical base does with it; the last checkpoint is worse.
    """
    arm, rng = arms.ARMS[name], np.random.default_rng([seed, *name.encode()])
    rank = FORMATS.index(arm.prompt)
    wrong = 0.02 + 0.08 * rank if arm.base == "medgemma" else 0.30 - 0.08 * rank
    truth = np.random.default_rng([seed, 99]).random((PATIENTS, len(FINDINGS))) < 0.3
    best = truth ^ (rng.random(truth.shape) < wrong)
    return truth, best, best ^ (rng.random(truth.shape) < 0.05)


def _training(place: config.Profile, name: str, arm: arms.Arm, constant: bool) -> None:
    """A training run; a constant one says Edema of every study."""
    truth, said, worse = validation(name, place.seed)
    if constant:
        said = np.broadcast_to(np.array(FINDINGS) == "Edema", truth.shape)
    keys = [f"phantom/{place.seed}-{k:03d}" for k in range(PATIENTS)]
    listed = {column: [";".join(np.array(FINDINGS)[row]) for row in cells]
              for column, cells in {"truth": truth, "predicted": said}.items()}  # fmt: skip
    rows = pd.DataFrame({"study_key": keys, "patient_key": keys, "failed": False, "ignored": "", **listed})
    scored = metrics.scores(truth, said, "chexpert14", failure_rate=0.0).to_frame()
    if arm.stage == "grpo":
        last = metrics.scores(truth, worse, "chexpert14", failure_rate=0.0).to_frame()
        scored = pd.concat([scored.assign(checkpoint="best"), last.assign(checkpoint="last")])
    spread = {"hard": 0.2, "nuanced": 20.0}[arm.reward]
    logged = {"entropy": 0.5, "reward": 0.3, "kl": 0.01, "reward_std": spread, "mean_token_accuracy": 0.8}
    steps = [{"step": step, "epoch": 0.1 * step} for step in range(1, 9)]
    history = pd.DataFrame([step | {"metric": m, "value": v} for m, v in logged.items() for step in steps])
    facts = {"stage": arm.stage, "reward": arm.reward, "dataset": "mimic", "split": "validate",
             "label_set": "chexpert14"}  # fmt: skip
    plan = runs.Plan(place, name, facts, {"grpo": {"beta": recipe.GRPO().beta}})
    runs.finish(plan, metrics=scored, predictions=rows, history=history, n=PATIENTS, n_train=100,
                device="cpu")  # fmt: skip
