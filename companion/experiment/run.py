"""Train an arm at a seed and ask it about the test patients; what is finished is not repeated.

Results go to ``results/experiment/runs/seed<k>/<arm>`` (the training, scored on the validation studies like any stage's
run) and ``.../<arm>-answers`` (a row an image of a test patient, with the sampled answers as `words` writes them).
`asking` asks; the adapters of question 1's arms are kept beside the results, so that they can be asked something else
later: 0.9 MB each.
"""

import gzip
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import compress, cycle, islice
from pathlib import Path

import torch
from transformers import set_seed

from chexreason import cohorts, data, files, grpo, models, resume, runs, sft
from chexreason.config import DataPlace, Override, Profile, load_profile
from chexreason.data import splits
from chexreason.errors import UserError
from chexreason.files import digest_of
from chexreason.labels import POSITIVE, positives
from chexreason.models import add_lora, with_adapter
from chexreason.rewards import reward
from companion.experiment import asking, neighbours, patients, plan, sampling
from companion.experiment.plan import Arm
from companion.experiment.variants import GROUPS, OnwardTrainer, VariantTrainer, zero
from companion.phantoms.conventions import record
from companion.phantoms.lesion import Lesion
from companion.phantoms.prepare import lesions, prepare, write_traces

#: The name of the adapter that changes nothing, from which an arm without fine-tuning starts.
NOTHING = "nothing"


def shared(results: str | Path | None = None, cache: str | Path | None = None) -> Profile:
    """The profile of the experiment; its results lie beside the record of the runs."""
    profile = load_profile(str(plan.PROFILE), results=results, cache=cache)
    return replace(profile, results=profile.results / "runs")


def at(profile: Profile, seed: int, arm: Arm) -> Profile:
    """The profile at a seed with the arm's changes; no seed shares a study with another, nor results or checkpoints."""
    trainer = {"name": f"{VariantTrainer.__module__}.{VariantTrainer.__name__}", **arm.trainer}
    places = {name: _place(profile, seed, name, place) for name, place in profile.data.items()}
    stage = "sft" if arm.stage == "sft" else "grpo"
    changed = replace(
        profile, seed=seed, results=profile.results / f"seed{seed}", cache=profile.cache / f"seed{seed}", data=places,
        engines={**profile.engines, "grpo": trainer}, sizes=replace(profile.sizes, **arm.sizes),
        overrides=(*profile.overrides, *_constants(profile, arm)),
    )  # fmt: skip
    return replace(changed, **{stage: replace(getattr(profile, stage), **arm.settings)})


def _place(profile: Profile, seed: int, name: str, place: DataPlace) -> DataPlace:
    """A data set as the seed has it: where images are drawn, others than any other seed's, in a folder of their own."""
    if place.draw is None:
        return place
    draw = plan.draw_at(place.draw, seed)
    return DataPlace(profile.cache / "images" / f"{name}-{digest_of(draw)[:8]}", draw)


def _constants(profile: Profile, arm: Arm) -> list[Override]:
    """The arm's constants of its reward; one that extends equation 3 is registered, and has the profile's, too."""
    held = []
    if arm.reward == "zero":
        reward(arm.reward)(zero)
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
    own = at(profile, seed, arm)
    drawn = ("mimic", "chexpert") if "B" in arm.studies else ("mimic",)
    prepare(replace(own, data={name: own.data[name] for name in drawn}), teach=False)
    for earlier in plan.needs(name):
        _train(earlier, plan.get(earlier), at(profile, seed, plan.get(earlier)))
    _train(name, arm, own)
    asking.ask(name, arm, own, profile, _kept(arm, own))


def _train(name: str, arm: Arm, profile: Profile) -> None:
    """Train the arm unless its results are there; those of question 1 hold its adapter, SFT's or the last one."""
    done, place = runs.read(profile.results / name), profile.cache / "checkpoints" / name
    kept = profile.results / name / "adapter"
    if arm.stage == "sft" and done and files.whole(kept) and not files.whole(place / "best"):
        resume.keep(kept, place / "best")
    if arm.stage and not (done and files.whole(place / "best")):
        _fit(name, arm, profile, place / "best")
    if arm.stage and arm.question == 1:
        asked = runs.need(place / arm.asked)
        if not files.whole(kept) or files.file_digest(kept) != files.file_digest(asked):
            resume.keep(asked, kept)
        if arm.stage == "grpo" and profile.seed == 0 and (place / GROUPS).is_file():
            _keep_groups(place / GROUPS, profile.results / name)


def _keep_groups(place: Path, results: Path) -> None:
    """The completions that were rewarded, packed, of each step those of its last try; for teaching."""
    steps: dict[int, list[str]] = {}
    for line in place.read_text(encoding="utf-8").splitlines():
        about = json.loads(line)
        steps[about["step"]] = [*(steps[about["step"]] if about["number"] else ()), line]
    text = "".join(f"{line}\n" for step in sorted(steps) for line in steps[step])
    files.write_atomically(results / f"{GROUPS}.gz", gzip.compress(text.encode(), mtime=0))


def _fit(name: str, arm: Arm, profile: Profile, adapter: Path) -> None:
    if arm.stage == "blend":
        first, end = (profile.cache / "checkpoints" / one for one in plan.needs(name)[-2:])
        ends = runs.need(first / "best"), runs.need(end / "last")
        neighbours.blend(models.load(arm.base, profile.models[arm.base]), *ends, arm.share, adapter)
        return
    validation, prompt = cohorts.choose(profile, "validation"), neighbours.prompt(arm.prompt)
    if arm.stage == "sft":
        chosen = cohorts.choose(profile, "rl" if arm.start else "sft")
        place = replace(profile, cache=profile.cache / name)  # other studies, other traces
        if arm.start:
            start = Path("checkpoints", arm.start, "best")
            engine = {"name": f"{OnwardTrainer.__module__}.{OnwardTrainer.__name__}",
                      "start": str(Path("../../..", start)),  # from the folder of its checkpoints
                      "digest": runs.adapter_digest(runs.need(profile.cache / start))}  # fmt: skip
            place = replace(place, engines={**place.engines, "sft": engine})
        write_traces(place, chosen)
        if prompt == neighbours.THINK_AFTER:
            neighbours.write_answer_first(place)
        sft.run(place, name, arm.base, prompt, chosen, validation)
        resume.keep(place.cache / "checkpoints" / name / "best", adapter)
        shutil.rmtree(place.cache)  # checkpoints of each epoch
        return
    chosen = _rewarded(arm, profile)
    credit = _credit(arm.credit, chosen, profile)
    told = [_credit(one, chosen, profile) for one in patients.REFERENCES] if arm.question == 3 else []
    held = [k for k, all_of in enumerate(zip(credit, *told, strict=True)) if all(all_of)]  # some record nothing at all
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
    """As many sampled answers to each study as a group has, by the arm's start (`words`); cached."""
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
        return [recorded[k] for k in cohorts.stream(profile.seed, "placebo").permutation(len(recorded))]
    if whose == "visible":
        visible = cohorts.visible_truth(chosen)
        return [visible[study.key] for study in chosen.studies]
    drawn = lesions(chosen.root)
    said = [
        record([_lesion(one) for one in drawn[study.key]], whose, cohorts.stream(profile.seed, f"{whose} {study.key}"))
        for study in chosen.studies
    ]
    return [frozenset(name for name, value in labels.items() if value == POSITIVE) for labels in said]


def _kept(arm: Arm, profile: Profile) -> dict[str, int]:
    """Of a placebo: how many studies are held against labels like their own, by chance."""
    if arm.credit != "placebo":
        return {}
    chosen = _rewarded(arm, profile)
    given = zip(_credit("report", chosen, profile), _credit(arm.credit, chosen, profile), strict=True)
    return {"kept_own_labels": sum(own == other for own, other in given)}


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
