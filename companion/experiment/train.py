"""Train an arm at a seed and ask its checkpoints about the test worlds; what is finished is not repeated.

Results go to ``results/<profile>/seed<k>/<arm>`` (the training run) and ``.../<arm>-<checkpoint>-answers`` (one row an
image, the completion included), in the form of every other run of this project.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace

import pandas as pd
import torch
from transformers import set_seed

from chexreason import cohorts, data, evaluate, grpo, models, prompts, runs, sft
from chexreason.completions import parse_completion
from chexreason.config import Override, Profile
from chexreason.data import splits
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.files import digest_of
from chexreason.labels import positives
from chexreason.models import Loaded, with_adapter
from chexreason.prompts import Prompt
from chexreason.rewards import jaccard
from chexreason.study import once
from companion.experiment import arms, scores, worlds
from companion.experiment.answer_weight import AnswerWeighted
from companion.experiment.arms import Arm
from companion.experiment.worlds import World
from companion.phantoms.prepare import prepare, write_traces

#: An image of the test worlds, with its world.
Shown = tuple[World, Study]


def at(profile: Profile, seed: int, arm: Arm) -> Profile:
    """The profile at a seed with the arm's changes; images are shared by all seeds, results and checkpoints not."""
    settings, engines, constants = profile.grpo, dict(profile.engines), list(profile.overrides)
    for setting, value in arm.changes.items():
        if setting == "answer_weight":
            engines["grpo"] = {"name": f"{AnswerWeighted.__module__}.{AnswerWeighted.__name__}", setting: value}
            continue
        if setting in {entry.name for entry in fields(settings)}:
            settings = replace(settings, **{setting: value})
        else:
            constants.append(Override(arm.reward, setting, value, arm.what))
    folder = f"seed{seed}"
    return replace(
        profile, seed=seed, results=profile.results / folder, cache=profile.cache / folder, engines=engines,
        grpo=settings, overrides=tuple(constants),
    )  # fmt: skip


def run_arm(name: str, seed: int, shared: Profile) -> list[runs.Run]:
    """The arm's training run, if it trains, and its answers; arms that it starts from are trained first.

    `shared` is the profile that all arms and seeds vary. Raises UserError for an unknown arm, and for a seed that the
    plan does not have.
    """
    arm = arms.get(name)
    if seed not in arms.seeds_of(name):
        raise UserError(f"a seed from 0 to {arms.seeds_of(name)[-1]} for {name}", str(seed), "see the plan")
    prepare(shared, teach=False)
    for earlier in arms.needs(name):
        _train(earlier, arms.get(earlier), at(shared, seed, arms.get(earlier)))
    profile = at(shared, seed, arm)
    trained = _train(name, arm, profile)
    asked = arm.checkpoints if worlds.ASKED[arm.question] else ()
    return [*trained, *(_ask(name, arm, checkpoint, profile, shared) for checkpoint in asked)]


def _train(name: str, arm: Arm, profile: Profile) -> list[runs.Run]:
    if arm.stage is None:
        return []
    validation, prompt = cohorts.choose(profile, "validation"), prompts.get(arm.prompt)
    if arm.stage == "sft":
        write_traces(profile, cohorts.choose(profile, "sft"))
        taught = sft.run(profile, name, arm.base, prompt, cohorts.choose(profile, "sft"), validation)
        return [taught] if taught else []
    studies, credit = _rewarded(arm, profile)
    task = grpo.Task(studies, credit, prompt, arm.reward)
    rewarded = [cohorts.choose(profile, "rl").digest, *((study.key, dict(study.labels)) for study in studies)]
    inputs = {"rl_studies": digest_of(rewarded)}
    reinforced = grpo.run(profile, name, str(arm.start), task, validation, inputs)
    return [reinforced] if reinforced else []


def _rewarded(arm: Arm, profile: Profile) -> tuple[list[Study], list[frozenset[str]]]:
    """The studies that an arm is rewarded for, as many for every arm, and what their answers are held against."""
    here = cohorts.choose(profile, "rl")
    studies, uncertain = list(here.studies), profile.decoding.uncertain
    if arm.credit == "visible":
        visible = cohorts.visible_truth(here)
        return studies, [visible[study.key] for study in studies]
    if arm.hospitals == ("A", "B"):
        half = len(studies) // 2
        there = data.load("chexpert", profile.data["chexpert"].root, "train").studies
        usable = [study for study in there if positives(study.labels, uncertain)]
        rng = cohorts.stream(profile.seed, "images of the second hospital")
        studies = [*studies[:half], *splits.draw(usable, len(studies) - half, rng)]
    return studies, [positives(study.labels, uncertain) for study in studies]


def _ask(name: str, arm: Arm, checkpoint: str, profile: Profile, shared: Profile) -> runs.Run:
    """Answers of one checkpoint on the worlds that its question needs."""
    prompt, count, asked = prompts.get(arm.prompt), profile.sizes.worlds, worlds.ASKED[arm.question]
    owner = name if arm.stage else arm.start
    adapter = None if owner is None else runs.need(profile.cache / "checkpoints" / owner / checkpoint)
    run_id, known = f"{name}-{checkpoint}-answers", worlds.labels(count)
    facts = {"stage": "worlds", "model": name, "base_model": arm.base, "checkpoint": checkpoint,
             "prompt": f"{prompt.name} v{prompt.version}", "label_set": "nih9"}  # fmt: skip
    inputs = {
        "adapter": runs.adapter_digest(adapter) if adapter else "none",
        "worlds": digest_of([[world.name for world in asked], known.to_csv()]),
    }
    settings = {"decoding": asdict(profile.decoding), "engines": dict(profile.engines), "patients": count,
                "samples": arm.samples}  # fmt: skip
    this = runs.Plan(profile, run_id, facts, settings, inputs)

    def ask() -> runs.Run:
        loaded = models.load(arm.base, profile.models[arm.base])
        loaded = with_adapter(loaded, adapter) if adapter else loaded
        images = [(world, study) for world in asked for study in worlds.images(world, count, shared.cache)]
        label = f"{run_id} seed {profile.seed}"
        if arm.samples:
            answers = _best_of(arm.samples, images, loaded, prompt, profile, label, known)
        else:
            answers = _answers(images, loaded, prompt, profile, label)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        return runs.finish(
            this, metrics=scores.cells(answers, known), predictions=answers, device=device, n=len(answers)
        )

    return once(this, ask)


def _answers(images: Sequence[Shown], loaded: Loaded, prompt: Prompt, profile: Profile, label: str) -> pd.DataFrame:
    """One answer an image, as rows; all worlds in one go, so that the batches stay full."""
    rows: list[dict[str, object]] = []
    decoder = profile.engine("decode", evaluate.generate)
    studies = [study for _, study in images]
    completions = evaluate.decode(loaded, studies, prompt, profile.decoding, label=label, engine=decoder)
    for (world, study), completion in zip(images, completions, strict=True):
        parsed = parse_completion(completion.text, prompt.answer, completion.truncated)
        predicted = ";".join(() if parsed.failed else parsed.labels)
        rows.append({"population": world.population, "image": world.image, "index": int(study.study_id),
                     "completion": completion.text, "failed": parsed.failed, "predicted": predicted})  # fmt: skip
    return pd.DataFrame(rows)


def _best_of(
    samples: int, images: Sequence[Shown], loaded: Loaded, prompt: Prompt, profile: Profile, label: str,
    labels: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """Of several answers sampled as in training, the one nearest to the hospital's own labels (by Jaccard)."""
    loaded.model.generation_config.update(temperature=profile.grpo.temperature, top_p=profile.grpo.top_p, top_k=0)
    set_seed(profile.seed)
    sampled = replace(profile, decoding=replace(profile.decoding, do_sample=True))
    tries = [_answers(images, loaded, prompt, sampled, f"{label}, sample {k + 1} of {samples}") for k in range(samples)]
    known = labels.set_index(["population", "reference", "index"])["positive"]

    def nearness(row: dict[str, object]) -> float:
        named = frozenset(str(row["predicted"]).split(";")) & frozenset(worlds.FINDINGS)
        own = known.loc[(str(row["population"]), scores.OWN[str(row["image"])], int(str(row["index"])))]
        recorded = frozenset(filter(None, str(own).split(";")))
        return jaccard(recorded, named) if recorded | named else 1.0

    candidates = zip(*(one.to_dict("records") for one in tries), strict=True)
    return pd.DataFrame([max(several, key=nearness) for several in candidates])
