"""What a command looks at before it draws or computes anything: what it starts from, its folders, its options."""

import importlib.util
import json
import tempfile
import warnings

from chexreason import config, runs, written
from chexreason.errors import UserError, unknown
from chexreason.slips import bases, makes
from companion.replication.doctor import READY, machine, parts


def begin(profile: config.Profile, *stages: str, changed: bool) -> None:
    """Make the folders that a run writes to; UserError if the stages lack what they start from, or would fail.

    Weights of the whole study have to be within reach: its last stage may come after days. The profiles of the package
    are right unless they are `changed` by hand, and checking them imports the libraries.
    """
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("no such package", name="torch")
    tested, made = profile.study["generalization"]["models"].values(), list[str]()
    starts = {"grpo": [profile.study["grpo"]["start"]], "generalization": [one.get("adapter") for one in tested]}
    for stage in stages:
        for start in filter(None, starts.get(stage, ())):
            if start not in made:  # by a stage before
                runs.need(profile.cache / "checkpoints" / start / "best")
        made += makes(profile, stage)
    for place in (profile.results, profile.cache):
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    ours = written.file_of(profile.source).parent == config.ROOT / "chexreason" / "profiles"
    with warnings.catch_warnings(action="ignore"):  # they come again where it computes
        if changed or not ours:
            for what in profile.engines:
                profile.engine(what, print)
            _families(profile)
        for base in bases(profile):
            row = machine.weights(base, profile.models[base])
            if row.state != READY:
                wanted = f"weights for models.{base} in profile {profile.name}"
                raise UserError(wanted, row.got, "see `chexreason doctor`, which says how to get them")
        if changed or not ours:
            _options(profile)


def draw(profile: config.Profile, *stages: str) -> None:
    """Draw the phantoms, and the stages' cohorts: what the last one lacks is told before the first."""
    from chexreason import cohorts, data, prompts, traces
    from companion.phantoms.prepare import prepare

    prepare(profile, teach=False)
    for name in cohorts_of(profile, *stages):
        chosen = cohorts.drawn(profile, name)
        if name == "sft" and not data.is_phantom(chosen.root):  # of phantoms they are written when it is taught
            with cohorts.may_read():
                for prompt in profile.study["sft"]["prompts"]:
                    traces.of(chosen, prompts.get(prompt), profile)


def cohorts_of(profile: config.Profile, *stages: str) -> list[str]:
    """The cohorts that some stages look at, in their order."""
    looks_at = {**parts.LOOKS_AT, "generalization": profile.study["generalization"]["test_sets"]}
    return list(dict.fromkeys(name for stage in stages for name in looks_at[stage]))


def _families(profile: config.Profile) -> None:
    """Raise UserError for a base model of no known family."""
    from chexreason import models

    for base in profile.models.keys() - models.FAMILIES.keys():
        raise unknown(f"family in models of profile {profile.name}", base, models.FAMILIES, "chexreason/models.py")


def _options(profile: config.Profile) -> None:
    """Raise UserError for a checkpoint of another family, for an option that TRL or PEFT refuses, and without a
    library that one needs.
    """
    import torch

    from chexreason import grpo, models, sft
    from companion.replication import vllm_engine

    for bits in {group.load_in_bits for group in (profile.sft, profile.grpo, profile.decoding)}:
        models.quantised(models.FAMILIES[next(iter(profile.models))], bits)
    if "vllm" in json.dumps(profile.engines) or profile.grpo.use_vllm:
        vllm_engine.need()
    shapes = {base: models.before_weights(models.FAMILIES[base], profile.models[base])[1] for base in bases(profile)}
    sft.arguments(profile.sft, profile.cache, profile.seed, profile.more("sft"))
    grpo.arguments(profile.grpo, profile.cache, profile.seed, profile.sizes.rl, more=profile.more("grpo"))
    if more := profile.more("lora"):
        base = profile.study["sft"]["models"][0]
        family, place = models.FAMILIES[base], profile.models[base]
        with torch.device("meta"):
            try:
                loaded = models.Loaded(family.model_class(shapes[base]), None, family, place)
            except models.REFUSALS:
                return  # `models.load` says so
            # there are no weights, which some ways to start an adapter need
            models.add_lora(loaded, profile.lora, {**more, "init_lora_weights": True})
