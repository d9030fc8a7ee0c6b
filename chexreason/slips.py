"""What would end a study after hours, found when its profile is loaded, before anything is computed."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from chexreason.config import Profile
from chexreason.data import PHANTOM_MARKER
from chexreason.data.study import masked
from chexreason.errors import UserError, unknown
from chexreason.prompts import PROMPTS, SFT_FORMATS


def makes(profile: Profile, stage: str) -> dict[str, str]:
    """run -> its base model, of a stage that trains."""
    sft, grpo = profile.study["sft"], profile.study["grpo"]
    taught = {f"02-sft-{base}-{name}": base for base in sft["models"] for name in sft["prompts"]}
    return {"sft": taught, "grpo": {f"03-grpo-{name}": grpo["model"] for name in grpo["rewards"]}}.get(stage, {})


def bases(profile: Profile, *stages: str) -> list[str]:
    """The base models that a study uses, or some stages of it that have runs."""
    study = profile.study
    asked = {
        "prompting": [study["prompting"]["model"]], "sft": study["sft"]["models"], "grpo": [study["grpo"]["model"]],
        "generalization": [one["base"] for one in study["generalization"]["models"].values()],
    }  # fmt: skip
    return list(dict.fromkeys(base for stage in profile.stages for base in asked[stage] if stage in (stages or asked)))


def slips(profile: Profile, also: Iterable[str], unset: bool) -> Iterator[UserError]:
    """Steps that do not divide; lessons and runs that nothing makes; runs of another base model; phantoms that would
    pass for a replication; and, but for `unset`, models that are nowhere.

    What lies in the cache already counts as made, and so do the runs `also`.
    """
    where, sft, grpo = f"in profile {profile.name}", profile.sft, profile.grpo
    for group, step, at_once in (
        ("sft", sft.studies_per_step, sft.per_device_train_batch_size),
        ("grpo", grpo.studies_per_step * grpo.num_generations, grpo.per_device_train_batch_size),
    ):
        if step % at_once:
            wanted = f"{group}.per_device_train_batch_size to divide a step of {step} rows {where}"
            yield UserError(wanted, str(at_once), "change one of the two")
    for name in profile.study["sft"]["prompts"]:
        if name not in SFT_FORMATS and not (profile.cache / "traces" / f"{name}.jsonl").is_file():
            yield unknown(f"format for study.sft.prompts {where}", name, SFT_FORMATS, "its traces")
    taught, rewarded = makes(profile, "sft"), profile.study["grpo"]
    tested = profile.study["generalization"]["models"] if "generalization" in profile.stages else {}
    made = taught | makes(profile, "grpo") | dict.fromkeys(also, rewarded["model"])
    named = {f"02-sft-{base}-{name}": base for base in profile.models for name in PROMPTS} | made
    starts = [(f"generalization.models.{name}.adapter", about.get("adapter"), about["base"], made)
              for name, about in tested.items()]  # fmt: skip
    if rewarded["rewards"]:
        starts.insert(0, ("grpo.start", rewarded["start"], rewarded["model"], taught))
    for entry, run, base, known in starts:
        if run and run not in known and not (profile.cache / "checkpoints" / run / "best").is_dir():
            yield UserError(f"a run of the study for study.{entry} {where}", run, "have its study make that run")
        if run and named.get(run, base) != base:
            yield UserError(f"a run of {base} for study.{entry} {where}", run, "change one of the two")
    if not profile.stages:
        yield UserError(
            f"runs in the study of profile {profile.name}", "none", "fill the lists of a stage under `study`"
        )
    source = "mimic"  # of all stages but the last
    if source not in profile.data and profile.stages not in ([], ["generalization"]):
        wanted, got = f"{source} among the data {where}", ", ".join(profile.data)
        yield UserError(wanted, got, "add it, or empty the lists of its other stages under `study`")
    drawn = [source for source, place in profile.data.items()
             if place.draw is not None
             or any(os.path.isfile(above / PHANTOM_MARKER) for above in (place.root, place.root.parent))]  # fmt: skip
    if profile.tier == "replication" and drawn:
        wanted = f"data sets that you hold for the tier replication {where}"
        yield UserError(wanted, f"phantoms for {', '.join(drawn)}", "set `tier: miniature`")
    for base, model in profile.models.items():
        if not (unset or Path(model).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", model)):
            wanted = f"a folder or a hub id such as org/name for models.{base} {where}"
            yield UserError(wanted, masked(Path(model)), "correct it")
