"""Train an arm at a seed and ask it about the test patients; what is finished is not repeated.

Results go to ``results/experiment/runs/seed<k>/<arm>`` (the training, scored on the validation studies like any stage's
run) and ``.../<arm>-answers`` (a row an image of a test patient, with the sampled answers as `sampling` writes them).
The last checkpoint is asked.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import compress, cycle, islice
from pathlib import Path

import pandas as pd
import torch
from transformers import set_seed

from chexreason import cohorts, data, files, grpo, models, resume, runs, sft
from chexreason.config import Override, Profile, load_profile
from chexreason.data import splits
from chexreason.errors import UserError
from chexreason.files import digest_of
from chexreason.labels import POSITIVE, positives
from chexreason.models import Loaded, add_lora, with_adapter
from chexreason.rewards import reward
from chexreason.study import once
from companion.experiment import neighbours, patients, plan, sampling, words
from companion.experiment.patients import World
from companion.experiment.plan import ANSWERS, ELSEWHERE, FEWER, Arm
from companion.experiment.variants import VariantTrainer
from companion.phantoms.conventions import record
from companion.phantoms.lesion import Lesion
from companion.phantoms.prepare import lesions, prepare, write_traces

#: The profile that all arms and seeds vary.
PROFILE = Path(__file__).with_name("experiment.yml")
#: The name of the adapter that changes nothing, from which an arm without fine-tuning starts.
NOTHING = "nothing"


def shared(results: str | Path | None = None, cache: str | Path | None = None) -> Profile:
    """The profile of the experiment; its results lie beside the record of the runs."""
    profile = load_profile(str(PROFILE), results=results, cache=cache)
    return replace(profile, results=profile.results / "runs")


def at(profile: Profile, seed: int, arm: Arm) -> Profile:
    """The profile at a seed with the arm's changes; images are shared by all seeds, results and checkpoints not."""
    trainer = {"name": f"{VariantTrainer.__module__}.{VariantTrainer.__name__}", **arm.trainer}
    return replace(
        profile, seed=seed, results=profile.results / f"seed{seed}", cache=profile.cache / f"seed{seed}",
        engines={**profile.engines, "grpo": trainer}, sizes=replace(profile.sizes, **arm.sizes),
        grpo=replace(profile.grpo, **arm.settings), overrides=(*profile.overrides, *_constants(profile, arm)),
    )  # fmt: skip


def _constants(profile: Profile, arm: Arm) -> list[Override]:
    """The arm's constants of its reward; one that extends equation 3 is registered, and has the profile's, too."""
    held = []
    if arm.reward in neighbours.OWN:
        reward(arm.reward)(neighbours.OWN[arm.reward])
        held = [replace(one, group=arm.reward) for one in profile.overrides if one.group == "hard"]
    return [*held, *(Override(arm.reward, name, value, arm.what) for name, value in arm.constants.items())]


def run(name: str, seed: int, profile: Profile) -> None:
    """The arm's training, if it trains, and its answers; arms that it starts from are trained first."""
    arm = plan.get(name)
    if seed not in range(arm.seeds):
        raise UserError(f"a seed from 0 to {arm.seeds - 1} for {name}", str(seed), "see the plan")
    torch.set_num_threads(1)  # more would add in another order, and share the answers among as many processes
    prepare(profile, teach=False)
    for earlier in plan.needs(name):
        _train(earlier, plan.get(earlier), at(profile, seed, plan.get(earlier)))
    own = at(profile, seed, arm)
    _train(name, arm, own)
    _ask(name, arm, own, profile)


def _train(name: str, arm: Arm, profile: Profile) -> None:
    """Train the arm unless its results are there; those of fine-tuning hold the adapter that other arms start from."""
    done, adapter = runs.read(profile.results / name), profile.cache / "checkpoints" / name / "best"
    kept = profile.results / name / "adapter"
    if done and files.whole(kept) and not files.whole(adapter):
        resume.keep(kept, adapter)
    if arm.stage is None or (done and files.whole(adapter)):
        return
    if arm.stage == "blend":
        first, end = (profile.cache / "checkpoints" / one for one in plan.needs(name)[-2:])
        ends = runs.need(first / "best"), runs.need(end / "last")
        neighbours.blend(models.load(arm.base, profile.models[arm.base]), *ends, arm.share, adapter)
        return
    validation, prompt = cohorts.choose(profile, "validation"), neighbours.prompt(arm.prompt)
    if arm.stage == "sft":
        chosen = cohorts.choose(profile, "sft")
        place = replace(profile, cache=profile.cache / name)  # other studies, other traces
        write_traces(place, chosen)
        if prompt == neighbours.THINK_AFTER:
            neighbours.write_answer_first(place)
        sft.run(place, name, arm.base, prompt, chosen, validation)
        resume.keep(place.cache / "checkpoints" / name / "best", adapter)
        shutil.rmtree(place.cache)  # checkpoints of each epoch
        resume.keep(adapter, kept)
        return
    chosen = _rewarded(arm, profile)
    credit = _credit(arm.credit, chosen, profile)
    held = [k for k, names in enumerate(credit) if names]  # a convention may record nothing at all of a study
    studies = [chosen.studies[k] for k in held]
    task = grpo.Task(studies, [credit[k] for k in held], prompt, arm.reward)
    inputs = {"rl_studies": digest_of([chosen.digest, *(study.key for study in studies)])}
    grpo.run(profile, name, arm.start or _nothing(profile, arm), task, validation, inputs)


def _rewarded(arm: Arm, profile: Profile) -> cohorts.Cohort:
    """The studies that the arm is rewarded for; medium ones as often as needed for as many as there are in all."""
    chosen = cohorts.choose(profile, "rl")
    studies, recorded = list(chosen.studies), _credit("report", chosen, profile)
    if arm.studies == "diverse":
        studies = [studies[k] for k in neighbours.farthest_first(recorded, len(studies) // 5)]
    elif arm.studies == "medium":
        differs = neighbours.differing(_tries(arm, profile, chosen), recorded)
        studies = list(islice(cycle(compress(studies, differs)), len(studies)))
    elif arm.studies in ("AB", "BA"):
        there = data.load("chexpert", profile.data["chexpert"].root, "train").studies
        usable = [study for study in there if positives(study.labels, profile.decoding.uncertain)]
        half, rng = len(studies) // 2, cohorts.stream(profile.seed, "images of the second hospital")
        halves = {"A": studies[:half], "B": splits.draw(usable, len(studies) - half, rng)}
        studies = [study for hospital in arm.studies for study in halves[hospital]]
    return replace(chosen, studies=tuple(studies))


def _tries(arm: Arm, profile: Profile, chosen: cohorts.Cohort) -> list[str]:
    """As many sampled answers to each study as a group has, by the arm's start (words of `sampling`); cached."""
    start = runs.need(profile.cache / "checkpoints" / str(arm.start) / "best")
    asked = digest_of([chosen.digest, runs.adapter_digest(start), asdict(profile.grpo), asdict(profile.decoding)])
    place = profile.cache / "answers" / f"{asked[:12]}-tries.txt"
    if not place.is_file():
        loaded = with_adapter(models.load(arm.base, profile.models[arm.base]), start)
        set_seed(profile.seed)
        prompt, policy = neighbours.prompt(arm.prompt), profile.grpo
        label = f"answers of {arm.start} seed {profile.seed}"
        said = sampling.sample(loaded, chosen.studies, prompt, policy.num_generations, policy, profile.decoding, label)
        files.write_atomically(place, "\n".join(map(" ".join, said)).encode())
    return place.read_text(encoding="utf-8").splitlines()


def _credit(whose: str, chosen: cohorts.Cohort, profile: Profile) -> list[frozenset[str]]:
    """What each study's answers are held against: as recorded, by another convention, what was drawn, or another's."""
    recorded = [positives(study.labels, profile.decoding.uncertain) for study in chosen.studies]
    if whose == "report":
        return recorded
    if whose == "placebo":
        order = cohorts.stream(profile.seed, "placebo").permutation(len(recorded))
        return [recorded[k] for k in order]
    if whose == "visible":
        visible = cohorts.visible_truth(chosen)
        return [visible[study.key] for study in chosen.studies]
    drawn = lesions(chosen.root)
    said = [
        record([_lesion(one) for one in drawn[study.key]], whose, cohorts.stream(profile.seed, f"{whose} {study.key}"))
        for study in chosen.studies
    ]
    return [frozenset(name for name, value in labels.items() if value == POSITIVE) for labels in said]


def _lesion(told: Mapping[str, object]) -> Lesion:
    """A lesion as far as a convention looks at it."""
    return Lesion(str(told["finding"]), float(str(told["severity"])), str(told["side"]), kind=str(told["kind"]))


def _nothing(profile: Profile, arm: Arm) -> str:
    """An adapter as it is before training, which changes nothing; the run id under which it lies."""
    place = profile.cache / "checkpoints" / NOTHING / "best"
    if not files.whole(place):
        set_seed(profile.seed)
        add_lora(models.load(arm.base, profile.models[arm.base]), profile.lora).save_pretrained(str(place))
        files.seal(place)
    return NOTHING


def _ask(name: str, arm: Arm, profile: Profile, everybody: Profile) -> runs.Run:
    """Sampled answers of the arm's last checkpoint to the images of the worlds that it is asked about.

    All arms are asked at the paper's temperature, also one that was trained at another.
    """
    last = "last" if arm.stage == "grpo" else "best"
    adapter = profile.cache / "checkpoints" / name / last if arm.stage else None
    prompt = neighbours.prompt(arm.prompt)
    own = ANSWERS if arm.question == 1 else FEWER
    worlds = {world.name: own if world in patients.OWN else ELSEWHERE for world in arm.worlds}
    facts = {"stage": "answers", "model": name, "base_model": arm.base, "prompt": f"{prompt.name} v{prompt.version}"}
    settings = {"policy": {key: getattr(everybody.grpo, key) for key in ("temperature", "top_p")},
                "decoding": asdict(profile.decoding), "worlds": worlds}  # fmt: skip
    asked = {p: patients.sample(p).to_csv() for p in sorted({world.population for world in arm.worlds})}
    inputs = {"adapter": runs.adapter_digest(runs.need(adapter)) if adapter else "none", "patients": digest_of(asked)}
    this = runs.Plan(profile, f"{name}-answers", facts, settings, inputs)

    def ask() -> runs.Run:
        loaded = models.load(arm.base, profile.models[arm.base])
        loaded = with_adapter(loaded, adapter) if adapter else loaded
        parts = [_answers(loaded, world, this, arm, everybody, worlds[world.name]) for world in arm.worlds]
        rows = pd.concat(parts, ignore_index=True)
        return runs.finish(this, metrics=_metrics(rows), predictions=rows, device="cpu", n=len(rows))

    return once(this, ask)


def _answers(loaded: Loaded, world: World, this: runs.Plan, arm: Arm, everybody: Profile, each: int) -> pd.DataFrame:
    """The answers to a world's images, kept in the cache until all worlds are done."""
    place = this.profile.cache / "answers" / f"{this.digest[:12]}-{world.name}.csv"
    if not place.is_file():
        studies = patients.images(world, everybody.cache)
        set_seed(this.profile.seed * 100 + plan.WORLDS.index(world))
        label = f"{this.run_id} seed {this.profile.seed}, {world.name}"
        policy, settings, prompt = everybody.grpo, this.profile.decoding, neighbours.prompt(arm.prompt)
        said = sampling.sample(loaded, studies, prompt, each, policy, settings, label)
        rows = pd.DataFrame({"population": world.population, "image": world.image,
                             "index": [int(study.study_id) for study in studies],
                             "answers": [" ".join(words) for words in said]})  # fmt: skip
        files.write_atomically(place, rows.to_csv(index=False).encode())
    return pd.read_csv(place, dtype={"answers": str}, keep_default_na=False)


def _metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """What a glance at a world's answers shows: labels an answer, and the share that could not be read."""
    found = []
    for (population, image), part in rows.groupby(["population", "image"]):
        said, failed = words.read(part["answers"])
        values = {"labels": said.sum(-1)[~failed].mean(), "failure_rate": failed.mean()}
        found += [{"population": population, "image": image, "metric": k, "value": float(v)} for k, v in values.items()]
    return pd.DataFrame(found)
