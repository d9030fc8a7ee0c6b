"""Results with made-up numbers, for tests of the report and the book only; never shown to a reader.

They go through `chexreason.runs.finish`, so they have the format of real ones.
"""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from chexreason import config, metrics, prompts, runs
from chexreason.labels import LABEL_SETS
from companion.evidence import sections
from companion.evidence.tables import MODELS
from companion.report.settings import settings_table
from companion.workflow import provenance

N = 40


def write(
    profile: str, results: Path, cache: Path, only: tuple[str, ...] = ("01", "02", "03", "04"), n: int = N
) -> config.Profile:
    """A whole set of runs and executed notebooks of a profile below `results`; `only` picks the stages."""
    chosen = config.load_profile(profile, results=results, cache=cache)
    for seed, (run_id, facts) in enumerate(_plans()):
        if run_id[:2] in only:
            _finish(chosen, run_id, facts, np.random.default_rng(seed), n)
    for name in ("01_prompting", "02_sft", "03_grpo", "04_generalization"):
        if name[:2] in only:
            _notebook(chosen.results / "notebooks" / f"{name}.ipynb")
    for stage in sections.STAGES.values():
        if stage.number in only:
            provenance.write_record(stage, profile, chosen.results, provenance.made_by(stage, profile))
    return chosen


def _plans() -> list[tuple[str, dict]]:
    mimic = {"dataset": "mimic", "split": "validate", "label_set": "chexpert14"}
    plans = [(f"01-prompting-{name}", mimic | {"stage": "prompting"}) for name in prompts.TABLE1_PROMPTS]
    plans += [
        (f"02-sft-{base}-{name}", mimic | {"stage": "sft", "n_train": 100})
        for base in ("medgemma", "qwen")
        for name in prompts.SFT_FORMATS
    ]
    plans += [(f"03-grpo-{name}", mimic | {"stage": "grpo", "n_train": 50}) for name in ("nuanced", "hard")]
    plans += [
        (f"04-generalization-{model}-{dataset}", {"stage": "generalization", "dataset": dataset, "split": "test",
                                                  "label_set": label_set, "model": model})
        for model in MODELS
        for dataset, label_set in (("chexpert", "chexpert14"), ("nih", "nih9"))
    ]  # fmt: skip
    return plans


def _finish(chosen: config.Profile, run_id: str, facts: dict, rng: np.random.Generator, n: int) -> None:
    names = LABEL_SETS[facts["label_set"]]
    truth = np.random.default_rng(99).random((n, len(names))) < 0.25
    predicted = np.where(rng.random(truth.shape) < 0.75, truth, ~truth)
    failed = rng.random(n) < 0.05
    predicted[failed] = False

    def joined(matrix: np.ndarray) -> list[str]:
        return [";".join(np.array(names)[row]) for row in matrix]

    rows = pd.DataFrame(
        {
            "study_key": [f"phantom/p{i:03}/s{i:03}" for i in range(n)],
            "patient_key": [f"phantom/p{i:03}" for i in range(n)],
            "completion": "<think>made up</think><solution></solution>",
            "failures": ["truncated" if f else "" for f in failed],
            "valid": ~failed,
            "failed": failed,
            "predicted": joined(predicted),
            "truth": joined(truth),
            "ignored": "",
            "visible": joined(truth),
        }
    )
    scored = metrics.scores(truth, predicted, facts["label_set"], failure_rate=float(failed.mean())).to_frame()
    history = None
    if facts["stage"] == "grpo":
        scored = pd.concat([scored.assign(checkpoint=name) for name in ("best", "last")])
    if facts["stage"] in ("sft", "grpo"):
        history = _history(facts["stage"], run_id, rng)
    plan = runs.Plan(
        chosen, run_id, {"model": "medgemma", "base_model": "medgemma", "prompt": "made_up v1", **facts}, {}
    )
    runs.finish(plan, metrics=scored, predictions=rows, history=history, n=n, device="cpu",
                unreadable={"count": 0, "names": []}, left_out={})  # fmt: skip


def _history(stage: str, run_id: str, rng: np.random.Generator, steps: int = 60) -> pd.DataFrame:
    reward = run_id.split("-")[2]
    falling = {"sft": ["loss"], "grpo": ["entropy"]}[stage]
    rising = {
        "sft": ["mean_token_accuracy"],
        "grpo": ["reward", f"rewards/{reward}/mean", "completions/mean_length", "kl", "frac_reward_zero_std",
                 "clip_ratio/region_mean", "terms/jaccard"],
    }[stage]  # fmt: skip
    curve = np.linspace(0, 1, steps)
    rows = []
    for name in rising + falling:
        values = (1 - curve if name in falling else curve) + rng.normal(0, 0.1, steps)
        rows += [{"step": i + 1, "epoch": i / 20, "metric": name, "value": v} for i, v in enumerate(values)]
    return pd.DataFrame(rows)


def _notebook(path: Path) -> None:
    v4 = nbformat.v4
    frame = settings_table()
    shown = {"text/html": frame.to_html(), "text/plain": "a table"}
    cells = [
        v4.new_markdown_cell(f"# Made up: {path.stem}\n\nWith a [link](https://arxiv.org/abs/2512.23090)."),
        v4.new_code_cell("profile = 'smoke'", metadata={"tags": ["injected-parameters"]}),
        v4.new_code_cell(
            "print('a' * 300)",
            outputs=[
                v4.new_output("stream", name="stdout", text="a" * 300 + "\n"),
                v4.new_output("execute_result", shown),
            ],
        ),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells), path)
