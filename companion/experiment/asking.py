"""Ask an arm's checkpoints about images: several sampled answers to each, and what else question 1 needs.

The paper scores one greedy answer of the checkpoint that is best on validation; beside it stand here many sampled
answers of the last one. A row of a run's table is an image: whose (`population`), where it was taken (`image`), which
patient (`index`), which checkpoint answers, and the answers as `words`. Validation studies, to fit controls
on, also have the labels `recorded` of them, as a word. A reader of test patients takes the rows of `last`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import set_seed

from chexreason import cohorts, evaluate, files, models, runs
from chexreason.completions import parse_completion
from chexreason.config import Profile
from chexreason.data.study import Study
from chexreason.files import digest_of
from chexreason.labels import FINDINGS, positives
from chexreason.models import Loaded, with_adapter
from chexreason.study import once
from companion.experiment import neighbours, patients, plan, sampling
from companion.experiment.plan import Arm
from companion.experiment.words import read, written


@dataclass(frozen=True)
class Part:
    """Some images that are asked about: whose, how often, by which checkpoint, and whether also for a greedy answer."""

    population: str
    image: str
    each: int
    checkpoint: str = "last"  # of fine-tuning and of blends the only one
    greedy: bool = False

    @property
    def name(self) -> str:
        """Population, place of the images and, unless it is the last one, checkpoint: "AB" say, or "AA-best"."""
        return f"{self.population}{self.image}{'' if self.checkpoint == 'last' else '-' + self.checkpoint}"


def _parts(arm: Arm, best: bool) -> list[Part]:
    """What an arm is asked: its worlds; for question 1 also the validation studies, a black image, and `best`."""
    first = arm.question == 1
    parts = [Part(w.population, w.image, arm.answers(w), greedy=first and w in patients.OWN) for w in arm.worlds]
    if first:
        parts += [Part("validation", "A", plan.VALIDATION), Part("black", "black", plan.BLACK)]
        parts += [replace(part, checkpoint="best", each=plan.FEWER) for part in parts if part.greedy and best]
    return parts


def ask(name: str, arm: Arm, profile: Profile, everybody: Profile, more: Mapping[str, int]) -> runs.Run:
    """Answers of the arm's last checkpoint, and of `best` if it is another; `more` are facts for the record.

    All arms are asked at the paper's temperature, also one that was trained at another.
    """
    place, prompt = profile.cache / "checkpoints" / name, neighbours.prompt(arm.prompt)
    adapters: dict[str, Path | None] = {"last": runs.need(place / arm.asked) if arm.stage else None}
    if arm.stage == "grpo":
        adapters["start"] = runs.need(place.with_name(arm.start) / "best") if arm.start else None
        adapters["best"] = runs.need(place / "best")
    digests = {which: runs.adapter_digest(path) if path else "none" for which, path in adapters.items()}
    parts = _parts(arm, best=digests.get("best", digests["last"]) != digests["last"])
    facts = {"stage": "answers", "model": name, "base_model": arm.base, "prompt": f"{prompt.name} v{prompt.version}",
             **more, **({"best_is_last": digests["best"] == digests["last"]} if "best" in digests else {})}  # fmt: skip
    settings: dict[str, Any] = {
        "policy": {key: getattr(everybody.grpo, key) for key in ("temperature", "top_p")},
        "decoding": asdict(profile.decoding), "parts": {part.name: asdict(part) for part in parts},
    }  # fmt: skip
    asked = {p: patients.sample(p).to_csv() for p in sorted({world.population for world in arm.worlds})}
    inputs = {f"adapter_{which}": digest for which, digest in digests.items()} | {"patients": digest_of(asked)}
    if arm.stage == "grpo" or arm.question == 1:
        settings["divergence"] = plan.DIVERGENCE
        inputs["validation"] = cohorts.choose(profile, "validation").digest
    this = runs.Plan(profile, f"{name}-answers", facts, settings, inputs)

    def load(which: str) -> Loaded:
        adapter, loaded = adapters.get(which), models.load(arm.base, profile.models[arm.base])
        return with_adapter(loaded, adapter) if adapter else loaded

    def compute() -> runs.Run:
        asks = {which: load(which) for which in dict.fromkeys(part.checkpoint for part in parts)}
        rows = pd.concat([_answers(asks[p.checkpoint], p, this, arm, everybody) for p in parts], ignore_index=True)
        metrics = [_metrics(rows)]
        if arm.stage == "grpo":
            policies = {"divergence": load("start"), "divergence_from_base": load("base")}
            metrics.append(_divergence(asks["last"], policies, this, arm, everybody))
        return runs.finish(this, metrics=pd.concat(metrics), predictions=rows, device="cpu", n=len(rows))

    return once(this, compute)


def _seed(this: runs.Plan, *words: str) -> None:
    """Begin random draws of their own for what the words name, at each seed."""
    set_seed(int(digest_of([this.profile.seed, *words])[:8], 16))


def _answers(loaded: Loaded, part: Part, this: runs.Plan, arm: Arm, everybody: Profile) -> pd.DataFrame:
    """The answers to a part's images, kept in the cache until all parts are done."""
    place = this.profile.cache / "answers" / f"{this.digest[:12]}-{part.name}.csv"
    if not place.is_file():
        recorded, each = [""], part.each
        studies: Sequence[Study]
        if part.population == "validation":
            studies = cohorts.choose(this.profile, "validation").studies
            recorded = [_word(positives(study.labels, this.profile.decoding.uncertain)) for study in studies]
        elif part.population == "black":
            each = plan.ANSWERS
            studies = patients.black(everybody.cache, part.each // each)
        else:
            studies = patients.images(patients.World(part.population, part.image), everybody.cache)
        _seed(this, part.population, part.image, part.checkpoint)
        label = f"{this.run_id} seed {this.profile.seed}, {part.name}"
        policy, settings, prompt = everybody.grpo, this.profile.decoding, neighbours.prompt(arm.prompt)
        said = [" ".join(w) for w in sampling.sample(loaded, studies, prompt, each, policy, settings, label)]
        if part.population == "black":
            studies, said = studies[:1], [" ".join(said)]  # one image, all its answers in one cell
        greedy = [""]
        if part.greedy:
            engine = this.profile.engine("decode", evaluate.generate)
            whole = evaluate.decode(loaded, studies, prompt, settings, label=f"{label}, greedy", engine=engine)
            greedy = [written(parse_completion(one.text, prompt.answer, one.truncated)) for one in whole]
        rows = pd.DataFrame({"index": [int(study.study_id) for study in studies], "answers": said})
        rows = rows.assign(population=part.population, image=part.image, checkpoint=part.checkpoint,
                           greedy=greedy * (1 if part.greedy else len(rows)),
                           recorded=recorded * (1 if len(recorded) == len(rows) else len(rows)))  # fmt: skip
        files.write_atomically(place, rows.to_csv(index=False).encode())
    return pd.read_csv(place, dtype=dict.fromkeys(("answers", "greedy", "recorded"), str), keep_default_na=False)


def _word(names: frozenset[str]) -> str:
    """Labels as the word of an answer that names them."""
    return f"{sum(1 << FINDINGS.index(name) for name in names):x}"


def _divergence(
    loaded: Loaded, policies: Mapping[str, Loaded], this: runs.Plan, arm: Arm, everybody: Profile
) -> pd.DataFrame:
    """How far the last checkpoint lies from others, per token of its own answers to the first validation studies.

    TRL logs none where beta is 0. The answers are sampled without the nucleus, whose tail would be missing.
    """
    studies = cohorts.choose(this.profile, "validation").studies[: plan.DIVERGENCE]
    prompt, policy = neighbours.prompt(arm.prompt), replace(everybody.grpo, top_p=1.0)
    _seed(this, "divergence")
    label = f"{this.run_id} seed {this.profile.seed}, divergence"
    said = sampling.tokens(loaded, studies, prompt, 1, policy, this.profile.decoding, label)
    return pd.DataFrame([
        {"population": "", "image": "", "checkpoint": "last", "metric": name,
         "value": sampling.divergence(loaded, other, studies, said, prompt, policy.temperature)}
        for name, other in policies.items()
    ])  # fmt: skip


def _metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """What a glance at a part's answers shows: labels an answer, and the share that could not be read."""
    found = []
    for keys, part in rows.groupby(["population", "image", "checkpoint"]):
        said, failed = read(part["answers"])
        where = dict(zip(("population", "image", "checkpoint"), keys, strict=True))
        named = said.sum(-1)[~failed].mean() if not failed.all() else math.nan
        values = {"labels": named, "failure_rate": failed.mean()}
        found += [{**where, "metric": name, "value": float(value)} for name, value in values.items()]
    return pd.DataFrame(found)
